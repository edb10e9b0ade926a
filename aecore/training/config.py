"""Run configuration. Validation collects every problem before raising.

The form on the page, the options of the command line, the stored JSON and the reference all
come from these classes and from those of `aecore.models.variants`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from aecore import data
from aecore.errors import InvalidRequest, shown, unknown
from aecore.models.variants import VARIANTS, Variant, kind_of
from aecore.settings import ADVANCED, WITHIN_TRAINING, read_settings, titles

if TYPE_CHECKING:
    from aecore.data import Dataset
    from aecore.data.spec import DataSpec


MOST_EPOCHS = 10_000


class TrainingConfig(BaseModel):
    """Settings of training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(5, ge=1, le=MOST_EPOCHS, description="Passes over the training split.")
    batch_size: int = Field(
        256, ge=1, le=60_000, description="Samples in each step; smaller is slower and noisier."
    )
    learning_rate: float = Field(
        2e-3,
        gt=0,
        le=10,
        description="Size of a step along the gradient, at its peak under the one-cycle schedule "
        "(Smith 2018). Lower it if the loss jumps.",
    )
    schedule: Annotated[Literal["one-cycle", "constant"], titles(one_cycle="One-cycle")] = Field(
        "one-cycle",
        title="Schedule of the rate",
        description="How the learning rate goes: 'one-cycle' rises to its peak and falls to "
        "nothing, 'constant' stays.",
        json_schema_extra=ADVANCED,
    )
    optimizer: Annotated[
        Literal["adam", "adamw", "sgd", "adadelta", "rmsprop"],
        titles(adamw="AdamW", sgd="SGD", rmsprop="RMSprop"),
    ] = Field(
        "adam",
        title="Optimiser",
        description="How steps are made of gradients. 'adamw' decays weights by 0.01, 'sgd' has "
        "momentum 0.9 and wants a smaller learning rate, 'adadelta' one of about 1.",
        json_schema_extra=ADVANCED,
    )
    validation: float = Field(
        0,
        ge=0,
        le=0.5,
        title="Validation part",
        description="Share of the training split that nothing is learned from, each class in "
        "proportion: the weights of the epoch with its smallest loss are the ones stored. 0 stores "
        "those of the last epoch.",
        json_schema_extra=ADVANCED,
    )
    patience: int = Field(
        0,
        ge=0,
        le=MOST_EPOCHS,
        description="Early stopping: epochs without a smaller loss on the validation part after "
        "which training ends (Prechelt 1998). 0 trains all epochs.",
        json_schema_extra=ADVANCED,
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Fixes the random numbers: initial weights, validation part, order of the "
        "samples, noise.",
        json_schema_extra=ADVANCED,
    )
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        titles(auto="Automatic", cpu="CPU", cuda="GPU (CUDA)", mps="GPU (MPS)"),
    ] = Field(
        "auto",
        description="Where to compute; 'auto' takes a GPU where there is one.",
        json_schema_extra=ADVANCED,
    )
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        titles(auto="Automatic", float32="float32", bfloat16="bfloat16"),
    ] = Field(
        "auto",
        description="Of the networks in training; 'auto' takes bfloat16 for convolutions where "
        "the processor has it. Losses, weights, evaluation and strided convolutions of single "
        "columns are float32 in any case.",
        json_schema_extra=ADVANCED,
    )


class RunConfig(BaseModel):
    """Complete configuration of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    variant: str
    model: SerializeAsAny[Variant]
    training: TrainingConfig

    @staticmethod
    def check(
        request: Mapping[str, Any], own: DataSpec | None = None, trains: bool = True
    ) -> RunConfig:
        """Validate a request, as typed, into a `RunConfig`.

        Arguments
            request: `dataset` and `variant` by name; `model` and `training` map settings to
                values, which may be text. What is left out is chosen by the data (see
                `defaults`), or else takes its default.
            own: the specification of the data, where they need not be in the catalogue.
            trains: whether it is to be trained here, so that it has to fit into the memory and no
                setting may be of no use; what is stored is read in any case.

        Raises `InvalidRequest` with every fault of the request, not just the first.
        """
        problems = _wrong_form(request)
        if problems:
            raise InvalidRequest(problems)
        name: Any = request.get("dataset")
        variant_name: Any = request.get("variant")
        spec = own
        if spec is None:
            try:
                spec = data.get(name).spec
            except InvalidRequest as error:
                problems += error.problems
        # What is stored may be a model that was not trained here.
        variant = VARIANTS.get(variant_name) if trains else kind_of(variant_name)
        if variant is None:
            problems.append(unknown("variant", variant_name, VARIANTS))

        chosen = defaults(spec, variant) if spec else {"training": {}, "model": {}}
        asked = chosen["training"] | dict(request.get("training", {}))
        training, wrong_training = read_settings(TrainingConfig, asked, problems)
        if spec and "batch_size" not in wrong_training and training.batch_size > spec.n_train:
            problems.append(
                f"batch_size = {training.batch_size} is larger than the data: {spec.name} has "
                f"{spec.n_train} training samples, so give at most {spec.n_train}."
            )
        if trains and not wrong_training:
            problems += _wrong_validation(training, spec)
        if variant:
            asked = chosen["model"] | dict(request.get("model", {}))
            model, wrong = read_settings(variant, asked, problems)
            if spec:
                impossible = model.problems(spec)
                problems += [text for setting, text in impossible.items() if setting not in wrong]
            if trains and "epochs" not in wrong_training:
                problems += _longer_than_training(model, training)
        if trains and spec and not problems:
            problems += _too_large(model, training, spec)
        if problems:
            raise InvalidRequest(problems)
        return RunConfig(dataset=name, variant=variant_name, model=model, training=training)


MOMENTS = {"adam": 2, "adamw": 2, "sgd": 1, "adadelta": 2, "rmsprop": 1}
"""Numbers that each optimiser keeps for each parameter."""
EVALUATION_BATCH = 2_000
"""Samples that go through a model at once where nothing is learned."""


def training_memory(model: Variant, training: TrainingConfig, spec: DataSpec) -> int:
    """Estimate the memory of a training in bytes, without the data.

    4 bytes times: parameters, those of the best epoch where there is a validation part, gradients
    and the optimiser's moments; the activations of a batch,
    or, in evaluation, those of two layers for more samples.
    """
    batch_size = min(training.batch_size, spec.n_train)
    kept = training.validation > 0  # the best weights so far
    copies = (2 + MOMENTS[training.optimizer] + kept) * model.n_parameters(spec)
    samples = max(batch_size, min(EVALUATION_BATCH, spec.n_test) // 3)
    return 4 * (copies + samples * model.n_activations(spec, batch_size))


def _too_large(model: Variant, training: TrainingConfig, spec: DataSpec) -> list[str]:
    """Message for settings whose training does not fit into memory."""
    needed, there = training_memory(model, training, spec), memory()
    if needed <= there:
        return []
    layers = model.widths_setting
    widths = ",".join(map(str, getattr(model, layers)))
    return [
        f"{layers} = '{widths}' with latent_dim = {model.latent_dim} makes a model of "
        f"{model.n_parameters(spec):,} parameters, whose training in batches of "
        f"{training.batch_size} takes about {needed / 2**30:.1f} GiB, and this machine has "
        f"{there / 2**30:.1f} GiB of memory: give fewer or narrower layers, or a smaller "
        "batch_size."
    ]


def memory() -> int:
    """Main memory in bytes: the machine's, or the limit of a container."""
    import psutil

    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.is_file() else "max"
    total = psutil.virtual_memory().total
    return min(total, int(allowed)) if allowed.isdecimal() else total


