"""From a file as read to a plan: labels, features, split, preparation, and the report of it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aecore.data.importers.choices import AT_RANDOM, NO_LABEL, Choices
from aecore.data.importers.formats import Content, format_of, in_list
from aecore.data.importers.pictures import SPLITS
from aecore.data.importers.report import ColumnReport, Doubt, Kind, Report, Role
from aecore.data.preparation import (
    MOST_CATEGORIES,
    Column,
    PictureFit,
    Preparation,
    as_numbers,
    as_text,
    fit_category,
    fit_number,
    is_numeric,
    number_problems,
    places,
)
from aecore.data.spec import MOST_CLASSES, MOST_FEATURES
from aecore.errors import printable, shown, unknown

if TYPE_CHECKING:
    import pandas

LABEL_NAMES = (
    "label", "labels", "class", "target", "y", "species", "category", "outcome", "diagnosis",
    "folder", "type", "classification",
)  # fmt: skip
SPLIT_NAMES = ("split", "set", "subset", "partition", "fold")
IDENTIFIER = re.compile(r"(.*[ _.-])?(id|index|nr|number|key|uuid)|unnamed.*|column 1", re.I)
MOST_NUMBERED_CLASSES = 100
"""Distinct whole numbers up to which a label is a class and not a quantity."""
MOST_GUESSED_CLASSES = 20
"""Distinct whole numbers up to which the last column is guessed to be the label."""
DATE = r"\d{4}-\d\d?-\d\d?|\d{1,2}[./]\d{1,2}[./]\d{2,4}"
DATE_FORMATS = ("ISO8601", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")
MOSTLY = 0.9
"""Share of readable numbers from which on a column of text is a column of numbers with faults."""
MOSTLY_MISSING = 0.5
LARGEST_SIDE = 64
"""Longer side of images that are not all of one size, unless one is chosen."""
LARGEST_OWN_SIDE = 128
"""Longer side up to which images of one size stay as they are."""


@dataclass
class Seen:
    """A column as it was understood."""

    name: str
    values: pandas.Series
    kind: Kind
    missing: np.ndarray
    """(n,) whether there is no value."""
    decimal_comma: bool = False
    distinct: int | None = None
    low: float | None = None
    high: float | None = None
    duplicate_of: str | None = None
    role: Role = "left out"

    def report(self) -> ColumnReport:
        return ColumnReport(
            name=printable(self.name),
            kind=self.kind,
            role=self.role,
            missing=int(self.missing.sum()),
            distinct=self.distinct,
            low=self.low,
            high=self.high,
            duplicate_of=self.duplicate_of,
        )


@dataclass
class Labels:
    """Labels of all rows."""

    values: np.ndarray
    """(n,) class numbers, int64, or numbers, float32."""
    names: tuple[str, ...] = ()
    missing: np.ndarray | None = None


@dataclass
class Plan:
    """What would be stored of a file."""

    content: Content
    choices: Choices
    columns: list[Seen] = field(default_factory=list)
    label: Seen | None = None
    labels: Labels = field(default_factory=lambda: Labels(np.zeros(0)))
    train: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    test: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows of each split."""
    preparation: Preparation = field(default_factory=Preparation)
    problems: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        if self.preparation.picture:
            return self.preparation.picture.shape
        width = sum(column.width for column in self.preparation.columns)
        return (width,) if width else ()


def plan(content: Content, choices: Choices) -> Plan:
    """Plan what would be stored of a file; its `problems` say what prevents that."""
    made = Plan(content, choices, notes=list(content.notes))
    names = [str(name) for name in content.table.columns]
    _refuse_unknown(made, names)
    if made.problems:
        return made
    split = _split_column(made, names)
    made.columns = _seen_columns(made)
    _choose_label(made, split)
    _read_labels(made)
    rows = np.arange(len(content.table))
    if made.labels.missing is not None and made.labels.missing.any():
        rows = rows[~made.labels.missing]
        left = np.flatnonzero(made.labels.missing)
        made.notes.append(
            f"{len(left):,} of {len(made.labels.missing):,} rows have no label and are left out "
            f"({places(left, content.lines)})."
        )
    if content.pictures:
        features: list[Seen] = []
    else:
        features = _features(made, split)
        rows = _without_missing(made, features, rows)
    _draw_split(made, split, rows)
    if made.problems:
        return made
    if content.pictures:
        _fit_pictures(made)
    else:
        _fit_columns(made, features)
    decisions = [*(doubt.sentence for doubt in made.doubts), *made.notes]
    made.preparation = made.preparation.model_copy(
        update={
            "label": made.label.name if made.label else "",
            "decisions": tuple(printable(each)[:500] for each in decisions[:1_000]),
        }
    )
    return made


