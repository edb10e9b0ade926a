"""TensorBoard event files of stored runs: scalars, images, histograms, projector and HParams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aecore import files, models
from aecore.errors import InvalidRequest
from aecore.runs.scalars import final_metrics, flat_settings, scalars

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch.utils.tensorboard import SummaryWriter

    from aecore.runs.store import Run

IMAGES = 64
"""Test samples of which image and reconstruction are written."""
MOST_CODES = 10_000
"""In the embedding projector, which gets slow beyond."""
SPRITE_SIDE = 4_096
"""Pixels at most; browsers refuse larger textures than twice that."""
MOST_DIMENSIONS = 32
"""Of a code, of which histograms are written."""


class Written(NamedTuple):
    """What was written of a run."""

    folder: Path
    codes: int
    """How many are in the projector."""
    images: int
    """Test samples that are shown with their reconstructions."""


def refuse_missing() -> None:
    """Raise `InvalidRequest` where the package TensorBoard is not installed."""
    _writer()


def _writer() -> type[SummaryWriter]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InvalidRequest(
            "This needs TensorBoard, which is not installed: run "
            "`pip install latent-loupe[tensorboard]`."
        ) from None
    return SummaryWriter


def refuse_present(runs: Sequence[Run], folder: Path) -> None:
    """Raise `InvalidRequest` where a run is written already, to which TensorBoard would add."""
    if present := [run.name for run in runs if (folder / run.name).exists()]:
        raise InvalidRequest(
            f"{folder} holds {', '.join(present)} already: remove that, or give another folder."
        )


def write(run: Run, folder: Path) -> Written:
    """Write the event files of a run into `folder`, below its name.

    Images, and the sprite of the projector, are left out where there are none: the samples are no
    images, or are not on this machine.
    """
    place = folder / run.name
    pictures = run.spec.traits.pictures and run.has_data()
    whole = not run.lacks("Reconstruction", "encode", "decode")
    with files.writing(folder), _writer()(str(place)) as writer:
        _write_scalars(writer, run)
        _write_hparams(writer, run)
        _write_histograms(writer, run)
        if pictures and whole:
            _write_images(writer, run)
        codes = _write_codes(writer, run, pictures)
    return Written(place, codes, min(run.spec.n_test, IMAGES) if pictures and whole else 0)


def _write_scalars(writer: SummaryWriter, run: Run) -> None:
    for name, value, epoch, when in scalars(run):
        writer.add_scalar(name, value, epoch, when.timestamp())
    last = run.stored_epoch
    for name, value in final_metrics(run).items():
        if name != "test_mse":
            writer.add_scalar(name, value, last, run.manifest.created.timestamp())


def _write_hparams(writer: SummaryWriter, run: Run) -> None:
    """Write the settings of a run as a session of the HParams tab.

    The tab makes its columns of all sessions that it finds, so that runs of different variants
    stand beside each other. `add_hparams` would say in each which columns there are, of which
    TensorBoard takes any one.
    """
    from torch.utils.tensorboard.summary import hparams

    _, start, end = hparams(flat_settings(run), {})
    writer._get_file_writer().add_summary(start)
    writer._get_file_writer().add_summary(end)


def _write_histograms(writer: SummaryWriter, run: Run) -> None:
    last = run.stored_epoch
    weights = run.model().state_dict() if run.capabilities.trainable else {}
    for name, value in weights.items():
        if value.is_floating_point() and value.numel():
            writer.add_histogram(f"weights/{name}", value, last)
    for dimension, values in enumerate(run.codes["codes"].T[:MOST_DIMENSIONS], start=1):
        writer.add_histogram(f"codes/{dimension}", values, last)
    if not run.trained:
        return
    planes = zip(run.codes["epochs_kept"].tolist(), run.codes["epochs"], strict=True)
    for epoch, plane in planes:
        for axis, values in zip("xy", plane.T, strict=True):
            writer.add_histogram(f"map/{axis}", values, epoch)


def _write_images(writer: SummaryWriter, run: Run) -> None:
    last = run.stored_epoch
    originals, labels = (part[:IMAGES] for part in run.dataset.test)
    reconstructions = models.inference.reconstruct(run.model(), originals, labels)
    for name, values in {"original": originals, "reconstruction": reconstructions}.items():
        writer.add_images(f"test/{name}", _images(run, values), last)


def _write_codes(writer: SummaryWriter, run: Run, pictures: bool) -> int:
    """Write codes, labels and errors, and a sprite of the samples, for the embedding projector."""
    codes, labels, names = run.codes["codes"], run.codes["labels"], run.spec.label_names
    n = min(len(codes), MOST_CODES)
    if pictures:
        n = min(n, (SPRITE_SIDE // max(run.spec.shape[:2])) ** 2)
    rows = zip(labels[:n].tolist(), range(n), run.codes["error"][:n].tolist(), strict=True)
    writer.add_embedding(
        codes[:n],
        [[names[label] if names else label, sample, error] for label, sample, error in rows],
        _square(_images(run, run.dataset.test.x[:n])) if pictures else None,
        run.stored_epoch,
        tag="codes",
        metadata_header=["label", "sample", "squared error"],
    )
    return n


def _images(run: Run, x: np.ndarray) -> torch.Tensor:
    """Samples (n, n_features) as images, (n, channels, height, width), in [0, 1]."""
    import torch

    shaped = run.spec.traits.shaped(x.clip(0, 1), run.spec.shape)
    if shaped.ndim == 3:
        shaped = shaped[..., None]
    return torch.tensor(shaped.transpose(0, 3, 1, 2))


def _square(images: torch.Tensor) -> torch.Tensor:
    """Images with a black margin at the right or below, since a sprite's images are square."""
    import torch

    height, width = images.shape[2:]
    side = max(height, width)
    return torch.nn.functional.pad(images, (0, side - width, 0, side - height))
