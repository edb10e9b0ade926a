"""Page Reconstructions without a browser: runs side by side, splits, user images."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_config
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest
from test_pages import ROOT, opened, shipped_runs  # noqa: F401

from aecore import data, metrics, projections
from aecore.data import importers
from aecore.errors import InvalidRequest
from aecore.runs import store
from aecore.runs.train import Train
from pages.app import cache, models
from pages.components import own_picture
from pages.views.reconstructions import comparison, own_image, summary

PAGE = ROOT / "pages" / "reconstructions.py"
pytestmark = pytest.mark.usefixtures("shipped_runs")


class Quiet:
    """Reporter that ignores all reports."""

    def progress(self, what: str, done: float, total: float) -> None: ...

    def epoch(self, entry: dict[str, Any], view: dict[str, np.ndarray]) -> None: ...


def trained(name: str, dataset: str, variant: str = "ae", **model: Any) -> store.Run:
    config = run_config(dataset, variant, model, epochs=1)
    return Train(config, name, resumable=False).run(Quiet())


def like(run: str, name: str, codes: dict[str, np.ndarray] | None = None, **manifest: Any) -> None:
    """Store a copy of a run with changed arrays or facts."""
    known = store.load(run)
    facts = known.manifest.model_dump(exclude={"format", "created", "files"}) | manifest
    weights = known.model().state_dict()
    store.save(name, known.config, weights, known.codes | (codes or {}), known.history, **facts)


def alts(at: AppTest) -> list[str]:
    return [image.proto.imgs[0].alt for image in at.get("image")]


def said(at: AppTest) -> str:
    """All text outside of widgets."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def faultless(at: AppTest) -> AppTest:
    assert not at.exception and not at.error
    return at


TITLE = "Digits, plain autoencoder"

# --- The page -----------------------------------------------------------------------------------


def test_the_worst_test_samples_come_first_beside_pca() -> None:
    at = faultless(opened(PAGE, run="digits-ae"))
    assert at.selectbox(key="order").value == "worst first"
    assert at.segmented_control(key="split").value == "test"
    run = store.load("digits-ae")
    mse = f"{run.manifest.metrics['test_mse']:.4f}"
    assert f"**{TITLE}**: test MSE **{mse}**, better than PCA on " in said(at)
    pca = f"{run.manifest.metrics['pca_mse']:.4f}"
    assert f"PCA with 2 components: test MSE **{pca}**" in said(at)
    assert len(alts(at)) == 2
    assert alts(at)[1].startswith("Sample 291 of digits, large")
    assert f"{TITLE}: 0.1328, the worst of 360" in said(at)
    assert alts(at)[0].startswith("8 test images of digits; under each the reconstructions by ")
    assert "which no run has seen in training" in said(at)


def test_pinned_runs_are_kept_in_the_address_and_shown() -> None:
    at = faultless(opened(PAGE, run="digits-ae", pins="digits-vae"))
    assert at.multiselect(key="pins").value == ["digits-vae"]
    # None of other data, by their titles; the address has names.
    assert at.multiselect(key="pins").options == ["Digits, variational autoencoder"]
    assert "by digits-ae, digits-vae, PCA" in alts(at)[0]
    assert "**Digits, variational autoencoder**: test MSE" in said(at)
    assert "digits-vae" in at.dataframe[0].value.columns


def test_pins_are_written_into_the_address_by_name() -> None:
    for name in ("second", "third"):
        like("digits-ae", name)
    at = faultless(opened(PAGE, run="digits-ae"))
    at = faultless(at.multiselect(key="pins").set_value(["third", "second"]).run())
    assert at.query_params["pins"] == ["third", "second"]
    assert "by digits-ae, third, second, PCA" in alts(at)[0]
    at = faultless(at.multiselect(key="pins").set_value([]).run())
    assert "pins" not in at.query_params
    assert "by digits-ae, PCA" in alts(at)[0]


def test_more_pins_in_an_address_than_can_be_chosen_are_left_out() -> None:
    names = [f"pin-{number}" for number in range(5)]
    for name in names:
        like("digits-ae", name)
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.switch_page(str(PAGE))
    at.query_params["run"], at.query_params["pins"] = "digits-ae", names
    assert faultless(at.run()).multiselect(key="pins").value == names[:4]


