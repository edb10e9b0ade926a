"""Start: what an autoencoder is, on the maps of one run, and the table of all runs."""

from __future__ import annotations

import streamlit as st

from pages.app import cache, frame, server, state, tour
from pages.components import maps, own_picture, pickers, workbench
from pages.views.start import runs as run_table

ABOUT = """
An **autoencoder** learns to copy its input through a **bottleneck** of a few numbers. Its
**encoder** turns an image into these numbers, here two: a point on the first map. Its **decoder**
turns any two numbers into an image. **Point at the maps** to see both at work.
"""
PANEL = 260  # pixels
FIRST = ("mnist-vae", pickers.DEFAULT_RUN)  # of the runs that ship, the most telling first


def start() -> None:
    """Draw the start page."""
    with frame.page("Start"):
        runs, broken = cache.runs()
        by_name = {run.name: run for run in runs}
        shown = next((by_name[name] for name in (*FIRST, *by_name) if name in by_name), None)
        if shown and state.remember_run(shown.name):
            st.rerun()  # the header links to it
        pickers.show_broken(broken)
        if shown is None:
            st.info("There is no run yet. Train the first one; it takes a few seconds.")
            st.page_link("pages/train.py", label="Train", icon=":material/model_training:")
            run_table.restore()
            st.stop()
        canvas, panel = workbench.split("left", PANEL)
        with panel:
            st.markdown(ABOUT)
            with st.container(horizontal=True, gap="xxsmall"):
                link = {state.RUN: shown.name}
                frame.link(frame.entry("Latent map"), link, "Look at a map", width="content")
                frame.link(frame.entry("Train"), link, "Train one", width="content")
                tour.offer("app.py")
            if own_picture.applies(shown):
                with st.container(key="own"):
                    st.markdown("Or draw a digit, or open a picture, and see where it lands:")
                    own_picture.draw(shown)
        with canvas, frame.guarded():
            view = maps.default_view(shown)
            maps.show(view, key="start", mode="start")
            maps.offer_missing(view)
        run_table.show()


if __name__ == "__main__":  # when Streamlit runs the page
    start()
else:  # when `streamlit run` looks for what to serve, which it finds by this line
    server.prepare()
    app = st.App(
        __file__,
        routes=server.routes(),
        middleware=server.middleware(),
        on_script_error=frame.failed,
    )
