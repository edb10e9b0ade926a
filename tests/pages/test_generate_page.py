"""Page Generate without a browser: each view of each kind of run, and missing results."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Listener, run_config
from PIL import Image
from streamlit.testing.v1 import AppTest
from test_pages import ROOT, idle_jobs, opened, shipped_runs  # noqa: F401

from aecore import data, latent
from aecore.applications import sample_quality
from aecore.errors import InvalidRequest
from aecore.jobs import Jobs
from aecore.plots import images
from aecore.runs import store
from aecore.runs.train import Train
from pages.components import downloads
from pages.views.generate import arithmetic, common, traversal, views

PAGE = ROOT / "pages" / "generate.py"
VIEWS = list(views.VIEWS)
pytestmark = pytest.mark.usefixtures("shipped_runs")


def trained(dataset: str, variant: str = "ae", d: int = 2, analysed: bool = True) -> str:
    Train(run_config(dataset, variant, {"latent_dim": d}), "own").run(Listener())
    if analysed:
        latent.Analyse("own").run(Listener())
        latent.FitMixture("own").run(Listener())
    return "own"


def like(run: str, name: str, codes: dict[str, np.ndarray] | None = None, **manifest: Any) -> None:
    """Store a copy of a run with changed arrays or facts."""
    known = store.load(run)
    facts = known.manifest.model_dump(exclude={"format", "created", "files"}) | manifest
    weights = known.model().state_dict()
    store.save(name, known.config, weights, known.codes | (codes or {}), known.history, **facts)


def faultless(at: AppTest) -> AppTest:
    assert not at.exception and not at.error
    return at


def alts(at: AppTest) -> list[str]:
    return [image.proto.imgs[0].alt for image in at.get("image")]


def said(at: AppTest) -> str:
    kinds = (at.caption, at.info, at.warning, at.error)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def offered(at: AppTest) -> list[str]:
    return [button.proto.label for button in at.get("download_button")]


# --- Every kind of run --------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["digits-ae", "digits-vae", "mnist-vae", "shapes-vae"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_the_shipped_runs(
    run: str, view: str, request: Any, store_folder: Path
) -> None:
    if run == "shapes-vae":
        shutil.copytree(ROOT / "models_store" / run, store_folder / run)
    if run == "mnist-vae":
        request.getfixturevalue("mnist")
    at = faultless(opened(PAGE, run=run, view=view))
    assert at.segmented_control(key="view").value == view
    moving = ["GIF", "WebP"] * (view in ("Path", "Traversal", "Arithmetic"))
    if view == "Code usage":
        assert len(at.dataframe) == 1 and offered(at) == ["NPZ"]
        assert len(at.get("plotly_chart")) == (run != "digits-ae")
    else:
        assert len(alts(at)) == 1 and run in alts(at)[0]
        # Their figures, which ship with most runs, can be taken away, too.
        measured = run != "shapes-vae"
        assert offered(at) == ["PNG", "NPZ", *moving, *["NPZ"] * (view == "Samples" and measured)]


@pytest.mark.parametrize(
    ("dataset", "variant", "d"),
    [
        ("iris", "ae", 2),
        ("wine", "vae", 5),
        ("swiss-roll", "ae", 1),
        ("digits", "ae", 1),
        ("digits", "vae", 1),
        ("digits", "linear", 2),
        ("digits", "vae", 64),
        ("digits", "ae", 64),
        ("digits", "vq-vae", 4),
        ("digits", "cvae", 2),
        ("digits", "wae-mmd", 3),
        ("digits", "conv", 3),
    ],
    ids=str,
)
def test_every_view_of_other_runs(dataset: str, variant: str, d: int) -> None:
    run = trained(dataset, variant, d)
    pictures = dataset == "digits"
    for view in VIEWS:
        at = faultless(opened(PAGE, run=run, view=view))
        assert "NPZ" in offered(at)
        if view != "Code usage":
            assert len(alts(at)) == pictures
            # Of a table, samples and their nearest stand in two of them.
            assert len(at.dataframe) == (0 if pictures else 1 + (view == "Samples"))
            assert ("PNG" in offered(at)) == pictures and (pictures or len(offered(at)) == 1)
        assert ("told" in [box.key for box in at.selectbox]) == (
            variant == "cvae" and view != "Code usage"
        )
        assert ("not trained towards a prior" in said(at)) == (
            variant in ("ae", "linear", "vq-vae", "conv") and view == "Grid"
        )


# --- Grid ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", ["1", "2", "30"])
def test_a_grid_of_any_side(n: str) -> None:
    for run in ("digits-ae", "digits-vae"):
        at = faultless(opened(PAGE, run=run, n=n))
        assert alts(at)[0].startswith(f"{int(n) ** 2} images decoded by {run} from a grid")


def test_a_picture_of_the_grid_is_shown_large_with_its_code() -> None:
    at = faultless(opened(PAGE, run="digits-vae", n="3", cell="5"))  # the middle one
    assert "Picture 5 of the grid, large" in alts(at) and "Code (0, 0)" in said(at)
    at.slider(key="n").set_value(2).run()
    assert len(alts(faultless(at))) == 1 and at.number_input(key="cell").value is None


def test_a_map_beside_the_grid_has_its_frame() -> None:
    (chart,) = faultless(opened(PAGE, run="digits-vae", n="3")).get("plotly_chart")
    assert chart.proto.alt.endswith("with the frame of the grid")


def test_a_grid_by_quantiles_has_no_range_and_a_linear_one_has() -> None:
    at = faultless(opened(PAGE, run="digits-vae"))
    assert "range" not in [slider.key for slider in at.slider]
    assert "-1.73 to 1.73" in said(at)
    at.segmented_control(key="spacing").set_value("linear").run()
    assert at.slider(key="range").value == (-2, 2)
    assert "-2.00 to 2.00" in said(faultless(at))


def test_a_wide_code_has_planes_by_dimensions_and_through_samples() -> None:
    at = faultless(opened(PAGE, run=trained("digits", "vae", 6)))
    across, up = at.selectbox(key="across_6"), at.selectbox(key="up_6")
    run = store.load("own")
    order = latent.importance(
        run.codes["codes"], latent.analysis_artifact(run).load().arrays["spread"]
    ).order
    assert across.options == [f"dimension {number + 1}" for number in order]
    assert across.value != up.value
    at.selectbox(key="up_6").set_value(across.value).run()
    assert "Across and up are both dimension" in said(at) and not at.exception
    at.segmented_control(key="plane").set_value("through three samples").run()
    assert "from sample 0 towards 1 to the right and towards 2" in alts(faultless(at))[0]
    at.text_input(key="corners").set_value("5, 9999").run()
    assert "'9999' is no test sample" in said(at) and not at.exception
    assert has_map(at)  # where it can be mended
    at.text_input(key="corners").set_value("9" * 5_000).run()
    assert "is no test sample" in said(at) and has_map(at)
    at.text_input(key="corners").set_value("5, 6").run()
    assert "names 2" in said(at) and not at.exception


def has_map(at: AppTest) -> bool:
    """Whether the map for picking samples is shown, not only its switch."""
    return any(component.proto.bytes for component in at.get("bidi_component"))


def test_what_stays_is_as_in_a_picked_sample() -> None:
    run = trained("digits", "vae", 4)
    for view in ("Grid", "Traversal"):
        at = faultless(opened(PAGE, run=run, view=view, held="7"))
        assert at.text_input(key="held").value == "7" and not has_map(at)
        at.toggle(key="map_closed").set_value(True).run()
        assert has_map(faultless(at))
        assert "names 2" in said(at.text_input(key="held").set_value("7, 8").run())
        assert "'400' is no test sample" in said(at.text_input(key="held").set_value("400").run())
        assert not at.exception


def test_a_map_is_there_for_groups_by_number_alone() -> None:
    at = faultless(opened(PAGE, run="digits-ae", view="Arithmetic"))
    assert not at.toggle
    at.selectbox(key="minus_group").set_value(arithmetic.BY_NUMBER).run()
    assert has_map(faultless(at))
    at.toggle(key="map_open").set_value(False).run()
    assert not has_map(faultless(at))


def test_what_hinders_every_way_is_said_once() -> None:
    at = opened(PAGE, run="digits-ae", view="Path", stops="1, 2, 3", steps="2")
    (said_once,) = (info.value for info in faultless(at).info)
    assert "2 steps cannot pass 3 codes" in said_once and not alts(at)


# --- Traversal ----------------------------------------------------------------------------------


def sent(at: AppTest) -> dict[str, Any]:
    """Data sent to the slider along a dimension."""
    told = [component.proto.json for component in at.get("bidi_component")]
    (found,) = (each for each in map(json.loads, filter(None, told)) if "track" in each)
    return found


def test_a_slider_along_a_dimension_has_previews_and_decodes() -> None:
    at = faultless(opened(PAGE, run="digits-vae", view="Traversal", steps="7"))
    begin = sent(at)
    assert (begin["low"], begin["high"], begin["value"]) == (-2, 2, 0)
    pixels = Image.open(io.BytesIO(base64.b64decode(begin["track"].split(",")[1])))
    assert pixels.width % traversal.PREVIEWS == 0
    moved = sent(faultless(opened(PAGE, run="digits-vae", view="Traversal", steps="7", place="1")))
    assert moved["value"] == 1 and moved["picture"] != begin["picture"]
    assert moved["track"] == begin["track"]
    at.slider(key="range").set_value((-4.0, 1.0)).run()
    assert (sent(faultless(at))["low"], sent(at)["high"]) == (-4, 1)


def test_a_model_without_a_prior_is_moved_in_spreads_of_its_codes() -> None:
    at = faultless(opened(PAGE, run="digits-ae", view="Traversal"))
    assert "standard deviations of the test codes" in sent(at)["title"]
    first = latent.importance(store.load("digits-ae").codes["codes"]).order[0]
    mean = store.load("digits-ae").codes["codes"].mean(axis=0)[first]
    assert f"at {mean:.2f} of dimension {first + 1}" in sent(at)["alt"]


def test_a_mixture_is_fitted_by_a_job(idle_jobs: Jobs) -> None:  # noqa: F811
    run = store.load("digits-ae")
    latent.mixture_artifact(run).path.unlink(missing_ok=True)
    at = faultless(opened(PAGE, run="digits-ae", view="Samples"))
    (job,) = idle_jobs.all()
    assert job.task == latent.FitMixture("digits-ae")
    assert "Being computed: " in said(at) and not alts(at)
    job.state = "cancelled"
    (again,) = (button for button in at.run().button if button.label == "Fit the mixture")
    again.click().run()
    assert len(idle_jobs.all()) == 2
    job.task.run(Listener())
    at.run()
    assert "drawn from the mixture of Gaussians" in alts(faultless(at))[0]
    known = latent.analysis_artifact(run).load().arrays["train_codes"]
    for kept, fitted in zip(
        latent.mixture_artifact(run).load(), latent.fit_mixture(known), strict=True
    ):
        np.testing.assert_array_equal(kept, fitted)


# --- How good the samples are -------------------------------------------------------------------


def test_samples_are_measured_by_a_job(idle_jobs: Jobs) -> None:  # noqa: F811
    sample_quality.quality_artifact(store.load("digits-vae")).path.unlink(missing_ok=True)
    at = faultless(opened(PAGE, run="digits-vae", view="Samples"))
    (start,) = (button for button in at.button if button.label == "Measure the samples")
    start.click().run()
    (job,) = idle_jobs.all()
    assert job.task == sample_quality.MeasureSamples("digits-vae")
    assert "Being computed: " in said(faultless(at))
    job.task.run(Listener())
    job.state = "done"
    at.run()
    (shown,) = faultless(at).dataframe
    assert shown.value["source"].tolist() == ["prior", "mixture", "test images"]
    found = sample_quality.quality_artifact(store.load("digits-vae")).load()
    assert shown.value["frechet"].tolist() == [row.frechet for row in found.rows]
    assert "360 samples of each source" in said(at) and "no Inception FID" in said(at)


def test_samples_of_a_table_without_classes_have_no_frechet_distance() -> None:
    run = trained("swiss-roll", "ae", 2)
    sample_quality.MeasureSamples(run).run(Listener())
    at = faultless(opened(PAGE, run=run, view="Samples"))
    columns = [list(frame.value) for frame in at.dataframe]
    assert ["source", "nearest", "coverage"] in columns
    assert "Inception" not in said(at)


# --- What is missing ----------------------------------------------------------------------------


def test_what_needs_only_the_weights_works_without_the_dataset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("aecore.data.idx.places", lambda name: [tmp_path / "nowhere"])
    for view in ("Grid", "Samples", "Path", "Traversal", "Arithmetic"):
        at = faultless(opened(PAGE, run="mnist-vae", view=view))
        assert len(alts(at)) == 1
        # Where there is no map to pick on, only Samples misses the data.
        wanted = view in ("Samples", "Path")
        assert ("mnist is not on this machine" in said(at)) == wanted


def test_a_run_that_was_not_analysed_is_sent_to_be(idle_jobs: Jobs) -> None:  # noqa: F811
    latent.analysis_artifact(store.load("digits-vae")).path.unlink()
    at = faultless(opened(PAGE, run="digits-vae", view="Samples"))
    assert [job.task for job in idle_jobs.all()] == [latent.Analyse("digits-vae")]
    assert "goes through digits-vae for the first time" in said(at)
    assert len(alts(at)) == 1 and "nearest" not in alts(at)[0]
    for view in ("Grid", "Path", "Traversal", "Arithmetic"):
        assert len(alts(faultless(opened(PAGE, run="digits-vae", view=view)))) == 1
    at = faultless(opened(PAGE, run="digits-vae", view="Code usage"))
    assert "goes through digits-vae for the first time" in said(at) and not at.dataframe
    assert len(idle_jobs.all()) == 1


def test_a_run_of_changed_data_still_generates() -> None:
    like("digits-vae", "of-changed-digits", fingerprint="1" * 64)
    at = faultless(opened(PAGE, run="of-changed-digits", view="Samples"))
    assert "digits has changed since 'of-changed-digits'" in said(at)
    assert len(alts(at)) == 1


def test_a_run_that_diverged_is_one_sentence() -> None:
    like("digits-ae", "diverged", {"codes": np.full((360, 2), np.nan, np.float32)})
    for view in VIEWS:
        at = opened(PAGE, run="diverged", view=view)
        assert not at.exception
        assert said(at).count("are not finite: its training diverged") == 1


def test_a_collapsed_posterior_is_said() -> None:
    same = np.repeat(store.load("digits-vae").codes["codes"][:1], 360, axis=0)
    like("digits-vae", "collapsed", {"codes": same})
    latent.Analyse("collapsed").run(Listener())
    at = faultless(opened(PAGE, run="collapsed", view="Code usage"))
    assert "The posterior has collapsed" in said(at) and "lower beta" in said(at)
    for view in VIEWS[:-1]:
        assert len(alts(faultless(opened(PAGE, run="collapsed", view=view)))) == 1


def test_a_code_without_a_posterior_says_so() -> None:
    at = faultless(opened(PAGE, run="digits-ae", view="Code usage"))
    assert "encodes to points" in said(at)
    assert {"dimension", "variance", "mean"} == set(at.dataframe[0].value.columns)


def test_an_address_of_before_opens_the_view_by_its_new_name() -> None:
    at = faultless(opened(PAGE, run="digits-vae", view="Health"))
    assert at.segmented_control(key="view").value == "Code usage"
    assert at.metric[0].label == "Active units"


@pytest.mark.parametrize("query", [{"view": "x"}, {"n": "99"}, {"n": "a"}, {"range": "9"}])
def test_nonsense_in_the_address_is_survived(query: dict[str, str]) -> None:
    faultless(opened(PAGE, run="digits-vae", **query))


# --- Samples and paths --------------------------------------------------------------------------


def test_samples_come_from_what_suits_the_run_and_stay_with_their_seed() -> None:
    ae = faultless(opened(PAGE, run="digits-ae", view="Samples"))
    assert "drawn from the mixture of Gaussians; nearest training sample" in alts(ae)[0]
    vae = faultless(opened(PAGE, run="digits-vae", view="Samples"))
    assert "drawn from the prior; nearest training sample" in alts(vae)[0]
    assert said(vae) == said(faultless(opened(PAGE, run="digits-vae", view="Samples")))
    vae.number_input(key="draw").set_value(5)
    before = said(vae)
    assert said(faultless(vae.run())) != before


def test_a_path_through_islands_shows_the_other_ways() -> None:
    codes = store.load("digits-ae").codes["codes"].copy()
    codes[:50] += 1_000
    like("digits-ae", "islands", {"codes": codes})
    at = opened(PAGE, run="islands", view="Path", stops="0, 100")
    assert not at.exception
    assert "No way along the data" in said(at)
    assert alts(at)[0].endswith("in rows: straight; spherical")
    assert offered(at) == ["PNG", "NPZ", "GIF", "WebP"]


@pytest.mark.parametrize("stops", ["1", "", "0, -1", "0, x", "0 1 2 3 4 5 6 7 8"])
def test_picks_that_make_no_path_are_said(stops: str) -> None:
    at = opened(PAGE, run="digits-ae", view="Path", stops=stops)
    assert not at.exception
    assert len(at.error) == 1 and ("names" in said(at) or "is no test sample" in said(at))


def test_all_numbers_that_are_no_samples_are_told() -> None:
    assert common.sample_numbers("3, 17  4", 20) == [3, 17, 4]
    with pytest.raises(InvalidRequest) as told:
        common.sample_numbers("20, a, 1", 20)
    assert len(told.value.problems) == 2


# --- Arithmetic ---------------------------------------------------------------------------------


def test_classes_are_added_unless_numbers_are_asked_for() -> None:
    at = faultless(opened(PAGE, run="digits-vae", view="Arithmetic"))
    labels = store.load("digits-vae").codes["labels"]
    for name, kind, label in (("A", "plus", 1), ("B", "minus", 0), ("C", "onto", 2)):
        assert at.selectbox(key=f"{kind}_group").value == f"every {label}"
        assert f"{name}: every {label} ({np.count_nonzero(labels == label)})" in said(at)
    assert not at.text_input
    at.selectbox(key="minus_group").set_value(arithmetic.BY_NUMBER).run()
    assert [field.key for field in faultless(at).text_input] == ["minus"]
    assert "B: #0 (1)" in said(at)
    at.text_input(key="minus").set_value("3, 5 8").run()
    assert "B: #3, #5, #8 (3)" in said(faultless(at))


def test_data_without_classes_is_added_by_number() -> None:
    run = trained("swiss-roll")
    at = faultless(opened(PAGE, run=run, view="Arithmetic", plus="4", minus="5", onto="5, 6"))
    assert not [box for box in at.selectbox if box.key.endswith("_group")]
    codes = store.load(run).codes["codes"]
    shown = at.dataframe[0].value
    assert shown["code"].tolist()[:4] == ["A", "B", "C", "C + 0.00 (A - B)"]
    assert shown["code"].iloc[-1] == "C + 1.50 (A - B)" and len(shown) == 3 + 7
    decoded = store.load(run).model().decode(torch.tensor(codes[[5, 6]].mean(0, keepdims=True)))
    features = shown[list(data.get("swiss-roll").feature_names)]
    np.testing.assert_allclose(features.iloc[2], decoded[0].detach(), atol=1e-5)
    np.testing.assert_allclose(features.iloc[3], features.iloc[2])


def test_all_that_is_wrong_with_the_groups_is_told_and_can_be_mended() -> None:
    numbers = dict.fromkeys(("plus_group", "minus_group", "onto_group"), arithmetic.BY_NUMBER)
    at = opened(
        PAGE, run="digits-ae", view="Arithmetic", **numbers, plus="9999", minus="", onto="x, 2"
    )
    assert len(at.error) == 1 and not at.exception and not alts(at)
    assert all(each in said(at) for each in ("'9999'", "B has no test sample", "'x'"))
    for key in ("plus", "minus", "onto"):
        at.text_input(key=key).set_value("1, 2")
    assert len(alts(faultless(at.run()))) == 1


def test_a_class_without_test_samples_is_said() -> None:
    labels = np.full(360, 3, np.int64)
    like("digits-ae", "of-threes", {"labels": labels})
    at = opened(PAGE, run="of-threes", view="Arithmetic", onto_group="every 3")
    assert not at.exception
    assert "A has no test sample" in said(at) and "B has no test sample" in said(at)


def test_the_groups_follow_another_run() -> None:
    trained("iris")
    at = faultless(opened(PAGE, run="digits-vae", view="Arithmetic", plus_group="every 7"))
    assert at.selectbox(key="plus_group").value == "every 7"
    at.selectbox(key="run").set_value("own").run()
    assert at.selectbox(key="plus_group").value == "every versicolor"
    assert "every versicolor" in said(faultless(at))


# --- Files --------------------------------------------------------------------------------------


def test_files_hold_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, tuple[Any, ...]] = {}
    monkeypatch.setattr(
        downloads.st,
        "download_button",
        lambda kind, content, *rest, **_: kept.update({kind: (content, *rest)}),
    )
    strips = [np.random.default_rng(0).random((4, 8, 8)) for _ in range(2)]
    downloads.downloads(
        "a-path", b"png", strips, codes=np.arange(6).reshape(3, 2), used=np.ones(3, bool)
    )
    assert [(file, mime) for _, file, mime in kept.values()] == [
        ("a-path.png", "image/png"),
        ("a-path.npz", "application/octet-stream"),
        ("a-path.gif", "image/gif"),
        ("a-path.webp", "image/webp"),
    ]
    arrays = np.load(io.BytesIO(kept["NPZ"][0]()))
    assert arrays["codes"].tolist() == [[0, 1], [2, 3], [4, 5]] and arrays["used"].all()
    for kind in ("GIF", "WebP"):
        assert kept[kind][0]() == images.animation(strips, kind)
