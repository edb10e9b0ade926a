"""Settings declared as pydantic fields: validation, descriptions and form fields.

The form on a page, the options of the command line, the stored JSON and the reference all come from
the fields of one frozen pydantic class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args, get_origin

from annotated_types import BaseMetadata
from pydantic import BaseModel, Field, ValidationError

from aecore.errors import InvalidRequest, shown, unknown

if TYPE_CHECKING:
    from pydantic.config import JsonDict
    from pydantic.fields import FieldInfo

ADVANCED: JsonDict = {"advanced": True}
"""Metadata of a field that a form shows only on request."""
WITHIN_TRAINING: JsonDict = {"within_training": True}
"""Metadata of a field that counts epochs, of which there must be as many in the training."""

Settings = TypeVar("Settings", bound=BaseModel)


def titles(**titles: str) -> Any:
    """Metadata of a choice: titles of its values where they are not the value in words.

    In a keyword `_` stands for `-`.
    """
    known: JsonDict = {name.replace("_", "-"): title for name, title in titles.items()}
    return Field(json_schema_extra={"titles": known})


def in_words(name: str) -> str:
    """Name in words: learning_rate -> Learning rate, salt-and-pepper -> Salt and pepper."""
    return name.replace("_", " ").replace("-", " ").capitalize()


def read_settings(
    kind: type[Settings], asked: Mapping[str, Any], problems: list[str]
) -> tuple[Settings, set[str]]:
    """Read settings with defaults in place of invalid ones, and list the invalid ones."""
    # Unknown names first: for a name that is no text, validation does not say which one is wrong.
    wrong = asked.keys() - kind.model_fields.keys()
    try:
        kind(**{name: asked[name] for name in asked.keys() - wrong})
    except ValidationError as error:
        wrong |= {str(fault["loc"][0]) for fault in error.errors()}
    unsupported: Mapping[str, str] = getattr(kind, "unsupported", {})
    for name in sorted(wrong):
        if name in kind.model_fields:
            what = f"give {allowed_values(kind, name)}."
            problems.append(f"{name} = {shown(asked[name])} is not possible: {what}")
        elif name in unsupported:
            problems.append(f"{name} = {shown(asked[name])} is not possible: {unsupported[name]}")
        else:
            problems.append(unknown("setting", name, kind.model_fields))
    return kind(**{name: value for name, value in asked.items() if name not in wrong}), wrong


def check_settings(kind: type[Settings], asked: Mapping[str, Any]) -> Settings:
    """Validate typed settings of one class; raises `InvalidRequest` with every problem."""
    problems: list[str] = []
    settings, _ = read_settings(kind, asked, problems)
    if problems:
        raise InvalidRequest(problems)
    return settings


@dataclass(frozen=True)
class Setting:
    """Description of one setting for forms and tables."""

    name: str
    kind: Literal["whole number", "number", "choice", "switch", "widths", "text", "names"]
    default: Any
    description: str
    title: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    """Title of each choice."""
    open_below: bool = False
    """Whether the minimum itself is not allowed."""
    open_above: bool = False
    widest: int = 0
    """The largest of several widths; minimum and maximum are then how many there may be."""
    advanced: bool = False
    """Whether a form shows it only to those who ask for more."""

    @property
    def label(self) -> str:
        """Title, or else the name in words."""
        return self.title or in_words(self.name)

    def shown(self, value: Any) -> str:
        """Value in words."""
        if self.kind == "choice":
            return self.titles[value]
        if self.kind == "switch":
            return "yes" if value else "no"
        several = self.kind in ("widths", "names")
        return ", ".join(map(str, value)) or "none" if several else f"{value}"

    @property
    def meant(self) -> str:
        """Allowed values in Markdown; choices by title and name."""
        if self.kind != "choice":
            return self.allowed
        return "one of " + ", ".join(f"{title} (`{name}`)" for name, title in self.titles.items())

    @property
    def allowed(self) -> str:
        """Allowed values in words; choices by name."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "switch":
            return "true or false"
        if self.kind == "text":
            return f"a text of up to {self.maximum:g} characters"
        if self.kind == "names":
            return f"up to {self.maximum:g} names"
        if self.kind == "widths":
            return (
                f"whole numbers from 1 to {self.widest} separated by commas, such as 512,128, "
                f"{self.minimum:g} to {self.maximum:g} of them"
            )
        low = f"{'above' if self.open_below else 'from'} {self.minimum:.15g}"
        high = f"{'and below' if self.open_above else 'to'} {self.maximum:.15g}"
        return f"a {self.kind} {low} {high}"


@cache
def list_settings(kind: type[BaseModel]) -> tuple[Setting, ...]:
    """List the settings of a class, in order."""
    return tuple(
        Setting(
            name,
            default=declared.default,
            description=declared.description or "",
            title=declared.title or "",
            advanced=bool(_more(declared).get("advanced")),
            **_allowed_by(declared),
        )
        for name, declared in kind.model_fields.items()
    )


def _more(declared: FieldInfo) -> Mapping[str, Any]:
    """Metadata of a field beyond pydantic's own."""
    more = declared.json_schema_extra
    return more if isinstance(more, dict) else {}


def _allowed_by(declared: FieldInfo) -> dict[str, Any]:
    """Kind of a setting and its bounds."""
    if get_origin(declared.annotation) is Literal:
        given = _more(declared).get("titles", {})
        names = get_args(declared.annotation)
        titles = {name: given.get(name) or in_words(name) for name in names}
        return {"kind": "choice", "choices": names, "titles": titles}
    if declared.annotation is bool:
        return {"kind": "switch"}
    limits = _limits(declared)
    if declared.annotation is str:
        return {"kind": "text", "maximum": limits["max_length"]}
    if declared.annotation == tuple[str, ...]:
        return {"kind": "names", "maximum": limits["max_length"]}
    if get_origin(declared.annotation) is tuple:
        each = get_args(get_args(declared.annotation)[0])[1]
        return {
            "kind": "widths",
            "minimum": limits.get("min_length", 0),
            "maximum": limits["max_length"],
            "widest": _limits(each)["le"],
        }
    return {
        "kind": "whole number" if declared.annotation is int else "number",
        "minimum": limits.get("ge", limits.get("gt")),
        "maximum": limits.get("le", limits.get("lt")),
        "open_below": "gt" in limits,
        "open_above": "lt" in limits,
    }


def _limits(declared: FieldInfo) -> dict[str, Any]:
    """Bounds of a field by their names: ge, gt, le, lt, min_length, max_length."""
    known = (limit for limit in declared.metadata if isinstance(limit, BaseMetadata))
    return {name: value for limit in known for name, value in asdict(cast("Any", limit)).items()}


def allowed_values(kind: type[BaseModel], name: str) -> str:
    """Format the allowed values of one setting in words.

    >>> from aecore.training import TrainingConfig
    >>> allowed_values(TrainingConfig, "epochs")
    'a whole number from 1 to 10000'
    """
    return next(setting.allowed for setting in list_settings(kind) if setting.name == name)
