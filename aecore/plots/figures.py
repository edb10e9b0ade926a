"""Plotly figures of arrays, independent of models, files and pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go

from aecore.plots.colors import CLASS_COLORS, DENSITY, class_color

WEBGL_FROM = 2_000
LINE_COLORS = tuple(CLASS_COLORS[number] for number in (0, 9, 3, 2, 6, 4, 5, 1, 8, 7))
MODEBAR = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
"""The `config` that goes with these figures: only buttons that do something."""


def scatter_map(
    plane: np.ndarray, labels: np.ndarray, label_names: Sequence[str], height: int = 380
) -> go.Figure:
    """Scatter plot of a map of samples, both axes on the same scale.

    Classes get a colour, and their name at their median, so that colour is not the only sign;
    positions on a curve get a continuous scale.

    Arguments
        plane: (n, 2).
        labels: (n,) class numbers, or positions where `label_names` is empty.
    """
    kind = go.Scattergl if len(plane) >= WEBGL_FROM else go.Scatter
    size = float(np.clip(120 / np.sqrt(len(plane)), 3, 7))
    number = np.arange(len(plane))
    figure = go.Figure()
    if label_names:
        for label in np.unique(labels):
            chosen = labels == label
            figure.add_trace(
                kind(
                    x=plane[chosen, 0],
                    y=plane[chosen, 1],
                    customdata=number[chosen],
                    name=label_names[label],
                    mode="markers",
                    marker={"size": size, "color": class_color(label), "opacity": 0.8},
                    hovertemplate="%{fullData.name}, test sample %{customdata}<extra></extra>",
                )
            )
        classes = np.unique(labels)
        _write(
            figure,
            np.stack([np.median(plane[labels == label], axis=0) for label in classes]),
            [label_names[label] for label in classes],
            height / max(float(np.ptp(np.percentile(plane, [1, 99], axis=0), axis=0).max()), 1e-9),
        )
    else:
        figure.add_trace(
            kind(
                x=plane[:, 0],
                y=plane[:, 1],
                customdata=np.stack([number, labels], axis=1),
                mode="markers",
                marker={
                    "size": size,
                    "color": labels,
                    "colorscale": "Viridis",
                    "colorbar": {"title": "position", "thickness": 10},
                },
                hovertemplate="position %{customdata[1]:.2f}, test sample %{customdata[0]}"
                "<extra></extra>",
            )
        )
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        showlegend=False,
        dragmode="pan",
        uirevision="keep",  # zoom stays while the points move
    )
    bare = {"showticklabels": False, "zeroline": False, "showgrid": False, "title": None}
    figure.update_xaxes(**bare)
    figure.update_yaxes(**bare, scaleanchor="x")
    return figure


HALO = {"weight": 700, "shadow": "auto"}
"""Font of a text that is read on any ground."""


def _write(
    figure: go.Figure, places: np.ndarray, texts: Sequence[str], scale: float, height: int = 15
) -> None:
    """Write texts at places (n, 2), moved upwards until none covers another.

    Arguments
        scale: pixels to a unit of the places, about.
        height: of a line, in pixels.
    """
    written: list[tuple[float, float, float]] = []
    shifts = np.zeros(len(places))
    for at in np.argsort(places[:, 1], kind="stable"):
        (x, y), width = places[at] * scale, 8.0 * len(texts[at]) + 4
        top = y
        for left, before, wide in written:  # from the bottom up
            if abs(left - x) < (width + wide) / 2 and abs(before - top) < height:
                top = before + height
        written = sorted([*written, (x, top, width)], key=lambda text: text[1])
        shifts[at] = round(top - y)
    for (x, y), text, shift in zip(places, texts, shifts, strict=True):
        figure.add_annotation(
            x=x, y=y, yshift=shift, text=text, showarrow=False, font={"size": 13, **HALO}
        )


def _show(figure: go.Figure, plane: np.ndarray, also: np.ndarray) -> None:
    """Begin with a view of a map without its outliers, which would shrink the others.

    Arguments
        also: (n, 2), what has to be seen besides.
    """
    seen = np.concatenate([np.percentile(plane, [1, 99], axis=0), also])
    low, high = seen.min(axis=0), seen.max(axis=0)
    more = 0.05 * (high - low)
    figure.update_xaxes(range=[low[0] - more[0], high[0] + more[0]])
    figure.update_yaxes(range=[low[1] - more[1], high[1] + more[1]])


def marked_map(
    plane: np.ndarray,
    labels: np.ndarray,
    label_names: Sequence[str],
    places: np.ndarray,
    frame: np.ndarray,
    height: int = 380,
) -> go.Figure:
    """Scatter plot of a map, pale, with a frame and crosses upon it.

    Arguments
        plane, labels, label_names: as in `scatter_map`; of many samples every so many-th is drawn.
        places: (k, 2), of the crosses; frame: (m, 2), its corners.
    """
    every = -(-len(plane) // WEBGL_FROM)
    figure = scatter_map(plane[::every], labels[::every], label_names, height)
    figure.update_traces(marker_opacity=0.35, hoverinfo="skip", hovertemplate=None)
    color = f"rgb{DENSITY}"
    around = np.concatenate([frame, frame[:1]])
    drawn = (
        (around, {"mode": "lines", "line": {"color": color, "width": 3}}),
        (places, {"mode": "markers", "marker": {"symbol": "x", "size": 9, "color": color}}),
    )
    for (x, y), style in ((points.T, style) for points, style in drawn):
        figure.add_trace(go.Scatter(x=x, y=y, hoverinfo="skip", **style))
    _show(figure, plane, np.concatenate([places, frame]))
    return figure


def path_map(
    plane: np.ndarray,
    labels: np.ndarray,
    label_names: Sequence[str],
    paths: Mapping[str, np.ndarray],
    stops: np.ndarray,
    names: Sequence[str],
    height: int = 380,
) -> go.Figure:
    """Scatter plot of a map, pale, with paths upon it and the samples that they connect.

    Arguments
        plane, labels, label_names: as in `marked_map`.
        paths: (steps, 2) each, by their titles.
        stops: (k, 2), the places of the connected samples, with their names.
    """
    figure = marked_map(plane, labels, label_names, stops[:0], stops[:0], height)
    for (title, path), color in zip(paths.items(), cycle(LINE_COLORS)):
        line = {"color": color, "width": 2}
        x, y = path.T
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                name=title,
                mode="lines+markers",
                line=line,
                marker_size=6,
                showlegend=True,
            )
        )
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1, "yanchor": "bottom"})
    figure.update_traces(showlegend=False, selector={"hoverinfo": "skip"})
    for (x, y), name in zip(stops, names, strict=True):
        figure.add_annotation(
            x=x, y=y, text=name, yshift=12, showarrow=False, font={"size": 13, **HALO}
        )
    _show(figure, plane, np.concatenate([stops, *paths.values()]))
    return figure


def drift_map(
    plane: np.ndarray,
    labels: np.ndarray,
    label_names: Sequence[str],
    ways: np.ndarray,
    of: np.ndarray,
    levels: Sequence[float],
    samples: Sequence[str],
    nearest: np.ndarray,
    flips: np.ndarray,
    height: int = 480,
) -> go.Figure:
    """Scatter plot of the paths of codes with a rising level, over the map of all samples.

    Arguments
        plane, labels, label_names: as in `scatter_map`.
        ways: (m, n, 2), places at m levels.
        of: (n,), the labels of these samples.
        samples: a name for each of the n samples, written where its path begins.
        nearest: (m, n) numbers of the nearest class.
        flips: (n,) the level from which on that is another one, NaN for none.
    """
    figure = scatter_map(plane, labels, label_names, height)
    figure.update_traces(marker_opacity=0.25, hoverinfo="skip", hovertemplate=None)
    for number, (sample, flip) in enumerate(zip(samples, flips, strict=True)):
        way = ways[:, number]
        hover_texts = [f"{sample}, level {level:g}" for level in levels]
        if label_names:
            classes = (label_names[label] for label in nearest[:, number])
            hover_texts = [
                f"{text}: nearest {name}" for text, name in zip(hover_texts, classes, strict=True)
            ]
        color = class_color(int(of[number])) if label_names else LINE_COLORS[0]
        figure.add_trace(
            go.Scatter(
                x=way[:, 0],
                y=way[:, 1],
                mode="lines+markers",
                line={"color": color, "width": 2},
                marker={"size": [9] + [3] * (len(way) - 1)},
                text=hover_texts,
                hovertemplate="%{text}<extra></extra>",
            )
        )
        figure.add_annotation(
            x=way[0, 0],
            y=way[0, 1],
            text=sample,
            xanchor="right",
            xshift=-5,
            showarrow=False,
            font={"size": 12, **HALO},
        )
        at = np.flatnonzero(np.asarray(levels) == flip)
        figure.add_trace(
            go.Scatter(
                x=way[at, 0],
                y=way[at, 1],
                mode="markers+text",
                marker={"symbol": "x", "size": 10, "color": "#c8321e"},
                text=[f"{flip:g}"] * len(at),
                textfont={"size": 13, **HALO},
                textposition="top right",
                hoverinfo="skip",
            )
        )
    _show(figure, plane, ways.reshape(-1, 2))
    return figure


def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    x_title: str,
    y_title: str,
    height: int = 300,
    dotted: Sequence[str] = (),
    faint: str = "",
    marks: Mapping[str, float] | None = None,
) -> go.Figure:
    """Line chart of several curves over the same x.

    Arguments
        x: (m,), in order.
        lines: a name and values (m,) for each.
        dotted: the names of those that are drawn so.
        faint: the name of one that the others are measured by, drawn in grey.
        marks: a text and an x for each, drawn from top to bottom.
    """
    figure = go.Figure()
    for (name, values), color in zip(lines.items(), cycle(LINE_COLORS)):
        figure.add_trace(
            go.Scatter(
                x=list(x),
                y=list(values),
                name=name,
                mode="lines+markers" if len(x) < 30 else "lines",
                line={"color": color, "dash": "dot" if name in dotted else "solid", "width": 2},
                hovertemplate="%{y:.4g}",
            )
        )
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="x unified",
        uirevision="keep",
        showlegend=True,
    )
    grey = {"line_color": "gray", "line_dash": "dash"}
    if faint:
        figure.update_traces(mode="lines", **grey, selector={"name": faint})
    for text, place in (marks or {}).items():
        figure.add_vline(x=place, **grey, annotation_text=text)
    figure.update_xaxes(title=x_title, rangemode="tozero")
    figure.update_yaxes(title=y_title)
    return figure


def level_curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    x_title: str,
    y_title: str,
    dotted: Sequence[str] = (),
    faint: str = "",
    marks: Mapping[str, float] | None = None,
) -> go.Figure:
    """Narrow line chart as `curves`, with fixed margins, so that a level can be marked upon it.

    The plot area is 260 pixels high, 8 from the top, 44 from the left, 8 from the right, and ends
    at the first and the last of x.
    """
    below = 44 + 20 * len(lines)
    figure = curves(x, lines, x_title, y_title, 268 + below, dotted, faint, marks)
    figure.update_layout(
        margin={"l": 44, "r": 8, "t": 8, "b": below, "autoexpand": False},
        legend={"orientation": "v", "y": 0, "yref": "container", "yanchor": "bottom"},
        dragmode=False,
    )
    figure.update_traces(cliponaxis=False)
    figure.update_annotations(textangle=-90, xanchor="right")
    figure.update_xaxes(range=[x[0], x[-1]], fixedrange=True)
    figure.update_yaxes(fixedrange=True, title_standoff=4)
    return figure


def cloud(
    points: np.ndarray, position: np.ndarray, surfaces: Mapping[str, np.ndarray], height: int = 460
) -> go.Figure:
    """3D scatter plot of points coloured by position, with surfaces or curves.

    Arguments
        points: (n, 3).
        position: (n,).
        surfaces: a name and a grid of points (a, b, 3) for each; a curve where b is 1.
    """
    x, y, z = points.T
    figure = go.Figure(
        go.Scatter3d(
            x=x,
            y=y,
            z=z,
            mode="markers",
            name="test samples",
            marker={"size": 2.5, "color": position, "colorscale": "Viridis", "opacity": 0.8},
            hoverinfo="skip",
        )
    )
    for (name, grid), color in zip(surfaces.items(), cycle(LINE_COLORS)):
        x, y, z = np.moveaxis(grid, -1, 0)
        if grid.shape[1] == 1:
            trace = go.Scatter3d(
                x=x[:, 0],
                y=y[:, 0],
                z=z[:, 0],
                mode="lines",
                line={"color": color, "width": 6},
            )
        else:
            trace = go.Surface(
                x=x,
                y=y,
                z=z,
                colorscale=[[0, color], [1, color]],
                showscale=False,
                opacity=0.55,
                showlegend=True,
            )
        figure.add_trace(trace.update(name=name, hoverinfo="name"))
    axis = {"title": "", "showticklabels": False}
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"orientation": "h", "y": 0, "x": 0},
        scene={"xaxis": axis, "yaxis": axis, "zaxis": axis, "aspectmode": "data"},
        scene_camera={"eye": {"x": 0.9, "y": 0.9, "z": 0.6}},
        uirevision="keep",
    )
    return figure


def arrows(
    points: np.ndarray, fields: Mapping[str, tuple[np.ndarray, np.ndarray]], height: int = 520
) -> go.Figure:
    """Scatter plot of samples in the plane with arrows; both axes on the same scale.

    Arguments
        points: (n, 2).
        fields: a name, starts (m, 2) and ends (m, 2) for each.
    """
    figure = go.Figure(
        go.Scatter(
            x=points[:, 0],
            y=points[:, 1],
            mode="markers",
            name="test samples",
            marker={"size": 3, "color": "rgba(128, 138, 148, 0.6)"},
            hoverinfo="skip",
        )
    )
    for (name, (start, end)), color in zip(fields.items(), cycle(LINE_COLORS)):
        x, y = _arrow_lines(start, end).T
        line = {"color": color, "width": 1.5}
        figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name=name, line=line))
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 4, "t": 28, "b": 4},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        dragmode="pan",
        uirevision="keep",
    )
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(zeroline=False, scaleanchor="x")
    return figure


def _arrow_lines(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Polyline with gaps, (k, 2): the shafts of all arrows, then their heads of 20 degrees."""
    move, gap = end - start, np.full_like(end, np.nan)
    cosine, sine = 0.3 * np.cos(np.pi / 9), 0.3 * np.sin(np.pi / 9)
    turned = sine * move[:, ::-1] * [-1, 1]
    left, right = end - cosine * move + turned, end - cosine * move - turned
    shafts = np.stack([start, end, gap], axis=1).reshape(-1, 2)
    heads = np.stack([left, end, right, gap], axis=1).reshape(-1, 2)
    return np.concatenate([shafts, heads])


