"""What is kept between reruns: the only module that uses Streamlit's caches.

Keys are names and small frozen values, never arrays or models. Large arrays are shared and
read-only, and every cache is bounded.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import streamlit as st

from aecore import datasets, denoising, images, latent, projections, recipes, store, tasks
from aecore import pack as packing
from aecore.datasets import Subset
from aecore.errors import Damaged, Faults
from aecore.projections import PCA, Map, Projection
from pages.shared import server, state

if TYPE_CHECKING:
    from aecore.autoencoder import Autoencoder
    from aecore.generation import Marginals, Mixture, Places
    from aecore.jobs import Jobs
    from aecore.quality import Quality


@st.cache_resource(show_spinner=False)
def jobs() -> Jobs:
    """The one queue of this server."""
    from aecore.jobs import Jobs

    return Jobs()


@st.cache_resource(show_spinner=False)
def settle(libraries: str) -> None:
    """Take what is loaded by now out of the garbage collector's sight, once for these libraries.

    Streamlit collects after every rerun, which costs 150 ms and more once torch is loaded.
    """
    gc.collect()
    gc.freeze()


Kept = TypeVar("Kept")


def intact(read: Callable[..., Kept | None], *arguments: Any) -> Kept | None:
    """What a reader returns; None where its file is damaged, which the page then says."""
    try:
        return read(*arguments)
    except Damaged as error:
        state.note(str(error))
        return None


def runs() -> tuple[list[store.Run], list[store.Broken]]:
    """Every run, newest first, and what is broken; read again when the folder changes."""
    root = store.root()
    return _runs(str(root), root.stat().st_mtime_ns if root.is_dir() else 0)


@st.cache_resource(max_entries=2, ttl=10, show_spinner=False)
def _runs(root: str, changed: int) -> tuple[list[store.Run], list[store.Broken]]:
    return store.runs()


def run(name: str) -> store.Run:
    """One run by name; raises `Faults` where there is none or it is broken."""
    return next((found for found in runs()[0] if found.name == name), None) or store.load(name)


def comparable(chosen: store.Run) -> list[store.Run]:
    """The other runs on the very same samples, by name."""
    same = (found for found in runs()[0] if found.name != chosen.name)
    fingerprint = chosen.manifest.fingerprint
    return sorted(
        (found for found in same if found.manifest.fingerprint == fingerprint),
        key=lambda found: found.name,
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def thumbnail(name: str, created: str) -> bytes:
    """The small picture of a run's map; raises `Faults` where there is nothing to draw."""
    codes = run(name).codes
    latent.refuse_unless_finite(run(name), codes["plane"])
    classes = bool(run(name).dataset.label_names)
    return images.thumbnail(codes["plane"], codes["labels"], classes)


def outcome(recipe: str) -> recipes.Outcome | None:
    """What came of a recipe when it was last run here."""
    path = recipes.file(recipe)
    return intact(_outcome, recipe, _changed(path))


@st.cache_resource(max_entries=32, show_spinner=False)
def _outcome(recipe: str, changed: int) -> recipes.Outcome | None:
    return recipes.stored(recipe)


# --- Maps ---------------------------------------------------------------------------------------


def projection(chosen: store.Run, settings: Projection, subset: Subset) -> Map | None:
    """A map of the data of a run if it has been computed."""
    asked = settings.name, settings.model_dump_json(), subset.model_dump_json()
    return intact(_projection, *identity(chosen), *asked, _map_changed(chosen, settings, subset))


@st.cache_resource(max_entries=32, show_spinner=False)
def _projection(
    name: str, created: str, kind: str, settings: str, subset: str, changed: int
) -> Map | None:
    chosen, asked = run(name), projections.get(kind).model_validate_json(settings)
    fingerprint = chosen.manifest.fingerprint
    return projections.cached(
        chosen.dataset, fingerprint, asked, Subset.model_validate_json(subset)
    )


def pack(
    chosen: store.Run,
    subset: Subset,
    computed: Sequence[Projection],
    other: store.Run | None,
    mode: str,
) -> bytes:
    """What the linked maps are sent of a run."""
    return _pack(
        *identity(chosen),
        subset.model_dump_json(),
        tuple(
            (each.name, each.model_dump_json(), _map_changed(chosen, each, subset))
            for each in computed
        ),
        identity(other) if other else None,
        _changed(latent.analysis_file(chosen)),
        tuple(sheets(chosen).items()),
        mode,
    )


