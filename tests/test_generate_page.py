"""The page Generate without a browser: each view of each kind of run, and what is missing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Listener, run_config
from PIL import Image
from streamlit.testing.v1 import AppTest
from test_pages import ROOT, idle_jobs, opened, shipped_runs  # noqa: F401

from aecore import datasets, images, latent, store, tasks
from aecore.errors import Faults
from aecore.jobs import Jobs
from pages.shared import generated

PAGE = ROOT / "pages" / "generate.py"
VIEWS = list(generated.VIEWS)
pytestmark = pytest.mark.usefixtures("shipped_runs")


def trained(dataset: str, variant: str = "ae", d: int = 2, analysed: bool = True) -> str:
    tasks.train(run_config(dataset, variant, {"latent_dim": d}), "own", Listener())
    if analysed:
        tasks.analyse("own", Listener())
    return "own"


def like(run: str, name: str, codes: dict[str, np.ndarray] | None = None, **manifest: Any) -> None:
    """Store a copy of a run with other arrays or facts."""
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


@pytest.mark.parametrize("run", ["digits-ae", "digits-vae", "mnist-vae"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_the_shipped_runs(run: str, view: str, request: Any) -> None:
    if run == "mnist-vae":
        request.getfixturevalue("mnist")
    at = faultless(opened(PAGE, run=run, view=view))
    assert at.segmented_control(key="view").value == view
    if view == "Health":
        assert len(at.dataframe) == 1
    else:
        assert len(alts(at)) == 1 and run in alts(at)[0]
        assert offered(at)[:2] == ["PNG", "NPZ"]


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
        if view != "Health":
            assert len(alts(at)) == pictures and len(at.dataframe) == 1 - pictures
            assert "NPZ" in offered(at) and ("PNG" in offered(at)) == pictures
        assert ("told" in [box.key for box in at.selectbox]) == (
            variant == "cvae" and view != "Health"
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
    assert across.options[0].endswith(across.options[0].split()[-1]) and "KL" in across.options[0]
    assert across.value != up.value
    at.selectbox(key="up_6").set_value(across.value).run()
    assert "two different dimensions" in said(faultless(at))
    at.segmented_control(key="plane").set_value("through three samples").run()
    assert "from sample 0 towards 1 to the right and towards 2" in alts(faultless(at))[0]
    at.text_input(key="corners").set_value("5, 9999").run()
    assert "'9999' is no test sample" in said(at) and not at.exception
    at.text_input(key="corners").set_value("5, 6").run()
    assert "names 2" in said(at) and not at.exception


# --- What is missing ----------------------------------------------------------------------------


def test_what_needs_only_the_weights_works_without_the_dataset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(datasets, "places", lambda name: [tmp_path / "nowhere"])
    for view in ("Grid", "Samples", "Path", "Traversal"):
        at = faultless(opened(PAGE, run="mnist-vae", view=view))
        assert len(alts(at)) == 1
        assert ("mnist is not on this machine" in said(at)) == (view == "Samples")


def test_a_run_that_was_not_analysed_is_sent_to_be(idle_jobs: Jobs) -> None:  # noqa: F811
    latent.analysis_file(store.load("digits-vae")).unlink()
    at = faultless(opened(PAGE, run="digits-vae", view="Samples"))
    assert [(job.kind, job.arguments[0]) for job in idle_jobs.all()] == [("analyse", "digits-vae")]
    assert "goes through digits-vae for the first time" in said(at)
    assert len(alts(at)) == 1 and "nearest" not in alts(at)[0]
    for view in ("Grid", "Path", "Traversal"):
        assert len(alts(faultless(opened(PAGE, run="digits-vae", view=view)))) == 1
    at = faultless(opened(PAGE, run="digits-vae", view="Health"))
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
    tasks.analyse("collapsed", Listener())
    at = faultless(opened(PAGE, run="collapsed", view="Health"))
    assert "The posterior has collapsed" in said(at) and "lower beta" in said(at)
    for view in VIEWS[:-1]:
        assert len(alts(faultless(opened(PAGE, run="collapsed", view=view)))) == 1


def test_a_code_without_a_posterior_says_so() -> None:
    at = faultless(opened(PAGE, run="digits-ae", view="Health"))
    assert "encodes to points" in said(at)
    assert {"dimension", "variance", "mean"} == set(at.dataframe[0].value.columns)


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
    assert offered(at) == ["PNG", "NPZ", "GIF, straight", "GIF, spherical"]


@pytest.mark.parametrize("stops", ["1", "", "0, -1", "0, x", "0 1 2 3 4 5 6 7 8"])
def test_picks_that_make_no_path_are_said(stops: str) -> None:
    at = opened(PAGE, run="digits-ae", view="Path", stops=stops)
    assert not at.exception
    assert len(at.error) == 1 and ("names" in said(at) or "is no test sample" in said(at))


def test_all_numbers_that_are_no_samples_are_told() -> None:
    assert generated.sample_numbers("3, 17  4", 20) == [3, 17, 4]
    with pytest.raises(Faults) as told:
        generated.sample_numbers("20, a, 1", 20)
    assert len(told.value.faults) == 2


# --- Files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("colors", [(), (3,)], ids=["grey", "colour"])
def test_the_picture_holds_the_pixels_and_how_opaque_they_are(colors: tuple[int, ...]) -> None:
    pictures = np.random.default_rng(0).random((6, 8, 10, *colors))
    opaque = np.array([1, 0.4, 1, 1, 1, 0.4])
    png = images.mosaic(pictures, opaque, 3, generated.WIDTH)
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    times = picture.width // 30
    assert picture.size == (30 * times, 16 * times)
    assert 0.6 < picture.width / generated.WIDTH < 1.5
    found = np.asarray(picture)[::times, ::times] / 255
    wanted = pictures if colors else np.repeat(pictures[..., None], 3, axis=3)
    for number in range(6):
        top, left = 8 * (number // 3), 10 * (number % 3)
        cell = found[top : top + 8, left : left + 10]
        np.testing.assert_allclose(cell[..., :3], wanted[number], atol=0.002)
        np.testing.assert_allclose(cell[..., 3], opaque[number], atol=0.002)


@pytest.mark.parametrize("columns", [1, 50])
def test_a_picture_of_any_width_keeps_each_image(columns: int) -> None:
    png = images.mosaic(np.ones((columns, 28, 28)), np.ones(columns), columns, generated.WIDTH)
    assert np.asarray(Image.open(io.BytesIO(png)))[..., 0].min() == 255


@pytest.mark.parametrize("colors", [(), (3,)], ids=["grey", "colour"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_an_animation_goes_there_and_back(n: int, colors: tuple[int, ...]) -> None:
    frames = np.linspace(0, 1, n).reshape(-1, 1, 1, *(1 for _ in colors))
    frames = np.broadcast_to(frames, (n, 8, 8, *colors))
    picture = Image.open(io.BytesIO(images.animation(frames)))
    assert getattr(picture, "n_frames", 1) == max(2 * n - 2, 1)
    assert picture.size == (256, 256)