def feature_rows(
    rows: Sequence[tuple[str, np.ndarray]],
    feature_names: Sequence[str],
    samples: Sequence[str],
    units: Callable[[np.ndarray], np.ndarray] | None = None,
) -> go.Figure:
    """Heatmaps of the same samples side by side on one colour scale: blue below zero, red above.

    Arguments
        rows: a title and values (n, n_features) for each table.
        samples: a name for each of the n samples.
        units: turns values into those that are said of them.
    """
    from plotly.subplots import make_subplots

    limit = max(float(np.abs(values).max()) for _, values in rows)
    figure = make_subplots(
        rows=1,
        cols=len(rows),
        shared_yaxes=True,
        horizontal_spacing=0.02,
        subplot_titles=[title for title, _ in rows],
    )
    for column, (title, values) in enumerate(rows, start=1):
        figure.add_trace(
            go.Heatmap(
                z=values,
                x=list(feature_names),
                y=list(samples),
                coloraxis="coloraxis",
                customdata=None if units is None else units(values),
                hovertemplate="%{y}<br>%{x}: "
                + ("%{z:.2f}" if units is None else "%{customdata:.4~g}")
                + "<extra>"
                + title
                + "</extra>",
            ),
            row=1,
            col=column,
        )
    figure.update_layout(
        height=110 + 26 * len(samples) + 6 * max(map(len, feature_names)),
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        coloraxis={"colorscale": "RdBu_r", "cmin": -limit, "cmax": limit},
    )
    # Without a type Plotly would read "#38" as a number.
    figure.update_yaxes(autorange="reversed", type="category")
    return figure