@st.cache_resource(max_entries=12, show_spinner=False)
def _pack(
    name: str,
    created: str,
    subset: str,
    computed: tuple[tuple[str, str, int], ...],
    other: tuple[str, str] | None,
    analysed: int,
    sheets: tuple[tuple[str, str], ...],
    mode: str,
) -> bytes:
    chosen, choice = run(name), Subset.model_validate_json(subset)
    dataset = chosen.dataset
    maps = {
        kind: (
            projections.get(kind).title,
            _projection(name, created, kind, settings, subset, changed),
        )
        for kind, settings, changed in computed
    }
    second = run(other[0]) if other else None
    content = packing.pack(chosen, dataset, choice, maps, second, dict(sheets), mode)
    settle("the maps")
    return content


def _map_changed(chosen: store.Run, settings: Projection, subset: Subset) -> int:
    dataset, fingerprint = chosen.dataset, chosen.manifest.fingerprint
    return _changed(projections.map_file(dataset, fingerprint, settings, subset))


def shown(chosen: store.Run, subset: Subset) -> packing.Shown:
    """The samples of a view with labels, codes and errors."""
    analysed = _changed(latent.analysis_file(chosen))
    return _shown(*identity(chosen), subset.model_dump_json(), analysed)


@st.cache_resource(max_entries=4, show_spinner=False)
def _shown(name: str, created: str, subset: str, analysed: int) -> packing.Shown:
    chosen = run(name)
    dataset = chosen.dataset
    return packing.shown(chosen, dataset, Subset.model_validate_json(subset))


def analysis(chosen: store.Run) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """What is known of a run's code space, if it has been analysed."""
    return intact(_analysis, *identity(chosen), _changed(latent.analysis_file(chosen)))


