"""Start page: table of runs, their descriptions, comparison, deletion and restoring."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import streamlit as st
from conftest import Listener, run_config
from playwright.sync_api import Page, expect
from test_browser import serving, stock
from test_pages import ROOT, opened, shipped_runs  # noqa: F401

from aecore.models.variants import VARIANTS
from aecore.runs import deleted, description, store
from aecore.runs.train import Train
from aecore.settings import list_settings
from aecore.training import TrainingConfig
from pages.views.start import differences, runs as table

START = ROOT / "app.py"


@pytest.mark.usefixtures("shipped_runs")
def test_the_table_lists_every_run_the_starred_first() -> None:
    description.write(store.load("digits-ae"), title="Mine", star=True, tags=["demo"])
    at = opened(START)
    assert not at.exception and not at.error
    rows = at.dataframe[0].value
    assert rows["name"][0] == "digits-ae" and rows["title"][0] == "★ Mine"
    assert set(rows["name"]) == {"digits-ae", "digits-vae", "mnist-ae", "mnist-vae"}
    assert "MNIST, variational autoencoder" in set(rows["title"])
    assert rows["map"].str.startswith("loupe/thumbnails/").all()


@pytest.mark.usefixtures("shipped_runs")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("mnist variational", {"mnist-vae"}),
        ("DEMO", {"digits-ae"}),
        ("remember", {"digits-ae"}),
        ("digits-", {"digits-ae", "digits-vae"}),
        ("no such run", set()),
    ],
)
def test_runs_are_found_by_title_settings_tags_and_note(text: str, names: set[str]) -> None:
    description.write(store.load("digits-ae"), note="To remember", tags=["demo"])
    at = opened(START, find=text)
    assert not at.exception and not at.error
    value = at.dataframe[0].value
    assert (set(value["name"]) if len(value) else set()) == names
    said = [caption.value for caption in at.caption]
    assert any("No run has" in each for each in said) == (not names)


@pytest.mark.usefixtures("shipped_runs")
def test_a_damaged_description_is_said_and_the_run_stays() -> None:
    (store.root() / "digits-ae" / "description.json").write_text("{")
    at = opened(START)
    assert not at.exception
    assert any("description of the run" in each.value for each in at.warning)
    assert "digits-ae" in set(at.dataframe[0].value["name"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_form_opens_with_every_setting_of_a_run(variant: str) -> None:
    dataset = "digits" if "convolutional" in VARIANTS[variant].title.lower() else "iris"
    config = run_config(dataset, variant, epochs=3, learning_rate=0.0123, seed=7)
    run = Train(config, "first", resumable=False).run(Listener())
    query = table.settings_query(run)
    at = opened(ROOT / "pages" / "train.py", **query)
    assert not at.exception and not at.error
    parts = ((VARIANTS[variant], config.model), (TrainingConfig, config.training))
    widgets = {
        widget.key: widget.value
        for kind in (at.selectbox, at.number_input, at.text_input, at.checkbox)
        for widget in kind
    }
    for kind, values in parts:
        for setting in list_settings(kind):
            assert widgets[setting.name] == table.as_typed(setting, getattr(values, setting.name))
    assert widgets["dataset"] == dataset and widgets["variant"] == variant
    assert urlencode(query)


def test_runs_are_compared_by_what_differs() -> None:
    first = Train(run_config(epochs=1), "first", resumable=False).run(Listener())
    second = Train(run_config(epochs=1, seed=3), "second", resumable=False).run(Listener())
    facts = [differences.every_fact(run) for run in (first, second)]
    differing = {name for name in facts[0] if facts[0][name] != facts[1][name]}
    assert "Seed" in differing and "Variant" not in differing and "Epochs" not in differing
    words = ("Optimiser", "Adam"), ("Output and loss", "Squared error"), ("Tied weights", "no")
    assert set(words) < set(facts[0].items())


@pytest.mark.parametrize(("count", "panes"), [(2, {}), (4, {"panes": ""})])
def test_two_to_four_runs_of_the_same_samples_lead_to_their_maps(
    count: int, panes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"run-{number}" for number in range(count)]
    for name in names:
        Train(run_config(epochs=1), name, resumable=False).run(Listener())
    links: dict[str, Any] = {}

    def page_link(path: str, label: str, query_params: dict[str, Any], **options: Any) -> None:
        links[label] = query_params

    monkeypatch.setattr(st, "page_link", page_link)
    runs = [store.load(name) for name in names]
    differences.offer(runs, dict(zip(names, names, strict=True)))
    first, *others = names
    assert links == {
        "Compare their maps": {"run": first, "other": others} | panes,
        "Compare their reconstructions": {"run": first, "pins": others},
    }
    links.clear()
    runs[-1] = Train(run_config("wine", epochs=1), "of-wine", resumable=False).run(Listener())
    differences.offer(runs, dict.fromkeys([*names, "of-wine"], ""))
    assert not links


@pytest.mark.browser
def test_a_run_is_described_deleted_and_restored(page: Page, tmp_path: Path) -> None:
    stock(tmp_path)
    with serving(tmp_path) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(tmp_path))
        page.goto(f"{address}/?find=mnist-vae")
        grid = page.get_by_test_id("stDataFrame")
        grid.scroll_into_view_if_needed()
        page.wait_for_timeout(1000)  # the grid is painted on a canvas, of which nothing tells
        grid.click(position={"x": 20, "y": 60})
        page.get_by_role("button", name="Describe").click()
        page.get_by_role("textbox", name="Title").fill("For the demonstration")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("For the demonstration").first).to_be_attached()
        assert description.read(store.load("mnist-vae")).title == "For the demonstration"
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_text("No run has")).to_be_visible()
        assert deleted.names() == ["mnist-vae"]
        page.get_by_role("button", name="Deleted runs").click()
        page.get_by_role("button", name="Restore").click()
        expect(page.get_by_text("No run has")).to_have_count(0)
        assert store.load("mnist-vae")