def _wrong_form(request: Any) -> list[str]:
    """The reason why a request, perhaps from a damaged file, cannot be read at all."""
    if not isinstance(request, Mapping):
        return [f"A request names a dataset and a variant; this is {shown(request)}."]
    problems = [
        unknown("part of a request", part, REQUEST) for part in request if part not in REQUEST
    ]
    for part, kind in REQUEST.items():
        value = request.get(part, kind())
        # A name that is None was not given; the message lists the valid names.
        right = isinstance(value, kind) or (kind is str and value is None)
        if not right or (kind is dict and not all(isinstance(name, str) for name in value)):
            problems.append(f"{part} = {shown(value)} is not possible: {FORMS[kind]}.")
    return problems


def _wrong_validation(training: TrainingConfig, spec: DataSpec | None) -> list[str]:
    """Problems of the settings of early stopping."""
    if training.patience and not training.validation:
        return [
            f"patience = {training.patience} waits for the loss on a validation part, and there is "
            "none: give validation, such as 0.1, or leave patience out."
        ]
    if training.validation and spec and spec.n_train < 2:
        return [
            f"validation = {training.validation:g} leaves nothing to train on: {spec.name} has "
            f"{spec.n_train} training sample."
        ]
    return []


def _longer_than_training(model: Variant, training: TrainingConfig) -> list[str]:
    """Problems of settings that count epochs and exceed those of the training."""
    return [
        f"{name} = {getattr(model, name)} is longer than the training, whose epochs = "
        f"{training.epochs}: give at most {training.epochs}, or more epochs."
        for name, field in type(model).model_fields.items()
        if isinstance(extra := field.json_schema_extra, dict)
        and extra.items() >= WITHIN_TRAINING.items()
        and getattr(model, name) > training.epochs
    ]


REQUEST = {"dataset": str, "variant": str, "model": dict, "training": dict}
FORMS = {str: "give a name", dict: "give settings by their names"}


def defaults(spec: DataSpec, variant: type[Variant] | None) -> dict[str, dict[str, Any]]:
    """Default settings of a run for its data.

    The form, the command line and the estimator all begin with these: `training` by the number of
    samples, `model` by the variant, such as its likelihood by the range of the data. Few samples
    need more passes in smaller batches, to come to some hundreds of steps; many come to as many
    steps as five passes over 60,000.

    Arguments
        variant: None where it is not known, which chooses nothing for the model.
    """
    n = spec.n_train
    if n >= 10_000:
        training: dict[str, Any] = {"epochs": max(math.ceil(STEPPED_OVER / n), 5)}
    else:
        few = n < 1_000
        training = {
            "epochs": 100 if few else 50,
            "batch_size": min(16 if few else 64, n),
            "learning_rate": 4e-3,
        }
    return {"training": training, "model": variant.defaults(spec) if variant else {}}


STEPPED_OVER = 300_000
"""Samples that a training passes over, at least, where it has 10,000 or more."""


def dataset_of(config: RunConfig) -> Dataset:
    """Dataset that a run is trained on."""
    return data.get(config.dataset)


OF_TRAINING = ("seed", "learning_rate")
OF_MODEL = ("beta", "weight", "target", "level", "l2", "commitment")
"""Settings in which trainings may differ that are stacked: none of them changes a shape."""
MOST_STACKED = 16
"""Trainings that are stacked at most."""


def architecture(config: RunConfig) -> str:
    """What is equal in trainings that can be computed as one stacked model, as text."""
    model = config.model.model_dump(mode="json", exclude=set(OF_MODEL))
    settings = config.training.model_dump(mode="json", exclude=set(OF_TRAINING))
    return f"{config.dataset} {config.variant} {model} {settings}"
