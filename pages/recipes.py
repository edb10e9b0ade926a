"""Recipes: published figures beside reproduced ones, with pictures."""

from __future__ import annotations

import streamlit as st

from pages.app import frame
from pages.views.recipes import results

with frame.page("Recipes"):
    st.markdown(
        "Each recipe trains the model of a paper or tutorial, measures it on the test split, and "
        "shows the published figure beside the reproduced one."
    )
    outcomes = results.read()
    recipe = results.pick(outcomes)
    results.about(recipe)
    results.run(recipe, outcomes[recipe.name])
    if outcomes[recipe.name]:
        results.show_outcome(outcomes[recipe.name])
    st.subheader("All recipes")
    results.overview(outcomes)
