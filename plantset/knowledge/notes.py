"""The grower's note: a few plain words about what is seen, as a person who does not know the name would write them.

Notes are training inputs, so they must help a little and never give the class away: they are made from symptom
sentences only, reduced to colour, mark, place and state, partial, reordered, sometimes wrong, often misspelt, and
every name of the class is masked.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from plantset.core.records import Record, Texts
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.masking import MASK, mask_note
from plantset.knowledge.observations import Observation, load_lexicon, observe
from plantset.knowledge.render import crop_with_article_fr

__all__ = ["MASK", "grower_notes", "mask_note"]

NoteLanguage = Literal["fr", "en"]
# What a photo of a sick plant mostly shows; the other organs are noted less often.
_LEAF_PROB = 0.8
_ON_LEAVES = ("", "leaf", "plant", "pest")
_CROP_PROB = 0.25
_SECOND_PROB = 0.35
_COLOUR_PROB = 0.6
_PLACE_PROB = 0.4
_WRONG_PROB = 0.08
_SMS_PROB = 0.3
_TYPO_PROB = 0.25


def grower_notes(record: Record, *, language: NoteLanguage, count: int, seed: int) -> tuple[str, ...]:
    """Return `count` notes for one photo; none where no symptom is known.

    Args:
        record: its symptoms, mask terms and image path are read; its description never is.
        language: of the notes.
        count: how many.
        seed: with the record it decides the notes entirely.
    """
    said = record.texts.get(language)
    seen = _seen_by_organ(said) if said else {}
    if not seen:
        return ()
    crop = _sayable_crop(record, language)
    generator = random.Random(f"{seed}|{language}|{record.class_id}|{record.image_path}")
    notes = (_note(_one_organ(seen, generator), language, generator, crop) for _ in range(count))
    return tuple(mask_note(note, record.mask_terms)[0] for note in notes)


@lru_cache(maxsize=4096)  # the photos of a class say the same, and reading it takes a millisecond
def _seen_by_organ(said: Texts) -> dict[str, tuple[Observation, ...]]:
    """Return organ -> what its own sentences describe; one nameless organ where the record names none."""
    organs = said.organs if len(said.organs) == len(said.symptoms) else ("",) * len(said.symptoms)
    seen: dict[str, tuple[Observation, ...]] = {}
    for organ in dict.fromkeys(organs):
        found = observe([sentence for sentence, own in zip(said.symptoms, organs, strict=True) if own == organ])
        if organ not in _ON_LEAVES:  # states and bare colours are worded for leaves
            found = tuple(replace(one, place=organ) for one in found if one.mark)
        if found:
            seen[organ] = found
    return seen


def _one_organ(seen: Mapping[str, tuple[Observation, ...]], generator: random.Random) -> tuple[Observation, ...]:
    others = [organ for organ in seen if organ != "leaf"]
    if "leaf" in seen and (not others or generator.random() < _LEAF_PROB):
        return seen["leaf"]
    return seen[generator.choice(others)]


def _sayable_crop(record: Record, language: NoteLanguage) -> str:
    """Return how a note may say the crop, or "" where the crop's names are masked (as they are by default)."""
    crop = load_catalogue().crops.get(record.crop or "")
    if crop is None or not record.mask_terms:
        return ""
    words = f" sur {crop_with_article_fr(crop)}" if language == "fr" else f" on {crop.name['en']}"
    return "" if mask_note(words, record.mask_terms)[1] else words


def _note(seen: Sequence[Observation], language: NoteLanguage, generator: random.Random, crop: str) -> str:
    how_many = 1 + (generator.random() < _SECOND_PROB)
    shuffled = generator.sample(list(seen), len(seen))
    chosen = list({(observation.mark, observation.state): observation for observation in shuffled}.values())[:how_many]
    parts = [_phrase(observation, language, generator) for observation in chosen]
    if chosen[0].mark:
        parts[0] = generator.choice(load_lexicon().seeing[language]) + parts[0]
    note = generator.choice(load_lexicon().openings[language]) + generator.choice((", ", " ", ". ")).join(parts)
    if crop and generator.random() < _CROP_PROB:
        note += crop
    if generator.random() < _SMS_PROB:
        note = _as_sms(note, language)
    if generator.random() < _TYPO_PROB:
        note = _with_typo(note, generator)
    return note.strip()


def _phrase(observation: Observation, language: NoteLanguage, generator: random.Random) -> str:
    lexicon = load_lexicon()
    if observation.state:
        words: str = generator.choice(lexicon.states[observation.state][language])
    elif not observation.mark:
        row = lexicon.colours[observation.colour]
        words = f"{generator.choice(lexicon.tint[language])} {generator.choice(row['f' if language == 'fr' else 'en'])}"
    else:
        mark = lexicon.marks[observation.mark]
        words = generator.choice(mark[language])
        colour = observation.colour
        if generator.random() < _WRONG_PROB:
            colour = generator.choice(sorted(lexicon.colours))
        if colour and mark.get("coloured", True) and generator.random() < _COLOUR_PROB:
            row = lexicon.colours[colour]
            words = (
                f"{words} {generator.choice(row[mark['gender']])}"
                if language == "fr"
                else _coloured_en(words, generator.choice(row["en"]))
            )
    if observation.place and observation.state != "sound" and generator.random() < _PLACE_PROB:
        words = f"{words} {generator.choice(lexicon.places[observation.place][language])}"
    return words


def _coloured_en(words: str, colour: str) -> str:
    return f"{words}, {colour}" if words.startswith(("a kind", "something")) else f"{colour} {words}"


def _as_sms(note: str, language: NoteLanguage) -> str:
    note = unicodedata.normalize("NFKD", note.lower()).encode("ascii", "ignore").decode()
    for word, short in load_lexicon().sms[language].items():
        note = note.replace(unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode(), short)
    return note


def _with_typo(note: str, generator: random.Random) -> str:
    """Swap two neighbouring letters, drop one or double one, inside a word."""
    places = [at for at in range(1, len(note) - 2) if note[at].isalpha() and note[at + 1].isalpha()]
    if not places:
        return note
    at = generator.choice(places)
    kind = generator.randrange(3)
    if kind == 0:
        return note[:at] + note[at + 1] + note[at] + note[at + 2 :]
    return note[:at] + note[at + 1 :] if kind == 1 else note[:at] + note[at] + note[at:]