def marginals(
    z: np.ndarray,
    densities: np.ndarray,
    prior: np.ndarray,
    titles: Sequence[str],
    columns: int = 3,
) -> go.Figure:
    """Density plots over the same axes, one panel each, over the filled prior.

    Arguments
        z: (k, m), in order.
        densities, prior: (k, m).
        titles: one for each of the k panels.
    """
    from plotly.subplots import make_subplots

    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_xaxes="all",
        shared_yaxes="all",
        horizontal_spacing=0.03,
        vertical_spacing=0.2 / rows,
        subplot_titles=titles,
    )
    for number, (x, density, expected) in enumerate(zip(z, densities, prior, strict=True)):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        once = {"showlegend": number == 0}
        filled = {"mode": "none", "fill": "tozeroy", "fillcolor": "rgba(128, 138, 148, 0.35)"}
        figure.add_trace(
            go.Scatter(x=x, y=expected, name="prior N(0, 1)", **filled, **once), **place
        )
        line = {"color": LINE_COLORS[0], "width": 2}
        figure.add_trace(
            go.Scatter(x=x, y=density, name="aggregate posterior", mode="lines", line=line, **once),
            **place,
        )
    figure.update_traces(hovertemplate="%{y:.3f}")
    figure.update_layout(
        height=90 + 190 * rows,
        margin={"l": 8, "r": 8, "t": 60, "b": 8},
        legend={"orientation": "h", "y": 1, "yref": "container", "yanchor": "top", "x": 0},
        hovermode="x",
        uirevision="keep",
    )
    figure.update_annotations(font_size=13)
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(zeroline=False, rangemode="tozero")
    return figure


