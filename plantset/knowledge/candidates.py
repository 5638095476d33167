"""What a refused label is nearest to: suggestions for a person, never an answer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from heapq import nsmallest

from rapidfuzz import fuzz

from plantset.knowledge.names import tokenise
from plantset.knowledge.schema import Catalogue

_MAX_CANDIDATES = 5
_MAX_COMPARED = 60


class CandidateIndex:
    """All names of a catalogue by their words, rare words first."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._names: list[tuple[str, str]] = []
        self._positions: dict[str, list[int]] = defaultdict(list)
        for disease in catalogue.diseases.values():
            crop = catalogue.crop_of(disease)
            crop_words = tokenise(crop.name["en"]) if crop else ()
            for name in dict.fromkeys((*disease.name.values(), *disease.also, *disease.alone)):
                tokens = (*crop_words, *tokenise(name))
                for token in set(tokens):
                    self._positions[token].append(len(self._names))
                self._names.append((" ".join(tokens), disease.disease_id))

    def nearest(self, tokens: Sequence[str], crop_id: str | None) -> tuple[tuple[str, float], ...]:
        """Return (identity, likeness in 0..1) of names that share words with the tokens, on the crop if known."""
        weights: dict[int, float] = defaultdict(float)
        for token in sorted(set(tokens)):
            positions = self._positions.get(token, [])
            weight = 1.0 / math.log(2 + len(positions))
            for position in positions:
                weights[position] += weight
        compared = nsmallest(_MAX_COMPARED, weights, key=lambda position: (-weights[position], position))
        said = " ".join(tokens)
        scores: dict[str, float] = {}
        for position in compared:
            name, disease_id = self._names[position]
            if crop_id is None or self._catalogue.diseases[disease_id].holds_for(crop_id):
                score = round(fuzz.token_sort_ratio(said, name) / 100, 2)
                scores[disease_id] = max(score, scores.get(disease_id, 0.0))
        return tuple(sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:_MAX_CANDIDATES])