def test_what_a_pin_names_that_is_not_there_is_no_error() -> None:
    at = faultless(opened(PAGE, run="digits-ae", pins="mnist-ae"))
    assert at.multiselect(key="pins").value == []


def test_a_pinned_run_may_become_the_main_one_and_back() -> None:
    at = opened(PAGE, run="digits-ae", pins="digits-vae")
    at.selectbox(key="run").set_value("digits-vae").run()
    assert "by digits-vae, PCA" in alts(faultless(at))[0]
    at.multiselect(key="pins").set_value(["digits-ae"]).run()
    assert "by digits-vae, digits-ae, PCA" in alts(faultless(at))[0]


def test_runs_of_other_samples_of_the_same_name_are_left_out_and_named() -> None:
    like("digits-ae", "of-other-digits", fingerprint="0" * 64)
    at = faultless(opened(PAGE, run="digits-ae"))
    assert at.multiselect(key="pins").options == ["Digits, variational autoencoder"]
    assert "of-other-digits" in said(at)


def test_a_run_of_changed_data_says_so() -> None:
    like("digits-ae", "of-changed-digits", fingerprint="1" * 64)
    at = opened(PAGE, run="of-changed-digits")
    assert not at.exception
    told = at.error[0].value.replace("\\", "")
    assert "'digits' has changed since the run 'of-changed-digits'" in told


def test_a_lonely_run_has_nothing_to_compare_with() -> None:
    trained("lonely", "wine")
    at = faultless(opened(PAGE, run="lonely"))
    assert at.multiselect(key="pins").disabled


def test_a_sample_of_the_page_is_shown_large() -> None:
    at = opened(PAGE, run="digits-ae", sample="17")
    assert alts(at)[1].startswith("Sample 17 of digits")
    (choice,) = (box for box in at.segmented_control if box.label == "Sample")
    choice.set_value(3).run()
    fourth = re.search(r"Sample (\d+) of digits", alts(faultless(at))[1])[1]
    assert choice.options[3] == f"#{fourth}"


def test_error_maps_can_be_left_out() -> None:
    at = opened(PAGE, run="digits-ae")
    assert alts(at)[0].endswith("where it is too bright or too dark")
    at.toggle(key="errors").set_value(False).run()
    assert "too bright" not in alts(faultless(at))[0] + said(at)


def test_samples_seen_in_training_are_told_as_such() -> None:
    at = faultless(opened(PAGE, run="digits-ae", split="train"))
    assert "seen in training, so a small error here does not say" in said(at)
    assert alts(at)[0].startswith("8 train images")
    run, x = store.load("digits-ae"), data.get("digits").train
    with_all = models.reconstruct(*cache.identity(run), *x)[1]
    mse = metrics.mean_squared_error(x.x, with_all).mean()
    assert f"**{TITLE}**: train MSE **{mse:.4f}**" in said(at)
    assert at.dataframe[0].value["samples"].sum() == 1437


def test_a_sample_can_be_called_by_its_number() -> None:
    at = opened(PAGE, run="digits-ae", split="train", sample="1400", screen="100")
    at.segmented_control(key="split").set_value("test").run()
    assert at.number_input(key="sample").value is None  # the test split has no such sample
    assert at.number_input(key="screen").value == 1
    at.number_input(key="sample").set_value(17).run()
    faultless(at)


def test_the_next_page_has_the_samples_after_those_of_the_first() -> None:
    worst = np.argsort(-store.load("digits-ae").codes["error"], kind="stable")
    for page, numbers in (("1", worst[:8]), ("2", worst[8:16]), ("45", worst[352:])):
        at = faultless(opened(PAGE, run="digits-ae", screen=page))
        (sample,) = (each for each in at.segmented_control if each.label == "Sample")
        assert sample.options == [f"#{number}" for number in numbers]


@pytest.mark.parametrize("order", comparison.ORDERS)
def test_every_order_shows_every_sample_once(order: str) -> None:
    mine, pca = np.array([0.3, 0.1, 0.2, 0.1]), np.array([0.1, 0.25, 0.3, 0.1])
    wanted = {
        "worst first": [0, 2, 1, 3],
        "best first": [1, 3, 2, 0],
        "where PCA wins most": [0, 3, 2, 1],
        "as they come": [0, 1, 2, 3],
    }
    found = np.argsort(comparison.ORDERS[order](mine, pca), kind="stable")
    assert found.tolist() == wanted[order]


