"""User pictures: formats, limits, transparency, and position of the ink."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageDraw

from aecore import data
from aecore.data import Dataset
from aecore.errors import InvalidRequest
from aecore.plots import images
from aecore.plots.colors import class_color

GREY, COLOUR = (28, 28), (16, 16, 3)


def file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stroke(ink: object = 255, ground: object = 0, mode: str = "L", size: int = 280) -> Image.Image:
    """A thick upright line left of the middle."""
    image = Image.new(mode, (size, size), ground)
    ImageDraw.Draw(image).rectangle((size // 7, size // 4, size // 4, size * 3 // 4), ink)
    return image


def png(width: int, height: int, depth: int = 8, color: int = 0, rows: bytes = b"") -> bytes:
    """PNG from its raw chunks, whose header may not match its data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# --- Formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", data.FORMATS)
@pytest.mark.parametrize("shape", [GREY, COLOUR], ids=["grey", "colour"])
def test_every_format_becomes_a_sample(kind: str, shape: tuple[int, ...]) -> None:
    found = data.read(file(stroke((255, 0, 0), mode="RGB"), kind), shape)
    assert found.shape == (np.prod(shape),)
    assert found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    assert found.max() > (0.9 if shape == COLOUR else 0.25)  # red is dark in grey


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_a_png_gives_the_same_picture(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.asarray(stroke(), np.uint16) * 257)
    else:
        image = stroke().convert(mode)
    np.testing.assert_allclose(data.read(file(image), GREY), data.read(file(stroke()), GREY))


def test_sixteen_bits_keep_their_shades() -> None:
    image = Image.fromarray(np.full((28, 28), 32896, np.uint16))
    np.testing.assert_allclose(data.read(file(image), GREY), 128 / 255, atol=1e-6)


def test_the_four_inks_of_print_are_read() -> None:
    found = data.read(file(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG"), COLOUR)
    assert found.reshape(COLOUR)[8, 8, 0] > 0.8 > 0.3 > found.reshape(COLOUR)[8, 8, 1]


@pytest.mark.parametrize(("ink", "ground"), [(0, 1), (255, 0)])
def test_transparent_ground_shows_what_is_drawn(ink: int, ground: float) -> None:
    """Black ink gets white paper, white ink a black ground, whatever the hidden colour is."""
    image = stroke((ink, ink, ink, 255), (ink, ink, ink, 0), "RGBA")
    found = data.read(file(image), GREY).reshape(GREY)
    assert found[0, 0] == pytest.approx(ground)
    assert found[14, 5] == pytest.approx(ink / 255)


def test_a_transparent_colour_of_a_palette_counts_as_transparent() -> None:
    image = stroke(1, 0).convert("L")
    palette = Image.fromarray(np.asarray(image), "P")
    palette.putpalette([255, 255, 255, 250, 250, 250])
    found = data.read(file(palette, transparency=0), GREY).reshape(GREY)
    assert found[0, 0] == 0 and found[14, 5] > 0.9


def test_a_photograph_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    turned = data.read(file(stroke().rotate(90), "JPEG", exif=exif, quality=95), GREY)
    np.testing.assert_allclose(turned, data.read(file(stroke()), GREY), atol=0.1)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [stroke(200), stroke(100).rotate(90)]
    moving = file(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    found = data.decode(moving)
    assert found.animated
    assert np.asarray(found.image.convert("L")).max() == 200
    assert not data.decode(file(frames[0], kind)).animated


# --- Limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
    ids=["nothing", "text", "only a beginning", "svg"],
)
def test_what_is_no_picture_is_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"give a PNG, JPEG, WebP or BMP file\.$"):
        data.read(content, GREY)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PPM"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(InvalidRequest, match="PNG, JPEG, WebP or BMP"):
        data.read(file(stroke(), kind), GREY)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [5_001, 10_000, 30_000, 2**31 - 1])
