"""Settings declared as pydantic fields: validation, description and forms made of them.

The form on a page, the options of the command line, the stored JSON and the reference all come from
the fields of one frozen pydantic class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from aecore.errors import Faults, shown, unknown

if TYPE_CHECKING:
    from pydantic.config import JsonDict

ADVANCED: JsonDict = {"advanced": True}
"""Metadata of a field that a form shows only on request."""
WITHIN_TRAINING: JsonDict = {"within_training": True}
"""Metadata of a field that counts epochs, of which there must be as many in the training."""

Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(
    kind: type[Settings], asked: Mapping[str, Any], faults: list[str]
) -> tuple[Settings, set[str]]:
    """The settings, with defaults in place of the wrong ones, and which those were."""
    # Strangers first: where a name is no text, validation says no more than that one is wrong.
    wrong = asked.keys() - kind.model_fields.keys()
    try:
        kind(**{name: asked[name] for name in asked.keys() - wrong})
    except ValidationError as error:
        wrong |= {str(fault["loc"][0]) for fault in error.errors()}
    impossible: Mapping[str, str] = getattr(kind, "impossible", {})
    for name in sorted(wrong):
        if name in kind.model_fields:
            what = f"give {allowed_values(kind, name)}."
            faults.append(f"{name} = {shown(asked[name])} is not possible: {what}")
        elif name in impossible:
            faults.append(f"{name} = {shown(asked[name])} is not possible: {impossible[name]}")
        else:
            faults.append(unknown("setting", name, kind.model_fields))
    return kind(**{name: value for name, value in asked.items() if name not in wrong}), wrong


def check_settings(kind: type[Settings], asked: Mapping[str, Any]) -> Settings:
    """Settings of one class from values as typed; raises `Faults` with every fault."""
    faults: list[str] = []
    settings, _ = read_settings(kind, asked, faults)
    if faults:
        raise Faults(faults)
    return settings


@dataclass(frozen=True)
class Setting:
    """One setting, as a form or a table needs to know it."""

    name: str
    kind: Literal["whole number", "number", "choice", "switch", "widths"]
    default: Any
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    open_below: bool = False
    """Whether the minimum itself is not allowed."""
    open_above: bool = False
    widest: int = 0
    """The largest of several widths; minimum and maximum are then how many there may be."""
    advanced: bool = False
    """Whether a form shows it only to those who ask for more."""

    @property
    def label(self) -> str:
        """The name as a person reads it: learning_rate -> Learning rate."""
        return self.name.replace("_", " ").capitalize()

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "switch":
            return "true or false"
        if self.kind == "widths":
            return (
                f"whole numbers from 1 to {self.widest} separated by commas, such as 512,128, "
                f"{self.minimum:g} to {self.maximum:g} of them"
            )
        low = f"{'above' if self.open_below else 'from'} {self.minimum:.15g}"
        high = f"{'and below' if self.open_above else 'to'} {self.maximum:.15g}"
        return f"a {self.kind} {low} {high}"


def list_settings(kind: type[BaseModel]) -> Iterator[Setting]:
    """The settings of a class, in order, read from its own schema."""
    for name, schema in kind.model_json_schema()["properties"].items():
        yield Setting(
            name,
            default=kind.model_fields[name].default,
            description=schema["description"],
            advanced=schema.get("advanced", False),
            **_allowed_by(schema),
        )


def _allowed_by(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The kind of a setting and its bounds."""
    if "enum" in schema:
        return {"kind": "choice", "choices": tuple(schema["enum"])}
    if schema["type"] == "boolean":
        return {"kind": "switch"}
    if schema["type"] == "array":
        return {
            "kind": "widths",
            "minimum": schema.get("minItems", 0),
            "maximum": schema["maxItems"],
            "widest": schema["items"]["maximum"],
        }
    return {
        "kind": "whole number" if schema["type"] == "integer" else "number",
        "minimum": schema.get("minimum", schema.get("exclusiveMinimum")),
        "maximum": schema.get("maximum", schema.get("exclusiveMaximum")),
        "open_below": "exclusiveMinimum" in schema,
        "open_above": "exclusiveMaximum" in schema,
    }


def allowed_values(kind: type[BaseModel], name: str) -> str:
    """Allowed values of one setting, in words.

    >>> from aecore.training import TrainingConfig
    >>> allowed_values(TrainingConfig, "epochs")
    'a whole number from 1 to 10000'
    """
    return next(setting.allowed for setting in list_settings(kind) if setting.name == name)