def test_a_class_has_only_its_own_samples_and_the_called_one_before_them() -> None:
    at = faultless(opened(PAGE, run="digits-ae", **{"class": "3"}))
    assert at.number_input(key="screen").label == "Page, of 5"  # 37 of them
    at.number_input(key="sample").set_value(0).run()
    assert at.number_input(key="screen").label == "Page, of 5"
    at.slider(key="samples").set_value(16).run()
    assert faultless(at).number_input(key="screen").label == "Page, of 3"


def test_pca_takes_any_number_of_components() -> None:
    at = opened(PAGE, run="digits-ae")
    at.slider(key="pca_2").set_value(64).run()
    assert "PCA with 64 components: test MSE **0.0000**" in said(faultless(at))
    assert "better than PCA on 0 % of samples" in said(at)
    assert "PCA with 64 components is better; 5 are enough." in said(at)
    at.slider(key="pca_2").set_value(1).run()
    assert "PCA with 1 component is worse; it needs 5 to be better" in said(faultless(at))


def test_classes_are_listed_worst_first_with_their_numbers() -> None:
    table = opened(PAGE, run="digits-ae").dataframe[0].value
    run = store.load("digits-ae")
    errors, labels = run.codes["error"], run.codes["labels"]
    assert table["samples"].sum() == 360
    assert table["digits-ae"].is_monotonic_decreasing
    for row in table.itertuples(index=False):
        assert row[2] == pytest.approx(errors[labels == int(row[0])].mean(), rel=1e-4)


def test_tables_of_numbers_are_shown_side_by_side() -> None:
    trained("wine-ae", "wine")
    trained("wine-linear", "wine", "linear", hidden=())
    at = faultless(opened(PAGE, run="wine-ae", pins="wine-linear"))
    assert "by wine-ae, wine-linear, PCA" in at.get("plotly_chart")[0].proto.alt
    assert not at.file_uploader and not at.toggle
    assert set(at.dataframe[1].value["class"]) == {"cultivar 1", "cultivar 2", "cultivar 3"}