def test_a_huge_picture_is_refused_by_its_header(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(InvalidRequest, match="too large: make it smaller than 25 million pixels"):
        data.read(png(side, side), GREY)


def test_a_long_thin_picture_within_the_limit_is_read() -> None:
    rows = b"\0" + b"\xff" * 20_000
    assert data.read(png(20_000, 1, rows=rows), GREY).max() == 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_file_that_ends_too_early_is_a_fault(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8))
    with pytest.raises(InvalidRequest, match=r"(save or copy it again|give a PNG)"):
        data.read(file(noise, kind)[:-1500], GREY)


def test_a_broken_stream_is_a_fault() -> None:
    with pytest.raises(InvalidRequest, match="This PNG is damaged"):
        data.read(png(20, 20, rows=b"\0" * 5), GREY)


def test_a_large_photograph_is_made_smaller_first() -> None:
    found = data.decode(file(Image.new("RGB", (3000, 1500), "white"), "JPEG"))
    assert found.image.size == (1024, 512)


# --- Where it lands -----------------------------------------------------------------------------


def test_a_wide_picture_keeps_its_proportions_on_the_colour_of_its_border() -> None:
    image = Image.new("L", (280, 140), 51)
    ImageDraw.Draw(image).rectangle((70, 35, 209, 104), 255)
    found = data.fit(image, GREY).reshape(GREY)
    assert found[0, 0] == found[27, 27] == found[14, 1] == pytest.approx(0.2)
    rows, columns = np.nonzero(found > 0.8)
    assert np.ptp(rows) + 1 == pytest.approx(7, abs=1)
    assert np.ptp(columns) + 1 == pytest.approx(14, abs=1)


def test_inverting_turns_paper_into_darkness() -> None:
    paper = stroke(0, 255)
    assert data.looks_inverted(np.asarray(paper))
    np.testing.assert_allclose(
        data.fit(paper, GREY, invert=True), data.fit(stroke(), GREY), atol=1e-6
    )


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_plain_picture_stays_as_it_is(value: int) -> None:
    plain = Image.new("L", (50, 40), value)
    assert not data.looks_inverted(np.asarray(plain))
    np.testing.assert_allclose(data.fit(plain, GREY, crop=True), value / 255, atol=1e-6)


@pytest.mark.parametrize("shape", [GREY, (28, 28, 3)], ids=["grey", "colour"])
def test_cropped_ink_is_as_large_and_lies_as_in_mnist(shape: tuple[int, ...]) -> None:
    image = Image.new("RGB", (600, 500), (30, 30, 30))
    ImageDraw.Draw(image).rectangle((400, 50, 449, 149), (200, 200, 200))
    found = data.fit(image, shape, crop=True).reshape(28, 28, -1).mean(axis=2)
    rows, columns = np.nonzero(found > found.max() / 2)
    assert np.ptp(rows) + 1 == 20 and np.ptp(columns) + 1 == 10
    middle = [np.average(np.arange(28), weights=found.sum(axis=axis) - found.sum(axis=axis).min())
              for axis in (1, 0)]  # fmt: skip
    np.testing.assert_allclose(middle, 14, atol=0.6)  # the pixel on which MNIST is centred


def test_cropped_grey_ink_runs_from_black_to_white() -> None:
    pale = data.fit(stroke(140, 100), GREY, crop=True)
    assert pale.min() == 0 and pale.max() == 1


def test_uneven_ink_is_laid_by_its_mass_and_stays_inside() -> None:
    image = Image.new("L", (200, 200), 0)
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 59, 179), 255)
    draw.rectangle((60, 95, 179, 105), 255)
    found = data.fit(image, GREY, crop=True).reshape(GREY)
    columns = np.flatnonzero(found.max(axis=0) > 0.5)
    assert columns[0] > 28 - 1 - columns[-1]  # the heavy side lies near the middle
    whole = data.fit(image, GREY, crop=True, fill=1).reshape(GREY)
    assert np.ptp(np.flatnonzero(whole.max(axis=0) > 0.5)) + 1 == 28


def test_how_much_of_the_side_is_filled_is_measured() -> None:
    samples = np.zeros((5, 28, 28), np.float32)
    samples[:4, 4:24, 10:15] = 1  # and one that is empty
    assert data.filled(samples) == pytest.approx(20 / 28)
    assert data.filled(np.zeros((2, 8, 8, 3), np.float32)) == 1


