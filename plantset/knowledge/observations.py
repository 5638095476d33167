"""What a grower would see in a symptom sentence, reduced to colour, mark, state and place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from plantset.core.files import read_text
from plantset.knowledge.masking import fold

_NEGATION = re.compile(
    r"\b(?:no|not|never|without|nor|ni|sans|aucune?|jamais|pas de|n'y a|no longer|plutot que|rather than)\b"
)


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing seen: keys of the lexicon; "" where the sentence does not say.

    A colour without mark is that of the whole leaf.
    """

    mark: str
    colour: str
    place: str
    state: str


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The grower's words: for each slot, key -> its row of `observations.yaml`."""

    colours: dict[str, Any]
    marks: dict[str, Any]
    states: dict[str, Any]
    places: dict[str, Any]
    tint: dict[str, list[str]]
    openings: dict[str, list[str]]
    seeing: dict[str, list[str]]
    sms: dict[str, dict[str, str]]


@cache
def load_lexicon() -> Lexicon:
    """Return the built-in lexicon."""
    path = Path(str(resources.files("plantset.knowledge") / "observations.yaml"))
    return Lexicon(**yaml.load(read_text(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def observe(sentences: Sequence[str]) -> tuple[Observation, ...]:
    """Return what the sentences describe, in their order, without repeats.

    What follows a negation in a clause is not seen, and a sentence with no known word gives nothing.
    """
    found: dict[Observation, None] = {}
    for sentence in sentences:
        found.update(dict.fromkeys(_observe_sentence(fold(sentence))))
    return tuple(found)


def _observe_sentence(sentence: str) -> list[Observation]:
    lexicon = load_lexicon()
    kept = " , ".join(_NEGATION.split(clause)[0] for clause in re.split(r"[,;:]", sentence))
    colours = _find(lexicon.colours, kept)
    marks = _find(lexicon.marks, kept)
    places = _find(lexicon.places, kept)
    states = _find(lexicon.states, kept)
    place = places[0] if places else ""
    seen = [Observation(mark, colours[0] if colours else "", place, "") for mark in marks[:1]]
    seen += [Observation("", "", place, state) for state in states[:2]]
    if colours and not marks and "sound" not in states:
        seen.append(Observation("", colours[0], place, ""))
    return seen


def _find(rows: dict[str, Any], sentence: str) -> list[str]:
    """Return the keys whose stems begin a word of the sentence, in the order in which they stand there."""
    places = {
        key: min((hit.start() for stem in row["find"] if (hit := re.search(rf"\b{stem}", sentence))), default=-1)
        for key, row in rows.items()
    }
    return sorted((key for key, at in places.items() if at >= 0), key=lambda key: places[key])
