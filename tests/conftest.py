"""Shared fixtures: a temporary store, real MNIST if available, a browser, small requests."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is loaded: one thread a process
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from aecore import data
from aecore.models.variants import VARIANTS
from aecore.training import RunConfig

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(autouse=True)
def store_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary store of the test, so that no test writes into models_store."""
    folder = tmp_path / "store"
    monkeypatch.setenv("AECORE_STORE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def threads_that_spin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the adaptive waiting of threads, so that a busy machine changes no test."""
    loaded = sys.modules.get("aecore.training.threads")
    if loaded and request.module.__name__ != "test_threads":
        monkeypatch.setattr(loaded, "CONTENTION", math.inf)


@pytest.fixture
def mnist() -> data.Dataset:
    """Real MNIST; skips the test if its files are not on this machine."""
    if not data.is_available("mnist"):
        pytest.skip("MNIST is not on this machine: set AECORE_DATA to a folder that holds mnist/.")
    return data.get("mnist")


@pytest.fixture
def only_when_asked(request: pytest.FixtureRequest) -> None:
    """Skip a test that takes minutes unless slow tests were requested."""
    if "slow" not in request.config.option.markexpr:
        pytest.skip("It takes minutes: run it with -m slow.")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium with WebGL in software."""
    import chromium
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=chromium.find(),
            args=["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking"],
        )
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """New browser window; it may not request any other server."""
    context = browser.new_context(viewport={"width": 1440, "height": 1300})
    found = context.new_page()
    strangers: list[str] = []
    found.on(
        "request",
        lambda request: (
            strangers.append(request.url)
            if not re.match(r"(http://127\.0\.0\.1|data:|blob:)", request.url)
            else None
        ),
    )
    found.set_default_timeout(60_000)
    yield found
    context.close()
    assert not strangers


@pytest.fixture
def small_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters tuned on few images, and a classifier of few steps: both are tested in full once."""
    monkeypatch.setattr("aecore.applications.denoising.tuning.TUNED_ON", 6)
    monkeypatch.setattr("aecore.applications.sample_quality.STEPS", 600)


class Listener:
    """Reporter that records its calls, and may raise when a condition is met."""

    def __init__(self, stop: Callable[[Listener], Exception | None] = lambda heard: None) -> None:
        self.stop = stop
        self.heard: list[tuple[str, float, float]] = []
        self.entries: list[dict[str, Any]] = []
        self.views: list[dict[str, np.ndarray]] = []

    def progress(self, what: str, done: float, total: float) -> None:
        self.heard.append((what, done, total))
        if error := self.stop(self):
            raise error

    def epoch(self, entry: dict[str, Any], view: dict[str, np.ndarray]) -> None:
        self.entries.append(entry)
        self.views.append(view)
        if error := self.stop(self):
            raise error


def run_config(
    dataset: str = "iris",
    variant: str = "ae",
    model: dict[str, Any] | None = None,
    **training: Any,
) -> RunConfig:
    """Request of a quick training: on the CPU, two epochs of iris unless given otherwise."""
    small = {"hidden": (8,)} if "hidden" in VARIANTS[variant].model_fields else {"channels": (2, 3)}
    return RunConfig.check(
        {
            "dataset": dataset,
            "variant": variant,
            "model": small | (model or {}),
            "training": {"epochs": 2, "batch_size": 32, "device": "cpu"} | training,
        }
    )


def dirty_memory() -> None:
    """Free memory that is full of NaN, so that reads of uninitialised memory are detected."""
    import torch

    freed = [torch.full((2**power,), torch.nan) for power in range(2, 19) for _ in range(3)]
    del freed


def wait_until(condition: Callable[[], Any], seconds: float = 120) -> None:
    """Wait until `condition` holds; fail after a long time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing came of it in {seconds:g} seconds"
        time.sleep(0.02)


RISING: dict[str, Any] = {
    "epochs": 60,
    "validation": 0.2,
    "patience": 3,
    "learning_rate": 0.2,
    "schedule": "constant",
    "batch_size": 16,
    "seed": 1,
}
"""A rate so high that the loss on the validation part soon rises."""
