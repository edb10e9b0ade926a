"""Command line: `python -m aecore COMMAND`, with the commands that `--help` lists.

With `--json` one JSON document goes to standard output, and for `reproduce` one a line for each
recipe; without it a table, which is lines of cells with tabs between where no terminal shows it.
Progress goes to standard error.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from aecore import artifacts, cli_data, cli_imports, data, locations, projections, recipes, training
from aecore.console import AsJson, cell, sentences_not_tracebacks, show, show_one
from aecore.errors import InvalidRequest
from aecore.models.variants import VARIANTS
from aecore.runs import deleted, description, stopping, store
from aecore.settings import check_settings, list_settings

if TYPE_CHECKING:
    from aecore.runs import sweeps

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # a frame would break sentences, and the names in them
    help="Latent Loupe: train autoencoders and map what they learned.",
)
app.add_typer(cli_data.app, name="data")
app.add_typer(cli_imports.app)
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting; may be given several times."),
]
RunArgument = Annotated[str, typer.Argument(help="Name of a run.")]


def _help_of(field: str) -> str:
    return str(description.Description.model_fields[field].description)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"latent-loupe {locations.version()}")
        raise typer.Exit


@app.callback()
def prepare(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and exit."
        ),
    ] = False,
) -> None:
    """Make the output streams accept characters that the terminal cannot encode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Unbroken:
    """A stream that ignores write errors, so that a closed or full one stops no work."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self.stream.flush()


class ConsoleReporter:
    """Reporter that prints progress to standard error."""

    def __init__(self, bar: Progress) -> None:
        self.bar, self.task = bar, bar.add_task("Starting", total=1)
        self.stopped = False

    def stop(self, *signal_and_frame: Any) -> None:
        """Handle Ctrl-C: cancel now, or, if a destructor swallows that, at the next report."""
        self.stopped = True
        raise KeyboardInterrupt

    def progress(self, what: str, done: float, total: float) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.bar.update(self.task, description=what, completed=done, total=total)

    def epoch(self, entry: dict[str, Any], view: dict[str, Any]) -> None:
        from aecore.training.history import facts_in_words

        terms = "  ".join(f"{name} {value:.4g}" for name, value in entry["test"].items())
        self.bar.console.print(
            f"epoch {entry['epoch']:>4}  test MSE {entry['test_mse']:.5f}  test {terms}  "
            f"{entry['samples_per_second']:,.0f} samples/s  {facts_in_words(entry)}".rstrip(),
            highlight=False,
            soft_wrap=True,
        )


@contextmanager
def reporting() -> Iterator[ConsoleReporter]:
    """Context with a reporter that draws a progress bar on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    stream: Any = Unbroken(sys.stderr)
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        reporter = ConsoleReporter(bar)
        before = signal.signal(signal.SIGINT, reporter.stop)
        try:
            yield reporter
        finally:
            signal.signal(signal.SIGINT, before)


def assignments(pairs: list[str] | None) -> dict[str, str | None]:
    """Parse ["hidden=512,128"] into {"hidden": "512,128"}; without "=" the value is None."""
    named = (pair.partition("=") for pair in pairs or [])
    return {name: value if equals else None for name, equals, value in named}


