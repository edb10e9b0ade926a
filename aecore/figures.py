"""Arrays to Plotly figures. Nothing here knows a model, a file or a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from aecore.colors import CLASS_COLORS, class_color

WEBGL_FROM = 2_000
MODEBAR = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
"""The `config` that goes with these figures: only buttons that do something."""


def scatter_map(
    plane: np.ndarray, labels: np.ndarray, label_names: Sequence[str], height: int = 380
) -> go.Figure:
    """A map of samples, both axes on the same scale.

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
            middle = np.median(plane[chosen], axis=0)
            figure.add_annotation(
                x=middle[0],
                y=middle[1],
                text=label_names[label],
                showarrow=False,
                font={"size": 12, "color": "white"},
                bgcolor="rgba(30, 40, 48, 0.72)",
                borderpad=2,
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


def loss_curves(
    epochs: Sequence[int], train: Sequence[float], test: Sequence[float], height: int = 300
) -> go.Figure:
    """The loss by epoch on both splits.

    Arguments
        epochs: 1, 2, ...
        train, test: the loss per sample after each of them.
    """
    figure = go.Figure()
    for name, values, color, dash in (
        ("train", train, CLASS_COLORS[0], "dot"),
        ("test", test, CLASS_COLORS[6], "solid"),
    ):
        figure.add_trace(
            go.Scatter(
                x=list(epochs),
                y=list(values),
                name=name,
                mode="lines+markers" if len(epochs) < 30 else "lines",
                line={"color": color, "dash": dash, "width": 2},
                hovertemplate="epoch %{x}: %{y:.4g}",
            )
        )
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": 1.14, "x": 0},
        hovermode="x unified",
        uirevision="keep",
    )
    figure.update_xaxes(title="epoch", rangemode="tozero")
    figure.update_yaxes(title="loss per sample")
    return figure


def feature_rows(
    rows: Sequence[tuple[str, np.ndarray]], feature_names: Sequence[str], samples: Sequence[str]
) -> go.Figure:
    """Tables of the same samples side by side on one colour scale: blue below zero, red above.

    Arguments
        rows: a title and values (n, n_features) for each table.
        samples: a name for each of the n samples.
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
                hovertemplate="%{y}<br>%{x}: %{z:.2f}<extra>" + title + "</extra>",
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
