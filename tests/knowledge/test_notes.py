"""Notes are plain, deterministic, and never name what they describe."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantset.core.records import Record, Texts
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.masking import MASK, disease_mask_terms, fold, mask_terms
from plantset.knowledge.notes import grower_notes, mask_note
from plantset.knowledge.observations import observe

_IDS = sorted(load_catalogue().diseases)


def _record(disease_id: str) -> Record:
    catalogue = load_catalogue()
    disease = catalogue.diseases[disease_id]
    texts = {language: Texts("", text.symptoms, text.management) for language, text in disease.text.items()}
    terms = disease_mask_terms(disease, catalogue)
    return Record("a.jpg", disease_id, "train", class_id=disease_id, texts=texts, mask_terms=terms)


def _words(text: str) -> str:
    return " " + " ".join(re.findall(r"[a-z0-9]+", fold(text))) + " "


@given(st.sampled_from(_IDS), st.sampled_from(["fr", "en"]), st.integers(0, 10_000))
def test_a_note_never_contains_a_name_of_its_class(disease_id: str, language: str, seed: int) -> None:
    record = _record(disease_id)

    notes = grower_notes(record, language="fr" if language == "fr" else "en", count=3, seed=seed)

    accents_count = {"the", "mais"}
    terms = [_words(term) for term in record.mask_terms]
    leaks = [term for note in notes for term in terms if term in _words(note) and term.strip() not in accents_count]
    assert leaks == []


@given(st.sampled_from(_IDS), st.integers(0, 100))
def test_record_and_seed_decide_the_notes(disease_id: str, seed: int) -> None:
    record = _record(disease_id)

    first = grower_notes(record, language="fr", count=4, seed=seed)

    assert first == grower_notes(record, language="fr", count=4, seed=seed)
    assert len(first) == 4


@pytest.mark.parametrize("disease_id", _IDS)
def test_every_identity_has_notes_in_both_languages(disease_id: str) -> None:
    record = _record(disease_id)

    assert len(grower_notes(record, language="fr", count=2, seed=0)) == 2
    assert len(grower_notes(record, language="en", count=2, seed=0)) == 2


def test_another_seed_gives_other_notes() -> None:
    record = _record("tomato--late-blight")

    assert grower_notes(record, language="fr", count=8, seed=1) != grower_notes(record, language="fr", count=8, seed=2)


def test_no_symptoms_give_no_note() -> None:
    assert grower_notes(Record("a.jpg", "x", "train"), language="fr", count=3, seed=0) == ()


def test_the_description_is_never_read() -> None:
    texts = {"fr": Texts("Des taches brunes partout.", (), ())}

    assert grower_notes(Record("a.jpg", "x", "train", texts=texts), language="fr", count=3, seed=0) == ()


def test_what_is_denied_is_not_seen() -> None:
    assert observe(["Il n'y a ni tache, ni poudre."]) == ()
    assert [seen.mark for seen in observe(["White powder lies on the leaf, without holes."])] == ["powder"]


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("je crois que c'est le mildiou", f"je crois que c'est le {MASK}"),
        ("MILDIOU de la tomate ?", f"{MASK} de la {MASK} ?"),
        ("cest un mildioux", f"cest un {MASK}"),
        ("Phytophtora infestans", f"{MASK} {MASK}"),
        ("late-blight!", f"{MASK}!"),
        ("lateblight", MASK),
        ("P. infestans here", f"{MASK} here"),
        ("brown spots on my tomatoes", f"brown spots on my {MASK}"),
        ("taches brunes", "taches brunes"),
    ],
)
def test_names_are_masked_however_they_are_written(note: str, expected: str) -> None:
    terms = disease_mask_terms(load_catalogue().diseases["tomato--late-blight"], load_catalogue())

    masked, found = mask_note(note, terms)

    assert masked == expected
    assert found == (note != expected)


def test_masking_tea_and_maize_in_french_spares_the_and_mais() -> None:
    terms = mask_terms(["thé", "maïs"])

    assert mask_note("the leaf, mais le thé et le maïs", terms)[0] == f"the leaf, mais le {MASK} et le {MASK}"


@given(st.text(max_size=80), st.lists(st.text(min_size=1, max_size=12), max_size=4))
def test_masking_twice_is_masking_once(note: str, names: list[str]) -> None:
    terms = mask_terms(names)
    once, _ = mask_note(note, terms)

    assert mask_note(once, terms) == (once, False)
