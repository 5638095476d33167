"""Every word of the catalogue and of the notes is in a dictionary or in the project's list of terms."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from spellchecker import SpellChecker

from plantset.core.language import LANGUAGES, Language
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.catalogue_entries import LABEL_LINE
from plantset.knowledge.observations import load_lexicon
from plantset.knowledge.schema import Disease

_TERMS_FILE = Path(__file__).with_name("spelling_words.txt")
_CROPS = sorted({disease.crop_id for disease in load_catalogue().diseases.values()})
_MIN_LENGTH = 3


@cache
def dictionary(language: Language) -> SpellChecker:
    return SpellChecker(language=language, distance=1)


@cache
def terms() -> frozenset[str]:
    """Return the words of the list (a `#` starts a comment) and those of scientific names."""
    lines = _TERMS_FILE.read_text(encoding="utf-8").splitlines()
    listed = {line.partition("#")[0].strip().lower() for line in lines}
    catalogue = load_catalogue()
    agents = [agent for disease in catalogue.diseases.values() for agent in disease.agents]
    scientific = [*agents, *(crop.scientific for crop in catalogue.crops.values())]
    return frozenset(listed | set(words(scientific)))


def words(texts: Iterable[str]) -> list[str]:
    found = re.findall(r"[^\W\d_]+", " ".join(texts).lower())
    return [word for word in found if len(word) >= _MIN_LENGTH]


def unknown_words(texts: Iterable[str], language: Language) -> list[str]:
    known = dictionary(language)
    return sorted({word for word in words(texts) if word not in terms() and word not in known})


def texts_of(disease: Disease, language: Language) -> list[str]:
    text = disease.text[language]
    return [disease.name[language], *text.symptoms, *text.conditions, *text.management, *text.confused_with]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("crop_id", _CROPS)
def test_the_catalogue_has_no_misspelt_word(crop_id: str, language: Language) -> None:
    diseases = [disease for disease in load_catalogue().diseases.values() if disease.crop_id == crop_id]

    unknown = {disease.disease_id: unknown_words(texts_of(disease, language), language) for disease in diseases}

    assert {disease_id: found for disease_id, found in unknown.items() if found} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_growers_words_are_spelt_right(language: Language) -> None:
    lexicon = load_lexicon()
    rows = [*lexicon.marks.values(), *lexicon.states.values(), *lexicon.places.values()]
    said = [text for row in rows for text in row[language]]
    said += [*lexicon.tint[language], *lexicon.openings[language], *lexicon.seeing[language], LABEL_LINE[language]]
    for row in lexicon.colours.values():
        said += [*row["m"], *row["f"]] if language == "fr" else row["en"]

    assert unknown_words(said, language) == []


@pytest.mark.parametrize(
    ("language", "text", "typo"),
    [
        ("fr", "Des taches brunnes couvrent la feuille.", "brunnes"),
        ("fr", "Un duvet blanc pouse au dessous.", "pouse"),
        ("en", "Brown spots coverr the leaf.", "coverr"),
        ("en", "The lower leafs turn yelow.", "yelow"),
    ],
)
def test_a_planted_typo_is_found(language: Language, text: str, typo: str) -> None:
    assert typo in unknown_words([text], language)


def test_the_list_of_terms_is_sorted_and_has_no_word_twice() -> None:
    listed = [line for line in _TERMS_FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]

    assert listed == sorted(set(listed))