@app.command("open")
@sentences_not_tracebacks
def open_dashboard(
    host: Annotated[
        str, typer.Option(help="Address to serve on; others than this let other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to serve on.")] = 8501,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A further name under which it answers."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Start the dashboard; Ctrl-C stops it."""
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", host, *(allow or [])])
    options = [
        f"--server.address={host}",
        f"--server.port={port}",
        f"--server.headless={str(not browser).lower()}",
        *(f"--server.allowedHosts={name}" for name in names),
    ]
    command = [sys.executable, "-m", "streamlit", "run", str(locations.dashboard()), *options]
    try:
        raise typer.Exit(subprocess.run(command, check=False).returncode)
    except KeyboardInterrupt:  # which the server has got as well
        raise typer.Exit(0) from None


@app.command()
@sentences_not_tracebacks
def doctor(as_json: AsJson = False) -> None:
    """Check the installation: versions, folders, runs, datasets, workers; status 1 on a failure."""
    import platform
    from importlib.metadata import version

    problems = []
    try:
        locations.refuse_unwritable()
        writable = "can be written to"
    except InvalidRequest as error:
        writable = str(error)
        problems.append(writable)
    complete, broken = store.runs()
    if not locations.dashboard().is_file():
        problems.append(f"The dashboard is missing: {locations.dashboard()}. Install it again.")
    packages = "torch", "streamlit", "plotly", "scikit-learn", "umap-learn", "numpy"
    checks = {
        "version": locations.version(),
        "python": f"{platform.python_version()} ({sys.executable})",
        **{package: version(package) for package in packages},
        "dashboard": str(locations.dashboard()),
        "store": f"{store.root()}: {writable}",
        "runs": f"{len(complete)}, and {len(broken)} that cannot be read",
        "datasets": ", ".join(name for name in data.names() if data.is_available(name)),
    }
    if address := os.environ.get("AECORE_SCHEDULER"):
        from aecore.jobs.checks import survey

        try:
            checks["scheduler"] = survey(address)
        except InvalidRequest as error:
            checks["scheduler"] = str(error)
            problems.append(str(error))
    if as_json:
        print(json.dumps({**checks, "problems": problems}, indent=1))
    else:
        show([{"what": name, "is": value} for name, value in checks.items()], False, ("what", "is"))
        for problem in problems:
            print(problem, file=sys.stderr)
    if problems:
        raise typer.Exit(1)


@app.command("datasets")
@sentences_not_tracebacks
def list_datasets(as_json: AsJson = False) -> None:
    """List the datasets, and whether each is available on this machine."""
    rows = []
    usable, damaged = data.entries()
    for dataset in usable:
        here = data.is_available(dataset)
        rows.append(
            {
                "name": dataset.name,
                "title": dataset.title,
                "modality": dataset.modality,
                "shape": list(dataset.shape),
                "train": dataset.n_train,
                "test": dataset.n_test,
                "value_range": dataset.value_range,
                "labels": list(dataset.label_names) or "position on the curve",
                "source": dataset.spec.source,
                "licence": dataset.spec.licence,
                "here": here,
                "fingerprint": dataset.fingerprint if here else None,
            }
        )
    show(rows, as_json, ("name", "title", "train", "test", "licence", "here"))
    for sentence in damaged:
        Console(stderr=True, highlight=False, soft_wrap=True).print(sentence, markup=False)


@app.command("variants")
@sentences_not_tracebacks
def list_variants(as_json: AsJson = False) -> None:
    """List the variants and the settings of each."""
    rows = [
        {
            "name": variant.name,
            "title": variant.title,
            "summary": variant.summary(),
            "source": variant.source,
            "settings": {
                setting.name: {
                    "title": setting.label,
                    "default": setting.default,
                    "allowed": setting.allowed,
                    "description": setting.description,
                }
                for setting in list_settings(variant)
            },
        }
        for variant in VARIANTS.values()
    ]
    if as_json:
        show(rows, True, ())
    else:
        rows = [{**row, "settings": ", ".join(row["settings"])} for row in rows]
        show(rows, False, ("name", "title", "summary", "settings"))


@app.command()
@sentences_not_tracebacks
def train(
    dataset: Annotated[str | None, typer.Option(help="Name of the dataset.")] = None,
    variant: Annotated[str | None, typer.Option(help="Name of the variant.")] = None,
    preset: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    set_: Assignments = None,
    epochs: Annotated[str | None, typer.Option(help="Passes over the training split.")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Samples in each step.")] = None,
    learning_rate: Annotated[str | None, typer.Option(help="Peak of the one-cycle rate.")] = None,
    schedule: Annotated[str | None, typer.Option(help="one-cycle or constant.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="adam, adamw, sgd, adadelta or rmsprop.")
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(help="Share of the training split by which the best epoch is chosen."),
    ] = None,
    patience: Annotated[
        str | None, typer.Option(help="Epochs without a better one until training stops early.")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Fixes all random numbers.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with an unfinished run.")] = None,
    further: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Train a stored run for --epochs more, and store that as a new run."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model and store the run. Stop it with Ctrl-C and go on with --resume.

    What is left out is chosen by the data, as on the page Train. A run that is trained --further
    keeps its settings but for those given; its learning rate makes a new cycle.
    """
    start = None if preset is None else training.preset(preset)
    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "optimizer": optimizer,
        "validation": validation,
        "patience": patience,
        "seed": seed,
        "device": device,
        "precision": precision,
    }
    changes = {setting: value for setting, value in given.items() if value is not None}
    request = {
        "dataset": start.dataset if start and dataset is None else dataset,
        "variant": start.variant if start and variant is None else variant,
        "model": {**(start.model if start else {}), **assignments(set_)},
        "training": {
            **(start.training if start else {}),
            **changes,
        },
    }
    if further:
        if any(value is not None for value in (dataset, variant, preset, set_, resume)):
            raise InvalidRequest(
                "--further brings the dataset and the model of its run: leave out --dataset, "
                "--variant, --preset, --set and --resume."
            )
        if epochs is None:
            raise InvalidRequest("--further needs --epochs: say how many more.")
    elif resume:
        others = (dataset, variant, preset, set_, name, *given.values())
        if any(value is not None for value in others):
            raise InvalidRequest(
                "--resume goes on with the settings of its run: leave out the others."
            )
    else:
        config = training.RunConfig.check(request)

    from aecore.runs.train import Resume, Train, TrainFurther

    task: Resume | Train | TrainFurther
    if further:
        task = TrainFurther.of(further, name=name, **changes)
    else:
        task = Resume.of(resume) if resume else Train.named(config, name)
    try:
        with reporting() as reporter:
            run = task.run(reporter)
        if run.name != task.name:
            Console(stderr=True, soft_wrap=True).print(
                f"The name '{task.name}' is taken by another run: this one is stored as "
                f"'{run.name}'.",
                markup=False,
            )
    except KeyboardInterrupt:
        output = Unbroken(sys.stderr)
        if any(left.name == task.name for left in store.unfinished()):
            # On a line of its own, which nothing breaks, so that it can be copied and run.
            hint = shlex.join([sys.executable, "-m", "aecore", "train", "--resume", task.name])
            print(f"Stopped. Go on with:\n{hint}", file=output)
        else:
            print("Stopped before the first epoch was complete: nothing is kept.", file=output)
        raise typer.Exit(130) from None
    show_one(run_row(run), as_json, RUN_COLUMNS)


@app.command()
@sentences_not_tracebacks
def sweep(
    run: Annotated[str | None, typer.Option(help="A run whose settings to start from.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of the dataset.")] = None,
    variant: Annotated[str | None, typer.Option(help="Name of the variant.")] = None,
    preset: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    set_: Assignments = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="Values of a setting of the model or the training, 'seed' among them; widths "
            "have semicolons between. May be given several times.",
        ),
    ] = None,
    range_: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="NAME=LOW..HIGH[:log]",
            help="A range to draw a setting from; with ':log' equal ratios are equally likely.",
        ),
    ] = None,
    search: Annotated[
        str, typer.Option(help="grid (every combination), random or bayesian.")
    ] = "grid",
    trials: Annotated[int | None, typer.Option(help="How many a search draws.")] = None,
    halving: Annotated[
        int | None,
        typer.Option(
            metavar="FACTOR",
            help="Stop poor trials early: one in FACTOR goes on after 1, FACTOR, ... epochs.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the sweep.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with a sweep.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train with several settings and seeds, and compare. Stop it with Ctrl-C, --resume goes on."""
    from aecore.jobs.cluster import refuse_unreachable
    from aecore.runs import sweeps

    refuse_unreachable()
    if resume:
        others = (run, dataset, variant, preset, set_, grid, range_, trials, halving, name)
        if search != "grid" or any(value is not None for value in others):
            raise InvalidRequest("--resume goes on with the plan of its sweep: leave out the rest.")
        plan = sweeps.load(resume)
        sweeps.write(plan.model_copy(update={"state": "running"}))
    else:
        drafted = sweeps.draft(
            _base(run, dataset, variant, preset, set_),
            {key: value or "" for key, value in assignments(grid).items()},
            {key: _range(key, value) for key, value in assignments(range_).items()},
            search=search,
            trials=trials,
            halving=None
            if halving is None
            else check_settings(sweeps.Halving, {"factor": halving}),
            name=name,
            parent=run or "",
        )
        for reason, combinations in drafted.left_out:
            print(f"{len(combinations)} combinations are left out: {reason}", file=sys.stderr)
        plan = sweeps.save(drafted)
    _carry_out(plan)
    rows = [result.row() for result in sweeps.results(plan)]
    for row in rows:
        row["settings"] = row["settings"] if as_json else _in_words(row["settings"])
    show(rows, as_json, ("trial", "run", "state", "settings", "test_mse", "test_loss", "seconds"))
    if not any(row["state"] == "done" for row in rows):
        raise typer.Exit(1)


def _base(
    run: str | None,
    dataset: str | None,
    variant: str | None,
    preset: str | None,
    set_: list[str] | None,
) -> dict[str, Any]:
    """Request of the training that a sweep starts from."""
    if run and (dataset or variant or preset):
        raise InvalidRequest("--run brings its dataset and variant: leave out those and --preset.")
    base: dict[str, Any] = {"dataset": dataset, "variant": variant, "model": {}, "training": {}}
    if run:
        base = store.load(run).config.model_dump(mode="json")
    elif preset:
        start = training.preset(preset)
        base = {
            "dataset": dataset or start.dataset,
            "variant": variant or start.variant,
            "model": dict(start.model),
            "training": dict(start.training),
        }
    for key, value in assignments(set_).items():
        part = "training" if key in training.TrainingConfig.model_fields else "model"
        base[part] = {**base[part], key: value}
    return base


def _range(key: str, text: str | None) -> dict[str, Any]:
    """Parse "0.001..0.01:log"."""
    ends, _, scale = (text or "").partition(":")
    low, dots, high = ends.partition("..")
    try:
        if not dots or scale not in ("", "log"):
            raise ValueError
        return {"low": float(low), "high": float(high), "log": scale == "log"}
    except ValueError:
        raise InvalidRequest(
            f"The range {key} = {text!r} cannot be read: give two numbers with two dots between, "
            "such as 0.001..0.01, and ':log' after them for a logarithmic one."
        ) from None


def _in_words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key}={cell(value)}" for key, value in settings.items())


LOOKS_UNTIL_SAID = 5
"""So that it is not said that a scheduler is waited for that answers in a second."""


def _carry_out(plan: sweeps.Plan) -> None:
    """Train the trials of a sweep, with progress; Ctrl-C pauses it."""
    from aecore.jobs import Jobs
    from aecore.jobs.sweeper import LOOK_EVERY, Sweeping
    from aecore.runs import sweeps

    jobs = Jobs()
    sweeping = Sweeping(jobs, plan.name)
    heard, looks = "", 0
    try:
        with reporting() as reporter:
            while sweeping.step():
                sentence = jobs.trouble or jobs.notice
                looks = looks + 1 if sentence == heard else 0
                heard = sentence
                if heard and looks == LOOKS_UNTIL_SAID:
                    reporter.bar.console.print(Text(heard), soft_wrap=True)
                listed = sweeps.trials(sweeps.load(plan.name))
                ended = sum(trial.state in sweeps.ENDED for trial in listed)
                what = f"{plan.name}: {ended} of {len(listed)} trials have ended"
                reporter.progress(what, ended, len(listed))
                time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        sweeps.write(sweeps.load(plan.name).model_copy(update={"state": "paused"}))
        hint = shlex.join([sys.executable, "-m", "aecore", "sweep", "--resume", plan.name])
        print(f"Stopped. Go on with:\n{hint}", file=Unbroken(sys.stderr))
        raise typer.Exit(130) from None
    finally:
        sweeping.close()


@app.command("sweeps")
@sentences_not_tracebacks
def list_sweeps(as_json: AsJson = False) -> None:
    """List the sweeps, and how far each is."""
    from aecore.runs import sweeps

    plans, broken = sweeps.plans()
    rows = []
    for plan in plans:
        try:
            states = [trial.state for trial in sweeps.trials(plan)]
        except InvalidRequest as error:
            broken.append(store.Broken(plan.name, str(error)))
            continue
        rows.append(
            {
                "sweep": plan.name,
                "state": plan.state,
                "dataset": plan.base["dataset"],
                "variant": plan.base["variant"],
                "settings": list(plan.settings),
                "search": plan.search,
                "trials": len(states),
                "ended": sum(state in sweeps.ENDED for state in states),
                "done": states.count("done"),
                "created": plan.created.isoformat(),
            }
        )
    show(rows, as_json, ("sweep", "state", "dataset", "variant", "trials", "ended", "done"))
    for each in broken:
        print(each.reason, file=sys.stderr)


RUN_COLUMNS = ("run", "dataset", "variant", "test_mse", "pca_mse", "epochs", "seconds")


OF_TRAINING = ("best_epoch", "ended", "continues", "epochs_before")


def run_row(run: store.Run) -> dict[str, Any]:
    """Row of a run in the tables and the JSON of the command line."""
    return {
        "run": run.name,
        "dataset": run.config.dataset,
        "variant": run.config.variant,
        **dict.fromkeys(("test_mse", "pca_mse")),  # which a manifest may lack
        **dict[str, Any](run.manifest.metrics.items()),
        "seconds": run.manifest.seconds,
        "epochs": run.epochs,
        **{fact: getattr(run.manifest, fact) for fact in OF_TRAINING},
        "how": stopping.in_words(run),
        "created": run.manifest.created.isoformat(),
        **_described(run).model_dump(mode="json"),
        "config": run.config.model_dump(mode="json"),
    }


def _described(run: store.Run) -> description.Description:
    return artifacts.intact(description.read, run) or description.Description()


@app.command("runs")
@sentences_not_tracebacks
def list_runs(as_json: AsJson = False) -> None:
    """List the stored runs, unfinished trainings and unreadable folders."""
    complete, broken = store.runs()
    unfinished, damaged = store.checkpoints()
    broken += [
        store.Broken(fault.name, str(store.damaged_checkpoint(fault.name, [fault.reason])))
        for fault in damaged
    ]
    if as_json:
        document = {
            "runs": [run_row(run) for run in complete],
            "unfinished": [
                {
                    "run": run.name,
                    "epochs_done": run.epochs_done,
                    "trained_by": run.owner and run.owner.model_dump(mode="json"),
                }
                for run in unfinished
            ],
            "broken": [{"run": run.name, "reason": run.reason} for run in broken],
        }
        print(json.dumps(document, indent=1))
        return
    show([run_row(run) for run in complete], False, RUN_COLUMNS)
    for each in unfinished:
        state = f"being trained ({each.owner})" if each.owner else "unfinished"
        print(f"{state}: {each.name}, {each.epochs_done} of {each.config.training.epochs} epochs")
    for fault in broken:
        print(f"broken: {fault.name}: {fault.reason}")


@app.command("discard")
@sentences_not_tracebacks
def discard(
    name: Annotated[str, typer.Argument(help="Name of an unfinished training.")],
    as_json: AsJson = False,
) -> None:
    """Delete the checkpoint of an unfinished training, damaged or not."""
    store.refuse_unknown(name)
    store.discard(name)
    if as_json:
        print(json.dumps({"discarded": name}))


@app.command("describe")
@sentences_not_tracebacks
def describe(
    name: RunArgument,
    title: Annotated[str | None, typer.Option(help=_help_of("title"))] = None,
    note: Annotated[str | None, typer.Option(help=_help_of("note"))] = None,
    tag: Annotated[list[str] | None, typer.Option(help=_help_of("tags") + " Repeatable.")] = None,
    star: Annotated[bool | None, typer.Option(help=_help_of("star"))] = None,
    as_json: AsJson = False,
) -> None:
    """Show the title, note, tags and star of a run, or change those that are given.

    An empty title stands for the settings in words; `--tag ""` removes every tag.
    """
    given = {"title": title, "note": note, "star": star}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if tag is not None:
        changes["tags"] = [each for each in tag if each]
    run = store.load(name)
    written = description.write(run, **changes) if changes else description.read(run)
    (row_title,) = description.titles([run], [written.title]).values()
    row = {"run": name, **written.model_dump(mode="json"), "title": row_title}
    show_one(row, as_json, tuple(row))


@app.command("delete")
@sentences_not_tracebacks
def delete(name: RunArgument, as_json: AsJson = False) -> None:
    """Delete a run; the last ones deleted can be restored."""
    deleted.delete(name)
    if as_json:
        print(json.dumps({"deleted": name}))
    else:
        print(f"Deleted. `restore {name}` brings it back.")


@app.command("restore")
@sentences_not_tracebacks
def restore(
    name: Annotated[str | None, typer.Argument(help="Name of a deleted run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring back the last deleted run of a name; without one, list those that can be."""
    if name is None:
        show([{"run": each} for each in deleted.names()], as_json, ("run",))
        return
    deleted.restore(name)
    if as_json:
        print(json.dumps({"restored": name}))


@app.command("tensorboard")
@sentences_not_tracebacks
def write_event_files(
    to: Annotated[
        Path, typer.Option("--to", metavar="FOLDER", help="Where to write; a folder a run.")
    ],
    runs: Annotated[list[str] | None, typer.Argument(help="Names of runs.")] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A sweep, of which every run is written. Repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write runs as event files, which `tensorboard --logdir FOLDER` shows.

    They hold losses by epoch, images and their reconstructions, histograms, codes for the
    projector, and the settings for the HParams tab.
    """
    from aecore.runs import event_files, sweeps

    chosen = dict.fromkeys(runs or [])
    for name in sweep or []:
        trials = sweeps.trials(sweeps.load(name))
        chosen |= dict.fromkeys(trial.name for trial in trials if trial.state == "done")
    if not chosen:
        raise InvalidRequest("There is no run to write: name runs, or a sweep with finished ones.")
    event_files.refuse_missing()
    opened = [store.load(name) for name in chosen]
    event_files.refuse_present(opened, to)
    rows: list[dict[str, Any]] = []
    with reporting() as reporter:
        for run in opened:
            reporter.progress(f"Writing {run.name}", len(rows), len(opened))
            written = event_files.write(run, to)
            rows.append({"run": run.name, **written._asdict(), "folder": str(written.folder)})
    show(rows, as_json, ("run", "codes", "images", "folder"))
    if not as_json:
        print(shlex.join(["tensorboard", "--logdir", str(to)]), file=sys.stderr)


@app.command()
@sentences_not_tracebacks
def project(
    dataset: Annotated[str, typer.Option(help="Name of the dataset.")],
    method: Annotated[str, typer.Option(help="pca, tsne or umap.")],
    set_: Assignments = None,
    split: Annotated[
        str | None, typer.Option(help="Samples to show: test, train or all.", show_default="test")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(help="At most so many of them.", show_default="10000")
    ] = None,
    sample_seed: Annotated[
        str | None, typer.Option(help="Fixes which, where there are more.", show_default="0")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute a map of a dataset and store it for the dashboard."""
    entry, kind = data.get(dataset), projections.get(method)
    choice = {"split": split, "limit": limit, "seed": sample_seed}
    given = {name: value for name, value in choice.items() if value is not None}
    subset = check_settings(data.Subset, given)
    asked = kind.defaults(subset.count(entry)) | assignments(set_)
    projection = check_settings(kind, asked)

    with reporting() as reporter:
        result = projections.Project(dataset, projection, subset).run(reporter)
    path = projections.map_artifact(entry, entry.fingerprint, projection, subset).file
    row = {
        "dataset": dataset,
        "projection": projection.name,
        "settings": projection.model_dump(),
        "samples": len(result.plane),
        **subset.model_dump(include={"split", "limit"}),
        "sample_seed": subset.seed,
        **result.metrics,
        "file": str(path),
    }
    columns = ("dataset", "projection", "samples", "trustworthiness", "continuity", "knn_accuracy")
    show_one(row, as_json, columns)


@app.command()
@sentences_not_tracebacks
def denoise(
    run: Annotated[str, typer.Argument(help="Name of a run of images.")],
    noise: Annotated[str, typer.Option(help="The kind of noise.")] = "gaussian",
    clip: Annotated[bool, typer.Option("--clip", help="Cut Gaussian noise off at 0, 1.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the mean PSNR in dB of noisy test images, runs and classical filters."""
    from aecore.applications import denoising

    with reporting() as reporter:
        run_curve, _ = denoising.MeasureDenoising(run, noise, clip).run(reporter)
    lines = {"noisy": run_curve.noisy, "run": run_curve.runs[run]} | run_curve.baselines
    rows = [
        {"level": level} | {name: float(line[at]) for name, line in lines.items()}
        for at, level in enumerate(run_curve.levels.tolist())
    ]
    show(rows, as_json, ("level", *lines))


@app.command()
@sentences_not_tracebacks
def quality(run: RunArgument, as_json: AsJson = False) -> None:
    """Measure the quality of generated samples of a run, beside real test samples."""
    from aecore.applications import sample_quality

    with reporting() as reporter:
        measured = sample_quality.MeasureSamples(run).run(reporter)
    show([row._asdict() for row in measured.rows], as_json, sample_quality.Figures._fields)


@app.command("recipes")
@sentences_not_tracebacks
def list_recipes(as_json: AsJson = False) -> None:
    """List the recipes, and what each shows."""
    fields = ("name", "title", "teaches", "dataset", "architecture", "source")
    rows = [
        {field: getattr(recipe, field) for field in fields}
        | {"metric": recipe.describe_metric(recipe.reference)}
        for recipe in recipes.every([])
    ]
    show(rows, as_json, ("name", "teaches", "metric"))


@app.command()
@sentences_not_tracebacks
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of recipes; all if none.")
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="A tenth of the data and epochs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run recipes and compare each with its reference; status 1 if one fails."""
    chosen = list(recipes.every(names or []))
    rows = []
    with reporting() as reporter:
        for recipe in chosen:
            try:
                recipe_reporter = RecipeReporter(reporter, recipe.name)
                outcome = recipes.Reproduce(recipe.name, fast).run(recipe_reporter)
            except KeyboardInterrupt:
                print(f"Stopped in {recipe.name}; what came before is kept.", file=sys.stderr)
                raise typer.Exit(130) from None
            if as_json:
                print(json.dumps(outcome.row()), flush=True)
            rows.append(vars(outcome) | {"recipe": recipe.name, "holds": HOLDS[outcome.holds]})
    if not as_json:
        show(rows, False, ("recipe", "metric", "value", "reference", "holds", "seconds"))
    if any(row["holds"] == HOLDS[False] for row in rows):
        raise typer.Exit(1)


HOLDS = {True: "yes", False: "no", None: "not judged: a tenth"}


class RecipeReporter:
    """Reporter that prefixes the stage with the recipe's name."""

    def __init__(self, reporter: ConsoleReporter, name: str) -> None:
        self.reporter, self.name = reporter, name

    def progress(self, what: str, done: float, total: float) -> None:
        self.reporter.progress(f"{self.name}: {what}", done, total)

    def epoch(self, entry: dict[str, Any], view: dict[str, Any]) -> None:
        """A recipe shows what came of it, not its epochs."""


def main() -> None:
    """Entry point of the command `latent-loupe` and of `python -m aecore`."""
    sys.exit(app())
