"""What several pages show: the frame, the menu, the jobs, pickers, and forms made from settings."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import BaseModel

from aecore import data, latent, metrics
from aecore.errors import Faults
from aecore.jobs import Job
from aecore.runs import store
from aecore.runs.train import Training
from aecore.settings import Setting, list_settings
from pages.shared import cache, state

MENU = (
    ("app.py", "Start", ":material/home:"),
    ("pages/train.py", "Train", ":material/model_training:"),
    ("pages/latent_map.py", "Latent map", ":material/scatter_plot:"),
    ("pages/reconstructions.py", "Reconstructions", ":material/compare:"),
    ("pages/denoise.py", "Denoise", ":material/blur_on:"),
    ("pages/generate.py", "Generate", ":material/auto_awesome:"),
    ("pages/recipes.py", "Recipes", ":material/science:"),
)
OF_A_RUN = MENU[2:4]
DEFAULT_RUN = "digits-ae"

log = logging.getLogger(__name__)


@contextmanager
def page(title: str) -> Iterator[None]:
    """The frame of every page: title, menu, jobs; and sentences in place of tracebacks."""
    # An icon of our own: Streamlit would fetch a named one from another server.
    icon = str(Path(__file__).with_name("icon.png"))
    st.set_page_config(f"{title} · Latent Loupe", icon, layout="wide", initial_sidebar_state=220)
    with st.sidebar:
        st.markdown("### :material/search: Latent Loupe")
        for path, label, icon in MENU:
            st.page_link(path, label=label, icon=icon, query_params=state.run_for_links())
        job_list()
    with guarded():
        yield
    cache.settle("the pages")


@contextmanager
def guarded() -> Iterator[None]:
    """Show an error as a sentence, and go on after it.

    What was computed once and is damaged is named when it is read, and the rest is shown.
    """
    with state.noting(lambda text: st.warning(plain(text), icon=":material/broken_image:")):
        try:
            yield
        except Exception as error:
            failed(error)


def failed(error: Exception) -> bool:
    """Show the faults of a request as they are, and any other error as one sentence.

    Returns True, for the server, which asks this of what is raised outside of `guarded`, such as in
    a callback, and would otherwise show more.
    """
    if isinstance(error, Faults):
        faults(error)
        return True
    log.error("a page failed", exc_info=error)
    st.error(
        f"This could not be shown: {type(error).__name__}. The server's log says where. "
        "Reload the page, or choose another run.",
        icon=":material/error:",
    )
    return True


def faults(error: Faults) -> None:
    """Say everything that is wrong with a request."""
    st.error("\n".join(f"- {plain(fault)}" for fault in error.faults), icon=":material/error:")


def plain(text: object) -> str:
    """Markdown that shows a text as it is: no links, icons, formulas, lists or lines of its own.

    Signs that nobody sees (line breaks, zero-width and direction marks) are shown as Python writes
    them, so that they hide nothing. What Streamlit makes of text only after Markdown has been read
    (links out of addresses, icons out of names between colons, arrows out of hyphens) knows no
    escape; it looks at one piece of text at a time, so a directive without effect parts what it
    looks for.

    >>> plain("*a*")
    '\\\\*a\\\\*'
    >>> plain("www.a.example")
    'www:color[.]a.example'
    """
    shown = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(text))
    return MARKDOWN.sub(_escaped, shown)


MARKDOWN = re.compile(
    r"(?P<parted>@|:(?=\S)|(?<=www)\.|(?<=[-<])-|-(?=[->])|(?<=[<>~])=)"
    r"|(?P<sign>[\\`*_{}\[\]()<>#+!|~$:&]|^[-=]|(?<=^[0-9])[.)]|^(?P<digits>[0-9]{2,})[.)])",
    re.IGNORECASE,
)


def _escaped(found: re.Match[str]) -> str:
    sign = found[0]
    if not found["parted"]:
        return f"{sign[:-1]}\\{sign[-1]}"
    return f":color[\\{sign}]" if sign == ":" else f":color[{sign}]"


# --- Jobs ---------------------------------------------------------------------------------------


def job_list() -> None:
    """The jobs that wait or run, at the foot of the menu; the page is run again when one ends."""
    active = [job.id for job in cache.jobs().all() if job.active]

    def body() -> None:
        current = [job for job in cache.jobs().all() if job.active]
        if [job.id for job in current] != active:
            st.rerun()
        if current:
            st.caption("Jobs")
        for job in reversed(current):
            progress(job)
            if button("Cancel", ":material/stop_circle:", key=f"cancel-{job.id}"):
                cache.jobs().cancel(job)

    st.fragment(run_every=0.8 if active else None)(body)()


def progress(job: Job) -> None:
    """A bar that says what a job does, how far it is and how long it will take."""
    if job.state == "queued":
        before = cache.jobs().place(job)
        place = f"{before} before it" if before else "next"
        st.progress(0.0, text=f"**{plain(job.task.title)}**: waiting, {place}")
        if trouble := cache.jobs().trouble:
            st.warning(plain(trouble), icon=":material/warning:")
        return
    text = f"**{plain(job.task.title)}**: {plain(job.what)}"
    if isinstance(job.task, Training) and job.log.history:
        epochs = job.task.config.training.epochs
        text += f", epoch {job.log.history[-1]['epoch']} of {epochs} done"
    if job.seconds_left is not None and job.total > 1:
        text += f", {duration(job.seconds_left)} left"
    st.progress(min(job.done / job.total, 1.0), text=text)


def analysed(run: store.Run) -> bool:
    """Whether a run has been analysed as far as its data allow; otherwise sees to it."""
    jobs, analysis = cache.jobs(), cache.analysis(run)
    here = data.here(run.dataset)
    if analysis is not None and (analysis[1]["complete"] or not here):
        return True
    job = jobs.find(latent.Analyse(run.name))
    # Done, and still not complete: the dataset was not here yet at that time.
    if job is None or (here and analysis is not None and job.state == "done"):
        jobs.submit(latent.Analyse(run.name))
        st.rerun()
    if job.error:
        st.error(plain(job.error), icon=":material/error:")
    if not job.active and again("Analyse the run again", f"analyse-{run.name}"):
        jobs.submit(latent.Analyse(run.name))
        st.rerun()
    return False


def again(label: str, key: str) -> bool:
    """A button for what a job should have left behind and is not there."""
    return st.button(label, key=key, icon=":material/refresh:")


def offer(known: Sequence[Job | None], hint: str, label: str, icon: str) -> bool:
    """Say how jobs are getting on, or offer to start them; returns whether that was pressed."""
    for job in known:
        if job is not None and job.error:
            st.error(plain(job.error), icon=":material/error:")
    st.caption(hint)
    if any(job is not None and job.active for job in known):
        st.info(
            "This is being computed; the menu says how far it is, and the page shows it when it is "
            "done.",
            icon=":material/hourglass_top:",
        )
        return False
    return button(label, icon)


def button(label: str, icon: str, **options: Any) -> bool:
    """A button that starts or ends something; returns whether it was pressed.

    The second press of a double click does not count.
    """
    pressed = st.button(label, icon=icon, **options) and not state.double_click(label)
    if pressed:
        state.answer_press(label)
    return pressed


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(200)
    '3 min 20 s'
    >>> duration(7_326)
    '2 h 2 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


# --- Pickers and forms --------------------------------------------------------------------------


def pick_run() -> store.Run | None:
    """The run that the page is about, kept in the address; None with a hint where there is none."""
    found, broken = cache.runs()
    tell_broken(broken)
    names = sorted(run.name for run in found)
    if not names:
        st.info("There is no run yet.", icon=":material/info:")
        st.page_link("pages/train.py", label="Train the first", icon=":material/model_training:")
        return None
    default = DEFAULT_RUN if DEFAULT_RUN in names else names[0]
    stranger = state.follow_address(state.RUN, names, default)
    if stranger and stranger not in {each.name for each in broken}:  # which have been named
        unknown("run", stranger)
    return cache.run(
        st.selectbox("Run", names, key=state.RUN, on_change=state.keep, args=(state.RUN,))
    )


def unknown(kind: str, name: str) -> None:
    """Say that the address asks for a name that there is not."""
    shown = name if len(name) <= LONG else f"{name[:LONG]}…"
    st.warning(f"There is no {kind} called '{plain(shown)}'; this is another one.")


LONG = 80  # signs of a name out of the address that are shown


def tell_broken(broken: list[store.Broken]) -> None:
    """Name the folders of the store that are not readable runs."""
    for run in broken:
        st.warning(
            f"The folder '{plain(run.name)}' is not a complete run and is left out: "
            f"{plain(run.reason.rstrip('.'))}. Restore it or delete it from "
            f"{plain(str(store.root()))}.",
            icon=":material/folder_off:",
        )


def run_facts(run: store.Run) -> str:
    """One line that says what a run is."""
    config, manifest = run.config, run.manifest
    return (
        f"{config.variant} on {plain(config.dataset)}, code of {config.model.latent_dim}, "
        f"{config.training.epochs} epochs, seed {config.training.seed}: trained on "
        f"{manifest.n_train:,} samples, tested on {manifest.n_test:,} others."
    )


def changed(run: store.Run) -> bool:
    """Whether the dataset of a run was removed or is another by now; says so where it is."""
    dataset = run.dataset
    if dataset.missing:
        st.warning(
            f"{plain(dataset.missing)} What has not been computed yet cannot be.",
            icon=":material/warning:",
        )
        return True
    if not data.here(dataset) or dataset.fingerprint == run.manifest.fingerprint:
        return False
    st.warning(
        f"The dataset {dataset.name} has changed since '{run.name}' was trained on it, so what has "
        "not been computed yet cannot be: train the run again.",
        icon=":material/warning:",
    )
    return True


def figure(run: store.Run, metric: metrics.MetricName) -> str:
    """A metric of a run in four decimals, or words where it was not measured."""
    value = run.manifest.metrics.get(metric)
    return "unknown" if value is None else f"{value:.4f}"


def one_of(title: str, options: Sequence[str], key: str, **more: Any) -> str:
    """One of a few, the first unless told, kept in the address."""
    chosen = st.segmented_control(
        title, options, default=options[0], required=True, key=key, bind="query-params", **more
    )
    return chosen or options[0]  # an address may hold the key without a value


def whole_number(
    label: str, key: str, low: int | None = None, high: int | None = None, **options: Any
) -> int | None:
    """A field for a whole number, the lowest unless told, that is kept in the address."""
    state.refuse_infinite(key)
    return st.number_input(label, low, high, key=key, bind="query-params", **options)


def settings_form(
    kind: type[BaseModel],
    defaults: Mapping[str, Any],
    prefix: str = "",
    title: str = "",
    advanced: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """One widget for each setting of a class, filled with `defaults`, kept in the address.

    Nothing is checked here, so that all faults can be told together and what was typed stays.

    Arguments
        advanced: whether to show the settings for those who ask for more, or the others.
    """
    return {
        setting.name: _widget(
            setting,
            defaults.get(setting.name, setting.default),
            label=f"{title}: {setting.label.lower()}" if title else setting.label,
            key=prefix + setting.name,
            help=f"{setting.description} Give {setting.allowed}.",
            **options,
        )
        for setting in list_settings(kind)
        if setting.advanced == advanced
    }


def as_typed(setting: Setting, value: Any) -> Any:
    """A setting's value in the form in which its widget holds it."""
    return ", ".join(map(str, value)) if setting.kind == "widths" else value


def _widget(setting: Setting, default: Any, **common: Any) -> Any:
    default = as_typed(setting, default)
    if setting.kind == "whole number":
        return whole_number(value=int(default), step=1, **common)
    common["bind"] = "query-params"
    if setting.kind == "choice":
        index = setting.choices.index(default)
        return st.selectbox(options=setting.choices, index=index, **common)
    if setting.kind == "switch":
        return st.checkbox(value=default, **common)
    if setting.kind == "widths":
        return st.text_input(value=default, placeholder="none", **common)
    step = float(default) / 10 or 0.1
    return st.number_input(value=float(default), step=step, format="%g", **common)
