"""Models and codes that were made elsewhere: their files, what was understood, and the import."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from aecore import data
from aecore.data import importers
from aecore.errors import InvalidRequest
from aecore.runs import imports, store
from pages.app import cache, controls, frame, job_list, state
from pages.app.text import define, plain
from pages.views.data.form import free_name

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

DATASET, MODEL, CODES = "Data", "A model", "Codes"
KINDS = (DATASET, MODEL, CODES)
OF_CODES = ["npz", "npy", "csv", "tsv", "parquet", "pq", "feather", "h5ad"]
ITSELF = ""
TASK, IMPORTS = "import", "imports"
MOST_NAME = 30
ABOUT_MODELS = (
    "Encoder and decoder, each as one ONNX file, from PyTorch, Keras, JAX or scikit-learn. No code "
    "of a model is run, only the operators of ONNX. An encoder has one output, the code, or two, "
    "the mean and the log-variance of a Gaussian; a decoder gives a sample."
)
ABOUT_CODES = (
    "A row of numbers for each sample, with or without a column of labels: NPZ, NPY, CSV, TSV, "
    "Parquet, Feather, or the first matrix of obsm in an .h5ad file."
)
EXPORTS = """```python
# PyTorch, without files: from the modules to a run
aecore.add_model(encoder, decoder, images, labels, name="mine")

# Keras
encoder.export("encoder.onnx", format="onnx")
decoder.export("decoder.onnx", format="onnx")
```"""


class Asked(NamedTuple):
    """What is to be imported."""

    name: str
    dataset: str
    files: dict[str, cache.Upload]
    """By `encoder`, `decoder` and `codes`."""
    label: str = ""


def show(kind: str, canvas: DeltaGenerator, panel: DeltaGenerator) -> None:
    """Show the form and, beside it, what was understood, or the import that is carried out."""
    asked = None
    with panel, frame.guarded():
        asked = ask_model() if kind == MODEL else ask_codes()
    with canvas, frame.guarded():
        if asked is not None:
            st.subheader(f"What was understood of {plain(asked.name)}", anchor=False)
            with st.spinner("Trying the files"):
                sentences = understood(asked)
            st.markdown("\n".join(f"- {plain(each)}" for each in sentences))
            start(asked, panel)
            return
        last()
        st.subheader(f"{kind} made elsewhere", anchor=False)
        about = ABOUT_MODELS if kind == MODEL else ABOUT_CODES
        st.markdown(about, help=define("Encoder", "Decoder", "Code"))
        if kind == MODEL:
            st.markdown(EXPORTS)


# --- The form -----------------------------------------------------------------------------------


def ask_model() -> Asked | None:
    """Fields of a model; None while there is no file."""
    files = {
        "encoder": upload("Encoder", ["onnx"]),
        "decoder": upload("Decoder", ["onnx"]),
    }
    if files["decoder"] is not None and files["encoder"] is None:
        files["codes"] = upload("Codes of all samples, in place of an encoder", OF_CODES)
    dataset = ask_dataset("Trained on", [])
    given = {part: file for part, file in files.items() if file is not None}
    if not given:
        return None
    return Asked(ask_name("model"), dataset, given)


def ask_codes() -> Asked | None:
    """Fields of codes; None while there is no file."""
    file = upload("Codes", OF_CODES)
    dataset = ask_dataset("Codes of", [ITSELF])
    if file is None:
        return None
    label = ""
    if dataset == ITSELF:
        label = st.text_input(
            "Column of the labels",
            key=f"codes-label-{number()}",
            placeholder="guess",
            help="Its name, or none for no labels.",
        )
    return Asked(ask_name(Path(file.name).stem), dataset, {"codes": file}, label.strip())


def number() -> int:
    """Number of imports that were begun, which empties the fields after each."""
    return state.value(IMPORTS, 0)


def upload(label: str, endings: list[str]) -> cache.Upload | None:
    """Field of one file."""
    given = st.file_uploader(label, endings, key=f"{label}-{number()}")
    if given is None:
        return None
    return cache.upload(given.file_id, given.name, given.getbuffer)


def ask_dataset(label: str, more: list[str]) -> str:
    """Select box of a dataset whose samples are on this machine."""
    usable = [each for each in data.entries()[0] if data.is_available(each)]
    titles = {each.name: each.title for each in usable}
    return st.selectbox(
        label,
        [*more, *titles],
        format_func=lambda name: titles.get(name, "no dataset: the codes themselves"),
        key=f"import-dataset-{label}",
        help="The dataset whose samples they are, in the order and units that it has here, the "
        "training samples first.",
    )


def ask_name(stem: str) -> str:
    """Field of the name of the run."""
    free = free_name(stem, store.names())
    return st.text_input(
        "Name of the run",
        free,
        key=f"import-name-{number()}-{stem}",
        max_chars=MOST_NAME,
        help="Lower-case letters, digits and hyphens.",
    )


# --- What was understood ------------------------------------------------------------------------


def understood(asked: Asked) -> Sequence[str]:
    """Sentences on what was understood; raises `InvalidRequest` with all that is wrong."""
    numbers = tuple((part, file.number) for part, file in asked.files.items())
    fingerprint = data.get(asked.dataset).fingerprint if asked.dataset else ""
    return _understood(asked.dataset, fingerprint, numbers, asked.label, asked.files)


@cache.bounded(8)
def _understood(
    dataset: str,
    fingerprint: str,
    numbers: tuple[tuple[str, str], ...],
    label: str,
    _files: dict[str, cache.Upload],
) -> Sequence[str]:
    paths = {part: file.path for part, file in _files.items()}
    if set(paths) == {"codes"}:
        return imports.understand_codes(paths["codes"], dataset, label)
    entry = data.get(dataset)
    codes = imports.read_codes(paths.pop("codes"), entry) if "codes" in paths else None
    return imports.understand(entry, **paths, codes=codes).sentences


# --- The import ---------------------------------------------------------------------------------


def start(asked: Asked, panel: DeltaGenerator) -> None:
    """Button that imports the files by a job."""
    with panel, st.container(key="submit"):
        refused = st.container()
        if not controls.button(
            "Import", ":material/login:", type="primary", width="stretch", key="import-files"
        ):
            return
        try:
            imports.refuse_name(asked.name, new_dataset=not asked.dataset)
            task = stage(asked)
        except InvalidRequest as error:
            with refused:
                frame.show_error(error)
            return
    cache.jobs().submit(task)
    state.put({TASK: task, IMPORTS: number() + 1})
    st.rerun()


def stage(asked: Asked) -> imports.Import:
    """Put the files into the store, where the job finds them."""
    folder = importers.incoming_folder()
    names = {}
    for part, file in asked.files.items():
        names[part] = f"{part}-{file.path.name[-100:]}"
        shutil.copyfile(file.path, folder / names[part])
    return imports.Import(
        asked.name,
        folder.relative_to(store.root()).as_posix(),
        asked.dataset,
        **names,
        label=asked.label,
    )


def last() -> None:
    """Progress of the last import, or a link to the map of its run."""
    task: Any = state.value(TASK)
    job = None if task is None else cache.jobs().find(task)
    if job is None:
        return
    if job.active:
        st.fragment(run_every=0.8)(job_list.progress)(job)
    elif job.error:
        st.error(plain(job.error), icon=":material/error:")
    elif job.run:
        st.success(f"{plain(job.run)} is imported.", icon=":material/check:")
        st.page_link(
            frame.entry("Latent map").path,
            label="Open its map",
            icon=":material/scatter_plot:",
            query_params={state.RUN: job.run} | state.mode_for_links(),
        )
