from __future__ import annotations

import numpy as np
import pytest

from plantset.clean.cues import border_pixels, colour_bytes
from plantset.evaluation.classification import Truth
from plantset.evaluation.shortcuts import ShortcutScores, TrainCues, score_shortcuts


def judge(*, told: bool, sources: tuple[str | None, ...] = ("lab", "field")) -> ShortcutScores | None:
    """Two classes, 60 training and 40 scored photos; `told` gives each class a background of its own."""
    rng = np.random.default_rng(0)
    train, scored = np.arange(60) % 2, np.arange(40) % 2

    def borders(labels: np.ndarray) -> np.ndarray:
        return rng.normal(0, 5, size=(len(labels), 24)) + (100 * labels[:, None] if told else 0)

    return score_shortcuts(
        TrainCues(borders(train), train, [sources[label] for label in train]),
        borders(scored),
        scored,
        Truth(scored, np.arange(40), ("a", "b"), (None, None), (None,) * 40, tuple(sources[label] for label in scored)),
        bootstrap_count=100,
        rng=rng,
    )


def test_a_background_of_each_class_is_told() -> None:
    scores = judge(told=True)

    assert scores is not None
    assert scores.border.value == 1.0
    assert scores.chance == 0.5
    assert scores.tells


def test_a_background_that_is_chance_tells_nothing() -> None:
    scores = judge(told=False)

    assert scores is not None
    assert scores.border.value < 0.75
    assert not scores.tells


def test_a_collection_of_one_class_gives_it_away() -> None:
    scores = judge(told=False)

    assert scores is not None
    assert scores.source is not None
    assert scores.source.value == 1.0


def test_each_collection_has_a_row_beside_the_models() -> None:
    scores = judge(told=True)

    assert scores is not None
    assert [(row.name, row.num_photos, row.model.value) for row in scores.by_source] == [
        ("field", 20, 1.0),
        ("lab", 20, 1.0),
    ]


def test_photos_of_no_known_collection_say_nothing_of_it() -> None:
    scores = judge(told=True, sources=(None, None))

    assert scores is not None
    assert scores.source is None
    assert scores.by_source == ()


def test_one_training_class_is_nothing_to_learn_from() -> None:
    train = TrainCues(np.zeros((5, 24)), np.zeros(5, dtype=np.int64), [None] * 5)
    truth = Truth(np.array([0]), np.array([0]), ("a",), (None,), (None,), (None,))

    assert (
        score_shortcuts(train, np.zeros((1, 24)), np.array([0]), truth, bootstrap_count=0, rng=np.random.default_rng(0))
        is None
    )


def test_evaluate_reads_the_same_border_as_the_audit() -> None:
    photo = np.random.default_rng(1).integers(0, 256, size=(20, 30, 3), dtype=np.uint8)

    assert border_pixels(np.stack([photo, photo]))[1].tobytes() == colour_bytes(photo)[:24]


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_corners_are_in_the_border(corner: tuple[int, int]) -> None:
    photo = np.zeros((8, 9, 3), dtype=np.uint8)
    photo[corner] = 255

    assert (border_pixels(photo) == 255).all(axis=-1).sum() == 1