def test_drawings_are_told_from_photographs() -> None:
    samples = np.zeros((5, 28, 28), np.float32)
    samples[:, :20, 4:24] = 1  # a part of the border is bright
    assert data.are_drawings(samples)
    assert not data.are_drawings(1 - samples)
    assert not data.are_drawings(np.repeat(samples[..., None], 3, axis=3))
    assert data.are_drawings(data.get("digits").test.x.reshape(-1, 8, 8))


def test_digits_of_mnist_fill_what_is_said(mnist: Dataset) -> None:
    assert data.filled(mnist.test.x[:200].reshape(-1, 28, 28)) == pytest.approx(20 / 28)


def test_digits_of_mnist_come_back_from_paper(mnist: Dataset) -> None:
    """Enlarged, on paper and photographed, a digit lands within a pixel of where it was."""
    errors = []
    for digit in mnist.test.x[:20].reshape(-1, 28, 28):
        paper = Image.fromarray((255 - 255 * digit).astype(np.uint8)).resize((560, 560))
        found = data.read(file(paper, "JPEG"), GREY, invert=True, crop=True).reshape(28, 28)
        errors.append(np.square(found - digit).mean())
    assert np.median(errors) < 0.01


# --- Composed pictures --------------------------------------------------------------------------


def test_a_long_title_is_broken_into_lines() -> None:
    cells = np.zeros((2, 4, 4))
    short, long = (
        Image.open(io.BytesIO(images.compose([images.Row(title, cells)])))
        for title in ("original", "a-run-with-a-very-long-name-of-its-own")
    )
    assert short.height == long.height
    assert long.width < short.width + 300


@pytest.mark.parametrize(("shape", "mode"), [((2, 3, 3), "LA"), ((2, 3, 3, 3), "RGBA")])
def test_colour_is_written_where_there_is_some(shape: tuple[int, ...], mode: str) -> None:
    grey = images.Row("grey", np.full((2, 3, 3), 0.6), ["a", "b"])
    row = images.Row("row", np.full(shape, 0.25), ["a", "b"])
    png = images.compose([grey, row], cell=9)
    picture = Image.open(io.BytesIO(png))
    assert picture.mode == mode and images.width(png) == picture.width // images.SCALE
    assert {153, 64} <= set(np.unique(np.asarray(picture)[..., 0]))  # of 255, rounded


def test_titles_of_one_width_move_no_image() -> None:
    def width(title: str, titles: int) -> int:
        row = images.Row(title, np.zeros((1, 4, 4)))
        return images.width(images.compose([row], cell=10, titles=titles))

    assert width("a", 0) < width("a longer title", 0) < width("a", 200)
    assert width("a", 200) == width("a longer title", 200) == 200 + 10 + 6


def test_too_bright_is_red_and_too_dark_is_blue() -> None:
    x, rebuilt = np.array([[[0.2, 0.7, 0.5]]]), np.array([[[1.2, 0.2, 0.5]]])
    expected = [[[[1, 0, 0], [0.5, 0.5, 1], [1, 1, 1]]]]
    np.testing.assert_allclose(images.error_colors(x, rebuilt), expected, atol=1e-9)


def test_a_thumbnail_has_each_class_in_its_colour_and_place() -> None:
    plane = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    drawn = images.thumbnail(plane, np.array([0, 1, 2]), classes=True, side=100)
    picture = Image.open(io.BytesIO(drawn))
    low, high = 5, picture.width - 5
    for label, place in enumerate(((low, high), (high, high), (low, low))):  # from the top
        assert picture.getpixel(place) == (*ImageColor.getrgb(class_color(label)), 255)


def test_error_maps_of_colour_are_of_the_mean() -> None:
    x = np.zeros((1, 2, 2, 3))
    rebuilt = x.copy()
    rebuilt[0, 0, 0] = (1, 0.5, 0)
    grey = images.error_colors(x.mean(axis=-1), rebuilt.mean(axis=-1))
    np.testing.assert_array_equal(images.error_colors(x, rebuilt), grey)


# --- Mosaics ------------------------------------------------------------------------------------


