"""Misspelt words and their nearest known ones; a word that is known is never mended into another."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice, product

from rapidfuzz import process
from rapidfuzz.distance import OSA

from plantset.knowledge.names import SPELLINGS

_MAX_SPELLINGS = 8
_MIN_MENDED_LENGTH = 5
_TWO_EDITS_LENGTH = 8  # shorter words lie within two edits of too many others


class Speller:
    """Mend words against a vocabulary; each distinct word is worked out once."""

    def __init__(self, vocabulary: Collection[str]) -> None:
        self._vocabulary = frozenset(vocabulary)
        variants = {word for word, standard in SPELLINGS.items() if standard in self._vocabulary}
        self._words = sorted(word for word in self._vocabulary | variants if len(word) >= _MIN_MENDED_LENGTH - 1)
        self._mended: dict[str, tuple[tuple[str, int], ...]] = {}

    def spellings(self, tokens: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield the tokens with each unknown word replaced by its nearest known words, and how many edits that took."""
        choices = [self._neighbours(token) for token in tokens]
        for combination in islice(product(*choices), _MAX_SPELLINGS):
            distance = sum(far for _, far in combination)
            if distance:
                yield tuple(word for word, _ in combination), distance

    def _neighbours(self, token: str) -> tuple[tuple[str, int], ...]:
        if len(token) < _MIN_MENDED_LENGTH or token in self._vocabulary:
            return ((token, 0),)
        if token not in self._mended:
            limit = 2 if len(token) >= _TWO_EDITS_LENGTH else 1
            found = process.extract(token, self._words, scorer=OSA.distance, score_cutoff=limit, limit=_MAX_SPELLINGS)
            near = [
                (SPELLINGS.get(word, word), int(far))
                for word, far, _ in found
                if len(token) > _MIN_MENDED_LENGTH or word[0] == token[0]
            ]
            nearest = min((far for _, far in near), default=0)
            kept = dict.fromkeys((word, far) for word, far in near if far == nearest)
            self._mended[token] = tuple(kept) or ((token, 0),)
        return self._mended[token]
