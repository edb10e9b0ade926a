"""What a trained model's code space is like: where its decoder can be trusted, and how two differ.

    models_store/<run>/latent.safetensors

keeps what `analyse` found of a run, computed when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter, model_validator

from aecore import metrics, projections
from aecore.artifacts import SHARE, Array, Artifact, Size, Word
from aecore.datasets import Dataset, Subset
from aecore.errors import Damaged, Faults
from aecore.neighbors import nearest
from aecore.progress import Progress, no_progress
from aecore.store import Run
from aecore.variants import Activation

if TYPE_CHECKING:
    from torch import Tensor, nn

    from aecore.autoencoder import Autoencoder

VALUES_KEPT = 2 * 2**20
"""Numbers of the stored training codes: 8 MiB of float32."""
MOST_WEIGHTS = 8 * 2**20
"""Bytes of a decoder's weights that are still sent to a browser."""
MOST_SAMPLES = 100_000
NEIGHBORS = 10
WIDEST_DIFFERENTIATED = 8
MARGIN = 0.15


# --- The plane ----------------------------------------------------------------------------------


class Plane(NamedTuple):
    """The plane in the code space that pictures show, and the way there and back."""

    mean: np.ndarray
    """(d,), the code at the picture's origin."""
    axes: np.ndarray
    """(2, d), orthonormal rows; the second is zero where d = 1."""

    def lower(self, codes: np.ndarray) -> np.ndarray:
        """The places of codes (n, d) in the plane: (codes - mean) axes^T, (n, 2)."""
        return (codes - self.mean) @ self.axes.T

    def lift(self, places: np.ndarray) -> np.ndarray:
        """The codes (n, d) that lie at places (n, 2) of the plane: mean + places axes."""
        return self.mean + places @ self.axes


def fit_plane(codes: np.ndarray) -> Plane:
    """The plane of codes (n, d): as they are for d <= 2, else their first two components.

    The places are those of `tasks.plane_of`, whose heights for d = 1 mean nothing and are 0 here.
    """
    if codes.shape[1] <= 2:
        return _plane_as_it_is(codes.shape[1])
    from sklearn.decomposition import PCA

    fitted = PCA(2, svd_solver="covariance_eigh").fit(codes)
    return Plane(fitted.mean_, fitted.components_)


