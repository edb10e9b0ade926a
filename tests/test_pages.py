"""Every page without a browser: what it shows of good, empty and damaged stores."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from aecore import store
from aecore.variants import VARIANTS

ROOT = Path(__file__).parents[1]
SHIPPED = ("digits-ae", "digits-vae", "mnist-ae", "mnist-vae")
PAGES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
MODULES = [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]


@pytest.fixture
def shipped_runs(store_folder: Path) -> Path:
    """A copy of the runs and maps that ship with the project."""
    for name in (*SHIPPED, "_maps"):
        shutil.copytree(ROOT / "models_store" / name, store_folder / name)
    return store_folder


def opened(page: Path, **query: str) -> AppTest:
    """The page after its first run, with this query in its address."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    if page.name != "app.py":
        at.switch_page(str(page))
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def points(at: AppTest) -> list[int]:
    """How many points each chart on the page has."""
    figures = [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]
    return [sum(_length(trace["x"]) for trace in figure["data"]) for figure in figures]


def _length(values: object) -> int:
    if isinstance(values, list):
        return len(values)
    sizes = {"f4": 4, "f8": 8, "i2": 2, "i4": 4}
    return len(values["bdata"]) * 3 // 4 // sizes[values["dtype"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_shows_the_shipped_runs_without_an_error(page: Path, shipped_runs: Path) -> None:
    at = opened(page)
    assert not at.exception
    assert not at.error
    assert len(at.title) == 1
    assert [link.proto.label for link in at.sidebar.get("page_link")][:2] == ["Start", "Train"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_says_what_to_do_when_there_is_no_run(page: Path) -> None:
    at = opened(page)
    assert not at.exception
    assert not at.error
    assert "Train" in " ".join(info.value for info in at.info) or at.get("page_link")


@pytest.mark.parametrize("page", PAGES[:1] + PAGES[1:3], ids=lambda page: page.stem)
def test_names_a_broken_folder(page: Path, shipped_runs: Path) -> None:
    (shipped_runs / "digits-vae" / "weights.safetensors").write_bytes(b"short")
    at = opened(page)
    assert not at.exception
    warned = " ".join(warning.value for warning in at.warning).replace("\\", "")
    assert "digits-vae" in warned
    assert "weights.safetensors" in warned


@pytest.mark.parametrize("run", SHIPPED)
def test_latent_map_has_four_maps_of_all_test_samples(run: str, shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "latent_map.py", run=run)
    expected = 360 if run.startswith("digits") else 10_000
    assert points(at) == pytest.approx([expected] * 4, abs=8)  # base64 pads
    assert all(chart.proto.alt for chart in at.get("plotly_chart"))
    measured = " ".join(caption.value for caption in at.caption)
    manifest = store.load(run).manifest
    assert f"**{manifest.metrics['trustworthiness']:.3f}**" in measured
    assert f"**{manifest.metrics['test_mse']:.4f}**" in measured


def test_latent_map_offers_what_is_not_computed(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "latent_map.py", run="digits-ae", tsne_perplexity="50")
    assert len(points(at)) == 3
    assert "Compute t-SNE" in [button.label for button in at.button]


def test_latent_map_refuses_impossible_settings_in_a_sentence(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "latent_map.py", run="digits-ae", tsne_perplexity="500")
    assert not at.exception
    assert "perplexity = 500" in at.error[0].value.replace("\\", "")


def test_an_unknown_run_in_the_address_is_said(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "latent_map.py", run="no-such-run")
    assert not at.exception
    assert "no-such-run" in at.warning[0].value.replace("\\", "")


def test_reconstructions_sorts_by_worst(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "reconstructions.py", run="digits-ae")
    assert not at.exception
    assert {metric.label for metric in at.metric} >= {"Autoencoder, test MSE"}
    assert at.selectbox(key="order").value == "worst first"
    assert at.get("imgs") or at.get("image")


@pytest.mark.parametrize("variant", VARIANTS)
def test_train_has_a_widget_for_every_setting(variant: str, shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "train.py", variant=variant)
    assert not at.exception
    keys = {
        widget.key for widget in (*at.number_input, *at.text_input, *at.selectbox, *at.checkbox)
    }
    assert set(VARIANTS[variant].model_fields) <= keys


def test_train_tells_all_faults_at_once_and_keeps_what_was_typed(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "train.py")
    typed = {"epochs": 0, "batch_size": 5000, "latent_dim": 65}
    for key, value in typed.items():
        at.number_input(key=key).set_value(value)
    at.text_input(key="hidden").set_value("512,abc")
    next(button for button in at.button if button.label == "Train").click().run()
    assert not at.exception
    said = at.error[0].value.replace("\\", "")
    assert said.count("\n") == 3
    for fault in ("epochs = 0", "batch_size = 5000", "latent_dim = 65", "hidden = '512,abc'"):
        assert fault in said
    assert {key: at.number_input(key=key).value for key in typed} == typed
    assert at.text_input(key="hidden").value == "512,abc"
    assert not store.unfinished()


def test_choosing_a_preset_fills_the_form(shipped_runs: Path) -> None:
    at = opened(ROOT / "pages" / "train.py")
    at.selectbox(key="dataset").set_value("mnist").run()
    assert at.selectbox(key="preset").value == "mnist-map"
    assert at.text_input(key="hidden").value == "512, 256, 128"
    at.selectbox(key="preset").set_value("mnist-published").run()
    assert at.text_input(key="hidden").value == "512, 128"
    assert at.selectbox(key="activation").value == "elu"
    at.selectbox(key="variant").set_value("vae").run()
    assert at.selectbox(key="likelihood").value == "bernoulli"


def test_state_and_caches_have_one_module_each() -> None:
    for path in MODULES:
        code = path.read_text(encoding="utf-8")
        if path.name != "state.py":
            assert not re.search(r"st\.session_state\b(?!`)", code), path
        if path.name != "cache.py":
            assert "st.cache_" not in code, path


def test_pages_are_short_and_hold_no_mathematics() -> None:
    for page in PAGES:
        code = page.read_text(encoding="utf-8")
        assert len(code.splitlines()) <= 160, page
        assert not re.search(r"^\s*(import|from) (numpy|torch|plotly|sklearn)", code, re.M), page