def report(made: Plan, path: Path) -> Report:
    """Report of a plan."""
    content, labels = made.content, made.labels
    pictures = content.pictures
    classes: dict[str, int] = {}
    kept = np.concatenate([made.train, made.test])
    if labels.names and len(kept):
        counts = np.bincount(labels.values[kept], minlength=len(labels.names))
        classes = dict(zip(labels.names, counts.tolist(), strict=True))
    label_range = None
    if made.label and not labels.names and len(kept):
        label_range = (float(labels.values[kept].min()), float(labels.values[kept].max()))
    sizes: Counter[str] = Counter()
    if pictures:
        sizes.update(f"{height} x {width}" for height, width in pictures.sizes.tolist())
    return Report(
        file=printable(path.name),
        format=format_of(path).name,
        modality="image" if pictures else "table",
        n_samples=len(content.table),
        n_train=len(made.train),
        n_test=len(made.test),
        shape=() if made.problems else made.shape,
        label=made.label.name if made.label else None,
        classes=classes,
        label_range=label_range,
        columns=tuple(column.report() for column in made.columns),
        duplicate_rows=None if pictures else _repeated_rows(content.table),
        sizes=dict(sizes.most_common(50)),
        channels=None if pictures is None else 3 if pictures.colour else 1,
        problems=tuple(made.problems),
        doubts=tuple(made.doubts),
        notes=tuple(made.notes),
    )


def _repeated_rows(table: pandas.DataFrame) -> int:
    import pandas

    if not len(table.columns):
        return 0
    hashes = pandas.util.hash_pandas_object(table, index=False).to_numpy()
    return len(hashes) - len(np.unique(hashes))


# --- Columns ------------------------------------------------------------------------------------


def _refuse_unknown(made: Plan, names: list[str]) -> None:
    """Add a problem for each chosen column that there is not."""
    choices = made.choices
    asked = {
        "label": [choices.label] if choices.label not in ("", NO_LABEL) else [],
        "split_by": [choices.split_by] if choices.split_by not in ("", AT_RANDOM) else [],
        "drop": choices.drop,
        "keep": choices.keep,
        "log": choices.log,
    }
    for setting, columns in asked.items():
        for name in columns:
            if name not in names:
                made.problems.append(f"{setting}: {unknown('column', name, names[:50])}")
    for name in set(choices.drop) & {choices.label, choices.split_by, *choices.keep, *choices.log}:
        made.problems.append(f"Column {shown(name)} is to be left out and to be used: choose one.")


def _seen_columns(made: Plan) -> list[Seen]:
    """Each column with its kind, except those to be left out."""
    table, choices = made.content.table, made.choices
    seen: list[Seen] = []
    digests: dict[bytes, str] = {}
    for position, title in enumerate(table.columns):
        if str(title) in choices.drop:
            continue
        column = _seen(str(title), table.iloc[:, position], made)
        if column.kind in ("number", "category", "identifier"):
            digest = _digest(column)
            if digest in digests and str(title) not in choices.keep:
                column.kind, column.duplicate_of = "duplicate", digests[digest]
            digests.setdefault(digest, str(title))
        seen.append(column)
    return seen


def _digest(column: Seen) -> bytes:
    if is_numeric(column.values):
        values = np.ascontiguousarray(column.values.to_numpy())
    else:
        import pandas

        values = pandas.util.hash_array(as_text(column.values).to_numpy(object))
    return hashlib.blake2b(values.data, digest_size=16, person=column.kind[:8].encode()).digest()


