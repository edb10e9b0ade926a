"""Recipes: published figures and our own beside them, with the pictures of their sources."""

from __future__ import annotations

import streamlit as st

from pages.shared import outcomes, parts

with parts.page("Recipes"):
    st.title("Recipes")
    st.markdown(
        "Each recipe trains what a paper or a tutorial describes, measures it on the test split, "
        "and puts the published figure beside the one that was found here."
    )
    known = outcomes.read()
    recipe = outcomes.pick(known)
    outcomes.about(recipe)
    outcomes.run(recipe, known[recipe.name])
    if known[recipe.name]:
        outcomes.found(known[recipe.name])
    st.subheader("All recipes")
    outcomes.overview(known)
