"""Terms of art on the pages: each is in the glossary once, and defined one hover away."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from test_pages import LATENT_MAP, MODULES, PAGES, ROOT, opened, shipped_runs  # noqa: F401

from aecore import glossary
from aecore.applications.denoising import BASELINES
from aecore.glossary import TERMS
from aecore.models.variants import VARIANTS
from aecore.projections import PROJECTIONS
from aecore.recipes import RECIPES
from aecore.settings import list_settings
from aecore.training import PRESETS, TrainingConfig
from pages.app import cache, frame
from pages.app.text import define, explain, plain

SETTINGS = [
    text
    for kind in (*VARIANTS.values(), *PROJECTIONS.values(), TrainingConfig)
    for setting in list_settings(kind)
    for text in (setting.label, setting.description)
]


def test_no_term_is_there_twice() -> None:
    assert sum(map(len, glossary.PARTS)) == len(TERMS) == len({each.lower() for each in TERMS})
    forms = [
        form.lower()
        for term in TERMS
        if term not in glossary.UNSEEN
        for form in glossary.FORMS.get(term, (term, f"{term}s"))
    ]
    assert len(set(forms)) == len(forms)
    assert glossary.FORMS.keys() | set(glossary.UNSEEN) <= TERMS.keys()


@pytest.mark.parametrize("term", TERMS)
def test_a_definition_is_a_short_sentence_in_the_help_of_its_term(term: str) -> None:
    assert TERMS[term].endswith(".") and len(TERMS[term]) < 500
    assert plain(TERMS[term]) in define(term)
    if term not in glossary.UNSEEN:
        form = glossary.FORMS.get(term, (term,))[0]
        assert define(term) in explain(f"About the {form} of it.")


def test_every_term_is_on_a_page() -> None:
    strings = [
        node.value
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    recipes = [(each.teaches, each.architecture, each.title) for each in RECIPES.values()]
    strings += [text for texts in recipes for text in texts]
    strings += [preset.description for preset in PRESETS.values()]
    strings += [each.title for each in BASELINES.values()]
    strings += [each.read_text("utf-8") for each in (ROOT / "aecore/viewer").rglob("*.[jp][sy]")]
    strings += [*SETTINGS, *glossary.PARTS[1]]  # measures are columns of tables
    strings += [f"{kind.title}: {kind.summary()}" for kind in VARIANTS.values()]
    shown = {term for text in strings for term in glossary.terms_in(text)} | set(strings)
    assert set(TERMS) - shown == ELSEWHERE.keys()


def protos(at: AppTest) -> list[Any]:
    """Messages of all elements of a page."""
    nodes, found = [at._tree], []
    while nodes:
        node = nodes.pop()
        nodes += getattr(node, "children", {}).values()
        if (proto := getattr(node, "proto", None)) is not None:
            found.append(proto)
    return found


def words(at: AppTest) -> tuple[str, str]:
    """Sentences and titles on a page, and the help texts of it."""
    seen, helps = [], []
    for proto in protos(at):
        if hasattr(proto, "page_script_hash") or type(proto).__name__ == "Html":
            continue  # links are called as pages are, and styles are not seen
        helps.append(getattr(proto, "help", ""))
        seen += [getattr(proto, name, "") for name in ("label", "body")]
        if columns := getattr(proto, "columns", None):
            for column in json.loads(columns).values() if isinstance(columns, str) else ():
                seen.append(column.get("label") or "")
                helps.append(column.get("help") or "")
    return "\n".join(filter(None, map(str, seen))), "\n".join(filter(None, map(str, helps)))


ELSEWHERE = {
    "Likelihood": "in the definition of the negative ELBO",
    "Recipe": "the title of a page",
}
"""Where the terms are that no sentence of a page contains."""
VIEWS = [
    *((page, {}) for page in PAGES if page.stem not in ("generate", "train")),
    *(
        (ROOT / "pages" / "generate.py", {"view": view})
        for view in ("Grid", "Samples", "Path", "Traversal", "Arithmetic", "Code usage")
    ),
    *(
        (ROOT / "pages" / "train.py", {"variant": variant})
        for variant in ("ae", "vae", "contractive", "vq-vae")
    ),
]


@pytest.mark.parametrize(
    ("page", "query"),
    VIEWS,
    ids=lambda it: it.stem if isinstance(it, Path) else "".join(it.values()),
)
def test_what_a_page_says_is_defined_one_hover_away(
    page: Path,
    query: dict[str, str],
    shipped_runs: Path,  # noqa: F811
) -> None:
    at = opened(page, run="digits-vae", **query)
    assert not at.exception
    seen, helps = words(at)
    about = next(entry.about for entry in frame.MENU if entry.path.endswith(page.name))
    for text in (about, *cache.titles().values()):  # beside the glossary; names of runs
        seen = seen.replace(text, "")
    if page.stem == "app":  # where the introduction defines them
        for term in ("autoencoder", "encoder", "decoder", "bottleneck"):
            seen = seen.replace(term, "")
    missing = [
        term
        for term in glossary.terms_in(seen)
        if plain(TERMS[term]) not in helps and TERMS[term] not in helps
    ]
    assert not missing


def test_the_help_of_a_page_has_the_glossary(shipped_runs: Path) -> None:  # noqa: F811
    at = opened(LATENT_MAP, run="digits-ae")
    assert at.selectbox(key="term").options == list(TERMS)
    at = at.selectbox(key="term").set_value("Perplexity").run()
    assert plain(TERMS["Perplexity"]) in [each.value for each in at.markdown]