def plane_of_run(run: Run) -> Plane:
    """The plane of a run, found again from its stored codes and their places; needs no dataset.

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


def _plane_as_it_is(d: int) -> Plane:
    return Plane(np.zeros(d, np.float32), np.eye(2, d, dtype=np.float32))


# --- The decoder for a browser ------------------------------------------------------------------


def browser_decoder(
    model: Autoencoder,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]] | None:
    """The decoder and its likelihood's mean as layers that plain JavaScript can run.

    Returns the layers in order and their float32 weights by name; None where there is a layer of
    a kind that is not known here. A code, (n_in,), with the label one-hot behind it where the
    model is conditioned on one, goes through

        linear         weight (n_out, n_in) x + bias
        activation     of the name that the settings use
        conv           3 x 3, stride 1, padding 1; weight (n_out, n_in, 3, 3)
        transposed     3 x 3, stride 2, padding 1; weight (n_in, n_out, 3, 3)
        upsample       nearest: out[i, j] = in[floor(i height / out_height), ...]
        channels-last  (channels, height, width) -> (height, width, channels)

    where images are (channels, height, width), row after row.
    """
    from aecore import likelihoods

    ends = {
        likelihoods.Gaussian: [],
        likelihoods.SquashedGaussian: [{"kind": "activation", "name": "sigmoid"}],
        likelihoods.Bernoulli: [{"kind": "activation", "name": "sigmoid"}],
    }
    end = ends.get(type(model.likelihood))
    layers: list[dict[str, Any]] = []
    weights: dict[str, np.ndarray] = {}
    shape: tuple[int, ...] = ()
    for layer in _leaves(model.decoder):
        described = _described(layer, shape)
        if described is None or end is None:
            return None
        description, tensors, shape = described
        for name, tensor in tensors.items():
            description[name] = f"{len(layers)}.{name}"
            weights[description[name]] = np.ascontiguousarray(tensor.detach().float().cpu().numpy())
        if description:
            layers.append(description)
    return layers + end, weights


def _leaves(network: nn.Module) -> Iterator[nn.Module]:
    from torch import nn

    if isinstance(network, nn.Sequential):
        for layer in network:
            yield from _leaves(layer)
    else:
        yield network


def _described(
    layer: nn.Module, shape: tuple[int, ...]
) -> tuple[dict[str, Any], dict[str, Tensor], tuple[int, ...]] | None:
    """A layer's description, empty where it does nothing, its tensors, and the image it gives."""
    from torch import nn

    from aecore.networks import ACTIVATION_LAYERS, SeededDropout, TiedLinear, ToFeatures

    if isinstance(layer, nn.Identity | SeededDropout):
        return {}, {}, shape
    # The whole text is compared, so that a slope or an approximation of another kind is not lost.
    for name, activation in ACTIVATION_LAYERS.items():
        if repr(layer) == repr(activation()):
            return {"kind": "activation", "name": name}, {}, shape
    tensors = {"weight": getattr(layer, "weight", None), "bias": getattr(layer, "bias", None)}
    if isinstance(layer, nn.Linear | TiedLinear) and tensors["bias"] is not None:
        n_out, n_in = tensors["weight"].shape
        return {"kind": "linear", "n_in": n_in, "n_out": n_out}, tensors, ()
    if isinstance(layer, nn.Unflatten) and layer.dim == 1:
        return {}, {}, tuple(layer.unflattened_size)
    if len(shape) != 3:
        return None
    channels, height, width = shape
    image = {"height": height, "width": width}
    if isinstance(layer, ToFeatures):
        return {"kind": "channels-last", "channels": channels, **image}, {}, ()
    if isinstance(layer, nn.Upsample) and layer.mode == "nearest" and layer.size is not None:
        out = dict(zip(("out_height", "out_width"), layer.size, strict=True))
        description = {"kind": "upsample", "channels": channels, **image, **out}
        return description, {}, (channels, *layer.size)
    if isinstance(layer, nn.Conv2d) and _plain(layer, stride=1):
        n_out = layer.out_channels
        description = {"kind": "conv", "n_in": channels, "n_out": n_out, **image}
        return description, tensors, (n_out, height, width)
    if isinstance(layer, nn.ConvTranspose2d) and _plain(layer, stride=2):
        n_out, more = layer.out_channels, layer.output_padding
        out_height, out_width = 2 * height - 1 + more[0], 2 * width - 1 + more[1]
        description = {"kind": "transposed", "n_in": channels, "n_out": n_out, **image}
        description |= {"out_height": out_height, "out_width": out_width}
        return description, tensors, (n_out, out_height, out_width)
    return None


def _plain(layer: nn.Module, stride: int) -> bool:
    """Whether a convolution is 3 x 3 with padding 1, a bias, and nothing else about it."""
    options = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
    wanted = ((3, 3), (stride, stride), (1, 1), (1, 1), 1)
    return options == wanted and layer.padding_mode == "zeros" and layer.bias is not None


# --- Reliability --------------------------------------------------------------------------------


class Reliability(NamedTuple):
    """What can be expected of codes on a grid in the plane; the arrays' rows are its y."""

    x: np.ndarray
    """(g,), in units of the code."""
    y: np.ndarray
    """(g,)."""
    density: np.ndarray
    """(g, g) float32, share of the samples per unit of area."""
    cycle_error: np.ndarray
    """(g, g) float32, in units of the code."""
    sensitivity: np.ndarray
    """(g, g) float32, units of the data per unit of the code."""


