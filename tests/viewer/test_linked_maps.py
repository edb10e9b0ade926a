"""Browser tests of the linked maps, in a bare page without Streamlit."""

from __future__ import annotations

import base64
import gzip
import io
import json
import math
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pandas
import plotly
import pytest
import torch
from conftest import Listener, run_config
from PIL import Image
from playwright.sync_api import Browser, Page, TimeoutError
from skimage.measure import points_in_poly
from test_figures import luminance
from test_latent import CONVOLUTIONAL, build, classes, draw, of_shape

from aecore import data, latent, projections
from aecore.data import Subset, importers
from aecore.data.spec import ImageSize
from aecore.models.autoencoder import Autoencoder
from aecore.models.networks import ACTIVATION_LAYERS
from aecore.models.variants import VARIANTS
from aecore.plots import colors
from aecore.projections import PROJECTIONS
from aecore.runs import store
from aecore.runs.train import Train
from aecore.viewer import STATIC, payload

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
MAPS = "document.querySelector('.loupe').loupe"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
TYPES = {".js": "text/javascript", ".css": "text/css", ".gz": "application/gzip"}
BARE = """<!doctype html>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="style.css">
<div id="host"><div class="loupe-frame"><div class="loupe" role="group"></div></div></div>
"""
# The least page that hosts maps: one file would hold the payload and the images itself.
HOST = (
    BARE
    + """<script type="module">
  import { mount } from "./mount.js";
  const payload = await fetch("payload");
  const host = {
    say: (...said) => { document.title = JSON.stringify(said); },
    image: (split) => `images/${split}.gz`,
  };
  mount(document.querySelector(".loupe"), new Uint8Array(await payload.arrayBuffer()), host);
</script>
"""
)


# --- A place to run them ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Address of a server of the scripts, and its further files."""
    files = {f"/{file.name}": file.read_bytes() for file in (*STATIC.iterdir(), PLOTLY)}
    files["/"] = BARE.encode()
    files["/host"] = HOST.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = files.get(self.path)
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", TYPES.get(Path(self.path).suffix, "text/html"))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *args: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", files
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def lab(browser: Browser, served: tuple[str, dict[str, bytes]]) -> Iterator[Page]:
    """A page with all modules, for functions without state."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(served[0])
    page.evaluate(
        """async () => {
          window.bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          const names = [
            "background", "decoder", "dom", "geometry", "overlay", "payload", "sheets"];
          const found = await Promise.all(names.map((name) => import(`/${name}.js`)));
          Object.assign(window, ...found.map((module) => ({ ...module })));
        }"""
    )
    yield page
    context.close()


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


# --- Arrays -------------------------------------------------------------------------------------


def test_a_file_of_arrays_is_unpacked_as_it_was_packed(lab: Page) -> None:
    arrays = {
        "three bytes more": np.arange(3, dtype=np.int16) - 1,
        "grid": draw(4, 5).astype(np.float64),
        "codes/ä": draw(2, 3, 2),
        "rows": np.array([0, 2**31 - 1]),
        "nothing": np.zeros((0, 2), np.float32),
        "unknown": np.array([np.nan, np.inf, -np.inf], np.float32),
    }
    facts = {"title": "Schöne Größe ≈ 模型 “x”", "n": 3, "note": None, "list": [1.5, "ß"]}
    content = payload.serialize(arrays, facts)
    found = lab.evaluate(
        """([text, offset]) => {
          // As Streamlit hands it over: somewhere in a larger buffer.
          const bytes = bytesOf(text), larger = new Uint8Array(bytes.length + offset);
          larger.set(bytes, offset);
          const { arrays, facts } = unpack(larger.subarray(offset));
          const plain = Object.entries(arrays).map(([name, { values, shape }]) =>
            [name, [values.constructor.name, [...values], shape]]);
          return { arrays: Object.fromEntries(plain), facts };
        }""",
        [text_of(content), 3],
    )
    assert found["facts"] == facts and facts["id"]
    assert set(found["arrays"]) == set(arrays)
    for name, wanted in arrays.items():
        kind, values, shape = found["arrays"][name]
        assert kind == ("Float32Array" if wanted.dtype.kind == "f" else "Int32Array")
        assert shape == list(wanted.shape)
        np.testing.assert_array_equal(
            np.array(values, np.float64).reshape(shape),
            wanted.astype(np.float32 if wanted.dtype.kind == "f" else np.int32),
        )


@pytest.mark.parametrize("shape", [(5, 3), (4, 6, 1), (3, 4, 3)], ids=str)
@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_an_image_is_painted_at_its_place(lab: Page, shape: tuple[int, ...], kind: str) -> None:
    random = np.random.default_rng(0)
    images = random.uniform(-0.2, 1.2, (3, *shape)).astype(np.float32)
    if kind == "bytes":
        images = random.integers(0, 256, (3, *shape), np.uint8)
    left, top, width, height = 2, 1, shape[1] + 5, shape[0] + 4
    found = lab.evaluate(
        """([kind, values, offset, shape, left, top, width, height]) => {
          const source = kind === "bytes" ? Uint8Array.from(values) : Float32Array.from(values);
          const pixels = new ImageData(width, height);
          writeImage(pixels, left, top, source, offset, shape);
          return [...pixels.data];
        }""",
        [
            *(kind, images.ravel().tolist(), int(images[0].size), list(shape)),
            *(left, top, width, height),
        ],
    )
    wanted = np.zeros((height, width, 4))
    image = images[1].reshape(*shape[:2], -1) * (1.0 if kind == "bytes" else 255.0)
    place = wanted[top : top + shape[0], left : left + shape[1]]
    place[..., :3] = np.rint(image.clip(0, 255))
    place[..., 3] = 255
    np.testing.assert_array_equal(np.reshape(found, wanted.shape), wanted)


def test_a_sheet_is_fetched_and_unzipped(lab: Page, served: tuple[str, dict[str, bytes]]) -> None:
    plain = np.random.default_rng(0).integers(0, 256, 5000, np.uint8)
    served[1]["/own.gz"] = gzip.compress(plain.tobytes())
    found = lab.evaluate("async () => [...await fetchSheet('/own.gz')]")
    np.testing.assert_array_equal(found, plain)
    said = lab.evaluate("() => fetchSheet('/none.gz').catch((error) => error.message)")
    assert "none.gz" in said and "404" in said


# --- The decoder --------------------------------------------------------------------------------


def check_decoder(lab: Page, model: Autoencoder, d: int = 3) -> None:
    layers, weights = latent.browser_decoder(model)
    codes, labels = 2 * draw(6, d), classes(6)
    with torch.inference_mode():
        wanted = model.decode(torch.tensor(codes), torch.tensor(labels)).numpy()
    told = np.eye(model.n_classes)[labels] if model.n_classes else np.zeros((6, 0))
    first, again = lab.evaluate(
        """([text, codes]) => {
          const { arrays, facts } = unpack(bytesOf(text));
          const weights = Object.fromEntries(
            Object.entries(arrays).map(([name, { values }]) => [name, values]));
          const decode = decoder(facts.layers, weights);
          const all = () => codes.map((code) => [...decode(code)]);
          return [all(), all()];
        }""",
        [
            text_of(payload.serialize(weights, {"layers": layers})),
            np.hstack([codes, told]).tolist(),
        ],
    )
    np.testing.assert_allclose(first, wanted, atol=1e-4, rtol=1e-4)
    assert first == again


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("shape", [(8, 8), (6, 5, 3)], ids=str)
def test_every_decoder_decodes_as_the_model(lab: Page, name: str, shape: tuple[int, ...]) -> None:
    check_decoder(lab, build(name, of_shape(*shape)))


@pytest.mark.parametrize("activation", sorted(set(ACTIVATION_LAYERS) - {"identity"}))
@pytest.mark.parametrize("likelihood", ["gaussian", "squashed-gaussian", "bernoulli"])
def test_every_activation_decodes_as_the_model(lab: Page, activation: str, likelihood: str) -> None:
    check_decoder(lab, build("ae", activation=activation, likelihood=likelihood))


@pytest.mark.parametrize("settings", [{"tied": True}, {"hidden": ()}, {"dropout": 0.3}], ids=str)
def test_tied_shallow_and_thinned_decoders_decode_as_the_model(
    lab: Page, settings: dict[str, Any]
) -> None:
    check_decoder(lab, build("ae", **settings))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("resampling", ["max-pool", "strided"])
@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (1, 13), (6, 5, 3), (5, 7, 3)], ids=str)
def test_convolutions_of_any_size_decode_as_the_model(
    lab: Page, name: str, resampling: str, dense: bool, shape: tuple[int, ...]
) -> None:
    inner = ImageSize(*shape).halved(2)
    d = 3 if dense else 3 * inner.height * inner.width
    settings = {"resampling": resampling, "dense": dense, "latent_dim": d}
    check_decoder(lab, build(name, of_shape(*shape), **settings), d)


@pytest.mark.parametrize("name", ["digits-ae", "digits-vae", "mnist-ae", "mnist-vae", "shapes-vae"])
def test_the_shipped_decoders_give_the_same_pictures(lab: Page, name: str) -> None:
    """No pixel is another by more than one step in 255, also where no sample lies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(ROOT / "models_store"))
        run = store.load(name)
    model, codes = run.model(), run.codes["codes"]
    codes = np.concatenate([codes[:4], 3 * codes[4:6]])
    with torch.inference_mode():
        wanted = model.decode(torch.tensor(codes)).numpy()
    layers, weights = latent.browser_decoder(model)
    found = lab.evaluate(
        """([text, codes]) => {
          const { arrays, facts } = unpack(bytesOf(text));
          const weights = Object.fromEntries(
            Object.entries(arrays).map(([name, { values }]) => [name, values]));
          const decode = decoder(facts.layers, weights);
          return codes.map((code) => [...decode(code)]);
        }""",
        [text_of(payload.serialize(weights, {"layers": layers})), codes.tolist()],
    )
    assert np.abs(np.array(found) - wanted).max() < 1 / 255


# --- Geometry -----------------------------------------------------------------------------------

