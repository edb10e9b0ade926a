"""Checks of a scheduler not our own and its workers, before any job: the package, and the store."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aecore import locations
from aecore.errors import InvalidRequest, without_password
from aecore.files import make_folder
from aecore.jobs import depot
from aecore.jobs.cluster import CONNECT_WITHIN, ask_apart, connect_to, log

if TYPE_CHECKING:
    from distributed import Client

SCHEDULER = "scheduler"
"""Key of the scheduler among the workers."""
TOKEN = "token"

# Sent as text, since a worker may lack the package. Below the comparison, its modules are ours.
PACKAGE = """
try:
    import aecore.jobs
except ImportError as error:
    raise RuntimeError(f"cannot import latent-loupe ({error})") from None
try:
    from aecore.jobs.checks import answer, identity
except ImportError:
    raise RuntimeError("has an earlier version of latent-loupe") from None
if identity() != %r:
    raise RuntimeError(f"has another latent-loupe, {identity()}")
"""
STORE = "answer(%r, %r, %r)"


class Answer(NamedTuple):
    """Whether a worker, or the scheduler, can run jobs."""

    reason: str = ""
    """Why it cannot; "" if it can."""
    apart: bool = False
    """Whether it can if the files of a job travel."""


class Apart(RuntimeError):
    """The worker does not reach the store, and nothing else is wrong with it."""


@cache
def identity() -> str:
    """Version of the package, and a digest of its modules, which differ between two commits."""
    modules = sorted(
        path
        for path in locations.PACKAGE.rglob("*.py")
        if not path.relative_to(locations.PACKAGE).parts[0].startswith("_dashboard")
    )
    digest = hashlib.sha256()
    for path in modules:
        digest.update(path.relative_to(locations.PACKAGE).as_posix().encode())
        digest.update(path.read_bytes())
    return f"{locations.version()} ({digest.hexdigest()[:8]})"


def answer(folder: str, name: str, address: str) -> None:
    """Copy the token in a folder of the store into a file beside it, on a worker.

    Arguments
        address: where files of jobs lie for workers without the store; "" if they are sent.

    Raises `Apart`, which arrives at the client, with the reason where that fails, and
    `RuntimeError` where the worker does not reach that address either.
    """
    try:
        _copy_token(folder, name)
    except Apart as error:
        if address:
            try:
                depot.refuse_unreachable(address)
            except InvalidRequest as unreachable:
                raise RuntimeError(f"{error}, and says: {unreachable}") from None
        raise


def _copy_token(folder: str, name: str) -> None:
    try:
        store = locations.store()
        token = (store / folder / TOKEN).read_text()
    except InvalidRequest as error:
        raise Apart(f"has no store ({error})") from None
    except OSError:
        raise Apart(f"has another store, {store}") from None
    try:
        (store / folder / name).write_text(token)
    except OSError as error:
        raise Apart(f"cannot write the store, {store} ({error.strerror})") from None


@contextmanager
def _token() -> Iterator[Path]:
    """Context of a new folder in the store, with a token to find there."""
    with locations.writing():
        folder = locations.store() / f".check-{secrets.token_hex(8)}"
        make_folder(folder)
        (folder / TOKEN).write_text(folder.name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def examine(client: Client, asked: Mapping[str, str], within: float) -> dict[str, Answer]:
    """Whether the scheduler and each worker can run jobs.

    Arguments
        asked: addresses by any key; the scheduler has the key `SCHEDULER`.
        within: seconds. Who has not answered by then is missing in the result.
    """
    found: dict[str, Answer] = {}
    package, address = PACKAGE % identity(), depot.address()
    with _token() as folder:
        answers = {}
        for number, (key, place) in enumerate(asked.items()):
            if key == SCHEDULER:
                answers[key] = ask_apart(client.run_on_scheduler, exec, package, {})
            else:
                script = package + STORE % (folder.name, f"{number}", address)
                answers[key] = ask_apart(client.run, exec, script, {}, workers=[place])
        until = time.monotonic() + within
        for number, (key, each) in enumerate(answers.items()):
            try:
                each.result(max(until - time.monotonic(), 0))
                seen = key == SCHEDULER or (folder / f"{number}").is_file()
                unseen = Answer("writes into another store than it reads", apart=True)
                found[key] = Answer() if seen else unseen
            except (OSError, ValueError) as error:  # too late, or it has just left: asked again
                log.info("%s does not answer: %s", asked[key], error)
            except Exception as error:
                found[key] = Answer(f"{error}", isinstance(error, Apart))
    return found


def travelling(answers: Iterable[Answer]) -> bool:
    """Whether files are to travel: no worker reaches the store, and some need nothing else."""
    answers = list(answers)
    return Answer() not in answers and any(answer.apart for answer in answers)


NO_ANSWER = Answer("does not answer")


def survey(address: str) -> str:
    """How many workers of a scheduler can run jobs; raises `InvalidRequest` if any cannot."""
    if depot.address():
        depot.refuse_unreachable(depot.address())
    client = connect_to(address)
    try:
        info = ask_apart(client.scheduler_info, n_workers=-1).result(CONNECT_WITHIN)
        asked = {SCHEDULER: address} | {place: place for place in info["workers"]}
        answers = examine(client, asked, CONNECT_WITHIN)
    finally:
        ask_apart(client.close)
    scheduler = answers.pop(SCHEDULER, NO_ANSWER)
    apart = travelling(answers.values())
    reasons = {place: answers.get(place, NO_ANSWER) for place in info["workers"]}
    wrong = {place: each.reason for place, each in reasons.items() if not (apart and each.apart)}
    problems = in_words({SCHEDULER: scheduler.reason, **wrong})
    if not info["workers"]:
        problems = f"{problems} The scheduler at {address} has no worker.".strip()
    if problems:
        raise InvalidRequest(f"{problems} {advice(address)}")
    how = f". {notice()}" if apart else ""
    return f"{address}, workers that can run jobs: {len(info['workers'])}{how}"


def in_words(reasons: Mapping[str, str]) -> str:
    """Sentences of who cannot run jobs.

    Arguments
        reasons: by address, that of the scheduler as `SCHEDULER`.

    >>> in_words({"tcp://a:1": "is late", "tcp://b:1": "is late", "tcp://c:1": ""})
    '2 workers (tcp://a:1, tcp://b:1): each is late.'
    """
    places: dict[str, list[str]] = {}
    for place, reason in reasons.items():
        if reason and place != SCHEDULER:
            places.setdefault(reason, []).append(place)
    sentences = [f"The scheduler {reasons[SCHEDULER]}."] if reasons.get(SCHEDULER) else []
    sentences += [_of_workers(sorted(each), reason) for reason, each in sorted(places.items())]
    return " ".join(sentences)


def _of_workers(places: Sequence[str], reason: str) -> str:
    if len(places) == 1:
        return f"The worker at {places[0]} {reason}."
    some = ", ".join(places[:3]) + (", ..." if len(places) > 3 else "")
    return f"{len(places)} workers ({some}): each {reason}."


def advice(address: str) -> str:
    """How to start a worker that can run jobs."""
    return (
        f"Start workers by 'dask worker {address} --nthreads 1', with latent-loupe {identity()} as "
        f"here and for the scheduler, and AECORE_STORE = '{locations.store()}' or wherever that "
        "folder is mounted; where no worker has it, the files of a job travel."
    )


def notice() -> str:
    """Notice that files travel, and what is lost by it."""
    at = depot.address() and f" by {without_password(depot.address())}"
    return (
        f"No worker reaches the store, {locations.store()}: files are sent with each job{at} and "
        "come back at its end. What a cancelled or lost job had done is lost."
    )
