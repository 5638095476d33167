"""The shapes of JSON that people have, each as a small file that looks like theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from plantset.core.errors import DataError
from plantset.knowledge.adapters import read_user_file, text_language
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.matching import Matcher
from plantset.knowledge.user_entry import UserFile


def _read(folder: Path, text: str | bytes) -> UserFile:
    path = folder / "maladies.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_user_file(path, Matcher(load_catalogue()).find_crop)


def test_a_list_of_objects_in_english(tmp_path: Path) -> None:
    file = _read(tmp_path, '[{"name": "Late blight", "crop": "tomato", "symptoms": ["Dark spots on the leaf."]}]')

    (entry,) = file.entries
    assert (entry.name, entry.crops, entry.texts["en"].symptoms) == (
        "Late blight",
        ("tomato",),
        ("Dark spots on the leaf.",),
    )


def test_names_as_keys_with_french_fields(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        '{"Mildiou": {"culture": "tomate", "agent_causal": "Phytophthora infestans", '
        '"symptômes": "taches brunes sur les feuilles", "traitement": "arracher les plantes"}}',
    )

    (entry,) = file.entries
    assert entry.agent == "Phytophthora infestans"
    assert entry.texts["fr"].symptoms == ("taches brunes sur les feuilles",)
    assert entry.texts["fr"].management == ("arracher les plantes",)


def test_french_and_english_keys_mixed_with_colons_and_capitals(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        '[{"Maladie": "Oïdium", "Agent causal": "Leveillula taurica", "Symptoms:": "White powder on the leaf"}]',
    )

    (entry,) = file.entries
    assert (entry.name, entry.agent) == ("Oïdium", "Leveillula taurica")
    assert entry.texts["en"].symptoms == ("White powder on the leaf",)


def test_one_object_per_language_at_the_top(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        '{"fr": {"Rouille": {"symptômes": "poudre orange"}}, "en": {"Rust": {"symptoms": "orange powder"}}}',
    )

    assert [(entry.name, list(entry.texts)) for entry in file.entries] == [("Rouille", ["fr"]), ("Rust", ["en"])]


def test_one_text_per_language_at_the_field(tmp_path: Path) -> None:
    file = _read(tmp_path, '{"Rust": {"symptoms": {"fr": "poudre orange", "en": ["orange powder"]}}}')

    (entry,) = file.entries
    assert entry.texts["fr"].symptoms == ("poudre orange",)
    assert entry.texts["en"].symptoms == ("orange powder",)


def test_entries_under_a_wrapper_key(tmp_path: Path) -> None:
    file = _read(tmp_path, '{"diseases": [{"name": "Rust", "description": "Orange powder on the leaf."}]}')

    assert [entry.name for entry in file.entries] == ["Rust"]


def test_entries_under_their_crop(tmp_path: Path) -> None:
    file = _read(tmp_path, '{"tomato": {"Late blight": {"symptoms": "dark spots"}, "Leaf mold": {"symptoms": "fuzz"}}}')

    assert [(entry.name, entry.crops) for entry in file.entries] == [
        ("Late blight", ("tomato",)),
        ("Leaf mold", ("tomato",)),
    ]


def test_names_with_a_plain_text(tmp_path: Path) -> None:
    file = _read(tmp_path, '{"Late blight": "Dark spots spread on the leaf."}')

    (entry,) = file.entries
    assert entry.texts["en"].description == "Dark spots spread on the leaf."


def test_symptoms_as_an_object_per_organ(tmp_path: Path) -> None:
    file = _read(
        tmp_path, '[{"name": "X", "symptoms": {"leaf": "spots on the leaf", "fruit": ["rot of the fruit", ""]}}]'
    )

    assert file.entries[0].texts["en"].symptoms == ("spots on the leaf", "rot of the fruit")


def test_hosts_as_a_list_become_crops(tmp_path: Path) -> None:
    file = _read(tmp_path, '[{"name": "Late blight", "affected_crops": ["tomato", "potato"], "symptoms": "spots"}]')

    assert file.entries[0].crops == ("tomato", "potato")


def test_a_byte_order_mark_and_windows_line_ends_are_harmless(tmp_path: Path) -> None:
    text = '\ufeff{\r\n"Rust": {"symptoms": "orange powder on the leaf\\r\\nleaves fall"}\r\n}\r\n'

    file = _read(tmp_path, text.encode("utf-8"))

    assert file.entries[0].texts["en"].symptoms == ("orange powder on the leaf", "leaves fall")


@pytest.mark.parametrize("nothing", ["null", '""', '"N/A"', '"Non spécifié"', '"None"', "[]", "NaN", '["", null]'])
def test_a_value_that_says_nothing_gives_no_text(tmp_path: Path, nothing: str) -> None:
    file = _read(tmp_path, f'[{{"name": "Rust", "traitement": {nothing}}}]')

    assert all(not texts.management for texts in file.entries[0].texts.values())


def test_twins_by_key_or_case_are_both_kept_and_reported(tmp_path: Path) -> None:
    file = _read(tmp_path, '{"Rust": {"symptoms": "a powder"}, "Rust": {"symptoms": "b"}, "RUST ": {"symptoms": "c"}}')

    assert len(file.entries) == 3
    assert file.duplicates == ("rust",)


def test_a_field_that_is_not_understood_is_kept_and_listed(tmp_path: Path) -> None:
    file = _read(tmp_path, '[{"name": "Rust", "symptoms": "orange powder", "altitude": "1200 m"}]')

    assert file.entries[0].extra == {"altitude": "1200 m"}
    assert file.unknown_fields == {"altitude": 1}


def test_a_file_that_is_not_json_says_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2") as caught:
        _read(tmp_path, '{"Rust": {"symptoms": "a"},\n "Scab": }')

    assert "maladies.json" in caught.value.problem


def test_a_file_without_any_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        _read(tmp_path, "[1, 2, 3]")


def test_a_full_stop_of_an_abbreviation_does_not_cut_a_sentence(tmp_path: Path) -> None:
    file = _read(tmp_path, '[{"name": "Rot", "symptoms": "Spots of P. infestans grow. Leaves fall."}]')

    assert file.entries[0].texts["en"].symptoms == ("Spots of P. infestans grow.", "Leaves fall.")


@pytest.mark.parametrize(
    ("text", "language"),
    [("taches brunes sur les feuilles", "fr"), ("brown spots on the leaves", "en"), ("xyz", None)],
)
def test_the_language_of_a_text_is_told_by_its_words(text: str, language: str | None) -> None:
    assert text_language(text) == language


def test_symptoms_told_by_crop_make_one_entry_for_each_crop(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        """{"Late blight": {"agent_causal": "Phytophthora infestans", "symptoms": {
            "Tomato": ["Brown patches on the fruit."], "Potato": ["Rusty brown rot in the tuber."]}}}""",
    )

    told = {entry.crops: entry.texts["en"].symptoms for entry in file.entries}
    assert told == {("Tomato",): ("Brown patches on the fruit.",), ("Potato",): ("Rusty brown rot in the tuber.",)}


def test_what_is_said_once_holds_for_every_crop_of_the_entry(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        """{"Mildiou": {"symptômes": {"Tomate": "plaques brunes", "Pomme de terre": "feuilles noires"},
            "traitement": "Arracher les plantes malades."}}""",
    )

    assert [entry.texts["fr"].management for entry in file.entries] == [("Arracher les plantes malades.",)] * 2


def test_symptoms_told_by_organ_keep_their_organ(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        '{"Anthracnose": {"symptômes": {"feuilles": ["Taches noires.", "Trous."], "fruits": "Creux."}}}',
    )

    (entry,) = file.entries
    assert entry.texts["fr"].symptoms == ("Taches noires.", "Trous.", "Creux.")
    assert entry.texts["fr"].organs == ("leaf", "leaf", "fruit")


@pytest.mark.parametrize(
    "hosts",
    [
        '"tomate, pomme de terre"',
        '["tomate", "pomme de terre"]',
        '{"tomate": "sensible", "pomme de terre": "très sensible"}',
        '{"principales": ["tomate"], "secondaires": ["pomme de terre"]}',
        '"tomate et pomme de terre"',
    ],
)
def test_hosts_are_read_from_text_list_or_object(tmp_path: Path, hosts: str) -> None:
    file = _read(tmp_path, '[{"maladie": "Mildiou", "hosts": ' + hosts + ', "symptômes": "plaques brunes"}]')

    assert file.entries[0].crops == ("tomate", "pomme de terre")


@pytest.mark.parametrize("key", ["favorable_conditions", "Conditions favorables", "saison", "season"])
def test_what_favours_the_disease_is_understood(tmp_path: Path, key: str) -> None:
    file = _read(tmp_path, '[{"name": "Mildiou", "' + key + '": "Le temps frais et humide des pluies."}]')

    assert file.entries[0].texts["fr"].conditions == ("Le temps frais et humide des pluies.",)


def test_a_name_in_two_languages_is_a_name(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        """[{"name": {"fr": "Mildiou", "en": "Late blight"}, "culture": "tomate",
            "description": {"fr": "Une maladie grave.", "en": "A grave disease."}}]""",
    )

    (entry,) = file.entries
    assert entry.name == "Mildiou"
    assert entry.texts["en"].description == "A grave disease."


def test_a_language_beside_french_is_kept_under_its_tag(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        '[{"name": "Mildiou", "symptoms": {"fr": "Taches brunes.", "wo": "Tache yu xonq.", "pt-BR": "Manchas."}}]',
    )

    assert set(file.entries[0].texts) == {"fr", "wo", "pt-BR"}


def test_one_object_a_line_is_a_list(tmp_path: Path) -> None:
    file = _read(tmp_path, '{"name": "Rust", "symptoms": "orange powder"}\n{"name": "Scab", "symptoms": "crusts"}\n')

    assert [entry.name for entry in file.entries] == ["Rust", "Scab"]


def test_management_in_several_layers_is_flattened_in_order(tmp_path: Path) -> None:
    file = _read(
        tmp_path,
        """[{"name": "Rust", "management": {"cultural": ["Rotate the crops."],
            "chemical": {"Name of active product material": ["Use a triazole on the leaves."]}}}]""",
    )

    assert file.entries[0].texts["en"].management == ("Rotate the crops.", "Use a triazole on the leaves.")


@pytest.mark.parametrize(
    "key",
    ["Nom de la matière active du produit", "Name of active product material", "active ingredient", "insecticides"],
)
def test_an_active_ingredient_is_management(tmp_path: Path, key: str) -> None:
    file = _read(tmp_path, '[{"maladie": "Rouille", "' + key + '": "soufre mouillable"}]')

    (texts,) = file.entries[0].texts.values()
    assert texts.management == ("soufre mouillable",)


def test_the_category_says_what_the_cause_is(tmp_path: Path) -> None:
    file = _read(tmp_path, '[{"name": "Rust", "category": "fungus", "symptoms": "orange powder on the leaf"}]')

    assert file.entries[0].kind == "fungus"


def test_a_key_that_stands_twice_is_kept_twice_and_reported(tmp_path: Path) -> None:
    file = _read(tmp_path, '{"Rust": {"symptoms": "orange powder"}, "Rust": {"symptoms": "brown powder"}}')

    assert len(file.entries) == 2
    assert file.duplicates == ("rust",)


def test_not_a_number_says_nothing(tmp_path: Path) -> None:
    file = _read(tmp_path, '[{"name": "Rust", "symptoms": "orange powder", "traitement": NaN, "season": null}]')

    (entry,) = file.entries
    assert entry.texts["en"].management == ()
    assert entry.extra == {}
