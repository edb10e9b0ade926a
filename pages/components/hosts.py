"""Registration of the browser components: linked maps, their marks, and the live slider.

Each is registered once for the server, with the scripts and styles that lie beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from aecore.viewer import STATIC
from pages.app import cache, server


@cache.once
def linked_maps() -> Any:
    """Component that draws linked maps; the server serves its scripts."""
    styles = (STATIC / "style.css", Path(__file__).with_name("linked_maps.css"))
    return st.components.v2.component(
        "linked_maps",
        html='<div class="loupe-frame"><div class="loupe" role="group"></div></div>',
        css="\n".join(file.read_text(encoding="utf-8") for file in styles),
        js=LOADER.replace("FOLDER", server.scripts_address()),
        isolate_styles=False,  # Plotly puts its own styles into the page
    )


LOADER = """
let scripts;
export default function (component) {
  let close, gone = false;
  scripts ??= import(new URL("FOLDER/streamlit.js", document.baseURI));
  scripts.then(({ show }) => { if (!gone) close = show(component); });
  return () => { gone = true; close?.(); };
}
"""


@cache.once
def marks() -> Any:
    """Component that marks test samples, by index, in the maps of the mode "pick".

    Another one than the maps, whose content would be sent anew with every mark.
    """
    return st.components.v2.component(
        "linked_maps_marks", js=MARKS.replace("FOLDER", server.scripts_address())
    )


MARKS = """
let scripts;
export default function ({ data }) {
  scripts ??= import(new URL("FOLDER/streamlit.js", document.baseURI));
  scripts.then(({ mark }) => mark(data));
}
"""


@cache.once
def live_slider() -> Any:
    """Component of a slider that reports while it is dragged."""
    own = Path(__file__).with_name("live_slider_assets")
    html, css, js = (
        (own / f"slider.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component(
        "live_slider", html=html, css=css, js=js, isolate_styles=False
    )
