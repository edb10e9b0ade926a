"""Files of one's own as datasets: read, understood, prepared and stored."""

from __future__ import annotations

from aecore.data.importers import annotated, arrays, pictures, table  # which add their formats
from aecore.data.importers.choices import Choices as Choices
from aecore.data.importers.formats import (
    FORMATS as FORMATS,
    Content as Content,
    preview as preview,
    read as read,
)
from aecore.data.importers.report import Doubt as Doubt, Report as Report
from aecore.data.importers.store import (
    add_file as add_file,
    apply_file as apply_file,
    check as check,
    save as save,
    understand as understand,
)
from aecore.data.importers.task import (
    INCOMING as INCOMING,
    StoreFile as StoreFile,
    incoming as incoming,
    incoming_folder as incoming_folder,
)
from aecore.data.preparation import apply as apply, undo as undo

__all__ = ["annotated", "arrays", "pictures", "table"]
