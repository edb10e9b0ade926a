"""Figures, tested by the data inside them."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from aecore.plots import figures
from aecore.plots.colors import CLASS_COLORS, class_color
from aecore.plots.figures import LINE_COLORS, WEBGL_FROM

RANDOM = np.random.default_rng(0)


def survives_json(figure: go.Figure) -> dict:
    """Figure after a round trip through JSON, as a browser receives it."""
    return json.loads(figure.to_json())


# --- Maps ---------------------------------------------------------------------------------------


def test_a_map_has_a_trace_for_each_class_that_is_there() -> None:
    plane = RANDOM.normal(size=(60, 2))
    labels = np.repeat([2, 0, 11], 20)
    names = [f"class {number}" for number in range(12)]
    figure = figures.scatter_map(plane, labels, names)
    assert [trace.name for trace in figure.data] == ["class 0", "class 2", "class 11"]
    for trace, label in zip(figure.data, (0, 2, 11), strict=True):
        chosen = labels == label
        np.testing.assert_array_equal(np.column_stack([trace.x, trace.y]), plane[chosen])
        np.testing.assert_array_equal(trace.customdata, np.flatnonzero(chosen))
        assert trace.marker.color == CLASS_COLORS[label % 10]
        assert trace.mode == "markers"


def test_a_class_has_its_name_at_its_median() -> None:
    plane = RANDOM.normal(size=(41, 2))
    labels = np.arange(41) % 2
    figure = figures.scatter_map(plane, labels, ["even", "odd"])
    for label, note in enumerate(figure.layout.annotations):
        assert note.text == ["even", "odd"][label]
        np.testing.assert_allclose([note.x, note.y], np.median(plane[labels == label], axis=0))
        assert note.showarrow is False


def test_positions_get_one_trace_and_a_continuous_scale() -> None:
    plane, positions = RANDOM.normal(size=(30, 2)), RANDOM.random(30)
    figure = figures.scatter_map(plane, positions, ())
    (trace,) = figure.data
    np.testing.assert_array_equal(trace.marker.color, positions)
    np.testing.assert_array_equal(trace.customdata, np.stack([np.arange(30), positions], axis=1))
    assert trace.marker.colorbar.title.text == "position"
    assert not figure.layout.annotations


@pytest.mark.parametrize(
    ("count", "kind"), [(WEBGL_FROM - 1, "scatter"), (WEBGL_FROM, "scattergl")]
)
def test_many_points_are_drawn_by_webgl(count: int, kind: str) -> None:
    plane = RANDOM.normal(size=(count, 2))
    for names in ((), ("a", "b")):
        figure = figures.scatter_map(plane, np.arange(count) % 2, names)
        assert {trace.type for trace in figure.data} == {kind}


def test_both_axes_of_a_map_have_the_same_scale() -> None:
    figure = figures.scatter_map(RANDOM.normal(size=(5, 2)), np.zeros(5, int), ["a"], height=200)
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.layout.height == 200


# --- Curves -------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("nought", "one"), ()])
def test_a_drift_is_a_way_for_each_sample_over_a_faint_map(names: tuple[str, ...]) -> None:
    plane, ways = np.eye(2).repeat(3, axis=0), np.arange(12.0).reshape(3, 2, 2)
    labels, nearest = np.array([0, 0, 0, 1, 1, 1]), np.array([[0, 1], [1, 1], [1, 1]])
    figure = figures.drift_map(
        plane,
        labels,
        names,
        ways,
        np.array([0, 1]),
        [0, 0.5, 1],
        ["#7", "#9"],
        nearest,
        np.array([0.5, np.nan]),
    )
    clouds = len(figure.data) - 4
    assert clouds == (len(names) or 1)
    assert all(trace.marker.opacity < 0.5 for trace in figure.data[:clouds])
    first, crossed, second, none = figure.data[clouds:]
    np.testing.assert_array_equal(np.stack([first.x, first.y], axis=1), ways[:, 0])
    np.testing.assert_array_equal(np.stack([second.x, second.y], axis=1), ways[:, 1])
    assert (crossed.x, crossed.y, crossed.text) == ((4,), (5,), ("0.5",)) and not len(none.x)
    if names:
        assert first.text[:2] == ("#7, level 0: nearest nought", "#7, level 0.5: nearest one")
        assert (first.line.color, second.line.color) == (class_color(0), class_color(1))
    else:
        assert first.text[1] == "#7, level 0.5"


def test_curves_are_lines_over_the_same_x() -> None:
    lines = {"autoencoder": np.array([3.0, 2.0, 1.0]), "PCA": [2, 2, 2]}
    figure = figures.curves([1, 2, 4], lines, "epoch", "test MSE")
    assert [trace.name for trace in figure.data] == ["autoencoder", "PCA"]
    for trace, values in zip(figure.data, lines.values(), strict=True):
        assert list(trace.x) == [1, 2, 4]
        assert list(trace.y) == list(values)
        assert trace.line.dash == "solid"
    assert figure.layout.xaxis.title.text == "epoch"
    assert figure.layout.yaxis.title.text == "test MSE"
    assert figure.layout.height == 300
    assert figure.layout.showlegend is True


def test_the_curves_that_are_named_are_dotted() -> None:
    lines = {name: [0, 1] for name in ("train", "test", "other")}
    figure = figures.curves([1, 2], lines, "", "", height=240, dotted=("train", "not there"))
    assert [trace.line.dash for trace in figure.data] == ["dot", "solid", "solid"]
    assert figure.layout.height == 240


@pytest.mark.parametrize(("count", "mode"), [(1, "lines+markers"), (29, "lines+markers")])
def test_few_places_have_markers(count: int, mode: str) -> None:
    (trace,) = figures.curves(range(count), {"y": np.zeros(count)}, "", "").data
    assert trace.mode == mode


def test_many_places_have_none() -> None:
    (trace,) = figures.curves(range(30), {"y": np.zeros(30)}, "", "").data
    assert trace.mode == "lines"


def test_colours_repeat_after_the_last() -> None:
    count = len(LINE_COLORS) + 2
    figure = figures.curves([0], {str(number): [0] for number in range(count)}, "", "")
    colors = [trace.line.color for trace in figure.data]
    assert colors == [*LINE_COLORS, *LINE_COLORS[:2]]
    assert len(set(LINE_COLORS)) == len(LINE_COLORS)


def test_curves_of_arrays_reach_the_browser_as_numbers() -> None:
    x = np.linspace(0, 1, 3, dtype=np.float32)
    figure = figures.curves(x, {"y": x**2}, "x", "y")
    (trace,) = survives_json(figure)["data"]
    assert trace["x"] == [0, 0.5, 1]
    assert trace["y"] == [0, 0.25, 1]


# --- Clouds -------------------------------------------------------------------------------------


def test_a_level_can_be_marked_on_narrow_curves_by_their_margins() -> None:
    lines = {"a": [3, 2, 1], "noisy": [2, 1, 0]}
    figure = figures.level_curves([0.1, 0.5, 0.9], lines, "level", "PSNR", faint="noisy")
    layout = figure.layout
    assert layout.xaxis.range == (0.1, 0.9) and layout.xaxis.fixedrange
    margin = layout.margin
    assert (margin.l, margin.r, margin.t, margin.autoexpand) == (44, 8, 8, False)
    assert layout.height - margin.t - margin.b == 260


def test_a_map_is_marked_by_crosses_and_a_closed_frame() -> None:
    rng = np.random.default_rng(0)
    n = 3 * WEBGL_FROM
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    figure = figures.marked_map(
        rng.normal(size=(n, 2)), np.zeros(n, int), ["a"], corners[:1] / 2, corners
    )
    samples, frame, crosses = figure.data
    assert len(samples.x) == WEBGL_FROM
    assert list(frame.x) == [0, 1, 1, 0, 0] and frame.mode == "lines"
    assert list(crosses.x) == [0] and crosses.mode == "markers"


def test_paths_are_lines_over_a_map_with_the_names_of_their_samples() -> None:
    plane, stops = RANDOM.normal(size=(50, 2)), np.array([[0.0, 0], [40, 0]])
    paths = {"straight": np.linspace(*stops, 5), "spherical": np.linspace(*stops, 4)}
    figure = figures.path_map(plane, np.zeros(50, int), ["a"], paths, stops, ["#3", "#8"])
    lines = [trace for trace in figure.data if trace.name in paths]
    for line, path in zip(lines, paths.values(), strict=True):
        np.testing.assert_array_equal(np.stack([line.x, line.y], axis=1), path)
    assert [note.text for note in figure.layout.annotations] == ["a", "#3", "#8"]
    assert figure.layout.xaxis.range[1] > 40


def test_names_of_classes_at_one_place_stand_above_each_other() -> None:
    plane = np.repeat([[0.0, 0], [9, 9]], 5, axis=0)
    figure = figures.scatter_map(plane, np.arange(10), [*"abcdefghij"], height=400)
    shifts = sorted(note.yshift for note in figure.layout.annotations)
    assert shifts == [0, 0, 15, 15, 30, 30, 45, 45, 60, 60]


def test_a_cloud_has_its_points_first() -> None:
    points, position = RANDOM.normal(size=(20, 3)), RANDOM.random(20)
    figure = figures.cloud(points, position, {}, height=300)
    (trace,) = figure.data
    assert (trace.type, trace.mode, trace.name) == ("scatter3d", "markers", "test samples")
    np.testing.assert_array_equal(np.column_stack([trace.x, trace.y, trace.z]), points)
    np.testing.assert_array_equal(trace.marker.color, position)
    assert figure.layout.height == 300
    assert figure.layout.scene.aspectmode == "data"


def test_a_grid_is_a_surface_and_one_of_a_single_column_a_curve() -> None:
    surface, curve = RANDOM.normal(size=(4, 5, 3)), RANDOM.normal(size=(7, 1, 3))
    figure = figures.cloud(
        RANDOM.normal(size=(3, 3)), np.arange(3), {"surface": surface, "curve": curve}
    )
    _, bent, line = figure.data
    assert (bent.type, bent.name) == ("surface", "surface")
    np.testing.assert_array_equal(np.stack([bent.x, bent.y, bent.z], axis=-1), surface)
    assert {color for _, color in bent.colorscale} == {LINE_COLORS[0]}
    assert (bent.showlegend, bent.showscale) == (True, False)
    assert (line.type, line.mode, line.name) == ("scatter3d", "lines", "curve")
    np.testing.assert_array_equal(np.column_stack([line.x, line.y, line.z]), curve[:, 0])
    assert line.line.color == LINE_COLORS[1]
    json.dumps(survives_json(figure))


def test_a_surface_of_one_row_stays_a_surface() -> None:
    figure = figures.cloud(np.zeros((1, 3)), np.zeros(1), {"s": RANDOM.normal(size=(1, 4, 3))})
    assert figure.data[1].type == "surface"


def test_colours_of_surfaces_repeat_after_the_last() -> None:
    grids = {str(number): np.zeros((2, 1, 3)) for number in range(len(LINE_COLORS) + 1)}
    figure = figures.cloud(np.zeros((1, 3)), np.zeros(1), grids)
    colors = [trace.line.color for trace in figure.data[1:]]
    assert colors == [*LINE_COLORS, LINE_COLORS[0]]


# --- Arrows -------------------------------------------------------------------------------------


def barbs(trace: go.Scatter, count: int) -> np.ndarray:
    """Start and end of each arrow: the first `count` pieces of its trace, (count, 2, 2)."""
    x, y = (list(values)[: 3 * count] for values in (trace.x, trace.y))
    assert np.isnan(x[2::3]).all() and np.isnan(y[2::3]).all()  # the pen is lifted between them
    pairs = [[(x[i], y[i]), (x[i + 1], y[i + 1])] for i in range(0, 3 * count, 3)]
    return np.array(pairs, np.float64)


def test_arrows_go_from_their_starts_to_their_ends() -> None:
    points = RANDOM.normal(size=(10, 2))
    fields = {
        name: (RANDOM.normal(size=(6, 2)), RANDOM.normal(size=(6, 2)))
        for name in ("residual", "true score")
    }
    figure = figures.arrows(points, fields)
    cloud, *drawn = figure.data
    assert (cloud.name, cloud.mode) == ("test samples", "markers")
    np.testing.assert_array_equal(np.column_stack([cloud.x, cloud.y]), points)
    assert [trace.name for trace in drawn] == list(fields)
    assert [trace.line.color for trace in drawn] == list(LINE_COLORS[:2])
    for trace, (start, end) in zip(drawn, fields.values(), strict=True):
        pairs = barbs(trace, 6)
        np.testing.assert_allclose(pairs[:, 0], start, atol=1e-9)
        np.testing.assert_allclose(pairs[:, 1], end, atol=1e-9)
    assert figure.layout.yaxis.scaleanchor == "x"
    json.dumps(survives_json(figure))


def test_the_head_of_an_arrow_is_at_its_end_and_in_proportion() -> None:
    end = np.array([[0.0, 3.0]])
    figure = figures.arrows(np.zeros((1, 2)), {"up": (np.zeros((1, 2)), end)})
    trace = figure.data[1]
    head = np.array([(x, y) for x, y in zip(trace.x[3:6], trace.y[3:6], strict=True)], float)
    np.testing.assert_allclose(head[1], end[0])
    np.testing.assert_allclose(np.linalg.norm(head[[0, 2]] - end, axis=1), 0.9)
    assert head[0][0] == pytest.approx(-head[2][0])


def test_an_arrow_of_no_length_is_no_error() -> None:
    start = RANDOM.normal(size=(3, 2)).astype(np.float32)
    trace = figures.arrows(start, {"still": (start, start)}).data[1]
    pairs = barbs(trace, 3)
    np.testing.assert_allclose(pairs[:, 1], start)
    assert np.isfinite(pairs).all()


def test_a_field_without_arrows_is_no_error() -> None:
    none = np.empty((0, 2))
    figure = figures.arrows(RANDOM.normal(size=(3, 2)), {"nothing": (none, none)})
    assert [trace.name for trace in figure.data] == ["test samples", "nothing"]


def test_colours_of_arrows_repeat_after_the_last() -> None:
    field = (np.zeros((1, 2)), np.ones((1, 2)))
    count = len(LINE_COLORS) + 1
    figure = figures.arrows(np.zeros((1, 2)), {str(number): field for number in range(count)})
    colors = [trace.line.color for trace in figure.data[1:]]
    assert colors == [*LINE_COLORS, LINE_COLORS[0]]


# --- Tables -------------------------------------------------------------------------------------


def test_tables_are_side_by_side_on_one_scale_around_zero() -> None:
    original, rebuilt = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(4, 3))
    original[2, 1] = -7
    figure = figures.feature_rows(
        [("test", original), ("model", rebuilt)], ["a", "b", "c"], ["#1", "#2", "#38", "#4"]
    )
    for trace, values in zip(figure.data, (original, rebuilt), strict=True):
        np.testing.assert_array_equal(trace.z, values)
        assert list(trace.x) == ["a", "b", "c"]
        assert list(trace.y) == ["#1", "#2", "#38", "#4"]
        assert trace.coloraxis == "coloraxis"
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-7, 7)
    scale = figure.layout.coloraxis.colorscale
    assert (scale[0][1], scale[-1][1]) == ("rgb(5,48,97)", "rgb(103,0,31)")  # blue and red
    assert [note.text for note in figure.layout.annotations] == ["test", "model"]
    for axis in (figure.layout.yaxis, figure.layout.yaxis2):
        assert (axis.type, axis.autorange) == ("category", "reversed")
    in_units = figures.feature_rows(
        [("test", original)], ["a", "b", "c"], ["#1", "#2", "#38", "#4"], lambda x: 10 * x + 500
    )
    np.testing.assert_array_equal(in_units.data[0].z, original)
    np.testing.assert_array_equal(in_units.data[0].customdata, 10 * original + 500)
    assert "%{customdata" in in_units.data[0].hovertemplate


# --- Densities ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (5, 2, 3)])
def test_each_marginal_has_a_panel_over_the_prior(k: int, rows: int, columns: int) -> None:
    z, prior, densities = np.sort(RANDOM.random((3, k, 9)), axis=-1)
    titles = [f"panel {i}" for i in range(k)]
    figure = figures.marginals(z, densities, prior, titles)
    assert [note.text for note in figure.layout.annotations] == titles
    grounds, lines = figure.data[::2], figure.data[1::2]
    for number, (ground, line) in enumerate(zip(grounds, lines, strict=True)):
        assert ground.fill == "tozeroy" and line.fill is None
        np.testing.assert_array_equal(ground.y, prior[number])
        np.testing.assert_array_equal(line.y, densities[number])
        np.testing.assert_array_equal([line.x, ground.x], [z[number]] * 2)
        assert ground.xaxis == line.xaxis
    assert len({line.xaxis for line in lines}) == k
    places = {(*figure.layout["xaxis" + line.xaxis[1:]].domain,) for line in lines}
    heights = {(*figure.layout["yaxis" + line.yaxis[1:]].domain,) for line in lines}
    assert (len(heights), len(places)) == (rows, columns)
    assert [trace.showlegend for trace in figure.data] == [True, True] + [False] * (2 * k - 2)
    survives_json(figure)


# --- Colours ------------------------------------------------------------------------------------


def rgb(color: str) -> np.ndarray:
    return np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])


def luminance(color: str) -> float:
    """Relative luminance of a colour #rrggbb, by WCAG 2."""
    value = rgb(color)
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


