"""Start: introduction, the four maps of one run, and the gallery of all runs."""

from __future__ import annotations

import streamlit as st

from pages.app import cache, frame, server
from pages.app.text import plain
from pages.components import maps, pickers
from pages.components.run_facts import metric_text, run_facts


def start() -> None:
    """Draw the start page."""
    with frame.page("Start"):
        st.markdown(
            "Look inside what an autoencoder learned: its two-dimensional bottleneck beside PCA, "
            "t-SNE and UMAP of the same samples, in the same colours."
        )
        runs, broken = cache.runs()
        pickers.show_broken(broken)
        if not runs:
            st.info("There is no run yet. Train the first one; it takes a few seconds.")
            st.page_link("pages/train.py", label="Train", icon=":material/model_training:")
            st.stop()

        shown = next((run for run in runs if run.name == pickers.DEFAULT_RUN), runs[0])
        st.subheader(plain(shown.name))
        st.caption(run_facts(shown))
        with frame.guarded():
            view = maps.default_view(shown)
            maps.show(view, key="start", mode="start")
            maps.offer_missing(view)

        st.subheader("All runs")
        with st.container(horizontal=True, gap="medium"):
            for run in runs:
                with st.container(border=True, width=236):
                    with frame.guarded():
                        st.image(
                            cache.thumbnail(*cache.identity(run)),
                            width=204,
                            alt=f"Map of the test codes of the run {run.name}",
                        )
                    st.page_link(
                        "pages/latent_map.py",
                        label=f"**{plain(run.name)}**",
                        icon=":material/scatter_plot:",
                        query_params={"run": run.name},
                    )
                    st.caption(
                        f"{run.config.variant} on {plain(run.config.dataset)}  \n"
                        f"test MSE {metric_text(run, 'test_mse')}, "
                        f"PCA {metric_text(run, 'pca_mse')}"
                    )


if __name__ == "__main__":  # when Streamlit runs the page
    start()
else:  # when `streamlit run` looks for what to serve, which it finds by this line
    app = st.App(
        __file__,
        routes=server.routes(),
        middleware=server.middleware(),
        on_script_error=frame.failed,
    )