# --- Sweeps -------------------------------------------------------------------------------------


def learning_curves(
    lines: Mapping[str, Sequence[float]], y_title: str, marked: Sequence[str]
) -> go.Figure:
    """Line chart of a value after each epoch of several trainings of different lengths.

    Arguments
        lines: a name and the values from the first epoch on, for each.
        marked: the names of those in colour, upon the others in grey.
    """
    figure = go.Figure()
    colors = dict(zip(lines, cycle(LINE_COLORS)))
    for name, values in sorted(lines.items(), key=lambda line: line[0] in marked):
        colored = name in marked
        figure.add_trace(
            go.Scatter(
                x=list(range(1, len(values) + 1)),
                y=list(values),
                name=name,
                mode="lines+markers" if len(values) < 30 else "lines",
                line={"color": colors[name] if colored else "gray", "width": 2},
                marker={"size": 4},
                opacity=1 if colored else 0.4,
                showlegend=colored,
                hovertemplate="epoch %{x}: %{y:.4g}<extra>" + name + "</extra>",
            )
        )
    _style(figure, "epoch", y_title, height=300)
    drawn = [value for values in lines.values() for value in values]
    if min(drawn, default=0) > 0 and max(drawn) > 10 * min(drawn):
        figure.update_yaxes(type="log")
    return figure


