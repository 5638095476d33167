"""The built-in catalogue is whole: every identity in both languages, and nothing empty."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from plantset.core.errors import DataError
from plantset.knowledge.catalogue import load_catalogue, read_catalogue
from plantset.knowledge.schema import Disease

_DISEASES = sorted(load_catalogue().diseases.values(), key=lambda disease: disease.disease_id)


@pytest.mark.parametrize("disease", _DISEASES, ids=lambda disease: disease.disease_id)
def test_an_identity_is_complete_in_both_languages(disease: Disease) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*--[a-z]+(-[a-z]+)*", disease.disease_id)
    for language in ("fr", "en"):
        text = disease.text[language]
        sentences = (*text.symptoms, *text.management, *text.confused_with)
        assert disease.name[language]
        assert text.symptoms
        assert text.management
        assert text.confused_with
        assert all(re.fullmatch(r"[A-ZÀ-Ý].*[.]", sentence) for sentence in sentences)
        assert not any("  " in sentence for sentence in sentences)


@pytest.mark.parametrize("disease", _DISEASES, ids=lambda disease: disease.disease_id)
def test_what_lives_has_a_scientific_name(disease: Disease) -> None:
    nameless = disease.kind in ("healthy", "deficiency", "abiotic") or disease.disease_id == "any--leaf-miners"

    assert bool(disease.agents) != nameless


def test_the_catalogue_has_at_least_190_identities_and_28_crops() -> None:
    catalogue = load_catalogue()

    assert len(catalogue.diseases) >= 190
    assert len(catalogue.crops) >= 28


def test_every_crop_has_a_healthy_state() -> None:
    catalogue = load_catalogue()

    assert all(catalogue.get(f"{crop_id}--healthy") for crop_id in catalogue.crops)


def test_all_fifteen_mineral_symbols_have_an_entry() -> None:
    symbols = " ".join(sorted(load_catalogue().symbols))

    assert symbols == "B Ca Cl Co Cu Fe K Mg Mn Mo N Ni P S Zn"


def test_an_entry_without_french_symptoms_is_refused_by_name(tmp_path: Path) -> None:
    common = "en: healthy\nfr: saine\nmanagement: {en: [A.], fr: [A.]}\nconfused: {en: [A.], fr: [A.]}\n"
    (tmp_path / "healthy.yaml").write_text(common, encoding="utf-8")
    (tmp_path / "yam.yaml").write_text(
        "crop: {en: yam, fr: igname, gender: f, scientific: Dioscorea}\nhealthy: {en: [Green.], fr: [Verte.]}\n"
        "diseases:\n  wilt: {en: wilt, fr: w, kind: fungus, symptoms: {en: [A.]}, management: {en: [A.], fr: [A.]}, "
        "confused: {en: [A.], fr: [A.]}}\n",
        encoding="utf-8",
    )

    with pytest.raises(DataError, match="wilt"):
        read_catalogue(tmp_path)


def test_the_133_classes_are_distinct_identities_of_the_catalogue() -> None:
    path = Path(str(resources.files("plantset.knowledge") / "classes_133.txt"))
    listed = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]

    assert len(set(listed)) == len(listed) == 133
    assert [disease_id for disease_id in listed if disease_id not in load_catalogue().diseases] == []