CLOUDS = {
    "random": draw(400, 2) * [3, 1],
    "clustered": np.concatenate([0.01 * draw(300, 2), [[50, -80]], 0.01 * draw(99, 2) + 9]),
    "on a line": np.stack([draw(100), np.zeros(100)], axis=1),
    "all the same": np.full((50, 2), 0.5),
    "one": np.array([[2, -1]]),
    "none": np.zeros((0, 2)),
}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("every", [1, 3])
def test_the_nearest_point_is_found(lab: Page, cloud: str, every: int) -> None:
    points = CLOUDS[cloud].astype(np.float32)
    random = np.random.default_rng(2)
    near = points[random.integers(0, len(points), 60)] if len(points) else np.zeros((60, 2))
    places = np.concatenate([near + random.normal(0, 0.05, near.shape), 30 * draw(60, 2)])
    places = np.concatenate([places, places])
    reaches = np.repeat([0.1, 20.0], len(places) // 2)
    found = lab.evaluate(
        """([points, asked, every]) => {
          const cells = new Cells(Float32Array.from(points));
          return asked.map(([x, y, reach]) => cells.nearest(x, y, reach, (i) => i % every === 0));
        }""",
        [points.ravel().tolist(), np.column_stack([places, reaches]).tolist(), every],
    )
    admitted = np.arange(len(points)) % every == 0
    for place, reach, i in zip(places, reaches, found, strict=True):
        distances = np.linalg.norm(points.astype(np.float64) - place, axis=1)
        distances[~admitted] = np.inf
        least = distances.min(initial=np.inf)
        if least > reach:
            assert i == -1
        else:
            assert admitted[i] and distances[i] == least


@pytest.mark.parametrize(("reach", "found"), [(5, 0), (4.999, -1), (0, -1)])
def test_a_point_is_found_up_to_the_reach(lab: Page, reach: float, found: int) -> None:
    code = "(reach) => new Cells(Float32Array.of(3, 4)).nearest(0, 0, reach, () => true)"
    assert lab.evaluate(code, reach) == found


POLYGONS = {
    "triangle": [[0, 0], [1, 0.1], [0.3, 0.9]],
    "concave": [[-1, -1], [1, -1], [1, 1], [0.01, -0.5], [-1, 1]],
    "box": [[-0.5, -0.25], [0.5, -0.25], [0.5, 0.75], [-0.5, 0.75]],
    "crossing itself": [[-1, -1], [1, 1], [1, -1], [-1, 1]],
    "star": [[math.sin(2.4 * i * math.pi), math.cos(2.4 * i * math.pi)] for i in range(5)],
    "random": draw(25, 2, seed=3).tolist(),
}


@pytest.mark.parametrize("polygon", POLYGONS)
@pytest.mark.parametrize("backwards", [False, True])
def test_inside_a_polygon(lab: Page, polygon: str, backwards: bool) -> None:
    corners = POLYGONS[polygon][:: -1 if backwards else 1]
    places = np.random.default_rng(0).uniform(-1.5, 1.5, (2000, 2))
    found = lab.evaluate(
        "([places, polygon]) => places.map(([x, y]) => inside(x, y, polygon))",
        [places.tolist(), corners],
    )
    wanted = points_in_poly(places, corners)
    assert wanted.any()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize(("m", "k"), [(300, 10), (300, 1), (4, 10), (1, 1)])
@pytest.mark.parametrize("tied", [False, True])
def test_the_nearest_codes_are_found(lab: Page, d: int, m: int, k: int, tied: bool) -> None:
    codes, asked = draw(m, d), draw(20, d, seed=2)
    if tied:  # on a grid many are equally far, and come by their number
        codes, asked = codes.round(), asked.round()
    found = lab.evaluate(
        """([codes, d, asked, k]) =>
          asked.map((code) => nearestCodes(Float32Array.from(codes), d, code, k))""",
        [codes.ravel().tolist(), d, asked.tolist(), k],
    )
    for code, answer in zip(asked.astype(np.float64), found, strict=True):
        distances = np.linalg.norm(codes - code, axis=1)
        wanted = np.argsort(distances, kind="stable")[:k]
        assert [i for i, _ in answer] == wanted.tolist()
        np.testing.assert_allclose([far for _, far in answer], distances[wanted], rtol=1e-9)


def test_the_share_below_a_value(lab: Page) -> None:
    values = np.sort(draw(101).round(1))
    asked = [*values.tolist(), -99, 99, 0.05]
    found = lab.evaluate(
        "([values, asked]) => asked.map((x) => shareBelow(values, x))", [values.tolist(), asked]
    )
    np.testing.assert_allclose(found, np.searchsorted(values, asked) / len(values))


LONG = np.concatenate([0.3 * draw(450, 2), 0.3 * draw(50, 2, seed=2) + [0, -20]])
FRAMED = {
    "a cloud": (draw(500, 2), 0),
    "an island far off": (LONG, 0),
    "two of a size": (np.concatenate([draw(100, 2), draw(100, 2) + 50]), 0),
    "outliers": (np.concatenate([draw(500, 2), [[90, 3], [-70, 0], [2, 99]]]), 3),
    "one": (np.array([[2, -1]]), 0),
    "all the same": (np.full((50, 2), 0.5), 0),
    "unknown places": (np.concatenate([draw(50, 2), [[np.nan, np.nan]]]), 0),
    "none": (np.zeros((0, 2)), 0),
}


@pytest.mark.parametrize("cloud", FRAMED)
def test_the_mass_of_a_map_is_framed(lab: Page, cloud: str) -> None:
    points, n_outside = FRAMED[cloud]
    frames = lab.evaluate(
        """(points) => [true, false].map((mass) =>
          frameOf(Float32Array.from(points, (value) => value ?? NaN), mass))""",
        [None if np.isnan(value) else float(value) for value in points.ravel()],
    )
    points = points[np.isfinite(points).all(axis=1)]
    for frame, wanted in zip(frames, (n_outside, 0), strict=True):
        middle = np.array([frame["x"], frame["y"]])
        half = np.array([frame["width"], frame["height"]]) / 2
        assert (np.abs(points - middle) > half + 1e-6).any(axis=1).sum() == wanted
    if cloud == "outliers":
        assert frames[0]["height"] < 0.3 * frames[1]["height"]


def test_the_first_view_hides_no_class(lab: Page) -> None:
    """The first view of 2,000 samples leaves out five of them, but not if they are a class."""
    points = np.concatenate([draw(1995, 2), 0.1 * draw(5, 2, seed=2) + 90])
    rare, common = np.zeros(2000, int), np.arange(2000) % 10
    rare[-5:] = 1
    heights = lab.evaluate(
        """([points, ...labels]) => labels.map((each) =>
          frameOf(Float32Array.from(points), true, each && Int32Array.from(each)).height)""",
        [points.ravel().tolist(), None, common.tolist(), rare.tolist()],
    )
    assert heights[0] == heights[1] < 10 and heights[2] > 90


@pytest.mark.parametrize("name", ["digits-ae", "digits-vae", "mnist-ae", "mnist-vae"])
def test_the_first_views_of_the_shipped_runs_hide_few_samples(lab: Page, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(ROOT / "models_store"))
        run = store.load(name)
        kinds = [kind(**kind.defaults(run.manifest.n_test)) for kind in PROJECTIONS.values()]
        fingerprint = run.manifest.fingerprint
        maps = [
            projections.map_artifact(run.dataset, fingerprint, kind, Subset()).load()
            for kind in kinds
        ]
    labels = run.codes["labels"]
    for points in (run.codes["plane"], *(found.plane for found in maps if found)):
        frame = lab.evaluate(
            """([points, labels]) =>
              frameOf(Float32Array.from(points), true, Int32Array.from(labels))""",
            [points.ravel().tolist(), labels.tolist()],
        )
        away = np.abs(points - [frame["x"], frame["y"]])
        outside = (away > np.array([frame["width"], frame["height"]]) / 2 + 1e-6).any(axis=1)
        assert outside.mean() <= 0.01
        assert max(outside[labels == label].mean() for label in set(labels)) < 0.05


def test_texts_are_moved_apart_and_no_farther_than_needed(lab: Page) -> None:
    random = np.random.default_rng(0)
    texts = [{"at": at, "width": 9} for at in random.uniform(0, 60, (10, 2)).tolist()]
    texts += [{"at": [500, 500], "width": 30}]
    places = lab.evaluate("(texts) => spread(texts).map(({ at }) => at)", texts)
    for i, (x, y) in enumerate(places):
        for j, (other_x, other_y) in enumerate(places[:i]):
            beside = (texts[i]["width"] + texts[j]["width"]) / 2 <= abs(x - other_x)
            assert beside or abs(y - other_y) >= 14
    assert places[-1] == [500, 500]
    assert np.abs(np.array(places) - [text["at"] for text in texts]).max() < 60


@pytest.mark.parametrize("color", colors.CLASS_COLORS)
def test_a_text_on_a_class_colour_is_read(lab: Page, color: str) -> None:
    ink = lab.evaluate("(color) => inkOn(color)", color)
    ground = luminance(color)
    contrast = (ground + 0.05) / 0.05 if ink == "black" else 1.05 / (ground + 0.05)
    assert contrast >= 4.5


# --- Small things -------------------------------------------------------------------------------


def test_a_heat_picture_is_upright_and_clear_where_low(lab: Page) -> None:
    # Row 0 is the lowest y: it must be the last row of the picture.
    values = np.zeros((20, 30), np.float32)
    values[0] = 1.0
    source, pixels = lab.evaluate(
        """async ([values, rows, columns]) => {
          const { source } = heat(Float32Array.from(values), rows, columns, [10, 20, 30]);
          const image = new Image();
          image.src = source;
          await image.decode();
          const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
          canvas.drawImage(image, 0, 0);
          return [source, [...canvas.getImageData(0, 0, image.width, image.height).data]];
        }""",
        [values.ravel().tolist(), 20, 30],
    )
    assert source.startswith("data:image/png")
    alpha = np.reshape(pixels, (20, 30, 4))[..., 3]
    assert (alpha[:-1] == 0).all() and (alpha[-1] == 200).all()


def test_a_heat_picture_fades_at_its_edges(lab: Page) -> None:
    alpha = lab.evaluate(
        """async () => {
          const values = Float32Array.from({ length: 400 }, (_, i) => i % 20 > 0);
          const image = new Image();
          image.src = heat(values, 20, 20, [10, 20, 30], 0.2).source;
          await image.decode();
          const canvas = new OffscreenCanvas(20, 20).getContext("2d");
          canvas.drawImage(image, 0, 0);
          return Array.from({ length: 20 }, (_, i) =>
            canvas.getImageData(i, 10, 1, 1).data[3]);
        }"""
    )
    assert alpha[0] == 0 and set(alpha[4:16]) == {200}
    assert alpha[16:] == sorted(alpha[16:], reverse=True) and alpha[-1] < 30


def test_what_was_chosen_is_remembered(lab: Page) -> None:
    found = lab.evaluate(
        """() => {
          const ui = remembered("one", { tool: "explore", hidden: {} });
          ui.tool = "lasso";
          ui.hidden = { label: [3] };
          const again = remembered("one", { tool: "explore", hidden: {}, more: 7 });
          return [again.tool, again.hidden, again.more, remembered("two", { tool: "box" }).tool];
        }"""
    )
    assert found == ["lasso", {"label": [3]}, 7, "box"]


@pytest.mark.parametrize(
    ("value", "said"), [(0.123456, "0.123"), (1234.5, "1230"), (0, "0"), (-2.5e-7, "-2.5e-7")]
)
def test_a_number_is_said_shortly(lab: Page, value: float, said: str) -> None:
    assert lab.evaluate("(value) => formatNumber(value)", value) == said


# --- The whole component ------------------------------------------------------------------------


class Shown:
    """Maps in a page, and their messages to the host."""

    def __init__(self, page: Page, samples: payload.SampleTable, dataset: data.Dataset) -> None:
        self.page, self.samples, self.dataset = page, samples, dataset

    def mount(self, content: bytes) -> None:
        self.page.evaluate(
            """async (text) => {
              const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
              const { mount } = await import("/mount.js");
              window.said ??= [];
              if (window.maps) return maps.update(bytes);
              window.maps = mount(document.querySelector(".loupe"), bytes, {
                say: (name, value) => said.push([name, value]),
                image: (split) => `images/${split}.gz`,
                address: {
                  get: () => window.query ?? "",
                  set: (query) => { window.query = query; },
                },
              });
            }""",
            text_of(content),
        )
        self.page.wait_for_selector(".loupe[data-ready]")

    def close(self) -> None:
        self.page.evaluate("() => { maps.close(); maps = null; }")

    def said(self) -> list[Any]:
        return self.page.evaluate("said")

    def place(self, pane: int, x: float, y: float) -> tuple[float, float]:
        """Screen position of data coordinates of a pane."""
        return tuple(
            self.page.evaluate(
                """([pane, x, y]) => {
                  const { loupe } = document.querySelector(".loupe");
                  const { left, top } = loupe.plot.getBoundingClientRect();
                  const [px, py] = loupe.figure.toPixels(pane)(x, y);
                  return [left + px, top + py];
                }""",
                [pane, float(x), float(y)],
            )
        )

    def at(self, pane: int, where: tuple[float, float]) -> tuple[float, float]:
        """Data coordinates of a screen position."""
        return tuple(
            self.page.evaluate(
                """([pane, px, py]) => {
                  const { loupe } = document.querySelector(".loupe");
                  const { left, top } = loupe.plot.getBoundingClientRect();
                  const { x, y } = loupe.figure.within(pane, px - left, py - top);
                  return [x, y];
                }""",
                [pane, *where],
            )
        )

    def selected(self) -> np.ndarray:
        """Sample numbers of the last selection message."""
        name, selection = self.said()[-1]
        assert name == "selection"
        if selection is None:
            return np.zeros(0, int)
        digest = payload.identity(self.samples.rows, data.get("digits")).split("-")[-1]
        assert selection["samples"].endswith(digest)
        return np.flatnonzero(payload.unpacked_mask(selection["mask"], len(self.samples.rows)))

    def select_first(self, n: int) -> None:
        self.page.evaluate(
            "(n) => document.querySelector('.loupe').loupe.selection.select((i) => i < n)", n
        )

    def count(self) -> int:
        count = self.page.locator(".loupe-picked").get_attribute("data-count")
        return int(count or 0)


def beside(run: store.Run, others: dict[str, store.Run]) -> payload.Others:
    """Runs to be laid upon another one, by their titles."""
    runs = list(others.values())
    stability = latent.stability([each.codes["codes"] for each in (run, *runs)])
    return payload.Others(["Bottleneck", *others], runs, stability, f"{1 + len(runs)} runs")


def described(path: Path) -> data.Dataset:
    """A stored table with a category, a logarithm, and columns that describe its rows."""
    random = np.random.default_rng(0)
    table = pandas.DataFrame(
        {
            "weight": random.lognormal(3, 1, 100),
            "width": random.normal(500, 20, 100),
            "colour": np.array(["red", "green", "blue"])[np.arange(100) % 3],
            "kind": np.array(["a", "b"])[np.arange(100) % 2],
            "day": [f"2020-{at % 12 + 1:02}-{at % 28 + 1:02}" for at in range(100)],
            "place": np.array(["north", "south"])[np.arange(100) % 5 % 2],
            "page": [f"https://example.org/{at}?<b>" for at in range(100)],
            "photo": [f"https://example.org/{at}.jpg" for at in range(100)],
            "note": [f"<b>plant</b> {at}" for at in range(100)],
        }
    )
    table.to_csv(path, index=False)
    chosen = {"label": "kind", "log": "weight", "metadata": "place"}
    return importers.add_file(path, "own", **chosen)


@pytest.fixture(scope="module")
def contents(
    tmp_path_factory: pytest.TempPathFactory, served: tuple[str, dict[str, bytes]]
) -> dict[str, tuple[bytes, payload.SampleTable, data.Dataset]]:
    """Payloads of several runs."""
    found = {}
    digits, iris = data.get("digits"), data.get("iris")
    subset = Subset()
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("contents")
        patch.setenv("AECORE_STORE", str(folder))
        runs = {
            name: Train(run_config("digits", variant, {"latent_dim": d}, epochs=3), name).run(
                Listener()
            )
            for name, variant, d in [("vae", "vae", 2), ("ae", "ae", 2), ("cvae", "cvae", 5)]
        }
        runs["line"] = Train(run_config("digits", model={"latent_dim": 1}), "l").run(Listener())
        runs["iris"] = Train(run_config(), "iris").run(Listener())
        # Before any analysis: no decoder, no images.
        bare = payload.build_payload(runs["ae"], digits, subset, {}, None, {}, "all")
        found["bare"] = bare, payload.shown(runs["ae"], digits, subset), digits
        for run in runs.values():
            latent.Analyse(run.name).run(Listener())
        sheets = {}
        for split, file in projections.sprite_files("digits", digits.fingerprint).items():
            served[1][f"/images/{split}.gz"] = file.read_bytes()
            sheets[split] = split
        pca = projections.compute(digits, projections.PCAProjection(), Listener().progress)
        for name, run in runs.items():
            dataset = iris if name == "iris" else digits
            maps = {"pca": ("PCA", pca)} if dataset is digits else {}
            others = beside(run, {"Autoencoder": runs["ae"]}) if name == "vae" else None
            own = sheets if dataset is digits else {}
            content = payload.build_payload(run, dataset, subset, maps, others, own, "all")
            found[name] = content, payload.shown(run, dataset, subset), dataset
        three = beside(runs["vae"], {"A": runs["ae"], "B": runs["cvae"], "C": runs["line"]})
        content = payload.build_payload(runs["vae"], digits, subset, maps, three, sheets, "all")
        found["four"] = content, payload.shown(runs["vae"], digits, subset), digits
        content = payload.build_payload(runs["vae"], digits, subset, {}, None, sheets, "pick")
        found["pick"] = content, payload.shown(runs["vae"], digits, subset), digits
        both = Subset(split="all")
        content = payload.build_payload(runs["ae"], digits, both, {}, None, sheets, "all")
        found["both"] = content, payload.shown(runs["ae"], digits, both), digits
        shutil.copytree(ROOT / "models_store" / "shapes-vae", folder / "shapes-vae")
        run, shapes = store.load("shapes-vae"), data.get("shapes")
        content = payload.build_payload(run, shapes, subset, {}, None, {}, "all")
        found["shapes"] = content, payload.shown(run, shapes, subset), shapes
        own = described(folder / "own.csv")
        run = Train(run_config("own"), "own-run").run(Listener())
        latent.Analyse(run.name).run(Listener())
        content = payload.build_payload(run, own, subset, {}, None, {}, "all")
        found["own"] = content, payload.shown(run, own, subset), own
    return found


@pytest.fixture
def shown(
    request: pytest.FixtureRequest,
    browser: Browser,
    served: tuple[str, dict[str, bytes]],
    contents: dict[str, tuple[bytes, payload.SampleTable, data.Dataset]],
) -> Iterator[Shown]:
    """Component with the payload that the test requests, by default "vae"."""
    content, samples, dataset = contents[getattr(request, "param", "vae")]
    context = browser.new_context(viewport={"width": 1100, "height": 1000})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto(served[0])
    found = Shown(page, samples, dataset)
    found.mount(content)
    yield found
    context.close()
    assert not problems


def showing(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("shown", names, indirect=True)


def lasso(shown: Shown, pane: int, corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Draw a lasso around a part of a pane; return the polygon in data coordinates."""
    shown.page.get_by_role("button", name="Lasso").click()
    mouse = shown.page.mouse
    mouse.move(*corners[0])
    mouse.down()
    for corner in corners[1:]:
        mouse.move(*corner)
    polygon = [shown.at(pane, corner) for corner in corners]
    mouse.up()
    return polygon


def around(shown: Shown, pane: int) -> list[tuple[float, float]]:
    """Lasso on the screen, by fractions of the pane."""
    box = shown.page.evaluate(
        """(pane) => {
          const { loupe } = document.querySelector(".loupe");
          const { left, top } = loupe.plot.getBoundingClientRect();
          const box = loupe.figure.box(pane);
          return [left + box.left, top + box.top, box.width, box.height];
        }""",
        pane,
    )
    left, top, width, height = box
    shares = [(0.2, 0.3), (0.6, 0.15), (0.85, 0.6), (0.5, 0.45), (0.35, 0.9)]
    return [(round(left + x * width), round(top + y * height)) for x, y in shares]


@pytest.mark.parametrize("pane", [0, 1, 2])
def test_a_lasso_says_which_samples_lie_in_it(shown: Shown, pane: int) -> None:
    polygon = lasso(shown, pane, around(shown, pane))
    points = shown.page.evaluate(
        "(pane) => [...document.querySelector('.loupe').loupe.panes[pane]]", pane
    )
    wanted = np.flatnonzero(points_in_poly(np.reshape(points, (-1, 2)), polygon))
    assert 0 < len(wanted) < len(shown.samples.rows)
    np.testing.assert_array_equal(shown.selected(), wanted)
    assert shown.count() == len(wanted)
    classes = shown.page.locator(".loupe-classes span").all()
    counts = [int(part.get_attribute("title").split(": ")[1].split()[0]) for part in classes]
    own = np.bincount(shown.samples.labels[wanted])
    assert counts == sorted(own[own > 0].tolist(), reverse=True)


@showing("vae", "bare", "both", "iris")
def test_a_selection_arrives_bit_by_bit(shown: Shown) -> None:
    n = len(shown.samples.rows)
    random = np.random.default_rng(0)
    for chosen in ([0], [n - 1], range(n), sorted(random.choice(n, n // 3, replace=False))):
        numbers = [int(i) for i in chosen]
        shown.page.evaluate(
            """(numbers) => {
              const chosen = new Set(numbers);
              document.querySelector(".loupe").loupe.selection.select((i) => chosen.has(i));
            }""",
            numbers,
        )
        assert shown.selected().tolist() == numbers
        assert shown.count() == len(numbers)
    shown.page.get_by_role("button", name="Clear").click()
    assert shown.said()[-1] == ["selection", None] and shown.count() == 0


def test_a_box_by_coordinates_selects(shown: Shown) -> None:
    left, top = np.median(shown.samples.plane, axis=0)
    shown.page.get_by_text("Select by coordinates", exact=True).click()
    shown.page.get_by_label("x from").fill(f"{left}")
    shown.page.get_by_label("y to").fill(f"{top}")
    shown.page.get_by_role("button", name="Select", exact=True).click()
    x, y = shown.samples.plane.astype(np.float64).T
    assert shown.selected().tolist() == np.flatnonzero((x >= left) & (y <= top)).tolist()


def test_the_bar_of_classes_names_those_that_are_wide_enough(shown: Shown) -> None:
    labels = shown.samples.labels
    # All of class 0 and two of class 1.
    few = [*np.flatnonzero(labels == 0).tolist(), *np.flatnonzero(labels == 1)[:2].tolist()]
    shown.page.evaluate(f"(few) => {MAPS}.selection.select((i) => few.includes(i))", few)
    parts = shown.page.locator(".loupe-classes span")
    assert parts.all_inner_texts() == [f"0 {round(100 - 200 / len(few))} %", ""]
    assert parts.nth(1).get_attribute("title").startswith("1: 2 samples, ")
    cut = "(parts) => parts.filter((part) => part.scrollWidth > part.clientWidth).length"
    shown.select_first(200)
    assert parts.count() == 10 and parts.evaluate_all(cut) == 0


def test_the_worst_come_first(shown: Shown) -> None:
    shown.page.evaluate(
        "() => document.querySelector('.loupe').loupe.selection.select((i) => i < 200)"
    )
    thumbnails = shown.page.locator(".loupe-thumbnails button")
    thumbnails.first.wait_for()
    assert thumbnails.count() == 48
    error = shown.samples.error[:200]
    for order, ids in {
        "worst": np.argsort(-error)[:48],
        "best": np.argsort(error)[:48],
        "number": np.arange(48),
    }.items():
        shown.page.get_by_label("Order of the thumbnails").select_option(order)
        titles = [each.get_attribute("title").split(",")[0] for each in thumbnails.all()]
        assert titles == [f"test #{i}" for i in ids]
    shown.page.get_by_role("button", name="Later thumbnails").click()
    assert thumbnails.first.get_attribute("title").startswith("test #48,")


def card_image(shown: Shown, number: int) -> np.ndarray:
    """Grey values of a canvas of the card: original, reconstruction, decoded, nearest."""
    pixels = shown.page.evaluate(
        """(number) => {
          const canvas = document.querySelectorAll(".loupe-card canvas")[number];
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return [...data].filter((_, i) => i % 4 === 0);
        }""",
        number,
    )
    return np.array(pixels)


def test_a_sample_is_shown_with_its_image_and_reconstruction(
    shown: Shown, contents: dict[str, Any]
) -> None:
    x, y = shown.samples.plane[17]
    shown.page.mouse.move(*shown.place(0, x, y))
    number = int(shown.page.locator(".loupe-card").get_attribute("data-sample"))
    plane = shown.samples.plane
    assert np.linalg.norm(plane[number] - plane[17]) < 0.05 * np.ptp(plane)
    shown.page.wait_for_function("document.querySelector('.loupe').loupe.sheets.pixels(0)")
    digits = shown.dataset
    np.testing.assert_array_equal(card_image(shown, 0), np.rint(digits.test.x[number] * 255))
    label = digits.label_names[digits.test.labels[number]]
    text = shown.page.locator(".loupe-card p").first.inner_text()
    assert f"label {label}" in text and f"error {shown.samples.error[number]:.4f}" in text
    difference = card_image(shown, 1) / 255 - digits.test.x[number]
    assert np.square(difference).mean() == pytest.approx(shown.samples.error[number], abs=1e-3)


def typed(shown: Shown, *place: float) -> None:
    for name, value in zip("xy", place, strict=False):
        field = shown.page.get_by_label(f"Place to decode, {name}")
        if field.is_visible():
            field.fill(f"{value}")
            field.press("Tab")
            shown.page.evaluate("() => new Promise(requestAnimationFrame)")


@showing("vae", "cvae", "line")
def test_a_place_is_decoded_and_its_nearest_training_sample_named(
    shown: Shown, contents: dict[str, Any]
) -> None:
    name = shown.page.evaluate("document.querySelector('.loupe').loupe.facts.latent_dim")
    typed(shown, 0.5, -0.25)
    place = np.array([[0.5, -0.25 if name > 1 else 0]])
    arrays = {
        key: np.array(values)
        for key, values in shown.page.evaluate(
            """() => Object.fromEntries(
              ["plane/mean", "plane/axes", "train/codes", "train/rows"].map((key) =>
                [key, [...document.querySelector(".loupe").loupe.arrays[key].values]]))"""
        ).items()
    }
    code = arrays["plane/mean"] + place @ arrays["plane/axes"].reshape(2, -1)
    train = arrays["train/codes"].reshape(-1, name)
    distances = np.linalg.norm(train - code, axis=1)
    note = shown.page.locator(".loupe-card p").last.inner_text()
    assert f"#{int(arrays['train/rows'][distances.argmin()])} " in note
    assert f"{distances.min():.2g} away" in note
    assert len(set(card_image(shown, 2))) > 1


@showing("cvae")
def test_another_label_decodes_another_image(shown: Shown) -> None:
    typed(shown, 0.5, -0.25)
    before = card_image(shown, 2)
    shown.page.locator(".loupe-place select").select_option("7")
    assert (card_image(shown, 2) != before).any()


@showing("bare")
def test_without_an_analysis_there_is_nothing_to_decode(shown: Shown) -> None:
    assert shown.page.get_by_text("Decode a place").is_hidden()
    shown.page.mouse.click(*around(shown, 0)[0])
    assert shown.said() == []
    shown.page.mouse.move(*shown.place(0, *shown.samples.plane[3]))
    assert shown.page.locator(".loupe-card").get_attribute("data-sample") is not None
    shown.page.evaluate(
        "() => document.querySelector('.loupe').loupe.selection.select((i) => i < 5)"
    )
    assert shown.page.get_by_text("the dataset is missing").is_visible()


@showing("shapes")
def test_a_colour_image_is_decoded_in_colour_and_its_category_named(shown: Shown) -> None:
    shown.page.get_by_label("Colour by").select_option("data-hue")
    shown.page.mouse.move(*shown.place(0, *shown.samples.plane[3]))
    card = shown.page.locator(".loupe-card")
    number = int(card.get_attribute("data-sample"))
    hue = shown.dataset.columns("test")["hue"]
    assert f"hue\n{hue.names[hue.values[number]]}\n" in card.inner_text()
    chips = shown.page.locator(".loupe-chip").all_inner_texts()
    assert [chip.strip() for chip in chips] == list(hue.names)
    painted = shown.page.evaluate(
        f"""() => {{
          const {{ canvas }} = {MAPS}.card.reconstructed;
          const whole = [0, 0, canvas.width, canvas.height];
          return [...canvas.getContext("2d").getImageData(...whole).data];
        }}"""
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AECORE_STORE", str(ROOT / "models_store"))
        model = store.load("shapes-vae").model()
    with torch.inference_mode():
        wanted = model.decode(torch.tensor(shown.samples.codes[number][None])).numpy()
    found = np.reshape(painted, (32, 32, 4))
    assert (found[..., 3] == 255).all() and np.ptp(found[..., :3], axis=2).max() > 100
    assert np.abs(found[..., :3] / 255 - wanted.reshape(32, 32, 3)).max() < 1 / 255


@showing("iris")
def test_a_sample_of_a_table_is_shown_by_its_features(shown: Shown) -> None:
    shown.page.mouse.move(*shown.place(0, *shown.samples.plane[3]))
    number = int(shown.page.locator(".loupe-card").get_attribute("data-sample"))
    values = shown.page.locator(".loupe-card dl").first.locator("dd").all_inner_texts()
    np.testing.assert_allclose([float(v) for v in values], shown.dataset.test.x[number], atol=0.006)
    shown.page.evaluate(
        "() => document.querySelector('.loupe').loupe.selection.select((i) => i < 5)"
    )
    assert shown.page.locator(".loupe-table tr").count() == 6


@showing("own")
def test_a_sample_of_ones_own_table_is_read_in_its_units(shown: Shown) -> None:
    shown.page.mouse.move(*shown.place(0, *shown.samples.plane[3]))
    number = int(shown.page.locator(".loupe-card").get_attribute("data-sample"))
    columns = shown.dataset.in_units(shown.dataset.test.x[number : number + 1])
    for display in ("original", "reconstructed"):
        listed = shown.page.evaluate(f"{MAPS}.card.{display}.list.innerText").split("\n")
        assert listed[::2] == ["weight", "width", "colour"]
        if display == "original":
            assert float(listed[1]) == pytest.approx(columns["weight"][0], rel=1e-3)
            assert float(listed[3]) == pytest.approx(columns["width"][0], rel=1e-3)
            assert listed[5] == columns["colour"][0]
        else:
            assert 300 < float(listed[3]) < 700 and listed[5] in ("red", "green", "blue")


@showing("own")
def test_what_is_known_of_a_sample_is_listed_as_text_and_links(shown: Shown) -> None:
    shown.page.mouse.move(*shown.place(0, *shown.samples.plane[3]))
    number = int(shown.page.locator(".loupe-card").get_attribute("data-sample"))
    known = shown.dataset.columns("test")
    listed = shown.page.evaluate(f"[...{MAPS}.card.known.children].map((each) => each.textContent)")
    said = dict(zip(listed[::2], listed[1::2], strict=True))
    assert said.keys() == known.keys() == {"day", "place", "page", "photo", "note"}
    assert said["day"] == f"{pandas.Timestamp(known['day'].values[number], unit='s'):%Y-%m-%d}"
    assert said["place"] == known["place"].names[known["place"].values[number]]
    assert said["note"] == known["note"].values[number] and "<b>" in said["note"]
    links = shown.page.locator(".loupe-known a")
    assert links.count() == 1 and links.get_attribute("rel") == "noopener noreferrer"
    assert links.get_attribute("href") == known["photo"].values[number]


@showing("own")
def test_metadata_colours_filters_and_is_searched(shown: Shown) -> None:
    known = shown.dataset.columns("test")
    shown.page.get_by_label("Colour by").select_option("data-place")
    shown.page.locator(".loupe-chip").first.click()
    shown.select_first(len(shown.samples.rows))
    assert shown.count() == (known["place"].values == 1).sum()
    shown.page.locator(".loupe-chip").first.click()
    shown.page.get_by_label("Colour by").select_option("data-day")
    ends = shown.page.locator(".loupe-legend output").all_inner_texts()
    assert all(re.fullmatch(r"[≤≥] 2020-\d\d-\d\d( \d\d:\d\d)?", end) for end in ends)
    assert find(shown, "SOUTH") == "Selected: samples with “SOUTH” in their metadata"
    assert shown.count() == (known["place"].values == 1).sum()
    wanted = known["note"].values[4]
    assert "Selected" in find(shown, wanted)
    assert shown.count() == sum(wanted in each for each in known["note"].values)
    shown.page.wait_for_function("() => window.query?.includes('text')")
    assert "or a text in the metadata" in find(shown, "nowhere")
    assert shown.count() > 0


@showing("vae", "iris")
def test_every_colouring_puts_each_sample_into_one_group(shown: Shown) -> None:
    colors = shown.page.get_by_label("Colour by")
    for option in colors.locator("option").all():
        colors.select_option(option.get_attribute("value"))
        counts = shown.page.evaluate(f"{MAPS}.groups.map(({{ members }}) => members.length)")
        assert sum(counts) == len(shown.samples.rows) and len(counts) <= 11


def test_what_the_legend_hides_is_not_found_and_not_selected(shown: Shown) -> None:
    labels = shown.samples.labels
    shown.page.locator(".loupe-chip").nth(3).click()
    shown.page.mouse.move(*shown.place(0, *shown.samples.plane[labels == 3][0]))
    found = shown.page.locator(".loupe-card").get_attribute("data-sample")
    assert found is None or labels[int(found)] != 3
    lasso(shown, 0, around(shown, 0))
    assert len(shown.selected()) and 3 not in labels[shown.selected()]
    # A double click leaves one class alone, and a second one brings all back.
    shown.page.locator(".loupe-chip").nth(5).dblclick()
    pressed = [
        chip.get_attribute("aria-pressed") for chip in shown.page.locator(".loupe-chip").all()
    ]
    assert [i for i, state in enumerate(pressed) if state == "true"] == [5]
    shown.page.locator(".loupe-chip").nth(5).dblclick()
    assert shown.page.locator(".loupe-chip[aria-pressed=true]").count() == 10


def find(shown: Shown, text: str) -> str:
    """Message after a search for this text."""
    shown.page.get_by_label("Find").fill(text)
    shown.page.keyboard.press("Enter")
    return shown.page.locator(".loupe-said").inner_text()


@showing("vae", "both")
def test_a_sample_is_found_by_its_number(shown: Shown) -> None:
    for asked in ("#38", "38", "test 38", " TEST #38 "):
        shown.page.evaluate("() => document.querySelector('.loupe').loupe.highlight(5)")
        assert find(shown, asked) == "Found test #38"
        assert shown.page.locator(".loupe-card").get_attribute("data-sample") == "38"
    assert shown.said() == []


@showing("both")
def test_a_training_sample_is_found_by_its_split(shown: Shown) -> None:
    assert find(shown, "train #38") == "Found train #38"
    row = str(38 + shown.dataset.n_test)
    assert shown.page.locator(".loupe-card").get_attribute("data-sample") == row


@showing("vae", "iris")
def test_what_is_not_found_is_said(shown: Shown) -> None:
    for asked in ("", "#", "nonsense", "#99999", "train 3", "7.5", "-1", "<b>x</b>"):
        said = find(shown, asked)
        first, *_, last = shown.dataset.label_names
        assert f"“{asked}”" in said
        assert f"search for the number of a sample (#0) or a label ({first} to {last})" in said
    assert shown.said() == []


def test_a_label_is_found(shown: Shown) -> None:
    assert find(shown, "7") == "Selected: label 7"
    assert shown.selected().tolist() == np.flatnonzero(shown.samples.labels == 7).tolist()


def moving(page: Page) -> np.ndarray | None:
    """Positions of the moving samples, (m, 2)."""
    found = page.evaluate(
        """() => {
          const moving = document.querySelector(".loupe").loupe.motion.points();
          return moving && [...moving.points];
        }"""
    )
    return None if found is None else np.reshape(found, (-1, 2))


def slide(page: Page, value: float) -> None:
    page.locator(".loupe-motion input[type=range]").evaluate(
        "(range, value) => { range.value = value; range.dispatchEvent(new Event('input')); }", value
    )


def test_the_slider_moves_the_samples_through_the_epochs(shown: Shown) -> None:
    assert moving(shown.page) is None
    epochs = np.reshape(
        shown.page.evaluate("[...document.querySelector('.loupe').loupe.arrays.epochs.values]"),
        (3, -1, 2),
    )
    for at, wanted in {0: epochs[0], 0.5: epochs[:2].mean(0), 2: epochs[2]}.items():
        slide(shown.page, at)
        np.testing.assert_allclose(moving(shown.page), wanted, atol=1e-5)
        said = shown.page.locator(".loupe-motion output").inner_text()
        assert said.startswith(f"Epoch {round(at + 0.01) + 1} of 3, test loss ")
    shown.page.get_by_role("button", name="Play").click()
    shown.page.get_by_role("button", name="Play").wait_for()
    assert moving(shown.page) is None  # it ends with the final map by itself
    slide(shown.page, 0)
    shown.page.get_by_role("button", name="Final").click()
    assert moving(shown.page) is None


@showing("both")
def test_an_earlier_epoch_says_whose_codes_it_shows(shown: Shown) -> None:
    said = shown.page.locator(".loupe-motion output")
    assert "samples" not in said.inner_text()
    slide(shown.page, 1)
    assert "· the first 360 test samples" in said.inner_text()
    shown.page.get_by_role("button", name="Final").click()
    assert "samples" not in said.inner_text()


def test_a_second_run_is_laid_upon_the_first(shown: Shown) -> None:
    assert shown.page.locator(".loupe-titles b").all_inner_texts() == [
        "Bottleneck",
        "Autoencoder",
        "PCA",
    ]
    head = shown.page.locator(".loupe-titles > div").nth(1)
    said = head.get_attribute("title") or ""
    assert said.startswith("Autoencoder\n\nLaid upon the bottleneck: ")
    assert "\n\nDisparity: " in said and head.locator("small").inner_text().endswith(" kept")
    shown.page.get_by_label("What moves").select_option("morph")
    panes = [
        np.reshape(
            shown.page.evaluate("(i) => [...document.querySelector('.loupe').loupe.panes[i]]", i),
            (-1, 2),
        )
        for i in (0, 1)
    ]
    slide(shown.page, 0.25)
    wanted = 0.75 * panes[0] + 0.25 * panes[1]
    np.testing.assert_allclose(moving(shown.page), wanted, atol=1e-4)
    assert "25 % of the way" in shown.page.locator(".loupe-motion output").inner_text()
    shown.page.get_by_role("button", name="biggest movers").click()
    moved = np.linalg.norm(panes[1] - panes[0], axis=1)
    assert len(shown.selected()) == 48
    assert moved[shown.selected()].min() >= np.sort(moved)[-48] - 1e-5


@showing("four")
def test_the_bottleneck_moves_on_to_any_of_several_compared_runs(
    shown: Shown, contents: dict[str, Any]
) -> None:
    titles = shown.page.locator(".loupe-titles b").all_inner_texts()
    assert titles == ["Bottleneck", "A", "B", "C"]
    panes = [
        np.reshape(
            shown.page.evaluate("(i) => [...document.querySelector('.loupe').loupe.panes[i]]", i),
            (-1, 2),
        )
        for i in range(4)
    ]
    ways = shown.page.get_by_label("What moves")
    assert ways.locator("option").all_inner_texts() == [
        *("Training", "On to A", "On to B", "On to C")
    ]
    for number, name in ((1, "morph"), (3, "morph3"), (2, "morph2")):
        ways.select_option(name)
        slide(shown.page, 0.25)
        wanted = 0.75 * panes[0] + 0.25 * panes[number]
        np.testing.assert_allclose(moving(shown.page), wanted, atol=1e-4)
    shown.page.get_by_role("button", name="biggest movers").click()
    moved = np.linalg.norm(panes[1] - panes[0], axis=1)
    assert moved[shown.selected()].min() >= np.sort(moved)[-48] - 1e-5
    shown.page.get_by_label("Colour by").select_option("stability")
    assert "stability over 4 runs" in shown.page.locator(".loupe-legend").inner_text()
    view = {"alone": "other2", "colour": "stability", "motion": "morph3:0.25"}
    query = "&".join(f"{name}={value}" for name, value in view.items())
    reopened(shown, query, contents["four"][0])
    assert shown.page.evaluate(f"{MAPS}.address.state()") == view


@pytest.mark.parametrize("count", range(1, 8))
def test_panes_fill_the_figure(lab: Page, count: int) -> None:
    """No row has an empty cell, and no two panes overlap."""
    boxes, (width, height) = lab.evaluate(
        """async (count) => {
          const { Figure } = await import("/figure.js");
          const figure = new Figure(null, () => {});
          figure.drawn = Array.from({ length: count }, (_, i) => i);
          figure.size = figure.shape(count, 1100, 700);
          const { rows, height } = figure.size;
          return [figure.drawn.map((i) => figure.box(i)), [1100, rows * height]];
        }""",
        count,
    )
    assert sum((box["width"] + 10) * box["height"] for box in boxes) == pytest.approx(
        (width + 10) * height
    )
    assert max(box["left"] + box["width"] for box in boxes) == pytest.approx(width)


def test_other_content_takes_the_place_of_the_shown(shown: Shown, contents: dict[str, Any]) -> None:
    shown.page.evaluate("() => document.querySelector('.loupe').loupe.highlight(3)")
    for name, (content, samples, dataset) in contents.items():
        shown.page.evaluate("() => delete document.querySelector('.loupe').dataset.ready")
        shown.mount(content)
        said = shown.page.locator(".loupe").get_attribute("aria-label")
        assert f"{len(samples.rows)} samples of {dataset.name}" in said, name
        count = shown.page.evaluate(
            "document.querySelector('.loupe-plot')._fullData.reduce((sum, t) => sum + t._length, 0)"
        )
        panes = shown.page.locator(".loupe-titles b").count()
        assert count == panes * len(samples.rows), name
        assert "could not be drawn" not in shown.page.locator(".loupe").inner_text()
        assert shown.count() == 0
    assert shown.said() == []


def test_a_selection_is_taken_back_when_other_samples_come(
    shown: Shown, contents: dict[str, Any]
) -> None:
    def come(name: str) -> None:
        # Without the rule of the selection in the address, which other samples would follow.
        shown.page.evaluate(
            "() => { window.query = ''; delete document.querySelector('.loupe').dataset.ready; }"
        )
        shown.mount(contents[name][0])

    find(shown, "7")
    count, told = shown.count(), len(shown.said())
    come("ae")  # the same samples
    assert shown.count() == count and len(shown.said()) == told
    come("both")
    assert shown.said()[told:] == [["selection", None]] and shown.count() == 0
    find(shown, "7")
    shown.close()  # and by other maps that know of it
    come("vae")
    assert shown.said()[-1] == ["selection", None] and shown.count() == 0
    shown.close()
    told = len(shown.said())
    come("vae")
    assert len(shown.said()) == told


def test_content_that_cannot_be_read_is_a_sentence(shown: Shown) -> None:
    shown.page.evaluate(
        """() => {
          console.error = () => {}; // it would be taken for a fault of the test
          maps.update(new Uint8Array(16));
        }"""
    )
    shown.page.get_by_text("The maps could not be drawn").wait_for()


def test_it_can_be_closed_and_shown_again(shown: Shown, contents: dict[str, Any]) -> None:
    shown.page.get_by_label("Colour by").select_option("error")
    shown.page.get_by_role("button", name="Box").click()
    shown.close()
    shown.page.evaluate("() => delete document.querySelector('.loupe').dataset.ready")
    shown.mount(contents["vae"][0])
    assert shown.page.get_by_label("Colour by").input_value() == "error"
    box = shown.page.get_by_role("button", name="Box", exact=True)
    assert box.get_attribute("aria-pressed") == "true"
    assert shown.page.locator(".loupe-tools").count() == 1


@pytest.mark.parametrize("background", ["density", "sensitivity"])
def test_a_background_lies_where_its_grid_lies(shown: Shown, background: str) -> None:
    shown.page.get_by_label("Background").select_option(background)
    image, x, y = shown.page.evaluate(
        """async () => {
          const { loupe } = document.querySelector(".loupe");
          await new Promise(requestAnimationFrame);
          const [image] = loupe.plot.layout.images;
          return [image, ...["x", "y"].map((axis) => [...loupe.arrays[`grid/${axis}`].values])];
        }"""
    )
    step = x[1] - x[0], y[1] - y[0]
    assert image["x"] == pytest.approx(x[0] - step[0] / 2, abs=1e-4)
    assert image["y"] == pytest.approx(y[-1] + step[1] / 2, abs=1e-4)
    assert image["sizex"] == pytest.approx(len(x) * step[0], rel=1e-3)
    assert image["sizey"] == pytest.approx(len(y) * step[1], rel=1e-3)
    assert "Background: " in shown.page.locator(".loupe-said").inner_text()
    opacities = f"""[...new Set({MAPS}.plot._fullData.map(({{ xaxis, marker }}) =>
      `${{xaxis}} ${{marker.opacity}}`))]"""
    assert shown.page.evaluate(opacities) == ["x 0.45", "x2 0.8", "x3 0.8"]
    shown.page.get_by_label("Background").select_option("")
    shown.page.wait_for_function(f"{opacities}[0] === 'x 0.8'")


# --- Pictures -----------------------------------------------------------------------------------


def test_the_panes_are_saved_as_a_picture(shown: Shown) -> None:
    chip(shown, 3)
    for name, size in {"PNG, twice the size": 2, "SVG": 1}.items():
        shown.page.get_by_role("button", name="Picture").click()
        with shown.page.expect_download() as download:
            shown.page.get_by_role("button", name=name, exact=True).click()
        content = Path(download.value.path()).read_bytes()
        kind = name[:3].lower()
        assert download.value.suggested_filename == f"vae-maps.{kind}"
        if size == 2:
            width = int.from_bytes(content[16:20], "big")
            assert width == 2 * shown.page.evaluate(f"{MAPS}.plot.clientWidth")
            continue
        drawing = content.decode()
        n = (shown.samples.labels != 3).sum()
        assert drawing.count('class="point"') == 3 * n  # shapes, not pixels
        for text in ("Bottleneck", "trustworthiness", "label:"):
            assert text in drawing
    slide(shown.page, 0)
    shown.page.get_by_role("button", name="Picture").click()
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="SVG", exact=True).click()
    assert "after epoch 1 of 3" in Path(download.value.path()).read_text()


def test_a_picture_shows_what_lies_over_the_points(shown: Shown) -> None:
    """Around a sample it is as on the page: selected, ringed, or the place that is decoded."""
    find(shown, "#38")
    view = views(shown)[0]
    place = [view["x"] + 0.4 * view["width"], view["y"] + 0.4 * view["height"]]
    shown.page.evaluate(f"(place) => {MAPS}.card.decodeSoon(place)", place)
    shown.page.get_by_role("button", name="Layers").click()
    shown.page.get_by_label("Centroids").uncheck()
    shown.page.keyboard.press("Escape")
    shown.select_first(20)
    shown.page.get_by_role("button", name="Picture").click()
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="PNG, twice the size").click()
    saved = Image.open(download.value.path()).convert("RGB").reduce(2)
    page = shown.page.locator(".loupe-plot").bounding_box()
    screen = Image.open(io.BytesIO(shown.page.screenshot())).convert("RGB")
    for x, y in (shown.samples.plane[38], place, shown.samples.plane[3]):
        left, top = shown.place(0, x, y)
        box = np.array([left - 8, top - 8, left + 8, top + 8])
        on_screen = np.asarray(screen.crop(box.round().tolist()), float)
        corner = np.array([page["x"], page["y"]] * 2)
        in_file = np.asarray(saved.crop((box - corner).round().tolist()), float)
        drawn = np.abs(on_screen - on_screen.max()).mean()
        assert drawn > 10 and np.abs(in_file - on_screen).mean() < 0.4 * drawn


# --- What the legend hides ----------------------------------------------------------------------


def views(shown: Shown) -> list[dict[str, float]]:
    """The part of each pane that is shown."""
    return shown.page.evaluate(f"{MAPS}.panes.map((_, i) => {MAPS}.figure.view(i))")


def chip(shown: Shown, number: int) -> None:
    shown.page.locator(".loupe-chip").nth(number).click()


def test_a_selection_leaves_out_what_is_hidden_after_it(shown: Shown) -> None:
    lasso(shown, 0, around(shown, 0))
    labels, before, seen = shown.samples.labels, shown.selected(), views(shown)
    hidden = int(labels[before[0]])
    chip(shown, hidden)
    assert shown.selected().tolist() == before[labels[before] != hidden].tolist()
    assert shown.count() == len(shown.selected())
    assert views(shown) == seen  # the panes stay as they were
    chip(shown, hidden)
    assert shown.selected().tolist() == before.tolist()
    shown.page.get_by_role("button", name="biggest movers").click()
    movers = shown.selected()
    chip(shown, int(labels[movers[0]]))
    shown.page.get_by_role("button", name="biggest movers").click()
    assert len(shown.selected()) == 48
    assert labels[movers[0]] not in labels[shown.selected()]


def test_what_is_hidden_is_neither_found_nor_ringed(shown: Shown) -> None:
    number = isolated(shown)[0]
    label = int(shown.samples.labels[number])
    rings = shown.page.locator(".loupe-ring:not([hidden])")
    assert rings.count() == 0
    assert find(shown, f"#{number}") == f"Found test #{number}"
    assert rings.count() == 3
    chip(shown, label)
    shown.page.wait_for_function(f"!{MAPS}.visible({number})")
    assert rings.count() == 0
    shown.page.evaluate(f"{MAPS}.sample = null")
    assert find(shown, f"#{number}") == f"test #{number} is hidden by the legend"
    assert shown.page.evaluate(f"{MAPS}.sample") is None
    assert (
        find(shown, str(label)) == f"Label {label} is hidden by the legend, or has no sample here"
    )
    assert shown.count() == 0
    slide(shown.page, 0)
    moved = shown.page.evaluate(f"{MAPS}.motion.points().members")
    assert label not in shown.samples.labels[moved] and len(moved)


def test_a_range_of_a_number_is_hidden(shown: Shown, contents: dict[str, Any]) -> None:
    shown.page.get_by_label("Colour by").select_option("error")
    error = shown.samples.error.astype(np.float32)
    lowest = shown.page.get_by_label("Lowest reconstruction error shown")
    lowest.fill("40")
    low = float(shown.page.locator(".loupe-legend output").first.inner_text())
    wanted = error >= low
    drawn = shown.page.evaluate(f"[...{MAPS}.mask]")
    assert 0 < wanted.sum() < len(error)
    assert abs(int(wanted.sum()) - sum(drawn)) <= 2  # the limit is written in three digits
    highest = shown.page.get_by_label("Highest reconstruction error shown")
    highest.fill("10")  # one handle does not pass the other
    assert highest.input_value() == "40"
    highest.fill("100")
    find(shown, "7")
    assert (
        shown.selected().tolist() == np.flatnonzero(wanted & (shown.samples.labels == 7)).tolist()
    )
    # The errors of another run are others.
    shown.page.evaluate("() => delete document.querySelector('.loupe').dataset.ready")
    shown.mount(contents["ae"][0])
    assert shown.page.evaluate(f"{MAPS}.mask.every((on) => on)")


# --- The address --------------------------------------------------------------------------------

STATE = f"new URLSearchParams({MAPS}.address.state()).toString()"


def reopened(shown: Shown, query: str, content: bytes) -> None:
    """Open the page anew, in a tab that remembers nothing, at an address with this query."""
    shown.page.evaluate("sessionStorage.clear()")
    shown.page.reload()
    shown.page.evaluate("(query) => { window.query = query; }", query)
    shown.mount(content)


def test_the_address_holds_the_view(shown: Shown, contents: dict[str, Any]) -> None:
    page = shown.page
    assert page.evaluate(STATE) == ""
    chip(shown, 3)
    chip(shown, 5)
    page.get_by_label("Background").select_option("density")
    page.get_by_role("button", name="Layers").click()
    page.get_by_label("Prior").check()
    page.get_by_label("Centroids").uncheck()
    page.keyboard.press("Escape")
    lasso(shown, 0, around(shown, 0))
    members = shown.selected().tolist()
    find(shown, f"#{members[7]}")
    typed(shown, 0.512345678, -0.25)
    page.evaluate(f"{MAPS}.figure.look({{2: {{x: 0.1234567, y: 0.2, width: 1, height: 1}}}})")
    page.keyboard.press("1")
    slide(page, 1)
    page.wait_for_function("window.query?.includes('epoch=2')")
    state, query = page.evaluate(STATE), page.evaluate("window.query")
    for name in (
        *("background=density", "hidden=3%2C5", "layers=prior", "tool=lasso", "alone=bottleneck"),
        *("zoom=pca%3A", "place=0.5123%2C-0.25", f"sample={members[7]}", "select=lasso%3Abottle"),
    ):
        assert name in state and name in query
    reopened(shown, f"run=vae&{query}", contents["vae"][0])
    assert page.evaluate(STATE) == state
    assert shown.selected().tolist() == members
    assert moving(page) is not None
    assert page.evaluate(f"{MAPS}.figure.drawn") == [0]
    page.get_by_role("button", name="Lasso").click()
    page.wait_for_timeout(600)
    assert page.evaluate("window.query").startswith("run=vae&")


@pytest.mark.parametrize(
    "query",
    [
        "colour=error&hidden=0.03~0.05~",
        "colour=error&hidden=0.05~~missing&select=box:pca:~0.5~-1~&tool=box",
        "select=label:7&alone=pca&layers=none",
        "motion=morph:0.25&select=movers:20",
        "motion=morph&hidden=3",
        "epoch=1.5",
    ],
)
def test_every_kind_of_view_is_read_from_the_address(
    shown: Shown, contents: dict[str, Any], query: str
) -> None:
    reopened(shown, query, contents["vae"][0])
    state = shown.page.evaluate(
        f"Object.fromEntries(Object.entries({MAPS}.address.state()).sort())"
    )
    assert state == dict(sorted(part.split("=") for part in query.split("&")))
    assert LOST not in status(shown)
    if "hidden" in query:
        assert 0 < sum(shown.page.evaluate(f"[...{MAPS}.mask]")) < len(shown.samples.rows)
    if "select" in query:
        assert 0 < shown.count() < len(shown.samples.rows)


def test_the_class_of_a_decoded_place_is_read_from_the_address(
    shown: Shown, contents: dict[str, Any]
) -> None:
    reopened(shown, "place=0.5,-0.25,7", contents["cvae"][0])
    assert shown.page.locator(".loupe-place select").input_value() == "7"
    shown.page.wait_for_selector(".loupe-card[data-decoded]")
    image = card_image(shown, 2)
    shown.page.locator(".loupe-place select").select_option("3")
    shown.page.wait_for_function("window.query === 'place=0.5%2C-0.25%2C3'")
    assert (card_image(shown, 2) != image).any()


LOST = "Not shown of the address"


def status(shown: Shown) -> str:
    return shown.page.locator(".loupe-said").inner_text()


FOREIGN = "&".join(
    [
        *("colour=x", "background=<b>", "hidden=a,b", "layers=x", "tool=pick", "alone=other2"),
        *("zoom=pca:1,2;pca:1,2,0,x;;:", "epoch=99", "place=1", "sample=99999", "select=lasso:x"),
    ]
)


@pytest.mark.parametrize(
    "query",
    [
        *(FOREIGN, "select=label:99&place=NaN,0&epoch=x", "select=box:pca:1~x~2~3", "select=a"),
        *("motion=x:1&epoch=0.5&select=movers:x", "epoch=4&select=movers:-1&motion=label:1"),
    ],
)
def test_what_an_address_should_not_hold_is_left_out(
    shown: Shown, contents: dict[str, Any], query: str
) -> None:
    reopened(shown, query, contents["vae"][0])
    assert set(shown.page.evaluate(f"{MAPS}.address.state()")) <= {"layers"}
    assert shown.count() == 0 and shown.page.locator(".loupe-titles b").count() == 3
    said = status(shown)
    assert LOST in said and all(name in said for name in dict(parse_qsl(query)))


# --- Zoom, window, theme ------------------------------------------------------------------------


def test_a_zoom_belongs_to_what_a_pane_shows(shown: Shown, contents: dict[str, Any]) -> None:
    def come(name: str) -> None:
        shown.page.evaluate("() => delete document.querySelector('.loupe').dataset.ready")
        shown.mount(contents[name][0])

    first = views(shown)
    shown.page.get_by_role("button", name="Move", exact=True).click()
    for pane in (0, 2):
        shown.page.mouse.move(*around(shown, pane)[3])
        # A turn of the wheel is lost while the panes are drawn.
        for _ in range(10):
            shown.page.mouse.wheel(0, -300)
            with suppress(TimeoutError):
                shown.page.wait_for_function(
                    f"([pane, width]) => {MAPS}.figure.view(pane).width < 0.95 * width",
                    arg=[pane, first[pane]["width"]],
                    timeout=3_000,
                )
                break
    shown.page.wait_for_timeout(300)
    zoomed = views(shown)
    come("ae")  # the same PCA, another bottleneck
    assert views(shown)[1] == zoomed[2]
    inside = shown.page.evaluate(f"{MAPS}.figure.outside(0, () => true)")
    assert inside < 0.1 * len(shown.samples.rows)
    come("vae")
    assert views(shown) == zoomed
    shown.page.get_by_role("button", name="Reset zoom").click()
    for pane in range(3):
        shown.page.wait_for_function(f"(i) => !{MAPS}.figure.outside(i, () => true)", arg=pane)
    whole = views(shown)
    assert whole[0]["width"] > zoomed[0]["width"]
    for name, factor in (("Zoom in", 1.5), ("Zoom out", 1)):
        shown.page.get_by_role("button", name=name).click()
        shown.page.wait_for_timeout(300)
        for view, before in zip(views(shown), whole, strict=True):
            assert view["width"] * factor == pytest.approx(before["width"], rel=5e-3)


def test_a_pane_is_shown_alone_and_keeps_its_zoom(shown: Shown) -> None:
    drawn = f"{MAPS}.figure.drawn"
    before, box = views(shown), shown.page.evaluate(f"{MAPS}.figure.box(2)")
    shown.page.keyboard.press("3")
    shown.page.wait_for_function(f"String({drawn}) === '2'")
    assert shown.page.locator(".loupe-titles b").all_inner_texts() == ["PCA"]
    assert shown.page.evaluate(f"{MAPS}.figure.box(2)")["height"] > 1.5 * box["height"]
    lasso(shown, 2, around(shown, 2))
    assert shown.count() > 0
    for key, wanted in {"Escape": "0,1,2", "2": "1", "0": "0,1,2", "9": "0,1,2"}.items():
        shown.page.keyboard.press(key)
        shown.page.wait_for_function(f"(wanted) => String({drawn}) === wanted", arg=wanted)
    assert views(shown) == before
    assert shown.count() > 0  # Escape went back, and only the next one clears
    shown.page.keyboard.press("Escape")
    assert shown.count() == 0
    title = shown.page.locator(".loupe-titles b", has_text="PCA")
    title.dblclick()
    shown.page.wait_for_function(f"String({drawn}) === '2'")
    shown.page.get_by_label("Find").press("1")  # a digit that is typed is none of the keys
    slide(shown.page, 0)  # what moves is the bottleneck
    shown.page.wait_for_function(f"String({drawn}) === '0,1,2'")


def test_a_narrow_window_has_tabs_and_a_sheet(shown: Shown) -> None:
    shown.page.set_viewport_size({"width": 390, "height": 844})
    shown.page.wait_for_function(f"{MAPS}.figure.drawn.length === 1")
    tabs = shown.page.locator(".loupe-tabs button")
    assert tabs.all_inner_texts() == ["Bottleneck", "Autoencoder", "PCA"]
    tabs.last.click()
    shown.page.wait_for_function(f"{MAPS}.figure.drawn[0] === 2")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    card, find_field = shown.page.locator(".loupe-card"), shown.page.get_by_label("Find")
    assert card.is_hidden() and find_field.is_hidden()
    shown.page.get_by_role("button", name="More").click()
    find_field.fill("#38")
    find_field.press("Enter")
    shown.page.keyboard.press("Escape")
    handle = shown.page.locator(".loupe-handle")
    assert "test #38, label" in handle.inner_text()
    handle.click()
    assert card.is_visible()
    handle.click()
    assert card.is_hidden()


def test_the_maps_fill_the_window_under_what_stands_above_them(shown: Shown) -> None:
    for width, height, above in ((1400, 900, 0), (1900, 1000, 60)):
        shown.page.evaluate("(above) => document.body.style.paddingTop = `${above}px`", above)
        shown.page.set_viewport_size({"width": width, "height": height})
        shown.page.wait_for_function(
            f"""([height]) => {{
              const {{ bottom }} = {MAPS}.root.getBoundingClientRect();
              return bottom > height - 12 && bottom <= height &&
                {MAPS}.figure.height <= {MAPS}.stage.clientHeight;
            }}""",
            arg=[height],
        )


DARK = {"text": "#e8eef2", "background": "#11181d", "secondary-background": "#1b252c",
        "primary": "#56b4e9"}  # fmt: skip
LIGHT = {"text": "#1c2730", "background": "#ffffff", "secondary-background": "#f3f6f8",
         "primary": "#0b6e99"}  # fmt: skip


def theme(shown: Shown, colors_of: dict[str, str]) -> None:
    shown.page.evaluate(
        """(colors) => {
          for (const [name, value] of Object.entries(colors)) {
            document.body.style.setProperty(`--st-${name}-color`, value);
          }
          document.body.style.background = colors.background;
        }""",
        colors_of,
    )
    shown.page.wait_for_timeout(150)


def test_a_change_of_theme_is_seen_while_the_training_is_watched(shown: Shown) -> None:
    theme(shown, LIGHT)
    slide(shown.page, 0)

    def painted() -> list[list[int]]:
        """Colour of the veil over the bottleneck, and of the mark on the curve of the loss."""
        return shown.page.evaluate(
            f"""() => {{
              const {{ left, top }} = {MAPS}.figure.box(0), {{ curve }} = {MAPS}.motion;
              const at = (canvas, x, y) =>
                [...canvas.getContext("2d").getImageData(x, y, 1, 1).data];
              const pixels = curve.getContext("2d").getImageData(0, 0, 14, curve.height).data;
              return [at({MAPS}.canvas, left + 5, top + 5), [...pixels]];
            }}"""
        )

    before = painted()
    assert before[0][:3] == [255, 255, 255]
    theme(shown, DARK)
    after = painted()
    assert after[0][:3] == [0x11, 0x18, 0x1D]
    assert before[1] != after[1]


CONTRASTS = """() => {
  const draw = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    draw.clearRect(0, 0, 1, 1);
    draw.fillStyle = color;
    draw.fillRect(0, 0, 1, 1);
    return [...draw.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => a * v + (1 - a) * under[i]);
  const ground = (node) => {
    const below = node.parentElement ? ground(node.parentElement) : [1, 1, 1];
    return over(rgba(getComputedStyle(node).backgroundColor), below);
  };
  const light = (color) => color
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const texts = [...document.querySelectorAll(".loupe *")].filter((node) =>
    node.checkVisibility() && !node.closest("svg") &&
    [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()));
  return texts.map((node) => {
    const style = getComputedStyle(node);
    let opacity = 1;
    for (let each = node; each; each = each.parentElement) {
      opacity *= getComputedStyle(each).opacity;
    }
    const [r, g, b, a] = rgba(style.color), under = ground(node);
    const lights = [light(over([r, g, b, a * opacity], under)), light(under)];
    const [low, high] = lights.sort((x, y) => x - y);
    return [node.textContent.slice(0, 40), (high + 0.05) / (low + 0.05)];
  });
}"""


@pytest.mark.parametrize("colors_of", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground(shown: Shown, colors_of: dict[str, str]) -> None:
    theme(shown, colors_of)
    chip(shown, 3)
    lasso(shown, 0, around(shown, 0))
    shown.page.get_by_role("button", name="Layers").click()
    found = shown.page.evaluate(CONTRASTS)
    assert len(found) > 40
    assert [(text, ratio) for text, ratio in found if ratio < 4.5] == []


# --- Messages -----------------------------------------------------------------------------------


def test_what_came_of_it_is_said(shown: Shown) -> None:
    said = shown.page.locator(".loupe-said")
    corner = shown.page.evaluate(f"{MAPS}.figure.box(0)")
    box = shown.page.locator(".loupe-plot").bounding_box()
    x, y = box["x"] + corner["left"] + 4, box["y"] + corner["top"] + 4
    lasso(shown, 0, [(x, y), (x + 6, y), (x + 6, y + 6), (x, y + 6)])
    assert said.inner_text() == "No sample inside"
    assert shown.said()[-1] == ["selection", None]
    lasso(shown, 0, around(shown, 0))
    assert said.inner_text() == "" and shown.count() > 0
    background = shown.page.get_by_label("Background")
    background.select_option("density")
    shown.page.wait_for_function(
        "document.querySelector('.loupe-said').textContent.includes('full')"
    )
    find(shown, "#38")
    assert said.inner_text() == "Found test #38"
    shown.page.evaluate("document.querySelector('.loupe').loupe.highlight(40)")
    assert said.inner_text().startswith("Background: ")
    find(shown, "nobody")
    assert "nobody" in said.inner_text()
    chip(shown, 3)
    assert said.inner_text().startswith("Background: ")
    chip(shown, 3)
    background.select_option("")
    assert said.inner_text() == ""
    find(shown, "7")
    assert shown.count() > 0
    shown.page.get_by_label("Find").press("Escape")
    assert shown.count() == 0 and said.inner_text() == ""


def test_other_content_is_shown_at_its_end(shown: Shown, contents: dict[str, Any]) -> None:
    note = shown.page.locator(".loupe-titles small").first
    final = note.inner_text()
    slide(shown.page, 0)
    assert note.inner_text() == "after epoch 1 of 3"  # the measures are those of the end
    shown.page.evaluate("() => delete document.querySelector('.loupe').dataset.ready")
    shown.mount(contents["ae"][0])
    assert moving(shown.page) is None
    assert note.inner_text() not in (final, "after epoch 1 of 3") and "10-NN" in note.inner_text()


# --- Picking ------------------------------------------------------------------------------------


def on_screen(shown: Shown) -> np.ndarray:
    """Screen positions of the samples, (n, 2)."""
    return np.array([shown.place(0, *each) for each in shown.samples.plane])


def isolated(shown: Shown) -> list[int]:
    """Samples without close neighbours on the screen, the most isolated first."""
    places = on_screen(shown)
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(apart, np.inf)
    order = np.argsort(-apart.min(axis=0))
    assert apart.min(axis=0)[order[3]] > 3  # pixels, else the test does not know what it clicks
    return order.tolist()


def picks(shown: Shown) -> list[dict[str, Any]]:
    """Last picking messages, the latest last."""
    name, found = shown.said()[-1]
    assert name == "picked"
    return found


@showing("pick")
def test_a_click_tells_the_sample_and_a_second_one_tells_it_again(shown: Shown) -> None:
    first, second = isolated(shown)[:2]
    for number in (first, second, second):
        shown.page.mouse.click(*shown.place(0, *shown.samples.plane[number]))
        card = shown.page.locator(".loupe-card")
        assert card.get_attribute("data-sample") == f"{number}"
    assert [pick["sample"] for pick in picks(shown)] == [first, second, second]
    when = [pick["when"] for pick in picks(shown)]
    assert sorted(set(when)) == when
    assert shown.page.locator(".loupe-said").inner_text() == f"Clicked test #{second}"


@showing("pick")
def test_only_what_was_picked_of_late_is_told_together(shown: Shown) -> None:
    first, second = isolated(shown)[:2]
    shown.page.mouse.click(*shown.place(0, *shown.samples.plane[first]))
    shown.page.evaluate(
        "() => { const now = performance.now(); performance.now = () => now + 6000; }"
    )
    shown.page.mouse.click(*shown.place(0, *shown.samples.plane[second]))
    assert [pick["sample"] for pick in picks(shown)] == [second]


@showing("pick")
def test_nothing_is_picked_by_a_drag_or_where_nothing_is_seen(shown: Shown) -> None:
    number = isolated(shown)[0]
    place = shown.place(0, *shown.samples.plane[number])
    mouse = shown.page.mouse
    mouse.move(*place)
    mouse.down()
    mouse.move(place[0] + 60, place[1])
    mouse.up()
    assert shown.said() == []
    shown.page.locator(".loupe-chip").nth(3).dblclick()
    places, alone = on_screen(shown), shown.samples.labels == 3
    (left, top), (right, bottom) = places[alone].min(axis=0), places[alone].max(axis=0)
    within = (places > (left, top)).all(axis=1) & (places < (right, bottom)).all(axis=1)
    hidden = places[within & ~alone]
    far = np.linalg.norm(hidden[:, None] - places[alone], axis=2).min(axis=1)
    assert far.max() > 15
    mouse.click(*hidden[far.argmax()])
    assert shown.page.locator(".loupe-said").inner_text() == "No sample here: click on one"
    assert shown.said() == []
    assert shown.page.evaluate("document.querySelector('.loupe').loupe.place") is None


@showing("pick")
@pytest.mark.parametrize("again", [1, 2])
def test_a_lasso_picks_what_lies_in_it_each_time(shown: Shown, again: int) -> None:
    for _ in range(again):
        polygon = lasso(shown, 0, around(shown, 0))
    assert len(picks(shown)) == again
    pick, n = picks(shown)[-1], len(shown.samples.rows)
    assert pick["samples"] == payload.identity(shown.samples.rows, shown.dataset)
    found = np.flatnonzero(payload.unpacked_mask(pick["mask"], n))
    assert 0 < len(found) < n
    points = shown.samples.plane.astype(np.float32)
    np.testing.assert_array_equal(found, np.flatnonzero(points_in_poly(points, polygon)))
    assert shown.page.locator(".loupe-said").inner_text() == f"{len(found)} samples selected"
    shown.page.mouse.click(*around(shown, 0)[0])  # and a lasso around nothing says nothing
    assert len(picks(shown)) == again


@showing("pick")
@pytest.mark.parametrize("tool", ["Lasso", "Box"])
def test_a_click_picks_with_every_tool_that_draws(shown: Shown, tool: str) -> None:
    number = isolated(shown)[0]
    shown.page.get_by_role("button", name=tool).click()
    shown.page.mouse.click(*shown.place(0, *shown.samples.plane[number]))
    assert picks(shown)[-1]["sample"] == number


def painted_around(shown: Shown, number: int) -> int:
    """Number of painted overlay pixels around a sample."""
    return shown.page.evaluate(
        """([x, y]) => {
          const { loupe } = document.querySelector(".loupe");
          const [px, py] = loupe.figure.toPixels(0)(x, y);
          const pixels = loupe.canvas.getContext("2d").getImageData(px - 9, py - 9, 18, 18);
          return pixels.data.filter((value, i) => i % 4 === 3 && value).length;
        }""",
        shown.samples.plane[number].tolist(),
    )


@showing("pick")
def test_marked_samples_are_ringed(shown: Shown) -> None:
    number = isolated(shown)[0]
    shown.page.get_by_label("Colour by").select_option("error")  # without centroids of labels
    before = painted_around(shown, number)
    for rows, more in {(number,): True, (99_999,): False, (): False}.items():
        shown.page.evaluate("(rows) => maps.mark({ rows, places: {} })", list(rows))
        assert (painted_around(shown, number) > before + 50) == more


@showing("pick")
@pytest.mark.parametrize("width", [500, 600])
def test_a_map_to_pick_on_is_small(shown: Shown, width: int) -> None:
    tools = shown.page.locator(".loupe-tools button").all_inner_texts()
    assert tools == ["Pick", "Move", "Lasso", "Box"]
    for name in (".loupe-motion", ".loupe-picked", ".loupe-place"):
        assert shown.page.locator(name).is_hidden()
    shown.page.set_viewport_size({"width": width + 16, "height": 900})
    shown.page.wait_for_function(
        """() => {
          const { figure, plot } = document.querySelector(".loupe").loupe;
          return Math.abs(figure.size.paneWidth - plot.clientWidth) < 1;
        }"""
    )
    assert 0.95 * width < shown.page.locator(".loupe").bounding_box()["width"] <= width
    assert shown.page.locator(".loupe").bounding_box()["height"] <= 430
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width + 16


# --- Hosts --------------------------------------------------------------------------------------


def test_a_page_of_a_few_lines_hosts_the_maps(
    page: Page, served: tuple[str, dict[str, bytes]], contents: dict[str, Any]
) -> None:
    content, samples, dataset = contents["vae"]
    served[1]["/payload"] = content
    page.goto(f"{served[0]}host")
    page.wait_for_selector(".loupe[data-ready]")
    shown = Shown(page, samples, dataset)
    assert find(shown, "#38") == "Found test #38"
    page.wait_for_function("document.querySelector('.loupe').loupe.sheets.pixels(0)")
    np.testing.assert_array_equal(card_image(shown, 0), np.rint(dataset.test.x[38] * 255))
    find(shown, "7")
    name, selection = json.loads(page.title())
    members = np.flatnonzero(samples.labels == 7)
    assert name == "selection"
    mask = payload.unpacked_mask(selection["mask"], len(samples.rows))
    np.testing.assert_array_equal(np.flatnonzero(mask), members)
    # The colours need no theme of a host.
    pressed, other = page.evaluate(
        """["true", "false"].map((state) => getComputedStyle(
          document.querySelector(`.loupe-tools [aria-pressed=${state}]`)).backgroundColor)"""
    )
    assert pressed == "rgb(11, 110, 153)" and other == "rgb(255, 255, 255)"


@pytest.mark.parametrize("file", sorted(STATIC.glob("*.js")), ids=lambda file: file.name)
def test_only_its_host_knows_streamlit(file: Path) -> None:
    text = file.read_text(encoding="utf-8").lower()
    knows = re.search(r"streamlit|--st-|setstatevalue|parentelement", text) is not None
    assert knows == (file.name == "streamlit.js")


STREAMLIT = """async (text) => {
  const data = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const { show } = await import("/streamlit.js");
  const parentElement = document.querySelector("#host");
  window.said ??= [];
  const call = (window.calls = (window.calls ?? 0) + 1);
  const setStateValue = (name, value) => said.push([call, name, value]);
  window.close = show({ data, parentElement, setStateValue });
}"""


def test_the_host_of_streamlit_shows_and_says(
    page: Page, served: tuple[str, dict[str, bytes]], contents: dict[str, Any]
) -> None:
    page.goto(served[0])
    page.evaluate(STREAMLIT, text_of(contents["vae"][0]))
    page.wait_for_selector(".loupe[data-ready]")
    loupe = page.evaluate_handle("document.querySelector('.loupe').loupe")
    assert page.evaluate("(loupe) => loupe.sheets.urls", loupe) == {
        split: f"{served[0]}{split}" for split in ("test", "train")
    }
    # The script has run again: the same maps, another function to say things with.
    page.evaluate(STREAMLIT, text_of(contents["vae"][0]))
    assert page.evaluate("(loupe) => loupe === document.querySelector('.loupe').loupe", loupe)
    page.evaluate("(loupe) => loupe.selection.select(null)", loupe)
    assert page.evaluate("said") == [[2, "selection", None]]


def test_the_host_of_streamlit_marks_maps_that_are_there_and_that_come(
    page: Page, served: tuple[str, dict[str, bytes]], contents: dict[str, Any]
) -> None:
    content, samples, dataset = contents["pick"]
    shown = Shown(page, samples, dataset)
    mark = "async (rows) => (await import('/streamlit.js')).mark({ rows, places: {} })"
    marks = "document.querySelector('.loupe').loupe.marks.rows"
    page.goto(served[0])
    page.evaluate(mark, [3])
    page.evaluate(STREAMLIT, text_of(content))
    page.wait_for_selector(".loupe[data-ready]")
    assert page.evaluate(marks) == [3]
    number = isolated(shown)[0]
    page.get_by_label("Colour by").select_option("error")  # without centroids of labels
    before = painted_around(shown, number)
    page.evaluate(mark, [number])
    assert painted_around(shown, number) > before + 50
    page.evaluate("() => close()")
    page.evaluate(mark, [5])
    assert page.evaluate(marks) == [number]  # closed maps are left alone
    page.evaluate("() => delete document.querySelector('.loupe').dataset.ready")
    page.evaluate(STREAMLIT, text_of(content))
    page.wait_for_selector(".loupe[data-ready]")
    assert page.evaluate(marks) == [5]