def effect(
    lines: Mapping[str, tuple[Sequence[Any], Sequence[float], Sequence[float]]],
    x_title: str,
    y_title: str,
    logarithmic: bool = False,
    joined: bool = True,
    baseline: tuple[str, Sequence[float], Sequence[float]] | None = None,
) -> go.Figure:
    """Line chart of means with their spread as error bars, over the values of a setting.

    Arguments
        lines: a name, x, means and spreads for each; x may be words.
        logarithmic: whether the axis of x is.
        joined: whether lines join the means.
        baseline: a name, x and y of what the others are measured by, drawn in grey.
    """
    figure = go.Figure()
    for (name, (x, mean, spread)), color in zip(lines.items(), cycle(LINE_COLORS)):
        figure.add_trace(
            go.Scatter(
                x=list(x),
                y=list(mean),
                error_y={"array": list(spread), "visible": any(spread), "thickness": 1.5},
                name=name,
                mode="lines+markers" if joined else "markers",
                line={"color": color, "width": 2},
                hovertemplate="%{x}: %{y:.4g}",
            )
        )
    if baseline is not None:
        name, x, y = baseline
        grey = {"color": "gray", "dash": "dash"}
        figure.add_trace(
            go.Scatter(x=x, y=y, name=name, mode="lines", line=grey, hovertemplate="%{x}: %{y:.4g}")
        )
    _style(figure, x_title, y_title, height=320)
    figure.update_layout(showlegend=len(figure.data) > 1)
    if any(isinstance(value, str) for x, _, _ in lines.values() for value in x):
        figure.update_xaxes(type="category")  # or widths such as "64, 32" are read as a number
    if logarithmic:
        ticks = _ticks([value for x, _, _ in lines.values() for value in x])
        figure.update_xaxes(
            type="log", tickvals=ticks, ticktext=[f"{tick:.3g}" for tick in ticks], minor_ticks=""
        )
    return figure


