"""Exceptions whose messages are shown to the user."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import ValidationError

LONGEST = 80
"""Characters of a value in a sentence."""
_PASSWORD = re.compile(r"//[^/@\s]*@")


class InvalidRequest(ValueError):
    """All problems of one request, one sentence each.

    The command line and the pages show these sentences as they are, so each names the setting,
    the value that it got, and what to do next.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class Damaged(InvalidRequest):
    """A file whose content is invalid; what was computed can be computed again."""


class Cancelled(Exception):
    """The user cancelled the work."""


def shown(value: object) -> str:
    """Format a value as one short line of printable characters.

    >>> shown("64,x\\n")
    "'64,x\\\\n'"
    """
    text = repr(value.tolist() if hasattr(value, "tolist") else value)  # numpy's as plain ones
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def unknown(kind: str, name: object, valid: Iterable[str]) -> str:
    """Message for an unknown `name` of a `kind`, with the nearest valid name and all others.

    >>> unknown("dataset", "minst", ["digits", "mnist"])
    "Unknown dataset 'minst': did you mean 'mnist'? Known: digits, mnist."
    """
    valid = list(valid)
    if not valid:
        return f"Unknown {kind} {shown(str(name))}. There is none yet."
    if name is None:
        return f"No {kind} was given. Known: {', '.join(valid)}."
    near = get_close_matches(str(name)[:LONGEST], valid, n=1, cutoff=0.4)
    hint = f": did you mean '{near[0]}'?" if near else "."
    return f"Unknown {kind} {shown(str(name))}{hint} Known: {', '.join(valid)}."


def printable(name: str) -> str:
    """Escape a name as one line of printable text."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name
    )


def in_one_line(error: Exception) -> str:
    """Message of an error as one printable line."""
    if isinstance(error, ValidationError):
        problems = error.errors(include_url=False, include_input=False)
        text = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in problems[:5])
    else:
        text = f"{error}" or type(error).__name__
    return printable(" ".join(text.split()))[:400]


def without_password(text: str) -> str:
    """The text without the users and passwords of its addresses, which no log should hold.

    >>> without_password("No server at https://me:secret@example.org.")
    'No server at https://example.org.'
    """
    return _PASSWORD.sub("//", text)
