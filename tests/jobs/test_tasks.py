"""Tasks from beginning to end, with a recording reporter."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Listener, run_config
from sklearn.decomposition import PCA

from aecore import data, projections
from aecore.data import Subset
from aecore.errors import Cancelled, InvalidRequest
from aecore.jobs.worker import WorkerReporter
from aecore.models.variants import VARIANTS
from aecore.progress import Task
from aecore.projections import PCAProjection
from aecore.runs import store
from aecore.runs.train import EPOCHS_KEPT, Resume, Train
from aecore.training import OPTIMIZERS, Checkpoint, RunConfig


def test_a_training_is_measured_and_stored() -> None:
    heard = Listener()
    config = run_config("digits", "vae", epochs=2, batch_size=128)
    run = Train(config, "first").run(heard)
    digits = data.get("digits")

    assert run == store.load("first")
    assert run.config == config
    assert run.manifest.fingerprint == digits.fingerprint
    assert (run.manifest.n_train, run.manifest.n_test) == (1437, 360)
    assert not list((store.root() / "_unfinished").iterdir())

    measured = run.manifest.metrics
    x = digits.test.x
    model = run.model()
    with torch.inference_mode():
        rebuilt = model.reconstruct(torch.tensor(x)).numpy()
    error = np.square(rebuilt - x).mean(1)
    np.testing.assert_allclose(run.codes["error"], error, rtol=1e-4)
    assert measured["test_mse"] == pytest.approx(error.mean(), rel=1e-5)
    assert measured["test_squared_error"] == pytest.approx(error.mean() * 64, rel=1e-5)
    assert measured["pca_mse"] == pytest.approx(projections.pca_mse(digits, 2))
    assert measured["test_loss"] == pytest.approx(run.history[-1]["test"]["total"], rel=1e-5)
    for name, value in projections.measure(digits, Subset(), run.codes["codes"])[0].items():
        assert measured[name] == value
    assert run.manifest.seconds == pytest.approx(sum(e["seconds"] for e in run.history))

    codes = run.codes
    assert codes["codes"].shape == codes["plane"].shape == (360, 2)
    np.testing.assert_array_equal(codes["labels"], digits.test.labels)
    assert codes["epochs"].shape == (2, 360, 2)
    assert codes["epochs_kept"].tolist() == [1, 2]
    np.testing.assert_allclose(codes["epochs"][-1], codes["codes"], atol=1e-5)


def test_a_reporter_hears_every_batch_and_every_epoch() -> None:
    heard = Listener()
    run = Train(run_config("digits", epochs=2, batch_size=128), "heard").run(heard)
    batches = [(done, total) for what, done, total in heard.heard if what == "Training"]
    assert batches == [(done, 24) for done in range(1, 25)]
    assert heard.entries == run.history
    digits = data.get("digits")
    for view in heard.views:
        assert view["plane"].shape == (360, 2)
        np.testing.assert_array_equal(view["labels"], digits.test.labels)
        np.testing.assert_array_equal(view["originals"], digits.test.x[:10])
        assert view["reconstructions"].shape == (10, 64)
    entry = heard.entries[0]
    assert entry["epoch"] == 1
    assert entry["test_mse"] * 64 == pytest.approx(entry["test"]["reconstruction"], rel=1e-4)
    json.dumps(heard.entries, allow_nan=False)


@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_a_code_of_any_width_has_a_picture(latent_dim: int) -> None:
    run = Train(run_config(model={"latent_dim": latent_dim}), "wide").run(Listener())
    assert run.codes["codes"].shape == (50, latent_dim)
    assert run.codes["plane"].shape == (50, 2)
    assert run.codes["epochs"].shape == (2, 50, 2)
    np.testing.assert_allclose(run.codes["epochs"][-1], run.codes["plane"], atol=1e-4)


def test_positions_on_a_curve_stay_numbers() -> None:
    run = Train(run_config("tilted-ring"), "ring").run(Listener())
    np.testing.assert_allclose(run.codes["labels"], data.get("tilted-ring").test.labels)
    assert run.manifest.metrics["knn_accuracy"] is None


def test_of_a_long_training_some_epochs_are_kept_evenly() -> None:
    run = Train(run_config(epochs=130, batch_size=100), "long").run(Listener())
    kept = run.codes["epochs_kept"].tolist()
    assert len(kept) <= EPOCHS_KEPT
    assert kept[-1] == 130
    assert len(set(np.diff(kept[:-1]))) == 1
    assert len(run.codes["epochs"]) == len(kept)


# --- Stopping and going on ----------------------------------------------------------------------


def stop_at(epoch: int) -> Listener:
    """Reporter that cancels in the first batch after an epoch."""
    return Listener(
        lambda heard: (
            Cancelled() if len(heard.entries) == epoch and heard.heard[-1][1] % 4 else None
        )
    )


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_cancelled_training_can_be_resumed_bit_equal(epoch: int) -> None:
    config = run_config(variant="vae", epochs=3)
    through = Train(config, "through").run(Listener())
    with pytest.raises(Cancelled):
        Train(config, "stopped").run(stop_at(epoch))
    (left,) = store.unfinished()
    assert (left.name, left.epochs_done, left.config) == ("stopped", epoch, config)
    assert store.runs()[0] == [through]

    run = Resume.of("stopped").run(Listener())
    assert store.unfinished() == []
    for file in ("weights.safetensors", "codes.safetensors"):
        assert (run.folder / file).read_bytes() == (through.folder / file).read_bytes()
    assert [timeless(entry) for entry in run.history] == [timeless(e) for e in through.history]


def timeless(entry: dict[str, object]) -> dict[str, object]:
    return {key: entry[key] for key in entry if key not in ("seconds", "samples_per_second")}


def test_a_training_stopped_after_its_last_epoch_is_finished_without_another() -> None:
    config = run_config()
    through = Train(config, "through").run(Listener())
    measuring = Listener(lambda heard: Cancelled() if "Measuring" in heard.heard[-1][0] else None)
    with pytest.raises(Cancelled):
        Train(config, "stopped").run(measuring)
    heard = Listener()
    run = Resume.of("stopped").run(heard)
    assert heard.entries == []
    assert run.history == store.load("stopped").history and len(run.history) == 2
    weights = "weights.safetensors"
    assert (run.folder / weights).read_bytes() == (through.folder / weights).read_bytes()


def test_what_was_never_begun_cannot_be_resumed() -> None:
    with pytest.raises(InvalidRequest, match="Unknown unfinished run 'nothing'"):
        Resume.of("nothing").run(Listener())


def test_a_training_that_failed_leaves_its_name_to_the_next_attempt() -> None:
    wild = run_config(variant="vae", epochs=50, learning_rate=10)
    with pytest.raises(InvalidRequest, match="Lower learning_rate"):
        Train(wild, "mine").run(Listener())
    assert store.runs() == ([], [])
    # Resumed, it would only fail in the same epoch again.
    assert store.unfinished() == []
    assert store.free_name(run_config(), "mine") == "mine"


def stopped(config: RunConfig) -> Checkpoint:
    """Checkpoint of a training called "stopped" after its first epoch."""
    with pytest.raises(Cancelled):
        Train(config, "stopped").run(Listener(lambda h: Cancelled() if h.entries else None))
    return store.read_checkpoint("stopped")[1]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["one-cycle", "constant"])
def test_a_checkpoint_of_every_optimiser_and_schedule_fits(optimizer: str, schedule: str) -> None:
    stopped(run_config(optimizer=optimizer, schedule=schedule, learning_rate=1e-4))
    assert len(Resume.of("stopped").run(Listener()).history) == 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_of_every_variant_fits(variant: str) -> None:
    stopped(run_config("digits", variant, batch_size=512))
    assert len(Resume.of("stopped").run(Listener()).history) == 2


Change = Callable[[dict[str, Any], dict[str, Any]], Any]
"""What is done to a checkpoint's tensors and progress."""


