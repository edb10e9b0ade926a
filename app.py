"""Start: what an autoencoder is, on the maps of one run, and the table of all runs."""

from __future__ import annotations

import streamlit as st

from pages.app import cache, frame, server, state
from pages.components import maps, pickers
from pages.views.start import runs as run_table

ABOUT = """
An **autoencoder** learns to copy its input through a narrow place, the *bottleneck*. Its
**encoder** turns each image into a few numbers, here two: a point on the first map. Its
**decoder** paints an image from two numbers, at any place of that map.

**Point at the map:** a sample lights up in every map. Move over the first one to see what the
decoder paints there.
"""


def start() -> None:
    """Draw the start page."""
    with frame.page("Start"):
        runs, broken = cache.runs()
        pickers.show_broken(broken)
        if not runs:
            st.info("There is no run yet. Train the first one; it takes a few seconds.")
            st.page_link("pages/train.py", label="Train", icon=":material/model_training:")
            run_table.restore()
            st.stop()
        shown = next((run for run in runs if run.name == pickers.DEFAULT_RUN), runs[0])
        with st.container(key="workbench", horizontal=True):
            with st.container(width=260):
                st.markdown(ABOUT)
                st.markdown("**Three things to do**")
                link = {state.RUN: shown.name}
                train, latent_map, reconstructions = frame.MENU[1:4]
                frame.link(latent_map, link, "Look at a map")
                frame.link(train, link, "Train one")
                frame.link(reconstructions, link, "See where your own picture lands")
            with st.container(key="canvas"), frame.guarded():
                view = maps.default_view(shown)
                maps.show(view, key="start", mode="start")
                maps.offer_missing(view)
        run_table.show(runs)


if __name__ == "__main__":  # when Streamlit runs the page
    start()
else:  # when `streamlit run` looks for what to serve, which it finds by this line
    app = st.App(
        __file__,
        routes=server.routes(),
        middleware=server.middleware(),
        on_script_error=frame.failed,
    )
