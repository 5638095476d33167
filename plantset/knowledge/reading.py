"""A label taken apart: the crops that it or its context names, and the words beside them."""

from __future__ import annotations

from dataclasses import dataclass

from plantset.knowledge.name_index import NameIndex
from plantset.knowledge.names import split_parts, tokenise, word_set

_NO_CROP_WORDS = word_set("ambiguous unknown unspecified other various any divers autre inconnu")


@dataclass(frozen=True, slots=True)
class Reading:
    """A label taken apart.

    Attributes:
        crops: the crops that it names beyond doubt, as a part of its own or by its context.
        body: the words beside the crop's.
        everything: all its words.
    """

    crops: frozenset[str]
    body: tuple[str, ...]
    everything: tuple[str, ...]


class Reader:
    """Take labels apart by the crops of one catalogue."""

    def __init__(self, index: NameIndex) -> None:
        self._index = index

    def read(self, label: str, context: str | None) -> Reading:
        """Cut a label into crop and rest; the crop of its context serves where it names none itself."""
        parts = split_parts(label)
        if len(parts) > 1 and set(tokenise(parts[0])) <= _NO_CROP_WORDS:
            parts = parts[1:]
        everything = tuple(token for part in parts for token in tokenise(part))
        for width in range(len(parts) - 1, 0, -1):
            for crop_parts, rest in ((parts[:width], parts[width:]), (parts[-width:], parts[:-width])):
                crops = self._index.whole_crop(tokenise(" ".join(crop_parts)))
                body = tuple(token for part in rest for token in tokenise(part))
                if crops and body:
                    return Reading(frozenset(crops), body, everything)
        named = any(True for _ in self._index.crops_in(everything))
        crops = {context} if context and not named else set()
        return Reading(frozenset(crops), everything, everything)

    def crop(self, reading: Reading) -> str | None:
        """Return the one crop of a reading, named beyond doubt or among its words; None where there are more."""
        crops = reading.crops or {crop_id for crop_id, _ in self._index.crops_in(reading.everything)}
        return next(iter(crops)) if len(crops) == 1 else None