MOST_TICKS = 9


def _ticks(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Ticks of a logarithmic axis: the values themselves where they are few and apart."""
    ticks = np.unique(np.asarray(values, float))
    apart = len(ticks) < 2 or (np.diff(np.log(ticks)) > np.log(ticks[-1] / ticks[0]) / 12).all()
    if apart and len(ticks) <= MOST_TICKS:
        return ticks
    return np.geomspace(ticks[0], ticks[-1], 5)


def rate_distortion(points: Sequence[tuple[float, float, float]]) -> go.Figure:
    """Scatter plot of distortion against rate, coloured by beta.

    Arguments
        points: beta, rate and distortion of each.
    """
    betas = _ticks([beta for beta, _, _ in points])
    figure = go.Figure(
        go.Scatter(
            x=[rate for _, rate, _ in points],
            y=[distortion for _, _, distortion in points],
            text=[f"β {beta:g}" for beta, _, _ in points],
            mode="markers",
            marker={
                "size": 9,
                "color": np.log10([beta for beta, _, _ in points]),
                "colorscale": "Viridis",
                "colorbar": {
                    "title": "β",
                    "thickness": 10,
                    "tickvals": np.log10(betas),
                    "ticktext": [f"{beta:.3g}" for beta in betas],
                },
            },
            hovertemplate="%{text}: rate %{x:.4g}, distortion %{y:.4g}<extra></extra>",
        )
    )
    _style(figure, "rate: KL divergence, nats a sample", "distortion, nats a sample", height=320)
    figure.update_layout(showlegend=False)
    return figure


def bars(shares: Mapping[str, float], x_title: str) -> go.Figure:
    """Horizontal bars of shares, the first on top."""
    figure = go.Figure(
        go.Bar(
            x=[*shares.values()],
            y=[*shares],
            orientation="h",
            marker_color=LINE_COLORS[0],
            texttemplate="%{x:.0%}",
            textposition="auto",
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    )
    _style(figure, x_title, "", height=110 + 34 * len(shares))
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_yaxes(autorange="reversed")
    return figure


def parallel_coordinates(
    axes: Sequence[tuple[str, Sequence[float], Sequence[str]]], reverse: bool, text: str
) -> go.Figure:
    """Parallel coordinates of trials, coloured by the last axis.

    Arguments
        axes: a title and a value of each trial; of categories, their numbers, and their names.
        reverse: whether small values of the last axis are the good ones, drawn in orange.
        text: colour of the texts, which no theme sets here.
    """
    dimensions = []
    for title, values, names in axes:
        numbers = np.asarray(values, float)
        shown: dict[str, Any] = {"label": title, "values": numbers}
        if names:
            shown |= {"tickvals": list(range(len(names))), "ticktext": list(names)}
        elif title != axes[-1][0] and numbers.min() > 0 and numbers.max() >= 10 * numbers.min():
            ticks = _ticks(numbers)
            shown["values"] = np.log10(numbers)
            shown |= {"tickvals": np.log10(ticks), "ticktext": [f"{tick:.3g}" for tick in ticks]}
        dimensions.append(shown)
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={
                "color": np.asarray(axes[-1][1], float),
                "colorscale": [[0, "#98a4ac"], [0.5, "#4f9ac4"], [1, "#d55e00"]],
                "reversescale": reverse,
            },
            labelfont={"color": text, "size": 13},
            tickfont={"color": text, "size": 11},
            rangefont={"color": "rgba(0, 0, 0, 0)", "size": 1},
            unselected={"line": {"opacity": 0.08}},
        )
    )
    figure.update_layout(height=340, margin={"l": 70, "r": 70, "t": 56, "b": 24})
    return figure


def _style(figure: go.Figure, x_title: str, y_title: str, height: int) -> None:
    """Layout that the charts of a sweep share."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
        uirevision="keep",
    )
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title)
