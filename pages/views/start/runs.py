"""Table of all runs: search, compare, describe, train again, delete and restore.

The browser gets all rows, so that it sorts all, and asks for the pictures of those in sight.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import streamlit as st

from aecore import metrics
from aecore.errors import InvalidRequest
from aecore.runs import deleted, description
from pages.app import cache, controls, frame, server, state
from pages.app.text import define, plain
from pages.components import further, pickers
from pages.components.settings_form import as_typed
from pages.views.start import differences

if TYPE_CHECKING:
    from aecore.runs import store

SHOWN = ("test_mse", "pca_mse", "trustworthiness", "knn_accuracy")
MSE = "%.4f"
FORMATS = dict.fromkeys(("test_mse", "pca_mse"), MSE) | {
    "trustworthiness": "%.3f",
    "knn_accuracy": "percent",
}


SCHEMA = pa.schema(
    {
        **dict.fromkeys(("map", "title", "dataset", "variant", "note", "name"), pa.string()),
        **dict.fromkeys(("code", "epochs"), pa.int64()),
        **dict.fromkeys(SHOWN, pa.float64()),
        "created": pa.timestamp("us", "UTC"),
        "tags": pa.list_(pa.string()),
    }
)
MOST_OF_NOTE = 200
"""Characters of a note in its cell, which shows fewer; the row that is ticked has it whole."""


@st.fragment
def show() -> None:
    """Show the table and what can be done with the chosen rows; a fragment."""
    with frame.guarded():
        listing = cache.listing()
        for sentence in listing.damaged[: pickers.MOST_SAID]:
            state.note(sentence)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader("All runs", width="content")
            text = st.text_input(
                "Search runs",
                key="find",
                bind="query-params",
                placeholder="Search titles, settings, tags and notes",
                label_visibility="collapsed",
                icon=":material/search:",
                width=340,
            )
            restore()
        # In sight with the rows that are ticked, and as high from the start.
        st.html(Path(__file__).with_name("start.css"))
        actions = st.container(key="actions")
        table = _table(listing.number, listing)
        words = text.lower().split()
        found = [at for at, known in enumerate(table.known) if all(word in known for word in words)]
        event = st.dataframe(
            table.rows.take(pa.array(found, pa.int64())),
            column_config=columns(),
            column_order=[*columns()],
            hide_index=True,
            row_height=44,
            # Another table after a search, whose rows are others.
            key=f"runs {text} {len(found)}",
            on_select="rerun",
            selection_mode="multi-row",
            placeholder="",
            alt="All runs, with their settings and measures",
        )
        chosen = [
            listing.runs[table.names[found[at]]] for at in event.selection.rows if at < len(found)
        ]
        if not found:
            st.caption(f"No run has '{plain(text)}' in its title, settings, tags or note.")
        elif not chosen:
            actions.caption(
                "Tick a run to open, describe, train again or delete it; two to four to compare "
                "them. All measures are of the test split.",
                help="By keyboard, Shift and the space bar tick the run of the marked cell.\n\n"
                + define("Run", "Split"),
                width="content",
            )
        else:
            with actions, st.container(horizontal=True, vertical_alignment="center"):
                if len(chosen) == 1:
                    one(chosen[0], listing)
                else:
                    differences.offer(chosen, listing.titles)
        if len(chosen) == 1 and (note := listing.descriptions[chosen[0].name].note):
            st.markdown("  \n".join(map(plain, note.splitlines())))


class Table(NamedTuple):
    """All rows, the starred ones first, each group the newest first."""

    names: list[str]
    rows: pa.Table
    known: list[str]
    """What is known of each run in words, in lower case; it is found by parts of these."""


@cache.bounded(2)
def _table(number: int, _listing: cache.Listing) -> Table:
    described, titles = _listing.descriptions, _listing.titles
    runs = sorted(_listing.runs.values(), key=lambda run: not described[run.name].star)
    rows = [row(run, titles[run.name], described[run.name]) for run in runs]
    known = [in_words(run, titles[run.name], described[run.name]) for run in runs]
    return Table([run.name for run in runs], pa.Table.from_pylist(rows, SCHEMA), known)


def in_words(run: store.Run, title: str, about: description.Description) -> str:
    """What a run is found by."""
    config = run.config
    parts = (title, run.name, config.dataset, run.spec.title, config.variant)
    return " ".join((*parts, run.variant_title, about.note, *about.tags)).lower()


def row(run: store.Run, title: str, about: description.Description) -> dict[str, Any]:
    """Row of a run in the table."""
    return {
        "map": server.thumbnail_address(run),
        "title": f"{'★ ' * about.star}{title}",
        "dataset": run.spec.title.split(",")[0],
        "variant": run.variant_title,
        "code": run.config.model.latent_dim,
        **{name: run.manifest.metrics.get(name) for name in SHOWN},
        "epochs": run.epochs,
        "created": run.manifest.created,
        "tags": about.tags,
        "note": about.note[:MOST_OF_NOTE],
        "name": run.name,
    }


def columns() -> dict[str, Any]:
    """Columns of the table."""
    column = st.column_config
    measures = {
        name: column.NumberColumn(title, format=FORMATS[name], help=text, width=105)
        for name, (title, text) in metrics.DEFINITIONS.items()
        if name in SHOWN and name != "pca_mse"
    }
    pca = column.NumberColumn(
        "MSE of PCA",
        format=MSE,
        width=90,
        help="Test MSE of as many principal components as the code has dimensions.\n\n"
        + define("PCA", "MSE"),
    )
    return {
        "map": column.ImageColumn("Map", width=60),
        "title": column.TextColumn("Title", width=270),
        **measures,
        "pca_mse": pca,
        "dataset": column.TextColumn("Dataset", width=140),
        "created": column.DatetimeColumn("Trained", format="distance", width=115),
        "tags": column.ListColumn("Tags", width=140),
        "note": column.TextColumn("Note", width=170),
        # What the title says, too, and what a window of 1,440 pixels has no room for.
        "variant": column.TextColumn("Variant", help=define("Variant", "Autoencoder")),
        "code": column.NumberColumn("Code size", help=define("Code")),
        "epochs": column.NumberColumn("Epochs", help=define("Epochs")),
        "name": column.TextColumn("Name", help="In addresses and on the command line."),
    }


# --- One run ------------------------------------------------------------------------------------


def one(run: store.Run, listing: cache.Listing) -> None:
    """Show what can be done with a run."""
    title = plain(listing.titles[run.name])
    st.markdown(f"**{title}**  \n:small[{plain(run.name)}]", width="content")
    for entry in frame.OF_A_RUN:
        frame.link(entry, {state.RUN: run.name})
    if run.capabilities.trainable:
        st.page_link(
            "pages/train.py",
            label="Train again",
            icon=":material/replay:",
            query_params=settings_query(run),
            help="Opens the form with the settings of this run.",
        )
        if run.trained:
            further.offer(run)
    if st.button("Describe", icon=":material/edit:", key=f"describe-{run.name}"):
        describe(run, listing.descriptions)
    if controls.button("Delete", ":material/delete:", key=f"delete-{run.name}"):
        deleted.delete(run.name)
        st.toast(f"{title} is deleted; *Deleted runs* brings it back.")
        st.rerun()


def settings_query(run: store.Run) -> dict[str, str]:
    """Address of the form with the settings of a run."""
    config = run.config
    query = {"dataset": config.dataset, "variant": config.variant, "preset": "defaults"}
    for setting, value in differences.settings_of(run):
        value = as_typed(setting, value)
        query[setting.name] = str(value).lower() if isinstance(value, bool) else str(value)
    return query


@st.dialog("Describe the run")
def describe(run: store.Run, descriptions: Mapping[str, description.Description]) -> None:
    """Form for the title, the note, the tags and the star of a run."""
    about = descriptions[run.name]
    used = {tag for each in descriptions.values() for tag in each.tags}
    with st.form("description", border=False):
        # Without `max_chars`, for which a longer text is dropped without a word.
        title = st.text_input("Title", about.title, placeholder=plain(description.usual_title(run)))
        tags = st.multiselect(
            "Tags",
            sorted(used),
            about.tags,
            accept_new_options=True,
            placeholder="Choose, or type a new one",
        )
        note = st.text_area("Note", about.note)  # under the list of tags, which stays open
        star = st.checkbox("Star: stands before the others", about.star)
        if st.form_submit_button("Save", type="primary"):
            try:
                description.write(run, title=title, note=note, tags=tags, star=star)
            except InvalidRequest as error:
                frame.show_error(error)
            else:
                st.rerun()


def restore() -> None:
    """Popover with the deleted runs, and a button to bring each back."""
    if not (names := deleted.names()):
        return
    with st.popover("Deleted runs", icon=":material/restore_from_trash:", type="tertiary"):
        st.caption(f"The last {deleted.KEPT} deleted runs are kept.")
        for name in names:
            with st.container(horizontal=True, vertical_alignment="center"):
                if controls.button("Restore", ":material/undo:", key=f"restore-{name}"):
                    try:
                        deleted.restore(name)
                    except InvalidRequest as error:
                        frame.show_error(error)
                    else:
                        st.rerun()
                st.markdown(plain(name))