def test_a_table_of_ones_own_is_read_in_its_units(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines = [
        f"{500 + 20 * a:.3f},{a:.3f},{b:.3f},{'x' if a > b else 'y'}"
        for a, b in random.random((60, 2))
    ]
    (tmp_path / "own.csv").write_text("\n".join(["weight,width,height,kind", *lines]))
    own = importers.add_file(tmp_path / "own.csv", "own", label="kind")
    trained("own-ae", "own")
    at = faultless(opened(PAGE, run="own-ae"))
    found = next(each.value for each in at.dataframe if "from" in each.value)
    assert set(found["from"]) == {"original", "own-ae", "PCA"}
    originals = found[found["from"] == "original"]
    rows = [int(each.strip("#")) for each in originals["sample"]]
    expected = own.in_units(own.test.x[rows])
    for name in ("weight", "width", "height"):
        np.testing.assert_allclose(originals[name], expected[name], rtol=1e-5)
    assert found["weight"].between(480, 540).all()


def test_positions_on_a_curve_have_no_classes() -> None:
    trained("ring", "tilted-ring")
    at = faultless(opened(PAGE, run="ring"))
    assert len(at.dataframe) == 1  # the errors of the samples
    assert "class" not in said(at).lower()
    assert "class" not in [box.key for box in at.selectbox]


def test_data_that_are_not_here_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.data.is_available", lambda name: False)
    at = faultless(opened(PAGE, run="mnist-ae"))
    assert "mnist is not on this machine" in said(at)
    assert "Download mnist" in [button.label for button in at.button]
    assert not at.get("image") and not at.multiselect


def test_a_run_of_no_numbers_is_one_sentence() -> None:
    errors = np.full(360, np.nan, np.float32)
    like("digits-ae", "nothing-but-nan", {"error": errors})
    at = opened(PAGE, run="nothing-but-nan")
    assert not at.exception
    assert "no finite numbers (NaN)" in at.error[0].value.replace("\\", "")
    beside = opened(PAGE, run="digits-ae", pins="nothing-but-nan")
    assert "no finite numbers" in beside.error[0].value and len(alts(beside)) == 2


def test_a_single_test_sample_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = data.get("digits")

    def read(split: str) -> data.Samples:
        n = 1 if split == "test" else digits.n_train
        return data.Samples(*(part[:n].copy() for part in getattr(digits, split)))

    single = digits.derived(read, name="single", n_test=1)
    monkeypatch.setitem(data.DATASETS, "single", single)
    trained("of-one-sample", "single")
    at = faultless(opened(PAGE, run="of-one-sample"))
    assert alts(at)[0].startswith("1 test images")
    assert len(at.dataframe[0].value) == 1


# --- What is computed ---------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["test", "train"])
def test_errors_of_pca_are_those_of_its_reconstructions(split: str) -> None:
    digits = data.get("digits")
    x, pca = getattr(digits, split).x, projections.components(digits)
    curve = cache.pca_curve("digits", digits.fingerprint, split, 64)
    assert len(curve) == 65
    for k in (1, 7, 64):
        wanted = metrics.mean_squared_error(x, pca.reconstruct(x, k))
        found = cache.pca_errors("digits", digits.fingerprint, split, k)
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        assert curve[k] == pytest.approx(wanted.mean(), abs=1e-6)
    assert (np.diff(curve) <= 1e-12).all()


def test_stored_errors_are_those_of_the_model() -> None:
    run, (x, labels) = store.load("digits-vae"), data.get("digits").test
    codes, rebuilt = models.reconstruct(*cache.identity(run), x, labels)
    np.testing.assert_allclose(codes, run.codes["codes"], atol=1e-4)
    found = models.errors(*cache.identity(run), "test")
    np.testing.assert_allclose(found, metrics.mean_squared_error(x, rebuilt), atol=1e-5)


@pytest.mark.parametrize(
    ("error", "k", "wanted"),
    [
        (0.3, 2, "PCA with 2 components is worse; it needs 3 to be better."),
        (0.3, 1, "PCA with 1 component is worse; it needs 3 to be better."),
        (0.3, 3, "PCA with 3 components is better; fewer are not enough."),
        (0.45, 3, "PCA with 3 components is better; 2 are enough."),
        (0.5, 1, "PCA with 1 component is better."),
        (0.1, 3, "PCA is worse with any number of components up to 3."),
    ],
)
def test_who_wins_is_said_with_what_it_takes(error: float, k: int, wanted: str) -> None:
    assert summary.verdict(error, k, np.array([1, 0.5, 0.4, 0.2])) == wanted


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (0.0, "error 0.0000, better than 100 % of test images."),
        (0.5, "error 0.5000, better than 50 % of test images."),
        (0.993, "worse than 99.5 % of test images: unlike almost all it was trained on."),
        (2.0, "worse than every test image: unlike what it was trained on."),
    ],
)
def test_an_error_is_compared_with_the_test_split(error: float, wanted: str) -> None:
    assert own_image.unlike(error, np.arange(200) / 200).endswith(wanted)


def test_a_wide_code_is_cut_short() -> None:
    assert own_image.written(np.array([0.5, -1.25])) == "0.50, -1.25."
    assert own_image.written(np.zeros(40)).endswith(", 0.00 and 8 more.")


# --- An image of one's own ----------------------------------------------------------------------


def drawing(kind: str = "PNG", **options: Any) -> bytes:
    """A black seven on white paper."""
    image = Image.new("RGB", (300, 400), "white")
    ImageDraw.Draw(image).line([(80, 100), (220, 100), (130, 300)], "black", 24)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def given(at: AppTest, content: bytes, name: str = "seven.png") -> AppTest:
    at.file_uploader(key="own").set_value((name, content, "image/png"))
    return at.run()


