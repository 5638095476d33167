"""Articles, elisions and agreement, and descriptions without leftovers."""

from __future__ import annotations

import re

import pytest

from plantset.core.language import Language
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.render import (
    STYLES,
    Sheet,
    catalogue_sheet,
    describe,
    headline,
    of_crop_fr,
    of_fr,
    telling,
    variants,
)


@pytest.mark.parametrize(
    ("crop_id", "expected"),
    [
        ("tomato", "de la tomate"),
        ("maize", "du maïs"),
        ("onion", "de l'oignon"),
        ("citrus", "des agrumes"),
        ("groundnut", "de l'arachide"),
        ("bean", "du haricot"),
        ("sugarcane", "de la canne à sucre"),
        ("cashew", "de l'anacardier"),
        ("potato", "de la pomme de terre"),
    ],
)
def test_a_crop_takes_its_article(crop_id: str, expected: str) -> None:
    assert of_crop_fr(load_catalogue().crops[crop_id]) == expected


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("Alternaria", "d'Alternaria"),
        ("oïdium", "d'oïdium"),
        ("œil brun", "d'œil brun"),
        ("helminthosporiose", "d'helminthosporiose"),
        ("haricot", "de haricot"),
        ("huanglongbing", "de huanglongbing"),
        ("mildiou", "de mildiou"),
        ("érinose", "d'érinose"),
    ],
)
def test_de_is_elided_where_french_elides(noun: str, expected: str) -> None:
    assert of_fr(noun) == expected


@pytest.mark.parametrize(
    ("disease_id", "language", "expected"),
    [
        ("tomato--late-blight", "fr", "mildiou de la tomate"),
        ("tomato--late-blight", "en", "late blight of tomato"),
        ("apple--scab", "en", "apple scab"),
        ("onion--healthy", "fr", "feuille saine d'oignon"),
        ("onion--healthy", "en", "healthy onion leaf"),
        ("any--aphids", "fr", "pucerons"),
    ],
)
def test_a_headline_names_disease_and_crop_once(disease_id: str, language: Language, expected: str) -> None:
    catalogue = load_catalogue()

    assert headline(catalogue_sheet(catalogue.diseases[disease_id], catalogue, language), language) == expected


@pytest.mark.parametrize("disease_id", sorted(load_catalogue().diseases))
@pytest.mark.parametrize("language", ["fr", "en"])
def test_no_description_has_leftovers(disease_id: str, language: Language) -> None:
    catalogue = load_catalogue()
    sheet = catalogue_sheet(catalogue.diseases[disease_id], catalogue, language)

    texts = [describe(sheet, language, style) for style in STYLES] + list(variants(sheet, language))

    assert not [
        text for text in texts if re.search(r"\s{2}|\(\)|: \.|\.\.|None| \.|\bde le\b|\bde les\b|^\s|\s$", text)
    ]
    assert all(text and text[-1] in ".!?" for text in texts)


def test_an_unknown_agent_leaves_no_label_behind() -> None:
    sheet = Sheet("rust", None, "", "", ("Orange powder",), ())

    assert describe(sheet, "en") == "Rust. Orange powder."


def test_a_caption_tells_two_of_the_leaf_and_one_of_another_organ() -> None:
    told = telling(("A one.", "B two.", "C three.", "D four."), ("leaf", "leaf", "leaf", "fruit"))

    assert told == ("A one.", "B two.", "D four.")


def test_a_users_own_list_is_told_whole() -> None:
    assert telling(("A.", "B.", "C.", "D."), ()) == ("A.", "B.", "C.", "D.")


def test_a_caption_stays_short() -> None:
    long = "word " * 30

    assert telling((long, long, long), ("leaf", "leaf", "leaf")) == (long,)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_disease_has_at_least_five_wordings(language: Language) -> None:
    catalogue = load_catalogue()

    assert len(variants(catalogue_sheet(catalogue.diseases["tomato--late-blight"], catalogue, language), language)) >= 5