# Simulation of missing red and green cones (Machado, Oliveira & Fernandes 2009), in linear RGB.
EYES = {
    "all cones": (np.eye(3), 23),
    "no red cones": (
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]], 13,
    ),
    "no green cones": (
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]], 13,
    ),
}  # fmt: skip


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_classes_can_be_told_apart(eyes: str) -> None:
    matrix, least = EYES[eyes]
    seen = np.array([rgb(color) for color in CLASS_COLORS])
    linear = np.where(seen <= 0.04045, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4)
    linear = (linear @ np.array(matrix).T).clip(0, 1)
    seen = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    lab = rgb2lab(seen)
    distances = [deltaE_ciede2000(a, b) for i, a in enumerate(lab) for b in lab[:i]]
    assert min(distances) >= least


@pytest.mark.parametrize(("page", "least"), [("#ffffff", 1.8), ("#11181d", 3.3)])
def test_every_class_is_seen_on_the_page(page: str, least: float) -> None:
    for color in CLASS_COLORS:
        low, high = sorted([luminance(color), luminance(page)])
        assert (high + 0.05) / (low + 0.05) >= least


# --- Sweeps -------------------------------------------------------------------------------------


def test_learning_curves_have_their_own_lengths_and_keep_their_colours() -> None:
    lines = {"trial 1": [3.0, 2.0, 1.0], "trial 2": [4.0], "trial 3": [2.0, 1.5]}
    figure = figures.learning_curves(lines, "test loss", ["trial 1", "trial 3"])
    drawn = {trace.name: trace for trace in figure.data}
    assert {name: list(trace.y) for name, trace in drawn.items()} == lines
    assert list(drawn["trial 3"].x) == [1, 2]
    assert figure.data[0].name == "trial 2"  # under the others
    assert [drawn[name].line.color for name in lines] == [LINE_COLORS[0], "gray", LINE_COLORS[2]]
    assert not drawn["trial 2"].showlegend and figure.layout.yaxis.type is None
    steep = figures.learning_curves({"trial 1": [100.0, 1.0]}, "test loss", [])
    assert steep.layout.yaxis.type == "log"