def changed(name: str, **fields: Any) -> Change:
    return lambda tensors, progress: progress[name].update(fields)


MISFITS: dict[str, Change] = {
    "no weights": lambda t, p: [t.pop(name) for name in [*t] if name.startswith("model.")],
    "weights missing": lambda t, p: t.pop("model.encoder.network.0.weight"),
    "a weight more": lambda t, p: t.update({"model.more": torch.zeros(1)}),
    "weights of another shape": lambda t, p: t.update(
        {"model.encoder.network.0.weight": torch.zeros(2, 2)}
    ),
    "weights of another kind": lambda t, p: t.update(
        {"model.encoder.network.0.weight": t["model.encoder.network.0.weight"].double()}
    ),
    "a moment missing": lambda t, p: t.pop("optimizer.0.exp_avg"),
    "a moment of another shape": lambda t, p: t.update({"optimizer.0.exp_avg": torch.zeros(3)}),
    "a moment of no weight": lambda t, p: t.update({"optimizer.99.exp_avg": torch.zeros(3)}),
    "a moment without a number": lambda t, p: t.update({"optimizer.x": torch.zeros(3)}),
    "a moment without a name": lambda t, p: t.update({"optimizer.": torch.zeros(3)}),
    "no random state": lambda t, p: t.pop("random"),
    "a random state of another size": lambda t, p: t.update({"random": t["random"][:16].clone()}),
    "a random state of nonsense": lambda t, p: t.update(
        {"random": torch.full_like(t["random"], 7)}
    ),
    "no codes": lambda t, p: t.pop("history.codes"),
    "codes of another shape": lambda t, p: t.update({"history.codes": torch.zeros(1, 2, 3)}),
    "no schedule": lambda t, p: p.pop("schedule"),
    "an empty schedule": lambda t, p: p.update(schedule={}),
    "a schedule that is none": lambda t, p: p.update(schedule=3),
    "a schedule of words": changed("schedule", last_epoch="three"),
    "a schedule with a field more": changed("schedule", step=1),
    "no groups": lambda t, p: p.pop("param_groups"),
    "empty groups": lambda t, p: p.update(param_groups=[]),
    "groups that are none": lambda t, p: p.update(param_groups="adam"),
    "a rate that is none": lambda t, p: p["param_groups"][0].update(lr=None),
    "history of other epochs": lambda t, p: p["history"][0].update(epoch=7),
    "history without a loss": lambda t, p: p["history"][0].pop("test"),
    "history without seconds": lambda t, p: p["history"][0].pop("seconds"),
    "no history": lambda t, p: p.update(history=[]),
    "more epochs than history": lambda t, p: p.update(epochs_done=2),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_checkpoint_that_does_not_fit_is_a_sentence_and_is_kept(misfit: str) -> None:
    config = run_config()
    tensors, progress = stopped(config)
    MISFITS[misfit](tensors, progress)
    store.write_checkpoint("stopped", config, Checkpoint(tensors, progress))
    before = (store.root() / "_unfinished/stopped/checkpoint.safetensors").read_bytes()
    with pytest.raises(
        InvalidRequest, match=r"The checkpoint of 'stopped' cannot be used: .*discard"
    ):
        Resume.of("stopped").run(Listener())
    after = (store.root() / "_unfinished/stopped/checkpoint.safetensors").read_bytes()
    assert after == before
    assert store.owner("stopped") is None


# --- Maps and pictures --------------------------------------------------------------------------


def test_project_gives_the_map_that_compute_gives() -> None:
    heard = Listener()
    found = projections.Project("iris", PCAProjection(), Subset()).run(heard)
    kept = projections.compute(data.get("iris"), PCAProjection())
    np.testing.assert_array_equal(found.plane, kept.plane)
    assert heard.heard


def test_project_shows_the_samples_that_were_asked_for() -> None:
    subset = Subset(split="train", limit=40)
    found = projections.Project("iris", PCAProjection(), subset).run(Listener())
    assert found.plane.shape == (40, 2)
    iris = data.get("iris")
    assert projections.map_artifact("iris", iris.fingerprint, PCAProjection(), subset).load()
    assert not projections.map_artifact("iris", iris.fingerprint, PCAProjection()).load()


def test_prepare_leaves_the_components() -> None:
    iris = data.get("iris")
    assert not projections.components_artifact(iris).path.exists()
    projections.Prepare("iris").run(Listener())
    assert projections.components_artifact(iris).path.is_file()


@pytest.mark.parametrize(
    "task", [projections.Prepare, lambda name: projections.Project(name, PCAProjection())]
)
def test_an_unknown_dataset_is_a_fault(task: Callable[[str], Task]) -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'iris'"):
        task("irsi").run(Listener())


def codes(width: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, width)).astype(np.float32)


