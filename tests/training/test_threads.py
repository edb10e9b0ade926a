"""Waiting policy of OpenMP threads: its switches, real effect, and unchanged results."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from conftest import run_config

from aecore import data, training
from aecore.training import threads
from aecore.training.threads import AdaptiveWaiting

pytestmark = pytest.mark.serial
CPU = torch.device("cpu")
needs_counters = pytest.mark.skipif(sys.platform != "linux", reason="it reads Linux's counters")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Machine:
    """Simulated clock and counter."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.waited = 100.0, 0.0
        monkeypatch.setattr(threads.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(threads, "_seconds_waited", lambda: self.waited)

    def passes(self, seconds: float, contention: float) -> None:
        self.now += seconds
        self.waited += seconds * contention


@needs_counters
def test_threads_sleep_while_others_take_a_processor_and_spin_again_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    with AdaptiveWaiting(CPU) as waiting:
        machine.passes(0.2, 0.1)
        waiting.step()
        assert not waiting.sleeping, "a quiet machine"
        machine.passes(0.2, 0.7)
        waiting.step()
        assert waiting.sleeping
        machine.passes(threads.SHORTEST_SLEEP, 0.1)
        waiting.step()
        assert not waiting.sleeping, "a trial of spinning"
        machine.passes(0.2, 0.1)
        waiting.step()
        assert not waiting.sleeping, "the machine is quiet again"


@needs_counters
def test_trials_become_rarer_while_the_machine_stays_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    spinning = 0.0
    with AdaptiveWaiting(CPU) as waiting:
        for _ in range(6_000):
            machine.passes(0.05, 0.7)
            spinning += 0.05 * (not waiting.sleeping)
            waiting.step()
    assert spinning < 0.02 * 300, "of five minutes"


@needs_counters
def test_one_moment_of_contention_counts_by_the_length_of_its_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch)
    with AdaptiveWaiting(CPU) as waiting:
        machine.passes(0.02, 1.0)
        waiting.step()  # too short to tell
        machine.passes(0.18, 0.05)
        waiting.step()
        assert not waiting.sleeping


def test_what_came_before_a_restart_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    with AdaptiveWaiting(CPU) as waiting:
        machine.passes(10, 1)
        waiting.restart()
        machine.passes(0.2, 0.1)
        waiting.step()
        assert not waiting.sleeping


@pytest.mark.parametrize(
    ("device", "count"), [(CPU, 1), (torch.device("cuda"), 2), (torch.device("mps"), 2)]
)
def test_nothing_is_changed_where_threads_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch, device: torch.device, count: int
) -> None:
    machine = Machine(monkeypatch)
    torch.set_num_threads(count)
    with AdaptiveWaiting(device) as waiting:
        machine.passes(1, 1)
        waiting.step()
        assert not waiting.sleeping


SWITCH = """
import time, torch
from aecore.training import threads
torch.set_num_threads(len(threads.os.sched_getaffinity(0)) or 1)
x = torch.zeros(1 << 20)
def used():
    "Processor time of 200 parallel loops with a pause after each."
    began = time.process_time()
    for _ in range(200):
        x.add_(1)
        time.sleep(0.001)
    return time.process_time() - began
used()
spinning = used()
extra = threads._ExtraThreads(torch.get_num_threads())
sleeping = used()
extra.close()
print(spinning, sleeping, used())
"""


@needs_counters
@pytest.mark.skipif(torch.get_num_threads() < 2, reason="one thread waits for no other")
def test_extra_threads_end_the_spinning_and_their_end_brings_it_back() -> None:
    output = subprocess.run([sys.executable, "-c", SWITCH], check=True, stdout=subprocess.PIPE)
    spinning, sleeping, again = map(float, output.stdout.split())
    assert sleeping < 0.8 * spinning
    assert sleeping < 0.8 * again


@needs_counters
def test_the_waiting_changes_no_bit_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    config, digits = run_config("digits", epochs=2, batch_size=64), data.get("digits")

    def weights(contention: float) -> tuple[dict[str, torch.Tensor], set[str]]:
        seen: set[str] = set()
        machine = Machine(monkeypatch)

        def on_batch(what: str, done: int, total: int) -> None:
            seen.add(what)
            machine.passes(0.2, contention)

        *_, last = training.fit(config, digits, progress=on_batch)
        return last.model.state_dict(), seen

    quiet, said = weights(0.0)
    assert said == {"Training"}
    busy, said = weights(0.9)
    assert "Training" + training.BESIDE_OTHERS in said
    assert all(torch.equal(quiet[name], busy[name]) for name in quiet)
