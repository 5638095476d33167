"""Notes are plain, deterministic, and never name what they describe."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantset.core.records import Record, Texts
from plantset.data.examples import note_pools
from plantset.evaluation.predict import plan_notes
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.masking import MASK, disease_mask_terms, fold, mask_terms, without_crop_names
from plantset.knowledge.notes import grower_notes, mask_note
from plantset.knowledge.observations import observe
from plantset.knowledge.probe import probe_notes

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


def _rich(description: str = "", **parts: object) -> Record:
    texts = {
        "fr": Texts(description, ("Des taches brunes.", "Des taches noires."), (), ("leaf", "fruit")),
        "en": Texts(description, ("Brown spots.", "Black spots."), (), ("leaf", "fruit")),
    }
    return Record("a.jpg", "x", "train", class_id="tomato--x", crop="tomato", texts=texts, **parts)  # type: ignore[arg-type]


def test_a_note_about_leaves_says_nothing_of_fruits() -> None:
    notes = grower_notes(_rich(mask_terms=("mildiou",)), language="en", count=300, seed=0)

    assert any("fruit" in note for note in notes)
    assert not [note for note in notes if "brown" in note and "black" in note]


def test_most_notes_are_about_leaves() -> None:
    notes = grower_notes(_rich(mask_terms=("mildiou",)), language="en", count=500, seed=0)

    assert sum("fruit" in note for note in notes) < 150


def test_a_note_names_its_crop_only_where_the_masks_let_it() -> None:
    masked = grower_notes(_rich(mask_terms=("mildiou", "tomate")), language="fr", count=100, seed=0)
    free = grower_notes(_rich(mask_terms=("mildiou",)), language="fr", count=100, seed=0)

    assert not [note for note in masked if "tomate" in note.lower()]
    assert [note for note in free if "sur la tomate" in note]


def test_without_crop_names_the_disease_stays_masked() -> None:
    catalogue = load_catalogue()
    terms = without_crop_names(disease_mask_terms(catalogue.diseases["tomato--late-blight"], catalogue), catalogue)

    assert mask_note("mildiou sur ma tomate", terms)[0] == f"{MASK} sur ma tomate"


def test_some_notes_are_written_like_text_messages() -> None:
    record = _record("tomato--late-blight")

    notes = grower_notes(record, language="fr", count=200, seed=0)

    assert [note for note in notes if "bjr" in note or "dps" in note or "feuil " in note]


_SECRET = "Zqx wvk jhg"


@pytest.mark.parametrize("path", ["grower_notes", "note_pools", "plan_notes", "probe_notes"])
def test_no_path_to_the_classifiers_text_input_reads_the_description(path: str) -> None:
    plain, secret = _inputs(path, ""), _inputs(path, _SECRET)

    assert "Zqx" not in secret
    assert secret == plain


def _inputs(path: str, description: str) -> str:
    """Return what one public path gives the classifier to read, as text."""
    other = replace(_rich(description, mask_terms=("rouille",)), class_id="tomato--y", image_path="b.jpg")
    records = [_rich(description, mask_terms=("mildiou",)), other]
    records = [replace(record, text=description) for record in records]
    if path == "grower_notes":
        return repr([grower_notes(record, language="fr", count=9, seed=3) for record in records])
    if path == "note_pools":
        return repr(note_pools(records, ["tomato--x", "tomato--y"], seed=3))
    if path == "plan_notes":
        return repr(plan_notes(records, "fr", 3))
    return repr(probe_notes(records, "fr"))