def _seen(name: str, values: pandas.Series, made: Plan) -> Seen:
    kind = getattr(values.dtype, "kind", "O")
    if kind == "M":
        return Seen(name, values, "date", values.isna().to_numpy(bool))
    if kind == "b":
        missing = np.zeros(len(values), bool)
        n = values.nunique()
        return Seen(name, values, "category" if n > 1 else "constant", missing, distinct=n)
    if kind in "fiu":
        return _seen_number(name, values, made)
    text = as_text(values)
    missing = text.isna().to_numpy(bool)
    if missing.all():
        return Seen(name, values, "empty", missing, distinct=0)
    column = _seen_text(name, text, missing, made)
    column.values = values
    return column


def _seen_number(name: str, values: pandas.Series, made: Plan, comma: bool = False) -> Seen:
    numbers = as_numbers(values, comma)
    missing = np.isnan(numbers) if is_numeric(values) else as_text(values).isna().to_numpy(bool)
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return Seen(name, values, "empty", missing, distinct=0)
    low, high = float(present.min()), float(present.max())
    column = Seen(
        name, values, "number", missing, comma,
        low=low if np.isfinite(low) else None, high=high if np.isfinite(high) else None,
    )  # fmt: skip
    if low == high:
        column.kind, column.distinct = "constant", 1
    elif name not in made.choices.keep and _identifies(name, present, missing):
        column.kind = "identifier"
    return column


def _identifies(name: str, present: np.ndarray, missing: np.ndarray) -> bool:
    """Whether numbers count the rows, or are all different under the name of an identifier."""
    if missing.any() or len(present) < 3 or (present != np.rint(present)).any():
        return False
    if (np.diff(present) == 1).all() and present[0] in (0, 1):
        return True
    return bool(IDENTIFIER.fullmatch(name)) and len(np.unique(present)) == len(present)


def _seen_text(name: str, text: pandas.Series, missing: np.ndarray, made: Plan) -> Seen:
    """Kind of a column of text: numbers, dates, a category or text."""
    import pandas

    present = text[~missing]
    n = int(present.nunique())
    shares = [float((~np.isnan(as_numbers(present, comma))).mean()) for comma in (False, True)]
    if max(shares) >= MOSTLY and name != made.choices.label:
        comma = _decimal_comma(name, present, shares, made)
        return _seen_number(name, text, made, comma)
    if n == 1:
        return Seen(name, text, "constant", missing, distinct=1)
    if re.match(DATE, str(present.iloc[0])):
        for form in DATE_FORMATS:
            dates = pandas.to_datetime(present, errors="coerce", format=form)
            if dates.notna().mean() >= MOSTLY:
                return Seen(name, text, "date", missing, distinct=n)
    if n <= MOST_CATEGORIES and (n < len(present) or len(present) <= 3):
        return Seen(name, text, "category", missing, distinct=n)
    if n == len(present):
        return Seen(name, text, "identifier", missing, distinct=n)
    return Seen(name, text, "text", missing, distinct=n)


def _decimal_comma(name: str, present: pandas.Series, shares: list[float], made: Plan) -> bool:
    """Whether numbers in text have decimal commas; what is not certain is a doubt."""
    with_sign = present[present.str.contains(r"[.,]", regex=True)]
    if made.choices.decimal != "guess" or not len(with_sign):
        return made.choices.decimal == "comma"
    comma = shares[1] > shares[0] if shares[0] != shares[1] else made.content.decimal_comma
    if not present.str.contains(",", regex=False).any():
        return comma and shares[1] > shares[0]
    example = str(present[present.str.contains(",", regex=False)].iloc[0])
    number = as_numbers(present[present == example].head(1), comma)[0]
    made.doubts.append(
        Doubt(
            sentence=f"In column {shown(name)} '{example[:40]}' was read as {number:g}.",
            setting="decimal",
            alternatives=("point",) if comma else ("comma",),
        )
    )
    return comma


# --- Labels -------------------------------------------------------------------------------------


