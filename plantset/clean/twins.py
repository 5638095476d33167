"""Class folders that are probably one class written in two ways: proposed for merging, never merged.

Equal up to case, accents, spaces and punctuation; a plural; grey for gray; a slip of one or two letters in a long word,
or two neighbouring letters swapped. A digit that differs, a short word that differs, or another first letter makes
another class: brown and crown rust, potato and tomato, early and late blight.

Measured: of 118 folder names of one user it proposes none, of the 110 classes of plantdata none, which is right; of the
185 folder names in plantdata's 22 collections together 44 families. Of these, 3 have the same words but are of several
crops, which the names don't tell (Rust and rust, Healthy and healthy, powdery mildew). Of 321 English names in the
catalogue it proposes four pairs, all plurals or spellings.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

from rapidfuzz.distance import OSA

_LONG, _VERY_LONG = 7, 9  # letters of a word in which one slip, or two, are still slips
_MOST_SLIPS = 2
_SWAPPED_FROM = 5
_PLURAL_FROM = 4
_SPELLINGS = {"gray": "grey", "mold": "mould"}
_GAP = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")

Words = tuple[str, ...]


def class_twins(labels: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the labels that are probably one class, together; each label stands in one family at most."""
    written = {label: _words(label) for label in sorted(set(labels))}
    initials: dict[str, list[str]] = defaultdict(list)
    for label, words in written.items():
        if words:
            initials[words[0][0]].append(label)
    family = {label: label for label in written}
    for alike in initials.values():
        for first, second in combinations(alike, 2):
            if family[first] != family[second] and _are_twins(written[first], written[second]):
                joined, left = family[first], family[second]
                family |= {label: joined for label, name in family.items() if name == left}
    families: dict[str, list[str]] = defaultdict(list)
    for label, name in family.items():
        families[name].append(label)
    return tuple(tuple(members) for members in families.values() if len(members) > 1)


def _words(label: str) -> Words:
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", label) if not unicodedata.combining(sign))
    return tuple(_SPELLINGS.get(word, word) for word in _GAP.split(plain.casefold()) if word)


def _are_twins(first: Words, second: Words) -> bool:
    if _numbers(first) != _numbers(second):
        return False
    one, other = "".join(first), "".join(second)
    if one == other or _is_plural(one, other):
        return True
    if len(first) != len(second):
        return False
    slips = [_slips(word, twin) for word, twin in zip(first, second, strict=True)]
    return all(count is not None for count in slips) and sum(count or 0 for count in slips) <= _MOST_SLIPS


def _numbers(words: Words) -> Sequence[str]:
    return _DIGITS.findall(" ".join(words))


def _slips(word: str, twin: str) -> int | None:
    """Return how many slips make one word of the other, None where they are two words."""
    if word == twin or _is_plural(word, twin):
        return 0
    if word[0] != twin[0]:
        return None
    longer = max(len(word), len(twin))
    allowed = 0 if longer < _LONG else 1 if longer < _VERY_LONG else _MOST_SLIPS
    if longer >= _SWAPPED_FROM and sorted(word) == sorted(twin):
        allowed = max(allowed, 1)  # two letters in the wrong order make a word of no language
    slips = OSA.distance(word, twin, score_cutoff=allowed)
    return slips if slips <= allowed else None


def _is_plural(word: str, twin: str) -> bool:
    short, long = sorted((word, twin), key=len)
    if len(short) < _PLURAL_FROM:
        return False
    return long in (f"{short}s", f"{short}es") or (short.endswith("y") and long == f"{short[:-1]}ies")
