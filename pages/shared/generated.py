"""Codes that belong to no sample, decoded: grids, samples, paths and traversals."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from aecore import datasets, generation, images, latent, store
from aecore.datasets import Dataset
from aecore.errors import Faults
from aecore.variants import VARIANTS
from pages.shared import cache, parts, rows

MOST_SIDE = 30
MOST_PICKED = 8
WIDTH = 700  # points of the composed picture
PALE = 0.4  # how opaque pictures are that no data vouches for
PICKED = "Numbers of test samples, with commas between them"
NO_PRIOR = (
    "This model was not trained towards a prior. Draws from N(0, I) and places away from its codes "
    "are guesses that training never checked."
)


@st.fragment
def show(run: store.Run) -> None:
    """One way to make codes at a time; a fragment, so that a slider draws nothing else anew."""
    with parts.guarded():
        latent.refuse_unless_finite(run, run.codes["codes"])
        view = st.segmented_control(
            "View", list(VIEWS), default="Grid", required=True, key="view", bind="query-params"
        )
        first = run.codes["codes"][:1]
        with st.spinner("Loading torch, scikit-learn and the model, a few seconds the first time"):
            cache.generated(run, first)
            generation.covered(first, first)
            generation.grid(1)
        cache.settle("what generates")
        VIEWS[view](run)


# --- Views --------------------------------------------------------------------------------------


def as_grid(run: store.Run) -> None:
    """A lattice of codes; a strip where the code has one dimension."""
    codes, d = run.codes["codes"], run.config.model.latent_dim
    prior = generation.has_prior(run)
    ranked = importance(run)
    order = ranked.order.tolist()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        told = label(run)
        n = slider("Side", 1, MOST_SIDE, 12, "n", help="Pictures along each side.")
        plane = "two dimensions"
        if d > 2:
            plane = choice("Plane", ["two dimensions", "through three samples"], "plane")
        spacing = "linear"
        if prior and plane == "two dimensions":
            spacing = choice(
                "Spacing",
                ["quantiles", "linear"],
                "spacing",
                help="Quantiles: the middles of parts of equal probability under the prior.",
            )
    if plane == "through three samples":
        made, where = through_samples(run, n)
    else:
        dimensions, base = order[: min(d, 2)], codes.mean(0)
        if d > 2:
            with st.container(horizontal=True, vertical_alignment="bottom"):
                name = named(ranked)
                across = st.selectbox(
                    "Across", order, key=f"across_{d}", bind="query-params", format_func=name
                )
                up = st.selectbox(
                    "Up", order, 1, key=f"up_{d}", bind="query-params", format_func=name
                )
                dimensions, base = [across, up], held(run)
            if across == up:
                st.info("Choose two different dimensions.", icon=":material/info:")
                return
        else:
            dimensions = list(range(d))
        values = ranges(run, n, spacing, dimensions)
        if d == 1:
            made = values[0][:, None].astype(np.float32)
        else:
            made = generation.lattice(*values, base, tuple(dimensions))
        where = "; ".join(
            f"{way} dimension {number + 1} from {value[0]:.2f} to {value[-1]:.2f}"
            for way, number, value in zip(("across", "upwards"), dimensions, values, strict=False)
        )
    if not prior:
        st.caption(NO_PRIOR)
    decoded = cache.generated(run, made, told)
    dataset = datasets.get(run.config.dataset)
    known = generation.covered(made, codes)
    st.caption(
        f"{where[0].upper()}{where[1:]}. Faded where no test code lies near: "
        f"{np.count_nonzero(~known)} of {len(known)}."
    )
    if dataset.kind == "image":
        png = images.mosaic(shaped(dataset, decoded), np.where(known, 1, PALE), n, WIDTH)
        st.image(
            png, width=WIDTH, alt=f"{len(made)} images decoded by {run.name} from a grid: {where}"
        )
    else:
        png = None
        table(
            dataset,
            decoded,
            {f"code {i + 1}": made[:, i] for i in range(min(d, 8))} | {"data near": known},
        )
    downloads(f"{run.name}-grid", png, codes=made, decoded=decoded, covered=known)


def through_samples(run: store.Run, n: int) -> tuple[np.ndarray, str]:
    """The plane through the codes of three test samples."""
    codes = run.codes["codes"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Three samples", "0, 1, 2", key="corners", bind="query-params", help=PICKED, width=200
        )
        low, high = slider(
            "Reach",
            -2.0,
            3.0,
            (0.0, 1.0),
            "reach",
            help="0 is the first sample; 1 is the second, to the right, and the third, upwards.",
        )
    chosen = sample_numbers(text, len(codes))
    if len(chosen) != 3:
        raise Faults(f"A plane goes through three samples, and '{text}' names {len(chosen)}.")
    sides = generation.grid(n, low, high, "linear")
    a, b, c = chosen
    where = f"from sample {a} towards {b} to the right and towards {c} upwards, {low:g} to {high:g}"
    return generation.plane_through(codes[chosen], sides, sides), where


def as_samples(run: store.Run) -> None:
    """Codes drawn at random, decoded, and the training samples whose codes are nearest."""
    dataset, d = datasets.get(run.config.dataset), run.config.model.latent_dim
    prior = generation.has_prior(run)
    sources = ["prior", "mixture of Gaussians"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        told = label(run)
        # A name for each default, so that a run without a prior begins with what suits it.
        source = choice(
            "Source",
            sources if prior else sources[::-1],
            f"source_{'prior' if prior else 'codes'}",
            help="The prior N(0, I), or a mixture with full covariances fitted on training codes.",
        )
        count = slider("Samples", 1, 16, 8, "count")
        temperature = slider(
            "Temperature", 0.0, 2.0, 1.0, "temperature", help="Times the standard deviation."
        )
        seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="draw", bind="query-params", width=120)
    known = training_codes(run)
    if source == "prior":
        made = generation.from_prior(count, d, temperature, seed)
        if not prior:
            st.caption(NO_PRIOR)
    elif known is None:
        return
    else:
        with st.spinner("Fitting the mixture to the training codes, once"):
            made = cache.mixture(run).draw(count, temperature, seed)
    decoded = cache.generated(run, made, told)
    lines, beside, away = [], {}, []
    if known is not None:
        near = generation.nearest(made, known["train_codes"])
        numbers = known["train_rows"][near.rows]
        beside = {"nearest training sample": numbers, "distance": near.distances}
        away = [f"{distance:.2g}" for distance in near.distances]
        originals = shaped(dataset, dataset.train.x[numbers])
        title = "nearest training sample, by code"
        lines.append(images.Row(title, originals, [f"#{number}" for number in numbers]))
        st.caption(
            "The number under a sample is how far its code is from the nearest training code, "
            "whose sample is below it: where the two pictures differ, the sample is no copy. The "
            f"median distance is {np.median(near.distances):.3g}."
        )
    lines.insert(0, images.Row(f"drawn from the {source}", shaped(dataset, decoded), away))
    pictures(run, "sample", lines, decoded, beside, made)


def as_path(run: store.Run) -> None:
    """Ways between the codes of picked samples, and how far off the decoder is along each."""
    codes, dataset = run.codes["codes"], datasets.get(run.config.dataset)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        told = label(run)
        text = st.text_input(
            "From one to the next",
            ", ".join(map(str, range(min(len(codes), 2)))),
            key="stops",
            bind="query-params",
            help=PICKED,
            width=200,
        )
        steps = slider("Steps", 2, 16, 10, "steps")
        ways = st.pills(
            "Ways",
            generation.WAYS,
            selection_mode="multi",
            default=generation.WAYS,
            key="ways",
            bind="query-params",
        )
    chosen = sample_numbers(text, len(codes))
    if not 2 <= len(chosen) <= MOST_PICKED:
        raise Faults(f"A path has 2 to {MOST_PICKED} samples, and '{text}' names {len(chosen)}.")
    analysed = cache.analysis(run)
    known = (analysed[0] if analysed else {}).get("train_codes")
    lines, made, moving = [], {}, {}
    beside: dict[str, list[Any]] = {"way": [], "cycle error": []}
    for way in ways:
        try:
            found = generation.path(codes[chosen], steps, way, codes if known is None else known)
        except Faults as error:
            st.info(parts.plain(str(error)), icon=":material/wrong_location:")
            continue
        away = cache.cycle_error(run, found, told)
        beside["way"] += [way] * steps
        beside["cycle error"] += away.tolist()
        made[way] = found, cache.generated(run, found, told)
        strip = shaped(dataset, made[way][1])
        lines.append(images.Row(way, strip, [f"{value:.2g}" for value in away]))
        if dataset.kind == "image":
            moving[way] = strip
    if not lines:
        return
    neighbours = "test codes" if known is None else "training codes"
    st.caption(
        "The number under a picture is its cycle error, how far encoding it again leads away from "
        "its code: large where the decoder leaves what it knows. The way along the data follows "
        f"nearest neighbours among {neighbours}."
    )
    along, decoded = (np.concatenate(each) for each in zip(*made.values(), strict=True))
    pictures(run, "path", lines, decoded, beside, along, moving)


def as_traversal(run: store.Run) -> None:
    """One strip for each of the dimensions that carry most."""
    dataset, d = datasets.get(run.config.dataset), run.config.model.latent_dim
    ranked = importance(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        told = label(run)
        base = held(run)
        most = min(d, 12)
        count = slider("Dimensions", 1, most, min(d, 6), f"dimensions_{most}") if most > 1 else 1
        steps = slider("Steps", 2, 16, 10, "steps")
    chosen = ranked.order[:count].tolist()
    made, lines, beside = [], [], {"dimension": [], "value": []}
    for number, values in zip(chosen, ranges(run, steps, "linear", chosen), strict=True):
        each = generation.traversal(base, number, values[0], values[-1], steps)
        made.append(each)
        beside["dimension"] += [number + 1] * steps
        beside["value"] += values.tolist()
    codes = np.concatenate(made)
    decoded = cache.generated(run, codes, told)
    name = named(ranked)
    for number, part, strip in zip(chosen, made, np.split(decoded, count), strict=True):
        captions = [f"{value:.2f}" for value in part[:, number]]
        lines.append(images.Row(name(number), shaped(dataset, strip), captions))
    st.caption(
        f"Most {ranked.measure} first. The number under a picture is the value of that dimension; "
        "all others stay."
    )
    pictures(run, "traversal", lines, decoded, beside, codes)


def as_health(run: store.Run) -> None:
    """How a posterior uses its dimensions; of a point code only their spread."""
    codes = run.codes["codes"]
    if not generation.has_posterior(run):
        st.info(
            f"{run.name} encodes to points, not to Gaussians, so there is no posterior to hold "
            "against a prior. These are its test codes.",
            icon=":material/info:",
        )
        found = generation.importance(codes)
        listed(found, "variance", {"mean": codes.mean(axis=0)[found.order]})
        return
    spread = known_spread(run)
    if spread is None:
        # Without the data the posterior's widths cannot be had, and nobody is asked to wait.
        if training_codes(run) is None:
            return
        spread = known_spread(run)
    found = generation.health(codes, spread)
    if found.advice:
        st.warning(found.advice, icon=":material/heart_broken:")
    d = len(found.kl)
    with st.container(horizontal=True):
        st.metric("Active units", f"{found.active} of {d}", width="content")
        st.metric("KL, all dimensions", f"{found.kl.sum():.2f} nats", width="content")
    st.caption(
        "The aggregate posterior is the mixture of the posteriors of all test samples. Under the "
        "prior each of its dimensions has mean 0 and variance 1; the further it is from that, the "
        "less draws from the prior are like what the decoder has seen."
    )
    ranked = generation.importance(codes, spread)
    columns = {
        "mean (prior 0)": found.mean,
        "variance (prior 1)": found.variance,
        "in use": found.used,
    }
    listed(ranked, "KL in nats", {name: each[ranked.order] for name, each in columns.items()})


VIEWS: dict[str, Callable[[store.Run], None]] = {
    "Grid": as_grid,
    "Samples": as_samples,
    "Path": as_path,
    "Traversal": as_traversal,
    "Health": as_health,
}


# --- What is asked ------------------------------------------------------------------------------


def slider(title: str, low: Any, high: Any, value: Any, key: str, **options: Any) -> Any:
    """A slider that is kept in the address."""
    return st.slider(title, low, high, value, key=key, bind="query-params", width=190, **options)


def choice(title: str, options: Sequence[str], key: str, **more: Any) -> str:
    """One of a few, the first unless told, kept in the address."""
    return st.segmented_control(
        title, options, default=options[0], required=True, key=key, bind="query-params", **more
    )


def label(run: store.Run) -> int:
    """The class that a conditioned model is told; 0, which the others do not see."""
    if not VARIANTS[run.config.variant].conditioned:
        return 0
    names = datasets.get(run.config.dataset).label_names
    name = st.selectbox(
        "Class",
        names,
        key="told",
        bind="query-params",
        width=140,
        help="A conditioned model is told what to make.",
    )
    return names.index(name)


def held(run: store.Run) -> np.ndarray:
    """What the dimensions that do not move are held at, (d,)."""
    codes = run.codes["codes"]
    number = st.number_input(
        "Others as in sample",
        0,
        len(codes) - 1,
        None,
        key="held",
        bind="query-params",
        width=200,
        placeholder="the mean of all",
        help=f"A test sample, from 0 to {len(codes) - 1}; empty for the mean code.",
    )
    return codes.mean(axis=0) if number is None else codes[number]


def ranges(run: store.Run, n: int, spacing: str, dimensions: Sequence[int]) -> list[np.ndarray]:
    """n values for each dimension, in units of the code."""
    prior = generation.has_prior(run)
    middle, unit = generation.units(run.codes["codes"], prior)
    if spacing == "linear":
        what = "the prior" if prior else "the test codes, from their mean"
        low, high = slider(
            "Range", -5.0, 5.0, (-2.0, 2.0), "range", help=f"In standard deviations of {what}."
        )
        side = generation.grid(n, low, high, "linear")
    else:
        side = generation.grid(n)
    return [middle[number] + unit[number] * side for number in dimensions]


def sample_numbers(text: str, n: int) -> list[int]:
    """The numbers in a list such as "3, 17, 4"; raises `Faults` with all that are no samples.

    >>> sample_numbers("3, 17", 20)
    [3, 17]
    """
    words = text.replace(",", " ").split()
    strange = [word for word in words if not word.isdecimal() or int(word) >= n]
    if strange:
        raise Faults(
            f"'{word}' is no test sample: give whole numbers from 0 to {n - 1}, with commas."
            for word in strange
        )
    return [int(word) for word in words]


# --- What is known of a run ---------------------------------------------------------------------


def known_spread(run: store.Run) -> np.ndarray | None:
    """The posterior's standard deviations on the test split, if the run has been analysed."""
    analysed = cache.analysis(run)
    return analysed[0].get("spread") if analysed else None


