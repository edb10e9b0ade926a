"""Division of the rows of a file into training and test split."""

from __future__ import annotations

import numpy as np

from aecore.data.importers.choices import AT_RANDOM
from aecore.data.importers.pictures import SPLITS
from aecore.data.importers.plan import Plan, Seen
from aecore.data.importers.report import Doubt
from aecore.data.preparation import as_text, places
from aecore.errors import printable, shown

SPLIT_NAMES = ("split", "set", "subset", "partition", "fold")


def split_column(draft: Plan, names: list[str]) -> Seen | None:
    """The column that says which rows are for training; None if they are drawn."""
    choices, table = draft.choices, draft.content.table
    asked = choices.split_by or draft.content.split
    if asked == AT_RANDOM:
        return None
    if not asked:
        for name in names:
            if name.lower() in SPLIT_NAMES and name not in (*choices.drop, choices.label):
                values = as_text(table[name]).str.lower()
                if {SPLITS.get(each) for each in values.dropna().unique()} == {"train", "test"}:
                    asked = name
                    draft.doubts.append(
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


def draw_split(draft: Plan, split: Seen | None, rows: np.ndarray) -> None:
    """Divide the rows into training and test split."""
    if split:
        for column in draft.columns:
            if column.name == split.name:
                column.role = "split"
        sides = as_text(split.values).str.lower().map(SPLITS)
        strange = rows[sides.isna().to_numpy(bool)[rows]]
        if len(strange):
            example = printable(str(split.values.iloc[int(strange[0])]))[:40]
            draft.problems.append(
                f"Column {shown(split.name)} says neither train nor test in "
                f"{places(strange, draft.content.lines)} ('{example}'): correct it, or split at "
                "random."
            )
            return
        named = sides.to_numpy(object)[rows]
        draft.train, draft.test = rows[named == "train"], rows[named == "test"]
        for which, chosen in (("training", draft.train), ("testing", draft.test)):
            if not len(chosen):
                draft.problems.append(
                    f"Column {shown(split.name)} leaves no sample for {which}: split at random."
                )
        return
    if len(rows) < 2:
        draft.problems.append(
            f"{len(rows)} of {len(draft.content.table):,} samples remain, and two are needed, one "
            "for training and one for testing: fill missing values, or give more."
        )
        return
    random = np.random.default_rng(draft.choices.seed)
    share = draft.choices.test_share
    counts = np.bincount(draft.labels.values[rows]) if draft.labels.names else np.array([len(rows)])
    counts = counts[counts > 0]
    if draft.labels.names and counts.min() >= 2:
        labels = draft.labels.values[rows]
        groups = [rows[labels == label] for label in np.unique(labels)]
        draft.notes.append(
            f"{share:.0%} of the samples of each class were drawn at random for testing."
        )
    else:
        groups = [rows]
        few = int((counts < 2).sum()) if draft.labels.names else 0
        why = f", without regard to classes, of which {few:,} with one sample only" if few else ""
        draft.notes.append(f"{share:.0%} of the samples were drawn at random for testing{why}.")
    held = []
    for group in groups:
        n_held = min(max(round(share * len(group)), 1), len(group) - 1)
        held.append(random.permutation(group)[:n_held])
    draft.test = np.sort(np.concatenate(held))
    draft.train = np.setdiff1d(rows, draft.test, assume_unique=True)