def test_an_image_of_ones_own_is_shown_as_the_models_see_it() -> None:
    at = given(opened(PAGE, run="digits-ae", pins="digits-vae"), drawing())
    answer = alts(faultless(at))[0]
    assert "by digits-ae, digits-vae with their errors" in answer
    assert answer.count("#") == 5
    for name in ("digits-ae", "digits-vae"):
        assert f"**{name}**: error " in said(at)
    assert "Its code in digits-ae: " in said(at)
    before = alts(at)[1:]
    at.file_uploader(key="own").set_value(None).run()
    assert alts(faultless(at)) == before


def test_an_even_picture_is_unlike_the_data_whatever_its_error() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (500, 50), "red").save(buffer, "PNG")
    at = given(opened(PAGE, run="digits-ae"), buffer.getvalue())
    assert "than 100 % of test samples are: unlike the data" in said(at)


def test_a_training_sample_is_no_further_from_the_training_split_than_any_other() -> None:
    digits = data.get("digits")
    assert "than 0 % of test samples are." in own_picture.apart(digits, digits.train.x[[5]])


def test_ink_on_paper_is_turned_and_cropped_unless_one_says_otherwise() -> None:
    at = given(opened(PAGE, run="digits-ae"), drawing())
    toggles = {toggle.label: toggle for toggle in at.toggle}
    assert toggles["Invert"].value and toggles["Crop to the drawing"].value
    first = at.get("image")[0].proto.imgs[0].url
    toggles["Invert"].set_value(False).run()
    assert faultless(at).get("image")[0].proto.imgs[0].url != first


def test_light_on_black_is_not_turned() -> None:
    image = Image.open(io.BytesIO(drawing())).convert("L").point(lambda value: 255 - value)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    at = given(opened(PAGE, run="digits-ae"), buffer.getvalue())
    assert not next(toggle for toggle in at.toggle if toggle.label == "Invert").value


def test_what_cannot_be_read_is_a_sentence_and_the_page_stays() -> None:
    at = given(opened(PAGE, run="digits-ae"), b"no picture")
    assert not at.exception
    assert "give a PNG, JPEG, WebP or BMP file" in at.error[0].value
    assert len(alts(at)) == 2 and "test MSE" in said(at)


def test_of_a_moving_picture_the_first_frame_is_told() -> None:
    other = Image.new("RGB", (300, 400), "red")
    moving = drawing("WEBP", save_all=True, append_images=[other])
    at = given(opened(PAGE, run="digits-ae"), moving, "moving.webp")
    assert "its first frame is taken" in said(faultless(at))


def test_a_conditioned_model_is_told_a_class_for_ones_own_image() -> None:
    trained("conditioned", "digits", "cvae")
    at = given(opened(PAGE, run="digits-ae"), drawing())
    assert "own-class" not in [box.key for box in at.selectbox]
    at = given(opened(PAGE, run="conditioned"), drawing())
    told = said(faultless(at))
    at.selectbox(key="own-class").set_value(7).run()
    assert said(faultless(at)) != told


@pytest.mark.parametrize("settings", [("vq-vae", {}), ("sparse-l1", {"latent_dim": 40})])
def test_codes_of_every_width_are_written(settings: tuple[str, dict[str, Any]]) -> None:
    variant, model = settings
    trained(f"one-{variant}", "digits", variant, **model)
    at = given(opened(PAGE, run=f"one-{variant}"), drawing())
    assert len(alts(faultless(at))) == 3
    assert ("and 8 more" in said(at)) == (model.get("latent_dim") == 40)


def test_answers_of_no_numbers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.load("digits-ae")
    at = opened(PAGE, run=run.name)
    model, known = run.model(), data.get("digits").test.x
    encode = model.encode

    def broken(x: Any, labels: Any) -> Any:
        seen = (x.numpy()[:, None] == known).all(axis=2).any()
        return encode(x, labels=labels) * (1 if seen else np.nan)

    monkeypatch.setattr(model, "encode", broken)
    monkeypatch.setattr(models, "_model_for", lambda *identity: model)
    at = given(at, drawing())
    assert not at.exception
    assert "'digits-ae' answers with values that are no finite numbers" in said(at)


def test_a_damaged_codes_file_is_a_fault() -> None:
    like("digits-ae", "damaged-codes")
    path = Path(store.load("damaged-codes").folder) / "codes.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match="has changed since the run was saved"):
        models.errors(*cache.identity(store.load("damaged-codes")), "test")
