"""What the pages remember between reruns: the only module that names `st.session_state`.

Widgets bound to the address keep their values by themselves; here stands what has to be set from
outside of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st


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


def run_in_address() -> dict[str, str]:
    """The run in the address, for links to other pages, so that the back button finds it again."""
    run = st.query_params.get("run")
    return {"run": run} if run else {}