def test_a_code_of_two_dimensions_is_drawn_as_it_is() -> None:
    np.testing.assert_array_equal(projections.plane_of(codes(2), codes(2)), codes(2))


def test_a_code_of_one_dimension_is_drawn_along_x() -> None:
    plane = projections.plane_of(codes(1), codes(1))
    np.testing.assert_array_equal(plane[:, :1], codes(1))
    assert 0 < plane[:, 1].std() < plane[:, 0].std()
    np.testing.assert_array_equal(plane, projections.plane_of(codes(1), codes(1)))


def test_a_wider_code_is_drawn_on_the_components_of_what_was_fitted_on() -> None:
    fitted_on = codes(5) * [1, 5, 1, 3, 1]
    plane = projections.plane_of(codes(5), fitted_on)
    expected = PCA(2, svd_solver="full").fit(fitted_on).transform(codes(5))
    np.testing.assert_allclose(np.abs(plane), np.abs(expected), atol=1e-4)


# --- Cancelling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cancelled", ["cancelled", None])
def test_a_task_that_the_scheduler_has_cancelled_stops_at_its_next_report(
    cancelled: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, said = SimpleNamespace(state="executing"), []
    tasks = {"key": task}
    worker = SimpleNamespace(
        state=SimpleNamespace(tasks=tasks),
        get_current_task=lambda: "key",
        log_event=lambda topic, message: said.append(message["what"]),
    )
    monkeypatch.setattr("distributed.get_worker", lambda: worker)
    reporter = WorkerReporter("1")
    reporter.progress("Training", 0, 2)
    if cancelled:
        task.state = cancelled
    else:
        tasks.clear()
    with pytest.raises(Cancelled):
        reporter.progress("Measuring", 1, 2)
    assert said == ["Training"]
