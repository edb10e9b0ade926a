"""Command line of what was made elsewhere: `import-model` and `import-codes`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aecore.console import AsJson, sentences_not_tracebacks, show_one
from aecore.runs import imports

if TYPE_CHECKING:
    from aecore.runs import store

app = typer.Typer(rich_markup_mode=None)
NameOption = Annotated[str, typer.Option(help="Name of the run.")]
COLUMNS = ("run", "dataset", "latent_dim", "encoder", "decoder", "test_mse", "pca_mse")


def _row(run: store.Run, report: list[str]) -> dict[str, Any]:
    can = run.capabilities
    measured = dict.fromkeys(("test_mse", "pca_mse", "trustworthiness", "knn_accuracy"))
    return {
        "run": run.name,
        "dataset": run.config.dataset,
        "latent_dim": run.config.model.latent_dim,
        "encoder": can.encode,
        "decoder": can.decode,
        "posterior": can.posterior,
        "n_train": run.manifest.n_train,
        "n_test": run.manifest.n_test,
        **measured,
        **dict[str, Any](run.manifest.metrics.items()),
        "report": report,
    }


def _show(run: store.Run, report: list[str], as_json: bool) -> None:
    row = _row(run, report)
    if as_json:
        print(json.dumps(row, indent=1))
        return
    show_one(row, False, COLUMNS)
    for sentence in report:
        print(sentence)


@app.command("import-model")
@sentences_not_tracebacks
def import_model(
    *,
    name: NameOption,
    dataset: Annotated[str, typer.Option(help="Dataset that the model was trained on.")],
    encoder: Annotated[
        Path | None, typer.Option(metavar="FILE", help="ONNX file of the encoder.")
    ] = None,
    decoder: Annotated[
        Path | None, typer.Option(metavar="FILE", help="ONNX file of the decoder.")
    ] = None,
    codes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Codes of all samples, training first, for a decoder without its encoder.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Store a model that was made elsewhere, in ONNX files, as a run."""
    report: list[str] = []
    run = imports.import_model(name, dataset, encoder, decoder, codes, say=report.append)
    _show(run, report, as_json)


@app.command("import-codes")
@sentences_not_tracebacks
def import_codes(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="NPZ, NPY, CSV, TSV, Parquet, Feather or .h5ad, with a row for each sample.",
        ),
    ],
    *,
    name: NameOption,
    dataset: Annotated[
        str,
        typer.Option(
            help="Dataset whose codes they are, training samples first; a dataset of the codes "
            "themselves if it is not given."
        ),
    ] = "",
    label: Annotated[
        str,
        typer.Option(help="Column of the labels, or 'none'; guessed if it is not given."),
    ] = "",
    key: Annotated[
        str, typer.Option(help="Matrix in obsm of an .h5ad file; its first if not given.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Store codes that were made elsewhere as a run without encoder and decoder."""
    report: list[str] = []
    run = imports.import_codes(name, file, dataset, label, key, say=report.append)
    _show(run, report, as_json)