def importance(run: store.Run) -> generation.Importance:
    """The dimensions by KL where the posterior's widths are known, else by variance."""
    return generation.importance(run.codes["codes"], known_spread(run))


def named(ranked: generation.Importance) -> Callable[[int], str]:
    """What a dimension is called, by its number."""
    values = dict(zip(ranked.order.tolist(), ranked.values.tolist(), strict=True))
    return lambda number: f"dimension {number + 1}, {ranked.measure} {values[number]:.2f}"


def training_codes(run: store.Run) -> dict[str, np.ndarray] | None:
    """The arrays of a run's analysis with its training codes; None, and why, where there are none.

    Sees to the analysis where it is missing.
    """
    dataset = datasets.get(run.config.dataset)
    if not datasets.here(dataset.name):
        st.info(
            f"{dataset.name} is not on this machine, so nothing is known of its training samples. "
            "The page Reconstructions can download it.",
            icon=":material/cloud_download:",
        )
        return None
    with st.spinner("Reading the training samples, once"):
        changed = dataset.fingerprint != run.manifest.fingerprint
    if changed:
        st.warning(
            f"The dataset {dataset.name} has changed since '{run.name}' was trained on it: train "
            "the run again to compare with its training samples.",
            icon=":material/warning:",
        )
        return None
    return cache.analysis(run)[0] if rows.encoded([run]) else None


