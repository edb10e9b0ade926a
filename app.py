"""Start: what this is, the four maps of one run, and the gallery of all runs."""

from __future__ import annotations

import streamlit as st

from pages.shared import cache, maps, parts, server


def start() -> None:
    """The page."""
    with parts.page("Start"):
        st.title("Latent Loupe")
        st.markdown(
            "Look inside what an autoencoder learned: its two-dimensional bottleneck beside PCA, "
            "t-SNE and UMAP of the same samples, in the same colours."
        )
        runs, broken = cache.runs()
        parts.tell_broken(broken)
        if not runs:
            st.info("There is no run yet. Train the first one; it takes a few seconds.")
            st.page_link("pages/train.py", label="Train", icon=":material/model_training:")
            st.stop()

        shown = next((run for run in runs if run.name == parts.DEFAULT_RUN), runs[0])
        st.subheader(parts.plain(shown.name))
        st.caption(parts.run_facts(shown))
        with parts.guarded():
            view = maps.default_view(shown)
            maps.show(view, key="start", mode="start")
            maps.offer_missing(view)

        st.subheader("All runs")
        with st.container(horizontal=True, gap="medium"):
            for run in runs:
                with st.container(border=True, width=236):
                    with parts.guarded():
                        st.image(
                            cache.thumbnail(*cache.identity(run)),
                            width=204,
                            alt=f"Map of the test codes of the run {run.name}",
                        )
                    st.page_link(
                        "pages/latent_map.py",
                        label=f"**{parts.plain(run.name)}**",
                        icon=":material/scatter_plot:",
                        query_params={"run": run.name},
                    )
                    st.caption(
                        f"{run.config.variant} on {parts.plain(run.config.dataset)}  \n"
                        f"test MSE {parts.figure(run, 'test_mse')}, "
                        f"PCA {parts.figure(run, 'pca_mse')}"
                    )


if __name__ == "__main__":  # when Streamlit runs the page
    start()
else:  # when `streamlit run` looks for what to serve, which it finds by this line
    app = st.App(
        __file__,
        routes=server.routes(),
        middleware=server.middleware(),
        on_script_error=parts.failed,
    )
