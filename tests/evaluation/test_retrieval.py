"""Photos and texts find each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom
from sklearn.metrics import top_k_accuracy_score

from plantset.evaluation.retrieval import RetrievalScores, index_texts, score_retrieval


def score(photos: np.ndarray, texts: np.ndarray, index: np.ndarray) -> RetrievalScores:
    rng = np.random.default_rng(0)
    return score_retrieval(photos, texts, index, np.arange(len(photos)), bootstrap_count=50, rng=rng)


def random_pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """60 photos near the text that they belong to, of 12."""
    rng = np.random.default_rng(1)
    texts, index = rng.normal(size=(12, 6)), np.arange(60) % 12
    return texts[index] + rng.normal(size=(60, 6)), texts, index


def test_photo_to_text_is_scikit_learns_top_k_accuracy() -> None:
    photos, texts, index = random_pairs()

    found = score(photos, texts, index)

    expected = [top_k_accuracy_score(index, photos @ texts.T, k=k, labels=range(12)) for k in (1, 5, 10)]
    assert [recall.recall.value for recall in found.photo_to_text] == pytest.approx(expected)
    assert 0.2 < expected[0] < 0.9


def test_a_text_is_found_by_any_of_its_photos() -> None:
    texts = np.eye(2)
    photos = np.array([[0.6, 0.5], [1.0, 0.0], [0.9, 0.1]])

    found = score(photos, texts, np.array([0, 1, 0]))

    # text 0 is most like photo 1, which is not its own: its own come second and third; text 1's only photo comes last
    assert [recall.recall.value for recall in found.text_to_photo] == [0.0, 1.0, 1.0]
    # photo 0 and photo 2 find text 0, photo 1 does not find text 1
    assert found.photo_to_text[0].recall.value == pytest.approx(2 / 3)


def test_chance_is_that_of_a_random_order() -> None:
    found = score(*random_pairs())

    assert [recall.chance for recall in found.photo_to_text] == pytest.approx([1 / 12, 5 / 12, 10 / 12])
    held = [hypergeom.sf(0, 60, 5, k) for k in (1, 5, 10)]  # at least one of a text's 5 photos among k of 60
    assert [recall.chance for recall in found.text_to_photo] == pytest.approx(held)


def test_equal_vectors_find_by_chance_alone() -> None:
    texts = np.ones((20, 3))

    found = score(np.ones((20, 3)), texts, np.arange(20))

    assert found.photo_to_text[0].recall.value == pytest.approx(1 / 20)


def test_one_text_under_many_photos_is_one_text() -> None:
    texts, index = index_texts(["b", "a", "b"])

    assert texts == ["a", "b"]
    assert index.tolist() == [1, 0, 1]


def test_a_text_of_no_photo_is_refused() -> None:
    with pytest.raises(ValueError, match="no photo"):
        score(np.eye(2), np.eye(2), np.array([0, 0]))
