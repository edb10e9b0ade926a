"""Logging of runs to the MLflow server or database that `MLFLOW_TRACKING_URI` names."""

from __future__ import annotations

import logging
import os
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aecore import locations
from aecore.errors import in_one_line
from aecore.runs.scalars import final_metrics, flat_settings, scalars

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from aecore.progress import Progress
    from aecore.runs.store import Run

DEFAULTS = {
    # MLflow would wait for two minutes, seven times over.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Variables of MLflow, unless they are set."""
SECRET = re.compile(r"//[^/@\s]*@")
"""User and password in an address, which no log should hold."""
MOST_METRICS = 1_000
"""In one request."""

log = logging.getLogger(__name__)


def log_run(run: Run, progress: Progress) -> None:
    """Log a stored run to MLflow if a server is named; a warning says where that fails."""
    address = os.environ.get("MLFLOW_TRACKING_URI")
    if not address:
        return
    progress("Logging the run to MLflow", 0, 1)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        log.warning(
            "The run '%s' is stored, but not logged to MLflow, which is not installed: run "
            "`pip install latent-loupe[mlflow]`, or unset MLFLOW_TRACKING_URI.",
            run.name,
        )
        return
    try:
        _log(run, MlflowClient(address))
    except Exception as error:  # whatever it is, the run is stored
        log.warning(
            "The run '%s' is stored, but not logged to MLflow: MLFLOW_TRACKING_URI = '%s' does not "
            "take it (%s). Start a server there, give its address, or unset the variable.",
            run.name,
            *(SECRET.sub("//", text) for text in (address, in_one_line(error))),
        )


def _log(run: Run, client: MlflowClient) -> None:
    from mlflow.entities import Metric, Param, RunTag

    manifest = run.manifest
    begun = manifest.created - timedelta(seconds=manifest.seconds)
    created = client.create_run(_experiment(client), _milliseconds(begun), run_name=run.name)
    number = created.info.run_id
    facts = {
        "run": run.name,
        "sweep": manifest.sweep,
        "parent": manifest.parent,
        "fingerprint": manifest.fingerprint,
    }
    tags = [RunTag(f"{locations.NAME}.{name}", value) for name, value in facts.items() if value]
    params = [Param(name, f"{value}") for name, value in flat_settings(run).items()]
    client.log_batch(number, params=params, tags=tags)
    metrics = [
        Metric(each.name, each.value, _milliseconds(each.when), each.epoch) for each in scalars(run)
    ]
    end, last = _milliseconds(manifest.created), run.epochs or 0
    logged = {metric.key for metric in metrics}
    metrics += [
        Metric(name, value, end, last)
        for name, value in final_metrics(run).items()
        if name not in logged
    ]
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(number, metrics=metrics[start : start + MOST_METRICS])
    client.set_terminated(number, end_time=end)


def _experiment(client: MlflowClient) -> str:
    """Number of the experiment that MLflow's own variables name, or of one called latent-loupe."""
    from mlflow.exceptions import MlflowException

    if number := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return number
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or locations.NAME
    present = client.get_experiment_by_name(name)
    if present is None:
        try:
            return client.create_experiment(name)
        except MlflowException:  # a training beside this one was faster
            present = client.get_experiment_by_name(name)
            if present is None:
                raise
    return present.experiment_id


def _milliseconds(when: datetime) -> int:
    return round(when.timestamp() * 1000)
