"""Every page with runs that were made elsewhere: what they can do, and a sentence for the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_files
import pytest
from conftest import Listener
from streamlit.testing.v1 import AppTest
from test_pages import PAGES, ROOT, idle_jobs, opened, shown

from aecore import data, latent, projections
from aecore.runs import imports, store
from pages.views.generate.views import USES, VIEWS

__all__ = ["idle_jobs"]
KINDS = ("both", "encoder", "decoder", "codes")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A run called theirs of one kind, analysed."""
    digits = data.get("digits")
    encoder = onnx_files.write(onnx_files.linear(64, 3), tmp_path / "e.onnx")
    decoder = onnx_files.write(onnx_files.linear(3, 64, 1), tmp_path / "d.onnx")
    codes = tmp_path / "codes.npy"
    random = np.random.default_rng(0)
    np.save(codes, random.normal(size=(digits.n_train + digits.n_test, 3)).astype(np.float32))
    if request.param == "codes":
        run = imports.import_codes("theirs", codes)
    else:
        run = imports.import_model(
            "theirs",
            "digits",
            None if request.param == "decoder" else encoder,
            None if request.param == "encoder" else decoder,
            codes if request.param == "decoder" else None,
        )
    projections.Prepare(run.spec.name).run(Listener())
    latent.analyse(run, run.dataset, Listener().progress)
    return request.param


def said(at: AppTest) -> str:
    return "\n".join(each.value for each in (*at.info, *at.caption, *at.error, *at.warning))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_opens_or_says_what_it_needs(page: Path, kind: str) -> None:
    at = opened(page, run="theirs")
    assert not at.exception and not at.error
    lacks = kind != "both" and page.stem in ("reconstructions", "denoise")
    sentence = " needs an encoder and a decoder, and the run 'theirs' has no"
    if page.stem == "denoise" and kind == "codes":  # whose samples are no images
        return
    assert (sentence in said(at)) == lacks
    if page.stem == "latent_map":
        assert shown(at)[1]["decodes"] == (kind in ("both", "decoder"))
        assert shown(at)[1]["epochs"] is None
        undecoded = "Decoding of a place needs a decoder" in said(at)
        assert undecoded == (kind in ("encoder", "codes"))


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_generate_decodes_or_says_what_it_needs(view: str, kind: str) -> None:
    at = opened(ROOT / "pages" / "generate.py", run="theirs", view=view)
    assert not at.exception and not at.error
    lacks = view in USES and kind in ("encoder", "codes")
    assert (f"{USES.get(view)} needs a decoder" in said(at)) == lacks


def test_what_runs_a_model_is_named_where_it_is_missing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    at = opened(ROOT / "pages" / "generate.py", run="theirs", view="Grid")
    assert not at.exception
    if kind in ("both", "decoder"):
        assert ["pip install latent-loupe" in each.value for each in at.error] == [True]


def test_a_run_of_this_kind_is_not_trained_again(kind: str) -> None:
    at = opened(ROOT / "pages" / "what_if.py")
    (runs,) = [each for each in at.selectbox if each.label == "Start from the settings of"]
    assert "theirs" not in runs.options
    assert store.load("theirs").variant_title == "Imported"
