"""What a refused label is nearest to: suggestions for a person, never an answer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from plantset.knowledge.names import tokenise
from plantset.knowledge.schema import Catalogue

_MAX_CANDIDATES = 5
_MAX_BEARERS = 12
_MAX_COMPARED = 60
_NOWHERE: NDArray[np.intp] = np.array([], dtype=np.intp)


class CandidateIndex:
    """All names of a catalogue by their words, rare words first."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._names: list[tuple[str, str]] = []
        positions: dict[str, list[int]] = defaultdict(list)
        for disease in catalogue.diseases.values():
            crop = catalogue.crop_of(disease)
            crop_words = tokenise(crop.name["en"]) if crop else ()
            for name in dict.fromkeys((*disease.name.values(), *disease.also, *disease.alone)):
                tokens = (*crop_words, *tokenise(name))
                for token in set(tokens):
                    positions[token].append(len(self._names))
                self._names.append((" ".join(tokens), disease.disease_id))
        self._positions = {token: np.array(found, dtype=np.intp) for token, found in positions.items()}

    def nearest(
        self, tokens: Sequence[str], crop_id: str | None, bearers: Collection[str]
    ) -> tuple[tuple[str, float], ...]:
        """Return (identity, likeness in 0..1) of names that share words with the tokens, on the crop if known.

        Args:
            bearers: identities of any crop that bear the very name; they stand first.
        """
        weights = np.zeros(len(self._names))
        for token in sorted(set(tokens)):
            positions = self._positions.get(token, _NOWHERE)
            weights[positions] += 1.0 / math.log(2 + len(positions))
        sharing = np.flatnonzero(weights)
        compared = sharing[np.argsort(-weights[sharing], kind="stable")[:_MAX_COMPARED]]
        said = " ".join(tokens)
        scores = {
            found: 1.0 for found in bearers if crop_id is None or self._catalogue.diseases[found].holds_for(crop_id)
        }
        limit = max(_MAX_CANDIDATES, min(len(scores), _MAX_BEARERS))
        for position in compared:
            name, disease_id = self._names[position]
            if crop_id is None or self._catalogue.diseases[disease_id].holds_for(crop_id):
                score = round(fuzz.token_sort_ratio(said, name) / 100, 2)
                scores[disease_id] = max(score, scores.get(disease_id, 0.0))
        return tuple(sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit])
