"""Photos and descriptions found by each other: which text is about this photo, which photo is of this text.

Over distinct texts only: the text of a class under fifty photos is one text, not fifty, and right whichever of them it
was written for. Pure functions over vectors.

Dimensions: N photos, M distinct texts, P width of the space that both share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from plantset.evaluation.intervals import Estimate, mean_estimate

DEPTHS = (1, 5, 10)
MAX_PHOTOS = 2_000  # every photo is compared with every text: more of both would be quadratic


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of the questions whose answer is among the first `k`; `chance` is that of a random order."""

    k: int
    recall: Estimate
    chance: float


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """Both directions, on the same photos.

    Attributes:
        num_photos, num_texts: compared; each text is that of at least one of the photos.
        photo_to_text: of a photo, its own text among the k most similar; intervals by leaf groups.
        text_to_photo: of a text, one of its photos among the k most similar; intervals by texts.
    """

    num_photos: int
    num_texts: int
    photo_to_text: tuple[Recall, ...]
    text_to_photo: tuple[Recall, ...]


def score_retrieval(
    photos_NP: NDArray[np.floating],
    texts_MP: NDArray[np.floating],
    text_index_N: NDArray[np.int64],
    group_index_N: NDArray[np.int64],
    *,
    bootstrap_count: int,
    rng: np.random.Generator,
) -> RetrievalScores:
    """Score the similarity of unit vectors; equal similarities go to the lower index.

    Args:
        text_index_N: which text is each photo's.

    Raises:
        ValueError: a text is no photo's.
    """
    num_photos, num_texts = len(photos_NP), len(texts_MP)
    counts_M = np.bincount(text_index_N, minlength=num_texts)
    if not counts_M.all():
        raise ValueError("a text is no photo's")
    similarity_NM = photos_NP @ texts_MP.T
    text_rank_N = _ranks(similarity_NM)[np.arange(num_photos), text_index_N]
    photo_rank_M = np.full(num_texts, num_photos)
    np.minimum.at(photo_rank_M, text_index_N, _ranks(similarity_NM.T)[text_index_N, np.arange(num_photos)])
    texts = np.arange(num_texts)
    return RetrievalScores(
        num_photos=num_photos,
        num_texts=num_texts,
        photo_to_text=tuple(
            Recall(k, mean_estimate(text_rank_N < k, group_index_N, bootstrap_count, rng), min(1.0, k / num_texts))
            for k in DEPTHS
        ),
        text_to_photo=tuple(
            Recall(k, mean_estimate(photo_rank_M < k, texts, bootstrap_count, rng), _chance(counts_M, num_photos, k))
            for k in DEPTHS
        ),
    )


def index_texts(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct texts, sorted, and which one each is."""
    distinct = sorted(set(texts))
    places = {text: place for place, text in enumerate(distinct)}
    return distinct, np.array([places[text] for text in texts], dtype=np.int64)


def _ranks(similarity: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the place of each column in its row, 0 the most similar."""
    order = np.argsort(-similarity, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    return ranks


def _chance(counts_M: NDArray[np.int64], num_photos: int, k: int) -> float:
    """Return the mean chance that k photos drawn without replacement hold one of a text's own (hypergeometric)."""
    drawn = min(k, num_photos)
    none = scipy.special.binom(num_photos - counts_M, drawn) / scipy.special.binom(num_photos, drawn)
    return float(1 - none.mean())
