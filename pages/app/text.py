"""Formatting of text: escaping for Markdown, definitions of terms, and durations."""

from __future__ import annotations

import re

from aecore import glossary


def plain(text: object) -> str:
    """Escape a text for Markdown: no links, icons, formulas, lists or line breaks.

    Invisible characters (line breaks, zero-width and direction marks) are shown as Python writes
    them, so that they hide nothing. What Streamlit makes of text only after Markdown has been read
    (links out of addresses, icons out of names between colons, arrows out of hyphens) knows no
    escape; it looks at one piece of text at a time, so a directive without effect parts what it
    looks for.

    >>> plain("*a*")
    '\\\\*a\\\\*'
    >>> plain("www.a.example")
    'www:color[.]a.example'
    """
    shown = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(text))
    return MARKDOWN.sub(_escaped, shown)


MARKDOWN = re.compile(
    r"(?P<parted>@|:(?=\S)|(?<=www)\.|(?<=[-<])-|-(?=[->])|(?<=[<>~])=)"
    r"|(?P<sign>[\\`*_{}\[\]()<>#+!|~$:&]|^[-=]|(?<=^[0-9])[.)]|^(?P<digits>[0-9]{2,})[.)])",
    re.IGNORECASE,
)


def _escaped(match: re.Match[str]) -> str:
    sign = match[0]
    if not match["parted"]:
        return f"{sign[:-1]}\\{sign[-1]}"
    return f":color[\\{sign}]" if sign == ":" else f":color[{sign}]"


def define(*terms: str) -> str:
    """Definitions of terms of the glossary, in Markdown."""
    return "\n\n".join(f"**{plain(term)}**: {plain(glossary.TERMS[term])}" for term in terms)


def explain(*texts: str) -> str | None:
    """Definitions of the terms that texts contain, for a help; None where they contain none."""
    return define(*glossary.terms_in(" \n".join(texts))) or None


def duration(seconds: float) -> str:
    """Format seconds as a readable duration.

    >>> duration(200)
    '3 min 20 s'
    >>> duration(7_326)
    '2 h 2 min'
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