def reliability(
    model: Autoencoder,
    plane: Plane,
    codes: np.ndarray,
    size: int = 96,
    labels: np.ndarray | None = None,
    progress: Progress = no_progress,
) -> Reliability:
    """Where samples lie, where decoding can be undone, and where a small step changes much.

    density: (1/n) sum_i K_h(p - p_i), a Gaussian kernel whose width along each axis is
    h = n^(-1/6) times the standard deviation (Scott 1992);
    cycle error: ||E(D(z)) - z||, with the posterior's mean for E;
    sensitivity: ||dD/dz||_F, the root of the trace of the metric that the decoder gives the code
    space (Arvanitidis, Hansen & Hauberg 2018), sqrt(sum_j ||dD/dz v_j||^2) over all d directions of
    the code; for d > 8 only over the two axes of the plane.

    Arguments
        codes: (n, d). The grid covers the box from the 0.5th to the 99.5th percentile of their
            places, widened by 15 % on each side; a box without extent is taken to be of 1.
        size: g, places along each side.
        labels: (n,) of the codes. A model that is conditioned on the label is told that of the
            code whose place is nearest.

    Raises `Faults` where the model is conditioned on the label and there are no labels.
    """
    import torch

    from aecore import inference

    places = plane.lower(codes)
    x, y = (_side(column, size) for column in places.T)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    z = plane.lift(grid).astype(np.float32)
    nearest_label = None
    if model.n_classes and labels is not None:
        from scipy.spatial import KDTree

        nearest_label = labels[KDTree(places).query(grid)[1]]
    d = z.shape[1]
    followed = np.eye(d) if d <= WIDEST_DIFFERENTIATED else plane.axes
    directions = torch.tensor(followed, dtype=torch.float32)
    cycle, sensitivity = [], []
    first = None if nearest_label is None else nearest_label[:1]
    n_features = inference.decode(model, z[:1], first).shape[1]
    batch = inference.batch_size(n_features * (1 + len(directions)))
    for start in range(0, len(z), batch):
        progress("Mapping where the decoder can be trusted", start, len(z))
        code = z[start : start + batch]
        label = None if nearest_label is None else nearest_label[start : start + batch]
        cycle.append(inference.cycle_error(model, code, label))
        sensitivity.append(np.sqrt(_squared_derivatives(model, code, label, directions)))
    maps = (np.concatenate(each).reshape(size, size) for each in (cycle, sensitivity))
    return Reliability(x, y, _density(places, x, y), *maps)


def _side(column: np.ndarray, size: int) -> np.ndarray:
    low, high = np.percentile(column, (0.5, 99.5))
    if low == high:
        low, high = low - 0.5, high + 0.5
    more = MARGIN * (high - low)
    return np.linspace(low - more, high + more, size)


def _squared_derivatives(
    model: Autoencoder, codes: np.ndarray, labels: np.ndarray | None, directions: Tensor
) -> np.ndarray:
    """sum_j ||dD/dz v_j||^2 of each code, (n,), by forward-mode products."""
    import torch

    code, label = torch.tensor(codes), None if labels is None else torch.tensor(labels)

    def along(direction: Tensor) -> Tensor:
        def decode(code: Tensor) -> Tensor:
            return model.decode(code, label)

        return torch.func.jvp(decode, (code,), (direction.expand_as(code),))[1].square().sum(1)

    with torch.no_grad():
        # All directions at once share one pass through the decoder.
        return torch.func.vmap(along)(directions).sum(0).numpy()