@st.cache_resource(max_entries=12, show_spinner=False)
def _analysis(
    name: str, created: str, changed: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    return latent.analysis(run(name))


def identity(chosen: store.Run) -> tuple[str, str]:
    """What the caches know a run by: its name and when it was made."""
    return chosen.name, chosen.manifest.created.isoformat()


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


@st.cache_resource(show_spinner=False)
def linked_maps() -> Any:
    """The component that draws linked maps; the server hands out its scripts."""
    return st.components.v2.component(
        "linked_maps",
        html='<div class="loupe-frame"><div class="loupe" role="group"></div></div>',
        css=(server.LINKED_MAPS / "style.css").read_text(encoding="utf-8"),
        js=LOADER.replace("FOLDER", server.scripts_address()),
        isolate_styles=False,  # Plotly puts its own styles into the page
    )


LOADER = """
let scripts;
export default function (component) {
  let close, gone = false;
  scripts ??= import(new URL("FOLDER/main.js", document.baseURI));
  scripts.then(({ show }) => { if (!gone) close = show(component); });
  return () => { gone = true; close?.(); };
}
"""


@st.cache_resource(show_spinner=False)
def marks() -> Any:
    """The component that rings test samples, by their numbers, in the maps of the mode "pick".

    Another one than the maps, whose content would be sent anew with every mark.
    """
    return st.components.v2.component("linked_maps_marks", js=MARKS)


MARKS = """
export default function ({ data }) {
  window.loupeMarks = data;
  window.dispatchEvent(new Event("loupe-marks"));
}
"""


@st.cache_resource(show_spinner=False)
def live_slider() -> Any:
    """The component of a slider that answers while it is dragged."""
    own = Path(__file__).with_name("live_slider")
    html, css, js = (
        (own / f"slider.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component(
        "live_slider", html=html, css=css, js=js, isolate_styles=False
    )


def sheets(chosen: store.Run) -> dict[str, str]:
    """The addresses of the images of a run's dataset, where they have been prepared."""
    dataset, fingerprint = chosen.dataset, chosen.manifest.fingerprint
    files = {
        split: intact(_sheet, str(file), _changed(file), tasks.sheet_size(dataset, split))
        for split, file in tasks.sheet_files(dataset.name, fingerprint).items()
    }
    return {
        split: server.sheet_address(dataset.name, fingerprint, split)
        for split, file in files.items()
        if file is not None
    }


@st.cache_resource(max_entries=32, show_spinner=False)
def _sheet(path: str, changed: int, size: int) -> Path | None:
    return tasks.stored_sheet(Path(path), size)


# --- Reconstructions ----------------------------------------------------------------------------

HANDFUL = 1_000


@st.cache_resource(max_entries=16, show_spinner=False)
def _model(name: str, created: str) -> Autoencoder:
    model = run(name).model()
    settle("torch and scikit-learn")
    return model


@st.cache_resource(show_spinner=False)
def _threads() -> int:
    """How many threads torch would use if it were not told."""
    import torch

    return torch.get_num_threads()


def _model_for(name: str, created: str, n: int) -> Autoencoder:
    """The model of a run, with as many threads as n samples are worth."""
    import torch

    # A handful gains nothing by threads and waits for them where the machine is busy. What is set
    # holds for this thread and those that begin later, so every call sets it.
    model, most = _model(name, created), _threads()
    torch.set_num_threads(1 if n <= HANDFUL else most)
    return model


def reconstruct(
    name: str, created: str, x: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n, latent_dim) and reconstructions (n, n_features) of samples.

    Only the model is kept. The labels are told to a conditioned model. Raises `Faults` where an
    answer is no finite number.
    """
    import torch

    model = _model_for(name, created, len(x))
    with torch.inference_mode():
        known = torch.tensor(labels)
        codes = model.encode(torch.tensor(x), labels=known)
        made = codes.numpy(), model.decode(codes, known).numpy()
    latent.refuse_unless_answered(name, *made)
    return made


@st.cache_resource(max_entries=64, show_spinner=False)
def errors(name: str, created: str, split: str) -> np.ndarray:
    """The mean squared error per feature of every sample of "test" or "train", (n,).

    Those of the test split were stored with the run. Raises `Faults` where the dataset is another
    than the run was trained on, or where an error is no finite number.
    """
    chosen = run(name)
    dataset = chosen.dataset
    latent.refuse_changed(chosen, dataset)
    found = chosen.codes["error"]
    known = store.intact(latent.analysis, chosen)
    if split == "train" and known and len(known[0].get("train_rows", ())) == dataset.n_train:
        found = known[0]["train_error"]
    elif split == "train":  # a wide code, of which not every sample was kept
        _, _, found = latent.encode(_model_for(name, created, dataset.n_train), dataset.train)
    if not np.isfinite(found).all():
        raise Faults(
            f"The run '{name}' answers with values that are no finite numbers (NaN), so there is "
            "nothing to compare: train it again with a lower learning rate."
        )
    return found


@st.cache_resource(max_entries=4, show_spinner=False)
def components(dataset: str, fingerprint: str) -> PCA:
    """The principal components of a dataset's training split."""
    return projections.components(datasets.get(dataset))


def has_components(dataset: datasets.Dataset) -> bool:
    """Whether the principal components have been computed."""
    changed = _changed(projections.components_file(dataset))
    return intact(_has_components, dataset.name, changed) or False


@st.cache_resource(max_entries=32, show_spinner=False)
def _has_components(dataset: str, changed: int) -> bool:
    return projections.stored_components(datasets.get(dataset)) is not None


@st.cache_resource(max_entries=64, show_spinner=False)
def pca_errors(dataset: str, fingerprint: str, split: str, k: int) -> np.ndarray:
    """The same of reconstruction from k principal components, (n,)."""
    x = getattr(datasets.get(dataset), split).x
    return components(dataset, fingerprint).errors(x, k)


@st.cache_resource(max_entries=16, show_spinner=False)
def pca_curve(dataset: str, fingerprint: str, split: str, most: int) -> np.ndarray:
    """The mean of these errors with 0, 1, ... `most` components, (most + 1,)."""
    x = getattr(datasets.get(dataset), split).x
    return components(dataset, fingerprint).error_curve(x, most)


@st.cache_resource(max_entries=4, show_spinner=False)
def typical_image(dataset: str, fingerprint: str) -> tuple[np.ndarray, float]:
    """The mean of the first test images, and how much of the side their bright part takes up."""
    found = datasets.get(dataset)
    first = found.test.x[:500].reshape(-1, *found.shape)
    return first.mean(axis=0), images.filled(first)


# --- Generate -----------------------------------------------------------------------------------


def load(chosen: store.Run) -> None:
    """Read what every view of Generate needs, so that none of them waits for it in the middle."""
    _model(*identity(chosen))
    places(chosen)


def generated(chosen: store.Run, codes: np.ndarray, label: int = 0) -> np.ndarray:
    """What the decoder makes of codes (n, latent_dim), (n, n_features); needs no dataset.

    The label is told to a conditioned model. Raises `Faults` where an answer is no finite number.
    """
    from aecore import generation

    decoded = generation.decode(_model_for(*identity(chosen), len(codes)), codes, label)
    latent.refuse_unless_answered(chosen.name, decoded)
    return decoded


def cycle_error(chosen: store.Run, codes: np.ndarray, label: int = 0) -> np.ndarray:
    """How far decoding and encoding again leads away from codes (n, latent_dim), (n,).

    Raises `Faults` where an answer is no finite number.
    """
    from aecore import generation

    away = generation.cycle_error(_model_for(*identity(chosen), len(codes)), codes, label)
    latent.refuse_unless_answered(chosen.name, away)
    return away


def mixture(chosen: store.Run) -> Mixture | None:
    """The mixture of Gaussians of a run's training codes, if it has been fitted."""
    from aecore import generation

    return intact(_mixture, *identity(chosen), _changed(generation.mixture_file(chosen)))


@st.cache_resource(max_entries=8, show_spinner=False)
def _mixture(name: str, created: str, changed: int) -> Mixture | None:
    from aecore import generation

    return generation.stored_mixture(run(name))


def places(chosen: store.Run) -> Places:
    """Where the test codes of a run lie."""
    return _places(*identity(chosen), None)


def training_places(chosen: store.Run) -> Places:
    """Where the training codes of a run lie that has been analysed."""
    return _places(*identity(chosen), _changed(latent.analysis_file(chosen)))


@st.cache_resource(max_entries=8, show_spinner=False)
def _places(name: str, created: str, analysed: int | None) -> Places:
    from aecore import generation

    chosen = run(name)
    if analysed is None:
        return generation.Places(chosen.codes["codes"])
    return generation.Places(analysis(chosen)[0]["train_codes"])


def marginals(chosen: store.Run, dimensions: Sequence[int]) -> Marginals:
    """The aggregate posterior in some dimensions of a run that has been analysed."""
    changed = _changed(latent.analysis_file(chosen))
    return _marginals(*identity(chosen), changed, tuple(dimensions))


@st.cache_resource(max_entries=8, show_spinner=False)
def _marginals(name: str, created: str, analysed: int, dimensions: tuple[int, ...]) -> Marginals:
    from aecore import generation

    chosen = run(name)
    spread = analysis(chosen)[0]["spread"]
    return generation.marginals(chosen.codes["codes"], spread, dimensions)


def quality(chosen: store.Run) -> Quality | None:
    """The figures of a run's samples, if they have been measured."""
    from aecore import quality

    return intact(_quality, *identity(chosen), _changed(quality.quality_file(chosen)))


@st.cache_resource(max_entries=32, show_spinner=False)
def _quality(name: str, created: str, changed: int) -> Quality | None:
    from aecore import quality

    return quality.stored(run(name))


# --- Denoise ------------------------------------------------------------------------------------


def tuned(dataset: str, fingerprint: str, noise: str, clip: bool) -> denoising.Tuned | None:
    """The best settings of the classical filters for a noise, as far as they have been found."""
    path = denoising.tuned_file(dataset, fingerprint, noise, clip)
    return intact(_tuned, str(path), _changed(path))


@st.cache_resource(max_entries=32, show_spinner=False)
def _tuned(path: str, changed: int) -> denoising.Tuned | None:
    return denoising.stored_tuned(Path(path))


@st.cache_resource(max_entries=16, show_spinner=False)
def class_means(name: str, created: str) -> np.ndarray:
    """The mean code of each class over training samples, (classes, latent_dim)."""
    dataset = run(name).dataset
    return denoising.class_means(encoder(name, created), dataset)


def encoder(name: str, created: str) -> denoising.Rebuild:
    """What encodes samples by a run."""
    return lambda x, labels: reconstruct(name, created, x, labels)[0]


def denoising_curve(
    chosen: store.Run, noise: str, clip: bool
) -> tuple[denoising.Curve, np.ndarray | None] | None:
    """How well a run and the filters take a noise away at every level, if it has been computed."""
    changed = _changed(denoising.curve_file(chosen, noise, clip))
    return intact(_denoising_curve, *identity(chosen), noise, clip, changed)


@st.cache_resource(max_entries=32, show_spinner=False)
def _denoising_curve(
    name: str, created: str, noise: str, clip: bool, changed: int
) -> tuple[denoising.Curve, np.ndarray | None] | None:
    return denoising.stored(run(name), noise, clip)
