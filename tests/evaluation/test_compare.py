"""Two evaluations side by side: what is proof, what is chance, and which photos changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from plantset.cli import main
from plantset.core.errors import DataError
from plantset.evaluation.compare import Comparison, compare_predictions, mcnemar


def answers(predicted: str, *, true: str | None = None, per_leaf: int = 1) -> dict[str, Mapping[str, Any]]:
    """One photo per letter: its class (a, b, …) as predicted; `true` has the classes."""
    return {
        f"{at}.jpg": {"image_path": f"{at}.jpg", "class_id": label, "predicted": said, "group": str(at // per_leaf)}
        for at, (label, said) in enumerate(zip(true or "a" * len(predicted), predicted, strict=True))
    }


def judge(first: dict[str, Mapping[str, Any]], second: dict[str, Mapping[str, Any]]) -> Comparison:
    return compare_predictions(first, second, bootstrap_count=500, rng=np.random.default_rng(0))


def test_mcnemar_is_the_binomial_tail_worked_out_by_hand() -> None:
    assert mcnemar(1, 9) == pytest.approx(2 * binom.cdf(1, 10, 0.5))
    assert mcnemar(0, 0) == 1.0


def test_mended_and_broken_photos_are_counted_and_named() -> None:
    found = judge(answers("abba"), answers("aabc"))

    assert (found.num_mended, found.num_broken) == (1, 1)
    assert found.accuracy_difference.value == 0.0
    assert [(change.image_path, change.outcome) for change in found.changes] == [
        ("1.jpg", "mended"),
        ("3.jpg", "broken"),
    ]


def test_two_equal_models_differ_by_nothing() -> None:
    found = judge(answers("abba"), answers("abba"))

    assert found.accuracy_difference.value == found.macro_f1_difference.value == 0.0
    assert found.changes == ()


def test_a_clear_gain_lies_outside_its_interval_of_chance() -> None:
    true = "ab" * 20

    found = judge(answers("a" * 40, true=true), answers(true, true=true))

    assert found.accuracy_difference.low is not None
    assert found.accuracy_difference.low > 0
    assert found.macro_f1_difference.value == pytest.approx(1 - (2 / 3) / 2)  # F1 of a is 2/3, of b 0


def test_several_photos_of_a_leaf_widen_the_interval() -> None:
    first, second = "a" * 40, "aaaaabbbbb" * 4
    alone = judge(answers(first), answers(second)).accuracy_difference
    together = judge(answers(first, per_leaf=5), answers(second, per_leaf=5)).accuracy_difference

    assert alone.low is not None
    assert alone.high is not None
    assert together.low is not None
    assert together.high is not None
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_only_common_photos_are_compared() -> None:
    first = answers("aaa")
    second = {path: row for path, row in answers("aaaa").items() if path != "0.jpg"}

    found = judge(first, second)

    assert (found.num_photos, found.num_only_first, found.num_only_second) == (2, 1, 1)


def test_a_photo_of_two_true_classes_is_refused() -> None:
    with pytest.raises(DataError, match=r"1\.jpg is a in the first and b"):
        judge(answers("aa"), answers("aa", true="ab"))


def test_no_common_photo_is_refused() -> None:
    with pytest.raises(DataError, match="no photo in common"):
        judge(answers("a"), {"x.jpg": {"class_id": "a", "predicted": "a"}})


def test_the_command_takes_two_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, said in (("one", "abba"), ("two", "aaaa")):
        (tmp_path / name).mkdir()
        lines = [json.dumps(row) for row in answers(said).values()]
        (tmp_path / name / "predictions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    status = main(["compare", str(tmp_path / "one"), str(tmp_path / "two"), "--output-dir", str(tmp_path / "out")])

    assert status == 0
    assert "2 / 0" in capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert written["num_mended"] == 2


def test_one_evaluation_alone_cannot_be_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["compare", str(tmp_path)]) == 2