def _choose_label(made: Plan, split: Seen | None) -> None:
    """Choose the column of the labels: as asked, by the layout of the file, or by a guess."""
    choices = made.choices
    by_name = {column.name: column for column in made.columns}
    if split:
        by_name.pop(split.name, None)
    if choices.label:
        made.label = by_name.get(choices.label)
        if made.label is None and choices.label != NO_LABEL:
            made.problems.append(
                f"label: column {shown(choices.label)} says which rows are for training: choose "
                "another."
            )
    else:
        made.label = by_name.get(made.content.label) or _guessed(
            list(by_name.values()), among_features=not made.content.pictures
        )
        if made.label and made.label.kind in ("constant", "empty"):
            made.label = None
        if made.label is None:
            text = "No column looks like labels: the samples have none."
        else:
            text = f"The labels were taken from column {shown(made.label.name)}."
        others = (
            column.name
            for column in by_name.values()
            if column is not made.label and column.kind in ("category", "number")
        )
        alternatives = (*(() if made.label is None else (NO_LABEL,)), *others)
        made.doubts.append(Doubt(sentence=text, setting="label", alternatives=alternatives[:50]))
    if made.label:
        made.label.role = "label"


def _guessed(columns: list[Seen], among_features: bool) -> Seen | None:
    """The column that is named like a label, else the last or first one of few values."""
    for wanted in LABEL_NAMES:
        for column in columns:
            if column.name.lower() == wanted and column.kind != "identifier":
                return column
    columns = [column for column in columns if column.kind in ("category", "number")]
    for at in (-1, 0):
        if len(columns) > among_features and _looks_like_classes(columns[at], whole=at == -1):
            return columns[at]
    return None


def _looks_like_classes(column: Seen, whole: bool) -> bool:
    if column.kind == "category":
        return True
    if not whole or column.kind != "number" or not is_numeric(column.values):
        return False
    numbers = as_numbers(column.values)
    numbers = numbers[~np.isnan(numbers)]
    if (numbers != np.rint(numbers)).any():
        return False
    n = len(np.unique(numbers))
    return n <= MOST_GUESSED_CLASSES and 2 * n <= len(numbers)


def _read_labels(made: Plan) -> None:
    """Read the labels: classes of text and of few whole numbers, else numbers."""
    n = len(made.content.table)
    made.labels = Labels(np.zeros(n, np.float32))
    if made.label is None:
        return
    column = made.label
    if column.missing.all():
        made.problems.append(f"label: column {shown(column.name)} has no values: choose another.")
        return
    if is_numeric(column.values) or column.kind == "number":
        values = as_numbers(column.values, column.decimal_comma)
        missing = np.isnan(values)
        unique = np.unique(values[~missing])
        if (unique != np.rint(unique)).any() or len(unique) > MOST_NUMBERED_CLASSES:
            made.problems += number_problems(
                column.name, column.values, values, False, made.content.lines
            )
            made.labels = Labels(np.nan_to_num(values).astype(np.float32), missing=missing)
            return
        names = [f"{number:.0f}" for number in unique]
        codes = np.searchsorted(unique, np.where(missing, unique[0], values))
    else:
        text = as_text(column.values)
        missing = text.isna().to_numpy(bool)
        filled = text.fillna(text[~missing].iloc[0]).to_numpy(object)
        classes, codes = np.unique(filled.astype(str), return_inverse=True)
        names = [printable(str(each))[:100] for each in classes]
    column.distinct = len(names)
    if len(names) > MOST_CLASSES:
        made.problems.append(
            f"label: column {shown(column.name)} has {len(names):,} different values: choose one "
            f"of up to {MOST_CLASSES:,}, or none."
        )
        return
    alike = [name for name, count in Counter(names).items() if count > 1]
    if alike:
        made.problems.append(
            f"label: {len(alike):,} classes begin alike and differ after 100 characters, such as "
            f"{shown(alike[0])}: shorten them."
        )
        return
    made.labels = Labels(codes.astype(np.int64), tuple(names), missing)


# --- Features -----------------------------------------------------------------------------------