@pytest.mark.parametrize("colors", [(), (3,)], ids=["grey", "colour"])
def test_a_mosaic_holds_the_pixels_and_how_opaque_they_and_their_frames_are(
    colors: tuple[int, ...],
) -> None:
    pictures = np.random.default_rng(0).random((6, 8, 10, *colors))
    opaque = np.array([1, 0.4, 1, 1, 1, 0.4])
    ground = np.array([0, 0.2, 0.4, 0.6, 0.8, 1])
    mosaic = Image.open(io.BytesIO(images.mosaic(pictures, opaque, ground, 3, 700)))
    assert mosaic.mode == "RGBA"
    wide, high = mosaic.width // 3, mosaic.height // 2
    times = (wide - high) // 2
    frame = (wide - 10 * times) // 2
    assert 0.08 <= frame / wide <= 0.1
    wanted = pictures if colors else np.repeat(pictures[..., None], 3, axis=3)
    for number in range(6):
        left, top = wide * (number % 3), high * (number // 3)
        cell = np.asarray(mosaic.crop((left, top, left + wide, top + high)))
        inside = cell[frame:-frame:times, frame:-frame:times] / 255
        np.testing.assert_allclose(inside[..., :3], wanted[number], atol=0.002)
        np.testing.assert_allclose(inside[..., 3], opaque[number], atol=0.002)
        around = np.ones(cell.shape[:2], bool)
        around[frame:-frame, frame:-frame] = False
        tint = (11, 110, 153, round(ground[number] * 255))
        np.testing.assert_array_equal(np.unique(cell[around], axis=0), [tint])


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("columns", [1, 2, 5, 12, 20, 50])
def test_a_mosaic_keeps_each_image_near_the_width_at_which_it_is_shown(
    columns: int, side: int
) -> None:
    ones = np.ones(columns)
    png = images.mosaic(np.ones((columns, side, side)), ones, 0 * ones, columns, 700)
    mosaic = np.asarray(Image.open(io.BytesIO(png)))
    cell = mosaic.shape[1] // columns
    assert mosaic.shape[:2] == (cell, cell * columns)
    shown = np.count_nonzero(mosaic[..., 3])
    assert shown >= columns * side * side
    if columns * side < 700:
        assert 0.7 < mosaic.shape[1] / 700 < 1.4


# --- Animations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WebP"])
@pytest.mark.parametrize("colors", [(), (3,)], ids=["grey", "colour"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_an_animation_goes_there_and_back_for_ever(
    n: int, colors: tuple[int, ...], kind: str
) -> None:
    levels = np.linspace(0, 1, n)
    frames = np.broadcast_to(levels.reshape(-1, 1, 1, *(1 for _ in colors)), (n, 8, 8, *colors))
    moving = Image.open(io.BytesIO(images.animation([frames], kind)))
    assert moving.format == kind.upper() and moving.size == (256, 256)
    assert getattr(moving, "n_frames", 1) == max(2 * n - 2, 1)
    assert n == 1 or moving.info["loop"] == 0
    order = [*range(n), *range(n - 2, 0, -1)]
    for number, step in enumerate(order):
        moving.seek(number)
        pixels = np.asarray(moving.convert("L"))
        np.testing.assert_array_equal(pixels, round(levels[step] * 255))


@pytest.mark.parametrize("kind", ["GIF", "WebP"])
def test_series_move_side_by_side_with_a_gap(kind: str) -> None:
    series = list(np.random.default_rng(0).random((3, 4, 28, 28)))
    moving = Image.open(io.BytesIO(images.animation(series, kind)))
    times = moving.height // 28
    step = 28 * times + images.GAP
    assert moving.n_frames == 6
    assert moving.size == (3 * step - images.GAP, 28 * times)
    for number in range(4):
        moving.seek(number)
        pixels = np.asarray(moving.convert("L")) / 255
        for k in range(3):
            shown = pixels[::times, k * step : k * step + 28 * times : times]
            np.testing.assert_allclose(shown, series[k][number], atol=0.003)
        np.testing.assert_array_equal(pixels[:, step - images.GAP : step], 1)


def test_many_series_stay_small() -> None:
    moving = Image.open(io.BytesIO(images.animation([np.ones((2, 28, 28))] * 12, "GIF")))
    assert 12 * 56 <= moving.width < 1_200