# --- What is shown ------------------------------------------------------------------------------


def shaped(dataset: Dataset, features: np.ndarray) -> np.ndarray:
    """Samples as images; as they are where the data are none."""
    return features.reshape(-1, *dataset.shape) if dataset.kind == "image" else features


def pictures(
    run: store.Run,
    view: str,
    lines: Sequence[images.Row],
    decoded: np.ndarray,
    beside: Mapping[str, Sequence[Any] | np.ndarray],
    codes: np.ndarray,
    moving: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Rows of decoded images, or one table with what stands beside it, and the downloads.

    Arguments
        view: what they are, in one word.
        moving: images that follow each other, by the name of what they show.
    """
    dataset, png = datasets.get(run.config.dataset), None
    if dataset.kind == "image":
        png = images.compose(lines, st.context.theme.type or "light")
        titles = "; ".join(line.title for line in lines)
        with st.container(width="stretch" if len(lines) < 4 else 780):
            st.image(png, alt=f"Images decoded by {run.name}, a {view}, in rows: {titles}")
    else:
        table(dataset, decoded, beside)
    downloads(f"{run.name}-{view}", png, moving, codes=codes, decoded=decoded)


def table(dataset: Dataset, decoded: np.ndarray, beside: Mapping[str, Any]) -> None:
    """Decoded features of data that are no images, one row a code."""
    names = dataset.feature_names or [f"feature {i + 1}" for i in range(decoded.shape[1])]
    st.dataframe(
        {name: np.asarray(values) for name, values in beside.items()}
        | dict(zip(names, decoded.T, strict=True)),
        width="content",
    )
    if dataset.value_range is None:
        st.caption("Features are standardised: 0 is the mean of the training split.")


def listed(ranked: generation.Importance, measure: str, columns: Mapping[str, np.ndarray]) -> None:
    """The dimensions in their order, with a bar for what ranks them."""
    bar = st.column_config.ProgressColumn(
        format="%.3f", min_value=0, max_value=max(float(ranked.values.max()), 1e-9)
    )
    st.dataframe(
        {"dimension": ranked.order + 1, measure: ranked.values} | dict(columns),
        column_config={measure: bar},
        hide_index=True,
        width="content",
    )


def downloads(
    name: str,
    png: bytes | None,
    moving: Mapping[str, np.ndarray] | None = None,
    **arrays: np.ndarray,
) -> None:
    """The picture, its arrays, and animations of images (n, height, width[, 3]) by their names."""

    def npz() -> bytes:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    offered: list[tuple[str, str, bytes | Callable[[], bytes], str]] = []
    if png is not None:
        offered.append(("PNG", f"{name}.png", png, "image/png"))
    offered.append(("NPZ", f"{name}.npz", npz, "application/octet-stream"))
    for way, frames in (moving or {}).items():
        file = f"{name}-{way.replace(' ', '-')}.gif"
        offered.append((f"GIF, {way}", file, partial(images.animation, frames), "image/gif"))
    with st.container(horizontal=True):
        for title, file, content, kind in offered:
            st.download_button(
                title, content, file, kind, on_click="ignore", icon=":material/download:"
            )
