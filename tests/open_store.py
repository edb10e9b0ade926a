"""Open all of a store in a process of its own, and print what was said and the memory it took.

    python tests/open_store.py SECTION...

With `AECORE_STORE` for the store. Sections: "runs" reads every run with the engine, "start" opens
the start page, and the name of any other page opens it for every run that is listed.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def read_all() -> dict[str, Any]:
    """What the engine says of each run, by its name; an empty list where all of it can be read."""
    from aecore import store
    from aecore.errors import Faults

    found, broken = store.runs()
    said: dict[str, list[str]] = {each.name: [each.reason] for each in broken}
    for run in found:
        said[run.name] = []
        for read in (lambda run=run: run.codes, lambda run=run: run.history, run.model):
            try:
                read()
            except Faults as error:
                said[run.name] += error.faults
    return said


def page(name: str, **query: str) -> dict[str, Any]:
    """What a page shows: its errors and warnings, and whether any of it ended in an exception."""
    from test_pages import opened

    at = opened(ROOT / "app.py" if name == "start" else ROOT / "pages" / f"{name}.py", **query)
    return {
        "exceptions": [each.value for each in at.exception],
        "said": [each.value.replace("\\", "") for each in (*at.error, *at.warning)],
        "titles": [each.value for each in at.title],
        "buttons": [each.label for each in at.button],
        "links": [each.proto.label for each in at.main.get("page_link")],
    }


def main() -> None:
    from aecore import store
    from aecore.jobs import Jobs

    Jobs._submit_next = lambda self: None  # jobs wait for ever
    answers: dict[str, Any] = {}
    for section in sys.argv[1:]:
        if section == "runs":
            answers["runs"] = read_all()
        elif section == "start":
            answers["start"] = page("start")
        else:
            names = [run.name for run in store.runs()[0]]
            answers[section] = {name: page(section, run=name) for name in names}
    answers["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("\n" + json.dumps(answers))


if __name__ == "__main__":
    main()
