"""Jobs: the queue, its worker process and the connection to a scheduler."""

from __future__ import annotations

from aecore.jobs.cluster import TRIES as TRIES
from aecore.jobs.queue import Job as Job, Jobs as Jobs, TrainingLog as TrainingLog
