"""What a sweep says: best trial, effect of each setting, importance, parallel coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import streamlit as st

from aecore.errors import InvalidRequest
from aecore.plots import figures
from aecore.runs import findings, search
from aecore.runs.findings import MEASURES
from pages.app import cache, frame
from pages.app.text import define, explain, plain
from pages.views.what_if import seeds

if TYPE_CHECKING:
    from aecore.runs.sweeps import Plan, Result
    from aecore.settings import Setting

RATE = (
    "Of each trial: how many nats the code says of a sample, and how many the reconstruction "
    "lacks (Alemi et al. 2018).\n\n"
)
LEAST = 2
"""Trained trials from which there is something to compare."""


def show(plan: Plan, results: Sequence[Result], measure: str) -> None:
    """Show what the trials that are trained say so far."""
    done = [result for result in results if result.trial.state == "done"]
    known = findings.differing(plan, done)
    if len(done) < LEAST or not known:
        return
    st.subheader("What it says", help="Of the trials that are trained, on the test split.")
    best = findings.best_seeds(results, measure)
    sentences = [findings.best_in_words(plan, results, measure)]
    if best:
        sentences.append(findings.seeds_in_words(plan, best, measure))
    st.markdown(plain(" ".join(sentences)))
    settings = {name: each for name, each in known.items() if name != "seed"}
    incomparable = findings.IN_THE_LOSS if measure == "test_loss" else ()
    for name in settings:
        if name not in incomparable and (said := findings.conclusion(plan, results, name, measure)):
            st.markdown(f"- {plain(said)}")
    if inside := [name for name in known if name in incomparable]:
        st.caption(
            f"The loss contains {', '.join(known[name].label for name in inside)}: losses of "
            "different values cannot be compared, so choose another measure."
        )
    if best:
        seeds.show(best)
    if not settings:
        return
    places = cycle(st.columns(2))
    for name, setting in settings.items():
        with next(places):
            effect(plan, results, name, setting, measure)
    if "beta" in settings and (points := findings.rate_distortion(results)):
        with next(places):
            st.markdown("**Distortion against rate**", help=RATE + define("KL divergence"))
            st.plotly_chart(
                figures.rate_distortion(points),
                key="rate-distortion",
                config=figures.MODEBAR,
                alt=f"Distortion against rate of {len(points)} trials",
            )
    if len(settings) > 1:
        with next(places):
            importance(plan, results, settings, len(done))
    about = "Drag along an axis to see the trials within alone; the best are orange."
    st.markdown("**All trials at once**", help=about)
    axes = findings.axes(plan, results, measure)
    dark = st.context.theme.type == "dark"
    st.plotly_chart(
        figures.parallel_coordinates(
            axes, MEASURES[measure].lower_is_better, "#e8eef2" if dark else "#0b1319"
        ),
        key="parallel",
        config=figures.MODEBAR,
        alt=f"Parallel coordinates of {len(done)} trials over "
        f"{', '.join(axis.title for axis in axes)}; the best trials are orange",
    )


def effect(
    plan: Plan, results: Sequence[Result], name: str, setting: Setting, measure: str
) -> None:
    """Chart of a measure against a setting; for the code size, PCA beside it."""
    lines = findings.effect(plan, results, name, measure)
    if not lines:
        return
    title = MEASURES[measure].title
    heading = f"**{title} by {findings.in_sentence(setting.label)}**"
    others = findings.differing(plan, results).keys() - {name, "seed"}
    over = "seeds and other settings" if others and not lines[0].name else "the seeds"
    about = f"Means over {over}; bars are one standard deviation."
    st.markdown(heading, help="\n\n".join(filter(None, (about, explain(heading)))))
    baseline = None
    if name == "latent_dim" and measure == "test_mse":
        baseline = ("PCA", *findings.pca_curve(results))
    st.plotly_chart(
        figures.effect(
            {line.name or title: (line.x, line.mean, line.spread) for line in lines},
            setting.label,
            title,
            findings.is_logarithmic([x for line in lines for x in line.x]),
            joined=not plan.ranges,
            baseline=baseline,
        ),
        key=f"effect-{name}",
        config=figures.MODEBAR,
        alt=f"{title} for each {setting.label}, mean over the seeds with standard deviation",
    )


def importance(
    plan: Plan, results: Sequence[Result], known: Mapping[str, Setting], n_done: int
) -> None:
    """Bars of the importance of each setting, or why there are none."""
    st.markdown("**Importance for the test loss**", help=define("Importance of a setting"))
    try:
        with st.spinner("Computing importance"):
            shares = cache.importance(plan.name, n_done, plan, results)
    except InvalidRequest as error:
        frame.show_error(error)
        return
    if shares is None:
        st.caption(
            f"It takes {search.LEAST_TRIALS} trained combinations of settings, seeds counted once, "
            "whose losses differ."
        )
        return
    st.plotly_chart(
        figures.bars(
            {known[name].label: share for name, share in shares.items() if name in known}, ""
        ),
        key="importance",
        config=figures.MODEBAR,
        alt="Importance of each setting for the test loss",
    )