def _density(places: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sides = (y, x)
    steps = np.array([side[1] - side[0] for side in sides])
    # Each place of the grid stands for the cell around it.
    edges = [
        (side[0] - step / 2, side[-1] + step / 2) for side, step in zip(sides, steps, strict=True)
    ]
    counts = np.histogram2d(*places.T[::-1], bins=(len(y), len(x)), range=edges)[0]
    widths = len(places) ** (-1 / 6) * places.std(0)[::-1]
    smooth = gaussian_filter(counts, widths / steps, mode="constant")
    return (smooth / (len(places) * steps.prod())).astype(np.float32)


# --- Comparison ---------------------------------------------------------------------------------


class Comparison(NamedTuple):
    """Two planes of the same samples, one laid upon the other."""

    aligned: np.ndarray
    """(n, 2), the second plane in the units of the first."""
    moved: np.ndarray
    """(n,), how far apart a sample's two places are, in root-mean-square radii of the first."""
    kept: np.ndarray
    """(n,), share of a sample's nearest neighbours on the first that it has on the second."""
    overlap: float
    """Mean of `kept`."""
    disparity: float
    """From 0, the same but for its place, size and turn, to 1, nothing in common."""


def compare(plane: np.ndarray, other: np.ndarray, k: int = 12) -> Comparison:
    """Move, turn, mirror and scale a plane onto another of the same samples, and compare the two.

    min_{s,R,t} sum_i ||s q_i R + t - p_i||^2, R orthogonal (Gower 1975); the disparity is this
    minimum divided by sum_i ||p_i - mean(p)||^2.

    Arguments
        plane, other: (n, 2), p and q.
        k: neighbours; n - 1 where there are fewer. A sample without any keeps all of them, so
            `kept` is 1, and so is the `overlap` of no samples at all.

    A plane whose points are all the same has radius 1 and disparity 0.
    """
    n = len(plane)
    p, q = plane.astype(np.float64), other.astype(np.float64)
    origin = p.mean(0) if n else np.zeros(2)
    p, q = p - origin, q - (q.mean(0) if n else 0)
    left, strengths, right = np.linalg.svd(q.T @ p)
    size_of_p, size_of_q = np.square(p).sum(), np.square(q).sum()
    scale = strengths.sum() / size_of_q if size_of_q else 0
    aligned = scale * q @ left @ right
    distances = np.linalg.norm(aligned - p, axis=1)
    k = min(k, n - 1)
    if k < 1:
        kept = np.ones(n)
    else:
        ours, theirs = (nearest(each, k).indices for each in (plane, other))
        kept = (ours[:, :, None] == theirs[:, None, :]).any(axis=2).mean(axis=1)
    return Comparison(
        aligned + origin,
        distances / (np.sqrt(size_of_p / n) if size_of_p else 1),
        kept,
        float(kept.mean()) if n else 1.0,
        float(np.square(distances).sum() / size_of_p) if size_of_p else 0.0,
    )


# --- What is kept on disk -----------------------------------------------------------------------


class Analysis(NamedTuple):
    """What `analyse` computes of a run, by the names that it lists."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


def analyse(run: Run, dataset: Dataset | None, progress: Progress) -> None:
    """Compute and store what the pages show of a run's code space.

    Always: the maps of `reliability` as `grid_x`, `grid_y`, `density`, `cycle_error` and
    `sensitivity`, and the decoder as `browser_decoder` lists it, its weights as `weight/<name>`,
    unless it is larger than 8 MiB.

    With the dataset: `train_codes` (m, d), `train_rows` (m,), the numbers of these samples in the
    training split, of which a wide code keeps fewer, each class in proportion, `train_labels`,
    `train_error`, and `train_reach`, sorted distances from training codes to their tenth nearest,
    against which the emptiness of a place is read; `spread` (n_test, d), standard deviations, where
    the posterior is Gaussian; `trustworthiness` and `continuity` (n_test,) of the plane, NaN where
    a sample was not measured. Without it the density is that of the stored test codes.

    Raises `Faults` where the dataset has changed since the run, or its codes are not finite.
    """
    model, codes = run.model(), run.codes["codes"]
    labels = run.codes["labels"].astype(np.int64)
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {}
    refuse_unless_finite(run, codes)
    if dataset is not None:
        arrays, facts = _with_data(run, model, dataset, progress)
        codes, labels = arrays["train_codes"], arrays["train_labels"].astype(np.int64)
    found = reliability(model, plane_of_run(run), codes, labels=labels, progress=progress)
    arrays |= {"grid_x": found.x, "grid_y": found.y, "density": found.density}
    arrays |= {"cycle_error": found.cycle_error, "sensitivity": found.sensitivity}
    layers, weights, note = _sent(model)
    arrays |= {f"weight/{name}": weight for name, weight in weights.items()}
    facts |= {
        "layers": layers,
        "decoder_note": note,
        "conditioned": bool(model.n_classes),
        "active_units": metrics.active_units(run.codes["codes"]),
        "complete": dataset is not None,
    }
    analysis_artifact(run).save(Analysis(arrays, facts))


def _with_data(
    run: Run, model: Autoencoder, dataset: Dataset, progress: Progress
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The part of an analysis that needs the samples themselves."""
    refuse_changed(run, dataset)
    from aecore import inference

    progress("Encoding the training samples", 0, 1)
    n, d = run.codes["codes"].shape
    chosen = Subset(split="train", limit=min(max(VALUES_KEPT // d, 10), MOST_SAMPLES))
    samples = chosen.samples(dataset)
    codes, _, errors = inference.encode_with_errors(model, *samples)
    refuse_unless_finite(run, codes)
    arrays = {
        "train_codes": codes,
        "train_rows": (chosen.rows(dataset) - n).astype(np.int32),
        "train_labels": samples.labels.astype(np.int16 if dataset.label_names else np.float32),
        "train_error": errors,
        "train_reach": reach(codes),
    }
    progress("Encoding the test samples", 0, 1)
    spread = inference.encode_with_errors(model, *dataset.test).deviations
    if spread is not None:
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


def refuse_changed(run: Run, dataset: Dataset) -> None:
    """Raise `Faults` where the dataset that a run was trained on has been removed or changed."""
    if dataset.missing:
        raise Faults(dataset.missing)
    if dataset.fingerprint != run.manifest.fingerprint:
        raise Faults(run.data_changed)


def refuse_unless_finite(run: Run, codes: np.ndarray) -> None:
    """Raise `Faults` where the codes of a run are no numbers."""
    if not np.isfinite(codes).all():
        raise Faults(
            f"The codes of the run '{run.name}' are not finite: its training diverged; train it "
            "again with a lower learning rate."
        )


def refuse_unless_answered(name: str, *answers: np.ndarray) -> None:
    """Raise `Faults` where something that a run's model made of its input is no number."""
    if not all(np.isfinite(answer).all() for answer in answers):
        raise Faults(
            f"The run '{name}' answers with values that are no finite numbers (NaN): train it "
            "again with a lower learning rate."
        )


def reach(codes: np.ndarray, n: int = 2_000) -> np.ndarray:
    """Sorted distances from n seeded codes to their tenth nearest among all, float32."""
    from sklearn.neighbors import NearestNeighbors

    chosen = np.random.default_rng(0).permutation(len(codes))[:n]
    k = min(NEIGHBORS, len(codes) - 1)
    # Each is its own nearest, so one more is asked for.
    distances, _ = NearestNeighbors(n_neighbors=k + 1).fit(codes).kneighbors(codes[chosen])
    return np.sort(distances[:, -1]).astype(np.float32)


def _sent(model: Autoencoder) -> tuple[list[dict[str, Any]] | None, dict[str, np.ndarray], str]:
    """The layers and weights that a browser is sent, and why there are none."""
    described = browser_decoder(model)
    if described is None:
        return None, {}, "The browser cannot run this decoder: it has a layer of an unknown kind."
    size = sum(weight.nbytes for weight in described[1].values())
    if size > MOST_WEIGHTS:
        note = (
            f"This decoder is too large for the browser: it has {size / 2**20:.0f} MiB of weights."
        )
        return None, {}, note
    return *described, ""


def negative_elbo(run: Run) -> float | None:
    """-E_q[log p(x|z)] + KL(q(z|x) || N(0, I)) in nats a test sample, after the last epoch.

    From one draw of each posterior, or the mean over the draws of an importance-weighted model.
    None where the model is not variational, or where its likelihood is no Bernoulli: a squared
    error lacks the constants that would make it comparable.
    """
    can = run.capabilities
    if can.likelihood != "bernoulli" or not can.kl_weight:
        return None
    terms = run.history[-1]["test"]
    if not {"reconstruction", "kl"} <= terms.keys():  # whoever wrote it
        return None
    return terms["reconstruction"] + terms["kl"] / can.kl_weight


def analysis_artifact(run: Run) -> Artifact[Analysis]:
    """The analysis of a run as it is stored."""
    return Artifact(
        path=run.folder / "latent.safetensors",
        created=run.manifest.created,
        facts=ANALYSIS_FACTS,
        expected=lambda facts: _analysis_arrays(run, facts),
        dump=lambda analysis: analysis,
        build=lambda arrays, facts: Analysis(arrays, facts.model_dump(exclude_unset=True)),
    )


SIDE = 10_000
"""The most pixels along a side of an image."""


class LayerFacts(BaseModel):
    """A layer of a decoder as `browser_decoder` describes it."""

    kind: Literal["linear", "activation", "conv", "transposed", "upsample", "channels-last"]
    name: Literal[Activation, "identity"] | None = None
    n_in: int = Field(0, ge=1)
    n_out: int = Field(0, ge=1)
    channels: int = Field(0, ge=1)
    height: int = Field(0, ge=1, le=SIDE)
    width: int = Field(0, ge=1, le=SIDE)
    out_height: int = Field(0, ge=1, le=SIDE)
    out_width: int = Field(0, ge=1, le=SIDE)
    weight: Word = ""
    bias: Word = ""

    def sizes(self, size: int) -> tuple[int, int]:
        """How many numbers it takes and gives; an activation as many as there are, `size`."""
        image, out = self.height * self.width, self.out_height * self.out_width
        return {
            "linear": (self.n_in, self.n_out),
            "activation": (size, size),
            "conv": (self.n_in * image, self.n_out * image),
            "transposed": (self.n_in * image, self.n_out * out),
            "upsample": (self.channels * image, self.channels * out),
            "channels-last": (self.channels * image, self.channels * image),
        }[self.kind]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its weights, by their names."""
        if self.kind not in ("linear", "conv", "transposed"):
            return {}
        square = () if self.kind == "linear" else (3, 3)
        sides = (self.n_in, self.n_out) if self.kind == "transposed" else (self.n_out, self.n_in)
        return {self.weight: (*sides, *square), self.bias: (self.n_out,)}


class AnalysisFacts(BaseModel):
    """What `analyse` found out, its arrays apart."""

    complete: bool
    conditioned: bool
    active_units: int = Field(ge=0)
    layers: list[LayerFacts] | None
    decoder_note: str = ""
    trustworthiness: FiniteFloat | None = None
    continuity: FiniteFloat | None = None
    knn_accuracy: FiniteFloat | None = None
    spearman: FiniteFloat | None = None
    silhouette: FiniteFloat | None = None
    measured: int | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        metrics.possible({name: getattr(self, name, None) for name in metrics.RANGES})
        return self


ANALYSIS_FACTS = TypeAdapter(AnalysisFacts)


def _analysis_arrays(run: Run, facts: AnalysisFacts) -> dict[str, Array]:
    """What the arrays of an analysis must be; raises `Damaged` where its layers fit no decoder."""
    dataset, d = run.dataset, run.config.model.latent_dim
    side, classes = Size("side", 1_000), dataset.n_classes
    axis, grid = Array((side,), rises=True), Array((side, side), low=0, finite=False)
    wanted = {"grid_x": axis, "grid_y": axis, "density": grid, "cycle_error": grid}
    wanted["sensitivity"] = grid
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