def test_an_effect_has_error_bars_and_its_baseline() -> None:
    lines = {"MSE": ([1, 2, 32], [3.0, 2.0, 1.0], [0.1, 0.2, 0.0])}
    figure = figures.effect(lines, "Code size", "MSE", True, baseline=("PCA", [1, 2], [4.0, 3.0]))
    means, baseline = figure.data
    assert list(means.error_y.array) == [0.1, 0.2, 0.0] and means.error_y.visible
    assert list(baseline.y) == [4.0, 3.0] and baseline.line.dash == "dash"
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["1", "2", "32"]
    drawn = figures.effect({"": (["ReLU"], [1.0], [0.0])}, "", "", joined=False).data[0]
    assert drawn.mode == "markers" and not drawn.error_y.visible
    words = figures.effect({"": (["32", "64, 32"], [1.0, 2.0], [0.0, 0.0])}, "", "")
    assert words.layout.xaxis.type == "category"


def test_ticks_that_would_lie_upon_each_other_are_spaced_evenly() -> None:
    lines = {"": ([1e-4, 1.1e-4, 1.2e-4, 1e-2], [1.0] * 4, [0.0] * 4)}
    ticks = figures.effect(lines, "", "", logarithmic=True).layout.xaxis.tickvals
    np.testing.assert_allclose(np.diff(np.log10(ticks)), 0.5)