def _features(made: Plan, split: Seen | None) -> list[Seen]:
    """Columns that become features; the others are noted with the reason."""
    choices, features = made.choices, []
    left_out: dict[str, list[str]] = {}
    for column in made.columns:
        if column is made.label or (split and column.name == split.name):
            continue
        reason = _reason_against(column, choices)
        if reason and column.name in choices.keep:
            made.problems.append(
                f"keep: column {shown(column.name)} has {reason}: leave it out there."
            )
        elif reason:
            left_out.setdefault(reason, []).append(column.name)
        else:
            column.role = "feature"
            features.append(column)
            if column.kind == "number":
                made.problems += number_problems(
                    column.name,
                    column.values,
                    as_numbers(column.values, column.decimal_comma),
                    column.name in choices.log,
                    made.content.lines,
                )
    for reason, names in left_out.items():
        listed = ", ".join(shown(name) for name in names[:10])
        more = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
        noun = "column" if len(names) == 1 else "columns"
        sentence = f"Left out: {noun} {listed}{more} ({reason})."
        if reason in (IDENTIFIES, REPEATS, FEW):
            made.doubts.append(
                Doubt(sentence=sentence, setting="keep", alternatives=tuple(names[:50]))
            )
        else:
            made.notes.append(sentence)
    made.problems += [
        f"log: column {shown(column.name)} is no column of numbers: leave it out there."
        for column in made.columns
        if column.name in choices.log and column.kind != "number"
    ]
    if not features and not made.problems:
        made.problems.append("No column can be a feature: give columns of numbers or few texts.")
    made.problems = in_list(made.problems, "columns")
    return features


IDENTIFIES = "values that only identify rows"
REPEATS = "the values of an earlier column"
FEW = "no value in most rows"


def _reason_against(column: Seen, choices: Choices) -> str:
    """Why a column is no feature; empty if it is one."""
    reasons = {
        "constant": "one value only",
        "empty": "no values",
        "date": "dates",
        "text": f"text of more than {MOST_CATEGORIES} different values",
        "identifier": IDENTIFIES,
        "duplicate": REPEATS,
    }
    if column.kind in reasons:
        return reasons[column.kind]
    if column.kind == "category" and choices.categories == "leave-out":
        return "categories"
    if column.missing.mean() > MOSTLY_MISSING and column.name not in choices.keep:
        return FEW
    return ""


def _without_missing(made: Plan, features: Iterable[Seen], rows: np.ndarray) -> np.ndarray:
    """Rows that have all values, if rows without are to be left out."""
    if made.choices.missing != "drop-rows":
        return rows
    missing = np.zeros(len(made.content.table), bool)
    for column in features:
        missing |= column.missing
    kept = rows[~missing[rows]]
    if len(kept) < len(rows):
        left = rows[missing[rows]]
        made.doubts.append(
            Doubt(
                sentence=f"{len(left):,} of {len(rows):,} rows have missing values and are left "
                f"out ({places(left, made.content.lines)}).",
                setting="missing",
                alternatives=("mean", "median"),
            )
        )
    return kept


def _fit_columns(made: Plan, features: list[Seen]) -> None:
    """Fit the preparation of each column on the training split."""
    choices = made.choices
    fitted: list[Column] = []
    for column in features:
        if column.kind == "category":
            train = as_text(column.values.iloc[made.train])
            fitted.append(fit_category(column.name, train, missing=choices.missing))
            continue
        numbers = as_numbers(column.values, column.decimal_comma)[made.train]
        fitted.append(
            fit_number(
                column.name,
                numbers,
                missing=choices.missing,
                scale=choices.scale,
                log=column.name in choices.log,
                decimal_comma=column.decimal_comma,
            )
        )
    made.preparation = Preparation(columns=tuple(each for each in fitted if each.width))
    if not made.shape:
        made.problems.append("No column has values in the training split: choose another split.")


