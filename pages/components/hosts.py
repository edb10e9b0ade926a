"""Registration of the browser components: linked maps, what they are told, and the live slider.

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
    """Component that marks samples in the maps of the page, by index, and places by pane.

    Another one than the maps, whose content would be sent anew with every mark. Its data are
    `rows`, and `places` [x, y] by the key of a pane.
    """
    return _telling("marks", "mark", "{ rows: [], places: {} }")


@cache.once
def decoded() -> Any:
    """Component that shows in the maps of the page what the server has decoded.

    Its data are the `place`, [x, y, label], and the `values` of its features.
    """
    return _telling("decoded", "answer", "null")


def _telling(name: str, function: str, nothing: str) -> Any:
    """Component that calls a function of the scripts with its data, with nothing when it goes."""
    script = TELLING.replace("FOLDER", server.scripts_address())
    script = script.replace("NAME", function).replace("NOTHING", nothing)
    return st.components.v2.component(f"linked_maps_{name}", js=script)


TELLING = """
let scripts;
export default function ({ data }) {
  scripts ??= import(new URL("FOLDER/streamlit.js", document.baseURI));
  scripts.then(({ NAME }) => NAME(data));
  return () => scripts.then(({ NAME }) => NAME(NOTHING));
}
"""


@cache.once
def live_slider() -> Any:
    """Component of a slider that reports while it is dragged."""
    return _component("live_slider", "slider")


@cache.once
def drawing() -> Any:
    """Component of a canvas to draw on, which reports the picture after each stroke."""
    return _component("drawing", "drawing")


def _component(name: str, stem: str) -> Any:
    """Component whose markup, style and script lie beside this file."""
    own = Path(__file__).with_name(f"{name}_assets")
    html, css, js = (
        (own / f"{stem}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    return st.components.v2.component(name, html=html, css=css, js=js, isolate_styles=False)


@cache.once
def clicks() -> Any:
    """Component that reports where the image in a container was clicked, by the container's key."""
    return st.components.v2.component("clicks", js=CLICKS)


CLICKS = """
export default function ({ data, setTriggerValue }) {
  const container = document.querySelector(`.st-key-${data}`);
  const click = ({ target, clientX, clientY }) => {
    if (target.tagName !== "IMG") return;
    const { left, top, width, height } = target.getBoundingClientRect();
    setTriggerValue("clicked", { x: (clientX - left) / width, y: (clientY - top) / height });
  };
  container?.addEventListener("click", click);
  return () => container?.removeEventListener("click", click);
}
"""
