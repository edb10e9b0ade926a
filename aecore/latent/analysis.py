"""Analysis of the code space of a run, computed once and stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter, model_validator

from aecore import data, locations, metrics, models, projections
from aecore.artifacts import SHARE, Array, Artifact, Size
from aecore.data import Dataset, Subset
from aecore.errors import Damaged, InvalidRequest
from aecore.latent.decoder import LayerFacts, decoder_for_browser
from aecore.latent.reliability_map import reach, reliability
from aecore.progress import Progress, Reporter, Task
from aecore.projections import Plane, Prepare, _plane_as_it_is
from aecore.runs import store

if TYPE_CHECKING:
    from aecore.models.autoencoder import Autoencoder
    from aecore.runs.store import Run


NO_DECODER = "This run has no decoder, so no place can be decoded."
VALUES_KEPT = 2 * 2**20
"""Numbers of the stored training codes: 8 MiB of float32."""
MOST_SAMPLES = 100_000
PORTION = 12_800
"""Training samples that are taken at a time, some whole batches."""


def plane_of_run(run: Run) -> Plane:
    """Recover the plane of a run from its stored codes and places; needs no dataset.

    min_A,b sum_i ||p_i - (A z_i + b)||^2 over the test split, zero at the principal axes A. The
    mean is that of the test codes, moved within the plane until b is right: off the plane the
    mean of the training codes is not stored. Where the test codes span fewer than d dimensions,
    the axes are what can be seen of them within that span.
    """
    codes, places = (run.codes[name].astype(np.float64) for name in ("codes", "plane"))
    if codes.shape[1] <= 2:
        return _plane_as_it_is(codes.shape[1])
    center, origin = codes.mean(0), places.mean(0)
    # Along a direction with next to no spread, the rounding of float32 is all there is to fit.
    axes = np.linalg.lstsq(codes - center, places - origin, rcond=1e-5)[0].T
    mean = center - np.linalg.pinv(axes) @ origin
    return Plane(mean.astype(np.float32), axes.astype(np.float32))


class Analysis(NamedTuple):
    """Arrays and facts that `analyse` computes of a run."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


def analyse(run: Run, dataset: Dataset | None, progress: Progress) -> Analysis:
    """Compute and store the analysis of a run's latent space that the pages show.

    Always: the maps of `reliability` as `grid_x`, `grid_y`, `density`, `cycle_error` and
    `sensitivity`, the last two as far as the model has encoder and decoder, and the decoder as
    `browser_decoder` lists it, its weights as `weight/<name>`,
    unless it is larger than 8 MiB.

    With the dataset: `train_codes` (m, d), `train_rows` (m,), the numbers of these samples in the
    training split, of which a wide code keeps fewer, each class in proportion, `train_labels`,
    `train_error`, and `train_reach`, sorted distances from training codes to their tenth nearest,
    against which the emptiness of a place is read; `spread` (n_test, d), standard deviations, where
    the posterior is Gaussian; `trustworthiness` and `continuity` (n_test,) of the plane, NaN where
    a sample was not measured. Without it the density is that of the stored test codes.

    Raises `InvalidRequest` where the dataset has changed since the run, or its codes are not
    finite.
    """
    model, codes = run.model(), run.codes["codes"]
    labels = run.codes["labels"].astype(np.int64)
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    refuse_unless_finite(run, codes)
    if dataset is not None:
        arrays, facts = _with_data(run, model, dataset, progress)
        codes, labels = arrays["train_codes"], arrays["train_labels"].astype(np.int64)
    can = run.capabilities
    maps = reliability(model, plane_of_run(run), codes, labels=labels, progress=progress, can=can)
    arrays |= {"grid_x": maps.x, "grid_y": maps.y, "density": maps.density}
    arrays |= {
        name: values
        for name in ("cycle_error", "sensitivity")
        if (values := getattr(maps, name)) is not None
    }
    layers, weights, note = decoder_for_browser(model) if can.decode else (None, {}, NO_DECODER)
    arrays |= {f"weight/{name}": weight for name, weight in weights.items()}
    facts |= {
        "layers": layers,
        "decoder_note": note,
        "conditioned": bool(model.n_classes),
        "active_units": metrics.active_units(run.codes["codes"]),
        "complete": dataset is not None,
    }
    analysis = Analysis(arrays, facts)
    analysis_artifact(run).save(analysis)
    return analysis


