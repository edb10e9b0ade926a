"""The page What if: its form, the trials of stored sweeps, and what they say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest
from test_pages import (  # noqa: F401
    ROOT,
    idle_jobs,
    opened,
    shipped_runs,
    told,
)

from pages.app import cache

WHAT_IF = ROOT / "pages" / "what_if.py"


class Idle:
    """Sweeper that carries out nothing."""

    looked = 0

    def look(self) -> None:
        self.looked += 1


@pytest.fixture(autouse=True)
def sweeper(monkeypatch: pytest.MonkeyPatch) -> Idle:
    idle = Idle()
    monkeypatch.setattr(cache, "sweeper", lambda: idle)
    return idle


@pytest.fixture(autouse=True)
def fresh_results() -> Iterator[None]:
    yield
    cache._trial_result.clear()


def said(at: AppTest) -> str:
    return " ".join(each.value for each in (*at.markdown, *at.caption)).replace("\\", "")


def rows(at: AppTest) -> dict[str, str]:
    """Values as typed by the setting of each row."""
    at.session_state["what_if_rows"]
    return {
        at.selectbox(key=f"vary-{n}").value: at.text_input(key=f"values-{n}").value
        for n in at.session_state["what_if_rows"]
    }


def filled(at: AppTest, *settings: str) -> AppTest:
    for setting in settings:
        at.button(key=f"fill-{setting}").click().run()
    return at


# --- The form -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "offered"),
    [
        ("ae", {"latent_dim", "hidden", "learning_rate", "seed"}),
        ("beta-vae", {"latent_dim", "hidden", "beta", "learning_rate", "seed"}),
        ("denoising", {"latent_dim", "hidden", "level", "learning_rate", "seed"}),
        ("conv", {"latent_dim", "channels", "learning_rate", "seed"}),
    ],
)
def test_one_click_fills_in_each_usual_what_if_of_the_variant(
    variant: str, offered: set[str]
) -> None:
    at = opened(WHAT_IF, dataset="digits", variant=variant)
    assert not at.exception and not at.error
    buttons = [each.key for each in at.button if each.key and each.key.startswith("fill-")]
    assert set(buttons) == {f"fill-{name}" for name in offered}
    filled(at, *sorted(offered))
    assert not at.exception
    assert rows(at).keys() == offered
    assert rows(at)["seed"] == "0, 1, 2" and rows(at)["latent_dim"] == "1, 2, 4, 8, 16, 32"
    for setting in offered - {"latent_dim", "seed"}:
        at.button(
            key=f"remove-{at.session_state['what_if_rows'][[*rows(at)].index(setting)]}"
        ).click().run()
    assert rows(at).keys() == {"latent_dim", "seed"} and not at.error
    assert "**18 trainings**" in said(at)
