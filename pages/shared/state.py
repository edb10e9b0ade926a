"""What the pages remember between reruns: the only module that names `st.session_state`.

Widgets bound to the address keep their values by themselves; here stands what has to be set from
outside of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

RUN, LAST_RUN = "run", "last_run"


def put(values: Mapping[str, Any]) -> None:
    """Give widgets these values, by their keys; call it from a callback."""
    for key, value in values.items():
        st.session_state[key] = value


def value(key: str, default: Any = None) -> Any:
    """What a widget holds now, by its key."""
    return st.session_state.get(key, default)


def remember_job(job_id: str) -> None:
    """Keep the id of the shown job in the address, so that a reload shows it again."""
    st.query_params["job"] = job_id


def shown_job() -> str | None:
    """The id of the job in the address."""
    return st.query_params.get("job")


def follow_address(names: Sequence[str], default: str) -> str | None:
    """Give the run picker the run in the address; returns a name there that is no run.

    The address is the one truth: the picker's callback writes it, the links of the menu carry it,
    and so the back button and a shared link find the same run. A bound widget would lose it on
    some page changes.
    """
    asked = st.query_params.get(RUN)
    st.session_state[RUN] = asked if asked in names else st.session_state.get(LAST_RUN, default)
    if st.session_state[RUN] not in names:
        st.session_state[RUN] = default
    keep_run()
    return asked if asked is not None and asked not in names else None


def keep_run() -> None:
    """Write the picked run into the address; the picker's callback."""
    st.query_params[RUN] = st.session_state[LAST_RUN] = st.session_state[RUN]


def run_for_links() -> dict[str, str]:
    """The query that takes the run along to another page."""
    run = st.query_params.get(RUN) or st.session_state.get(LAST_RUN)
    return {RUN: run} if run else {}