def test_distortion_stands_over_rate() -> None:
    (trace,) = figures.rate_distortion([(0.1, 9.0, 1.0), (10, 2.0, 5.0)]).data
    assert (list(trace.x), list(trace.y)) == ([9.0, 2.0], [1.0, 5.0])
    np.testing.assert_allclose(trace.marker.color, [-1, 1])


def test_shares_are_bars_with_the_first_on_top() -> None:
    figure = figures.bars({"Beta": 0.7, "Depth": 0.3}, "")
    assert list(figure.data[0].y) == ["Beta", "Depth"]
    assert figure.layout.yaxis.autorange == "reversed"


def test_parallel_coordinates_have_an_axis_for_each_setting() -> None:
    axes = [
        ("Code size", [1, 32, 4], []),
        ("Activation", [0, 1, 0], ["ELU", "ReLU"]),
        ("Test MSE", [0.3, 0.1, 0.2], []),
    ]
    (trace,) = figures.parallel_coordinates(axes, True, "black").data
    size, activation, mse = trace.dimensions
    np.testing.assert_allclose(size["values"], np.log10([1, 32, 4]))
    assert list(size.ticktext) == ["1", "4", "32"]
    assert list(activation.ticktext) == ["ELU", "ReLU"]
    np.testing.assert_allclose(mse["values"], [0.3, 0.1, 0.2])
    np.testing.assert_allclose(trace.line.color, [0.3, 0.1, 0.2])
    assert trace.line.reversescale