def _fit_pictures(made: Plan) -> None:
    """Decide the size of the images."""
    choices, pictures = made.choices, made.content.pictures
    assert pictures is not None
    frequent = Counter(map(tuple, pictures.sizes.tolist())).most_common(1)[0][0]
    alike = bool((pictures.sizes == frequent).all())
    if choices.size:
        height, width = (choices.size * 2)[:2]
    else:
        longest = LARGEST_OWN_SIDE if alike else LARGEST_SIDE
        shrink = min(1.0, longest / max(frequent))
        height, width = (max(round(side * shrink), 1) for side in frequent)
        if not alike or shrink < 1:
            own = f"{frequent[0]} x {frequent[1]}"
            made.doubts.append(
                Doubt(
                    sentence=f"{'All' if alike else 'Most'} images are of {own} pixels; they were "
                    f"made {height} x {width}.",
                    setting="size",
                    alternatives=(f"{frequent[0]},{frequent[1]}", "28,28", "32,32"),
                )
            )
    if pictures.colour and choices.colour == "grey":
        made.doubts.append(
            Doubt(
                sentence="Images in colour were read in grey.",
                setting="colour",
                alternatives=("colour",),
            )
        )
    fit = PictureFit(
        height=height,
        width=width,
        pad=choices.fit == "pad",
        colour=choices.colour == "colour",
        background=choices.background,
    )
    if height * width * (3 if fit.colour else 1) > MOST_FEATURES:
        made.problems.append(f"size = {height},{width} is too large: give a smaller one.")
    made.preparation = Preparation(picture=fit)


# --- Split --------------------------------------------------------------------------------------


def _split_column(made: Plan, names: list[str]) -> Seen | None:
    """The column that says which rows are for training; None if they are drawn."""
    choices, table = made.choices, made.content.table
    asked = choices.split_by or made.content.split
    if asked == AT_RANDOM:
        return None
    if not asked:
        for name in names:
            if name.lower() in SPLIT_NAMES and name not in (*choices.drop, choices.label):
                values = as_text(table[name]).str.lower()
                if {SPLITS.get(each) for each in values.dropna().unique()} == {"train", "test"}:
                    asked = name
                    made.doubts.append(
                        Doubt(
                            sentence=f"Column {shown(name)} says which rows are for training.",
                            setting="split_by",
                            alternatives=(AT_RANDOM,),
                        )
                    )
                    break
    if not asked:
        return None
    values = table[asked]
    return Seen(asked, values, "category", values.isna().to_numpy(bool), role="split")


def _draw_split(made: Plan, split: Seen | None, rows: np.ndarray) -> None:
    """Divide the rows into training and test split."""
    if split:
        for column in made.columns:
            if column.name == split.name:
                column.role = "split"
        sides = as_text(split.values).str.lower().map(SPLITS)
        strange = rows[sides.isna().to_numpy(bool)[rows]]
        if len(strange):
            example = printable(str(split.values.iloc[int(strange[0])]))[:40]
            made.problems.append(
                f"Column {shown(split.name)} says neither train nor test in "
                f"{places(strange, made.content.lines)} ('{example}'): correct it, or split at "
                "random."
            )
            return
        named = sides.to_numpy(object)[rows]
        made.train, made.test = rows[named == "train"], rows[named == "test"]
        for which, chosen in (("training", made.train), ("testing", made.test)):
            if not len(chosen):
                made.problems.append(
                    f"Column {shown(split.name)} leaves no sample for {which}: split at random."
                )
        return
    if len(rows) < 2:
        made.problems.append(
            f"{len(rows)} of {len(made.content.table):,} samples remain, and two are needed, one "
            "for training and one for testing: fill missing values, or give more."
        )
        return
    random = np.random.default_rng(made.choices.seed)
    share = made.choices.test_share
    counts = np.bincount(made.labels.values[rows]) if made.labels.names else np.array([len(rows)])
    counts = counts[counts > 0]
    if made.labels.names and counts.min() >= 2:
        labels = made.labels.values[rows]
        groups = [rows[labels == label] for label in np.unique(labels)]
        made.notes.append(
            f"{share:.0%} of the samples of each class were drawn at random for testing."
        )
    else:
        groups = [rows]
        few = int((counts < 2).sum()) if made.labels.names else 0
        made.notes.append(
            f"{share:.0%} of the samples were drawn at random for testing"
            + (
                f", without regard to classes: {few:,} of them have one sample only."
                if few
                else "."
            )
        )
    held = []
    for group in groups:
        n_held = min(max(round(share * len(group)), 1), len(group) - 1)
        held.append(random.permutation(group)[:n_held])
    made.test = np.sort(np.concatenate(held))
    made.train = np.setdiff1d(rows, made.test, assume_unique=True)
