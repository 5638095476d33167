"""`plantset compare A B`: is the second model better than the first, and on which photos?

Both evaluations answered about the same photos, so the comparison is paired: what counts are the photos on which
they disagree, resampled leaf by leaf.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from plantset.core.bounds import check_at_least
from plantset.core.errors import ConfigError, DataError
from plantset.core.files import read_json_lines, write_json, write_json_lines
from plantset.core.language import tr
from plantset.core.page import number
from plantset.evaluation.classification import paired_macro_f1
from plantset.evaluation.config import CompareConfig
from plantset.evaluation.intervals import Estimate, index_groups, mean_estimate
from plantset.evaluation.report import points

COMPARISON_SCHEMA_VERSION = 1
_PREDICTIONS_NAME = "predictions.jsonl"
_SHOWN_CHANGES = 10


@dataclass(frozen=True, slots=True)
class Change:
    """A photo that the two answer differently."""

    image_path: str
    class_id: str
    first: str
    second: str
    outcome: str  # "mended", "broken" or "both wrong"


@dataclass(frozen=True)
class Comparison:
    """Two evaluations on the photos that both have.

    Attributes:
        num_photos, num_groups: common photos and their leaves; `num_only_first` and `num_only_second` were left out.
        accuracy_first, accuracy_second: on the common photos.
        accuracy_difference: second minus first, with a paired interval by resampled leaves.
        macro_f1_difference: the same for macro-F1.
        num_mended, num_broken: wrong answers that became right, right ones that became wrong.
        mcnemar_p: two-sided exact p-value that so uneven a split of the changed photos is luck. It takes photos for
            independent; where leaves have several photos the interval is the safer judge.
        changes: every photo that is answered differently.
    """

    num_photos: int
    num_groups: int
    num_only_first: int
    num_only_second: int
    accuracy_first: float
    accuracy_second: float
    accuracy_difference: Estimate
    macro_f1_difference: Estimate
    num_mended: int
    num_broken: int
    mcnemar_p: float
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class CompareReport:
    """What the comparison found and where it was written."""

    first: Path
    second: Path
    comparison: Comparison
    output_dir: Path | None

    def summary(self) -> str:
        """Return the verdict, the figures, and the first photos that changed."""
        found = self.comparison
        rows = [
            (tr("photos in both", "photos communes"), f"{found.num_photos} ({found.num_groups})"),
            (tr("accuracy, second − first", "exactitude, second − premier"), points(found.accuracy_difference)),
            (tr("macro-F1, second − first", "F1 macro, second − premier"), points(found.macro_f1_difference)),
            (tr("mended / broken", "corrigées / cassées"), f"{found.num_mended} / {found.num_broken}"),
            ("McNemar p", number(found.mcnemar_p, 4)),
        ]
        width = max(len(title) for title, _ in rows)
        lines = [say_verdict(found), *(f"  {title:<{width}}  {value}" for title, value in rows)]
        lines += [
            f"  {_outcome(change):<10}  {change.image_path}  {change.class_id}: {change.first} → {change.second}"
            for change in found.changes[:_SHOWN_CHANGES]
        ]
        if self.output_dir is not None:
            lines.append(tr("written: ", "écrit : ") + str(self.output_dir))
        return "\n".join(lines)

    @property
    def exit_code(self) -> int:
        """Return 0: a worse model is a finding."""
        return 0


def compare(config: CompareConfig) -> CompareReport:
    """Compare two evaluations of the same split, photo by photo.

    Raises:
        ConfigError: not two evaluations, or a number out of range.
        DataError: an evaluation cannot be read, the two have no photo in common, or they disagree on a photo's class.
    """
    check_at_least([("--bootstrap-count", config.bootstrap_count, 0), ("--seed", config.seed, 0)])
    if len(config.runs) != 2:
        raise ConfigError(
            tr(
                f"two evaluations are compared, not {len(config.runs)}",
                f"il faut deux évaluations, pas {len(config.runs)}",
            ),
            "plantset compare evaluation_a evaluation_b",
        )
    first, second = config.runs
    comparison = compare_predictions(
        read_predictions(first),
        read_predictions(second),
        bootstrap_count=config.bootstrap_count,
        rng=np.random.default_rng(config.seed),
    )
    if config.output_dir is not None:
        values = dataclasses.asdict(comparison)
        rows = values.pop("changes")
        head = {"schema_version": COMPARISON_SCHEMA_VERSION, "first": str(first), "second": str(second)}
        write_json(config.output_dir / "comparison.json", {**head, **values})
        write_json_lines(config.output_dir / "changes.jsonl", rows)
    return CompareReport(first, second, comparison, config.output_dir)


def read_predictions(path: Path) -> dict[str, Mapping[str, Any]]:
    """Return image_path -> row of a predictions.jsonl, or of the one in an evaluation's folder.

    Raises:
        DataError: it is absent, not JSON lines, or a line lacks image_path, class_id or predicted.
    """
    file = path / _PREDICTIONS_NAME if path.is_dir() else path
    rows: dict[str, Mapping[str, Any]] = {}
    for line, row in read_json_lines(file):
        missing = [name for name in ("image_path", "class_id", "predicted") if not isinstance(row.get(name), str)]
        if missing:
            raise DataError(
                tr(f"{file} line {line} lacks {missing[0]}", f"{file} ligne {line} : il manque {missing[0]}"),
                tr("give what plantset evaluate wrote", "donnez ce que plantset evaluate a écrit"),
            )
        # of a row of kilobytes, what is compared
        rows[row["image_path"]] = {key: row.get(key) for key in ("class_id", "predicted", "group")}
    return rows


def compare_predictions(
    first: Mapping[str, Mapping[str, Any]],
    second: Mapping[str, Mapping[str, Any]],
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> Comparison:
    """Compare two sets of answers on the photos that both have, in the first one's order.

    Raises:
        DataError: they share no photo, or name different classes as a photo's true one.
    """
    common = [path for path in first if path in second]
    _check_common(common, first, second)
    names = sorted(
        {str(rows[path][key]) for rows in (first, second) for path in common for key in ("class_id", "predicted")}
    )
    index = {name: position for position, name in enumerate(names)}
    labels, called_first, called_second = (
        np.array([index[rows[path][key]] for path in common])
        for rows, key in ((first, "class_id"), (first, "predicted"), (second, "predicted"))
    )
    groups = index_groups([first[path].get("group") for path in common])
    right_first, right_second = called_first == labels, called_second == labels
    mended, broken = int((~right_first & right_second).sum()), int((right_first & ~right_second).sum())
    return Comparison(
        num_photos=len(common),
        num_groups=int(groups.max()) + 1,
        num_only_first=len(first) - len(common),
        num_only_second=len(second) - len(common),
        accuracy_first=float(right_first.mean()),
        accuracy_second=float(right_second.mean()),
        accuracy_difference=mean_estimate(
            right_second.astype(float) - right_first.astype(float), groups, bootstrap_count, rng, is_share=False
        ),
        macro_f1_difference=paired_macro_f1(
            called_first, called_second, labels, groups, bootstrap_count=bootstrap_count, rng=rng
        ),
        num_mended=mended,
        num_broken=broken,
        mcnemar_p=mcnemar(mended, broken),
        changes=_list_changes(common, names, labels, called_first, called_second),
    )


def mcnemar(num_mended: int, num_broken: int) -> float:
    """Return the two-sided exact p-value (McNemar 1947, binomial form); 1 when nothing changed."""
    changed = num_mended + num_broken
    return float(binomtest(num_mended, changed, 0.5).pvalue) if changed else 1.0


def say_verdict(found: Comparison) -> str:
    """Return in words whether one of the two is better beyond chance."""
    low, high = found.accuracy_difference.low, found.accuracy_difference.high
    if low is not None and low > 0:
        return tr("The second is better, beyond chance.", "Le second est meilleur, au-delà du hasard.")
    if high is not None and high < 0:
        return tr("The second is worse, beyond chance.", "Le second est moins bon, au-delà du hasard.")
    return tr("No difference that these photos could prove.", "Aucune différence que ces photos puissent prouver.")


def _outcome(change: Change) -> str:
    if change.outcome == "mended":
        return tr("mended", "corrigée")
    return tr("broken", "cassée") if change.outcome == "broken" else tr("both wrong", "deux erreurs")


def _check_common(
    common: Sequence[str], first: Mapping[str, Mapping[str, Any]], second: Mapping[str, Mapping[str, Any]]
) -> None:
    if not common:
        raise DataError(
            tr("the two evaluations have no photo in common", "les deux évaluations n'ont aucune photo commune"),
            tr("evaluate both on the same split of the same JSONL", "évaluez les deux sur le même jeu du même JSONL"),
        )
    for path in common:
        if first[path]["class_id"] != second[path]["class_id"]:
            one, other = first[path]["class_id"], second[path]["class_id"]
            raise DataError(
                tr(
                    f"{path} is {one} in the first and {other} in the second",
                    f"{path} est {one} dans la première et {other} dans la seconde",
                ),
                tr("evaluate both on the same JSONL", "évaluez les deux sur le même JSONL"),
            )


def _list_changes(
    paths: Sequence[str],
    names: Sequence[str],
    labels: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> tuple[Change, ...]:
    changes = []
    for at in np.flatnonzero(first != second).tolist():
        outcome = "mended" if second[at] == labels[at] else "broken" if first[at] == labels[at] else "both wrong"
        changes.append(Change(paths[at], names[labels[at]], names[first[at]], names[second[at]], outcome))
    return tuple(changes)