def _with_data(
    run: Run, model: Autoencoder, dataset: Dataset, progress: Progress
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The part of an analysis that needs the samples."""
    refuse_changed(run, dataset)
    progress("Encoding the training samples", 0, 1)
    n, d = run.codes["codes"].shape
    chosen = Subset(split="train", limit=min(max(VALUES_KEPT // d, 10), MOST_SAMPLES))
    at = chosen.rows(dataset) - n
    labels = dataset.train.labels[at]
    # Portion by portion: the samples of a large dataset are not copied.
    portions = [
        models.inference.encode_with_errors(
            model,
            dataset.train.x[rows],
            dataset.train.labels[rows],
            codes=codes_of_training(run, rows),
            decodes=run.capabilities.decode,
        )
        for rows in (at[start : start + PORTION] for start in range(0, len(at), PORTION))
    ]
    codes, errors = (np.concatenate([each[of] for each in portions]) for of in (0, 2))
    refuse_unless_finite(run, codes)
    arrays = {
        "train_codes": codes,
        "train_rows": at.astype(np.int32),
        "train_labels": labels.astype(np.int16 if dataset.label_names else np.float32),
        "train_error": errors,
        "train_reach": reach(codes),
    }
    progress("Encoding the test samples", 0, 1)
    if run.capabilities.posterior:
        spread = models.inference.encode_with_errors(model, *dataset.test, decodes=False).deviations
        assert spread is not None
        refuse_unless_answered(run.name, spread)
        arrays["spread"] = spread
    progress("Measuring the plane", 0, 1)
    # The heights of a code of one dimension mean nothing.
    drawn = run.codes["plane"] if d > 1 else run.codes["codes"]
    shown = Subset()
    facts, measured = projections.measure(dataset, shown, drawn[shown.rows(dataset)])
    for name, values in measured.items():
        arrays[name] = np.full(n, np.nan, np.float32)
        arrays[name][shown.rows(dataset)] = values
    return arrays, facts


def codes_of_training(run: Run, rows: np.ndarray | None = None) -> np.ndarray | None:
    """Stored codes of training samples, of all where no rows are given.

    None of a run with an encoder, which gives them.
    """
    if run.capabilities.encode:
        return None
    codes = run.codes["train"]
    return codes if rows is None else codes[rows]


def refuse_changed(run: Run, dataset: Dataset) -> None:
    """Raise `InvalidRequest` if the dataset of a run has been removed or changed."""
    if dataset.missing:
        raise InvalidRequest(dataset.missing)
    if dataset.fingerprint != run.manifest.fingerprint:
        raise InvalidRequest(run.data_changed)


def refuse_unless_finite(run: Run, codes: np.ndarray) -> None:
    """Raise `InvalidRequest` if codes of a run are not finite."""
    if not np.isfinite(codes).all():
        raise InvalidRequest(
            f"The codes of the run '{run.name}' are not finite: its training diverged; train it "
            "again with a lower learning rate."
        )


def refuse_unless_answered(name: str, *answers: np.ndarray) -> None:
    """Raise `InvalidRequest` if outputs of a run's model are not finite."""
    if not all(np.isfinite(answer).all() for answer in answers):
        raise InvalidRequest(
            f"The run '{name}' answers with values that are no finite numbers (NaN): train it "
            "again with a lower learning rate."
        )


def negative_elbo(run: Run) -> float | None:
    """-E_q[log p(x|z)] + KL(q(z|x) || N(0, I)) in nats a test sample, of the stored weights.

    From one draw of each posterior, or the mean over the draws of an importance-weighted model.
    None where the model is not variational, or where its likelihood is no Bernoulli: a squared
    error lacks the constants that would make it comparable.
    """
    can = run.capabilities
    if can.likelihood != "bernoulli" or not can.kl_weight or not run.trained:
        return None
    terms = run.stored_entry["test"]
    if not {"reconstruction", "kl"} <= terms.keys():  # whoever wrote it
        return None
    return terms["reconstruction"] + terms["kl"] / can.kl_weight


def analysis_artifact(run: Run) -> Artifact[Analysis]:
    """Artifact of the analysis of a run."""
    return Artifact(
        path=run.computed / "latent.safetensors",
        created=run.manifest.created,
        facts=ANALYSIS_FACTS,
        expected=lambda facts: _analysis_arrays(run, facts),
        dump=lambda analysis: analysis,
        build=lambda arrays, facts: Analysis(arrays, facts.model_dump(exclude_unset=True)),
    )


class AnalysisFacts(BaseModel):
    """Facts of an analysis beside its arrays."""

    complete: bool
    conditioned: bool
    active_units: int = Field(ge=0)
    layers: list[LayerFacts] | None
    decoder_note: str = ""
    trustworthiness: FiniteFloat | None = None
    continuity: FiniteFloat | None = None
    knn_accuracy: FiniteFloat | None = None
    knn_balanced: FiniteFloat | None = None
    spearman: FiniteFloat | None = None
    silhouette: FiniteFloat | None = None
    measured: int | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        metrics.possible({name: getattr(self, name, None) for name in metrics.RANGES})
        return self


ANALYSIS_FACTS = TypeAdapter(AnalysisFacts)


def _analysis_arrays(run: Run, facts: AnalysisFacts) -> dict[str, Array]:
    """Expected arrays of an analysis; raises `Damaged` if its layers do not form a decoder."""
    dataset, d = run.dataset, run.config.model.latent_dim
    side, classes = Size("side", 1_000), dataset.n_classes
    axis, grid = Array((side,), rises=True), Array((side, side), low=0, finite=False)
    wanted = {"grid_x": axis, "grid_y": axis, "density": grid}
    if run.capabilities.decode:
        wanted["sensitivity"] = grid
        if run.capabilities.encode:
            wanted["cycle_error"] = grid
    if facts.complete:
        m = Size("training samples", dataset.n_train)
        each = replace(SHARE, shape=(dataset.n_test,))
        wanted |= {
            "train_codes": Array((m, d)),
            "train_rows": Array((m,), "i", 0, dataset.n_train - 1, rises=True),
            "train_labels": Array((m,), "i", 0, classes - 1) if classes else Array((m,)),
            "train_error": Array((m,), low=0, finite=False),
            "train_reach": Array((Size("reach", dataset.n_train),), low=0),
            "spread": Array((dataset.n_test, d), low=0, optional=not run.capabilities.posterior),
            "trustworthiness": each,
            "continuity": each,
        }
    size = d + classes * run.capabilities.conditioned
    for layer in facts.layers or ():
        taken, given = layer.sizes(size)
        if taken != size or (layer.kind == "activation") != (layer.name is not None):
            raise Damaged(f"a layer of kind '{layer.kind}' does not follow the one before it")
        size = given
        wanted |= {f"weight/{name}": Array(shape) for name, shape in layer.shapes().items()}
    if facts.layers and size != dataset.n_features:
        raise Damaged(f"its decoder gives {size} features instead of {dataset.n_features}")
    return wanted


@dataclass(frozen=True)
class Analyse(Task):
    """Analyse the latent space of a run for the pages.

    Without its dataset only what needs the model alone.
    """

    run_name: str

    @property
    def title(self) -> str:
        return f"analysing {self.run_name}"

    @property
    def files(self) -> Sequence[str]:
        return [self.run_name, *Prepare(store.load(self.run_name).spec.name).files]

    def run(self, reporter: Reporter) -> Analysis:
        """Analyse the run and store the result."""
        run = store.load(self.run_name)
        locations.refuse_unwritable()
        reporter.progress("Loading the libraries, which takes some seconds the first time", 0, 1)
        dataset = None
        if data.is_available(run.dataset):
            Prepare(run.spec.name).run(reporter)
            dataset = run.dataset
        return analyse(run, dataset, reporter.progress)
