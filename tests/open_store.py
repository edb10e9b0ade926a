"""Open everything in a store in its own process; print messages and peak memory.

    python tests/open_store.py SECTION...

With `AECORE_STORE` for the store. Sections: "runs" reads every run with the engine, "start" opens
the start page, and the name of any other page opens it for every run that is listed;
"artifacts:FIRST:END" opens pages with one computed file damaged, for each of these seeds.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATIENCE = 900
"""Seconds that a page may take on a machine that is busy."""
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/runs")]


def read_all() -> dict[str, Any]:
    """Problem messages of the engine for each run; empty if everything can be read."""
    from aecore.errors import InvalidRequest
    from aecore.runs import store

    found, broken = store.runs()
    said: dict[str, list[str]] = {each.name: [each.reason] for each in broken}
    for run in found:
        said[run.name] = []
        for read in (lambda run=run: run.codes, lambda run=run: run.history, run.model):
            try:
                read()
            except InvalidRequest as error:
                said[run.name] += error.problems
    return said


def page(name: str, **query: str) -> dict[str, Any]:
    """Errors and warnings of a page, and whether it raised an exception."""
    from streamlit.testing.v1 import AppTest

    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    if name != "start":
        at.switch_page(str(ROOT / "pages" / f"{name}.py"))
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    return {
        "exceptions": [each.value for each in at.exception],
        "said": [each.value.replace("\\", "") for each in (*at.error, *at.warning)],
        "titles": [each.value for each in at.title],
        "buttons": [each.label for each in at.button],
        "listed": [
            name for table in at.dataframe if "name" in table.value for name in table.value["name"]
        ],
    }


def place(file: Path) -> tuple[str, dict[str, str]]:
    """Page that shows the content of a file, with the query for it."""
    from aecore.applications.denoising import NOISES

    for noise, entry in NOISES.items():
        if file.name == f"filters-{noise}.safetensors":
            return "denoise", {"noise_kind": entry.title}
    mixture = {"view": "Samples", "source_prior": "mixture of Gaussians"}
    return {
        "components": ("reconstructions", {}),
        "mixture": ("generate", mixture),
        "quality": ("generate", {"view": "Samples"}),
        "denoising-gaussian": ("denoise", {}),
    }.get(file.stem, ("latent_map", {}))


def damaged(seeds: range, pages: list[str]) -> list[dict[str, Any]]:
    """Messages of the start page, the page of a damaged file, and further pages, for each seed."""
    import tampering
    from test_tampering import HEALTHY, artifacts

    from aecore.errors import Damaged
    from aecore.runs import store

    known, found = artifacts(store.root()), []
    for seed in seeds:
        file = list(known)[seed % len(known)]
        whole = file.read_bytes()
        what, _ = tampering.tamper_artifact(file, seed)
        try:
            known[file]()
            named = False
        except Damaged:
            named = True
        own, query = place(file)
        shown = {"start": page("start"), own: page(own, run=HEALTHY[1], **query)}
        shown |= {f"plain {name}": page(name, run=HEALTHY[1]) for name in pages}
        found.append({"file": str(file), "what": what, "damaged": named, "shown": shown})
        file.write_bytes(whole)
    return found


def peak() -> int:
    """Peak memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # `getrusage` begins with what the parent had
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def main() -> None:
    from aecore.jobs import Jobs
    from aecore.runs import store

    Jobs._submit_next = lambda self: None  # jobs wait for ever
    answers: dict[str, Any] = {}
    first, *others = sys.argv[1:]
    if first.startswith("artifacts:"):
        start, end = map(int, first.split(":")[1:])
        answers["artifacts"] = damaged(range(start, end), others)
        sections = []
    else:
        sections = [first, *others]
    for section in sections:
        if section == "runs":
            answers["runs"] = read_all()
        elif section == "start":
            answers["start"] = page("start")
        else:
            names = [run.name for run in store.runs()[0]]
            answers[section] = {name: page(section, run=name) for name in names}
    answers["peak"] = peak()
    print("\n" + json.dumps(answers))


if __name__ == "__main__":
    main()
