"""Candidates for labels in other languages: the names nearest in meaning, by the packaged multilingual e5.

Only here does knowledge know of encoders, and only `map --embeddings` comes here, with labels that no rule could read.
It proposes and never decides. Of 150 labels in Spanish, Portuguese, Swahili, German, Italian and in paraphrases that
mean a disease of the catalogue, 83 % find it among five candidates (nearest spelling: 15 %) and 64 % as the first. But
among as many labels that mean none no threshold holds: on the half that was not used to fit it, the best precision with
ten answers or more was 0.89, at a recall of 0.22 (tests/knowledge/foreign.tsv). "Mancha", a spot, is near to a pest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from plantset.encoders.embed import embed_texts
from plantset.encoders.registry import PACKAGED_TEXT, build_text_encoder
from plantset.encoders.text import TextEncoder
from plantset.knowledge.matching import LabelMatch
from plantset.knowledge.schema import ANY_CROP, HEALTHY, Catalogue, Disease

_MAX_CANDIDATES = 5
_LONGEST = 32  # tokens; the longest name of the catalogue has 24
# Chance that a candidate is meant = sigmoid(…), fitted by logistic regression on the odd lines of foreign.tsv.
# On the even lines: Brier score 0.066, area under the ROC curve 0.86.
_BIAS, _PER_COSINE, _PER_MARGIN = -6.39, 9.20, 5.64

Asked = tuple[str, str | None]
Candidates = tuple[tuple[str, float], ...]


def propose_by_meaning(matches: Mapping[str, LabelMatch], catalogue: Catalogue) -> dict[str, LabelMatch]:
    """Return the matches with new candidates for what no rule could read; refusals for a reason stay as they are.

    Raises:
        CheckpointError: the packaged weights are not installed.
    """
    unread = {label: match for label, match in matches.items() if match.disease_id is None and match.how == "unknown"}
    if not unread:
        return dict(matches)
    asked = [(label, match.crop_id) for label, match in unread.items()]
    proposed = zip(unread.items(), NameEmbeddings(catalogue).propose(asked), strict=True)
    found = {label: replace(match, how="embedding", candidates=candidates) for (label, match), candidates in proposed}
    return {**matches, **found}


class NameEmbeddings:
    """The names of a catalogue as vectors, worked out for the crops that are asked for; about 7 ms of CPU a name."""

    def __init__(self, catalogue: Catalogue, encoder: TextEncoder | None = None) -> None:
        """Load the packaged encoder, unless one is given.

        Raises:
            CheckpointError: the packaged weights are not installed.
        """
        self._catalogue = catalogue
        self._encoder = encoder or build_text_encoder(PACKAGED_TEXT)
        self._vectors: dict[str, NDArray[np.float32]] = {}
        shared = [name for disease in _diseases(catalogue) for name in _names(disease) if disease.crop_id == ANY_CROP]
        # Vectors of short names crowd into a narrow cone; angles are told apart from its axis. The axis is that of the
        # shared names, so that no label's candidates depend on what other labels are asked.
        self._axis = self._embed(sorted(set(shared))).mean(axis=0)

    def propose(self, asked: Sequence[Asked]) -> list[Candidates]:
        """Return for each (label, crop or None) its nearest identities with the chance that each is meant.

        A label with a crop is compared with that crop's names and the shared ones that hold for it; one without, with
        the shared names and the full names of all crops ("coffee leaf rust").
        """
        labels_ND = self._centred([label.lower() for label, _ in asked])
        return [self._nearest(vector_D, crop_id) for vector_D, (_, crop_id) in zip(labels_ND, asked, strict=True)]

    def _nearest(self, vector_D: NDArray[np.float32], crop_id: str | None) -> Candidates:
        pairs = [pair for disease in _diseases(self._catalogue) for pair in self._compared(disease, crop_id)]
        cosines_N = self._centred([name for name, _ in pairs]) @ vector_D
        best: dict[str, float] = {}
        for (_, disease_id), cosine in zip(pairs, cosines_N.tolist(), strict=True):
            best[disease_id] = max(cosine, best.get(disease_id, -1.0))
        nearest = sorted(best.items(), key=lambda item: (-item[1], item[0]))[: _MAX_CANDIDATES + 1]
        return tuple(
            (disease_id, round(_chance(cosine, cosine - _runner_up(disease_id, nearest)), 2))
            for disease_id, cosine in nearest[:_MAX_CANDIDATES]
        )

    def _compared(self, disease: Disease, crop_id: str | None) -> Iterable[tuple[str, str]]:
        if disease.crop_id == ANY_CROP or disease.crop_id == crop_id:
            names = _names(disease) if crop_id is None or disease.holds_for(crop_id) else ()
        elif crop_id is None:
            crop = self._catalogue.crops[disease.crop_id].name
            names = (f"{crop['en']} {disease.name['en']}".lower(), f"{disease.name['fr']} {crop['fr']}".lower())
        else:
            names = ()
        return ((name, disease.disease_id) for name in names)

    def _centred(self, names: Sequence[str]) -> NDArray[np.float32]:
        vectors_ND: NDArray[np.float32] = self._embed(names) - self._axis
        vectors_ND /= np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-6)
        return vectors_ND

    def _embed(self, names: Sequence[str]) -> NDArray[np.float32]:
        new = sorted(set(names) - self._vectors.keys())
        if new:
            # "query: " on both sides, as the model's card asks for texts that are compared as equals.
            vectors = embed_texts(self._encoder, [f"query: {name}" for name in new], length=_LONGEST)
            self._vectors.update(zip(new, vectors, strict=True))
        return np.array([self._vectors[name] for name in names], dtype=np.float32).reshape(-1, self._encoder.width)


def _diseases(catalogue: Catalogue) -> list[Disease]:
    """Return what may be proposed: a healthy plant never is, a foreign "not healthy" would be too near."""
    return [disease for disease in catalogue.diseases.values() if not disease.disease_id.endswith(f"--{HEALTHY}")]


def _names(disease: Disease) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.lower() for name in (*disease.name.values(), *disease.also, *disease.alone)))


def _runner_up(disease_id: str, nearest: Sequence[tuple[str, float]]) -> float:
    """Return the highest cosine of another disease; the same one on another crop is none."""
    slug = disease_id.partition("--")[2]
    return max((cosine for other, cosine in nearest if other.partition("--")[2] != slug), default=0.0)


def _chance(cosine: float, margin: float) -> float:
    return 1.0 / (1.0 + math.exp(-(_BIAS + _PER_COSINE * cosine + _PER_MARGIN * margin)))
