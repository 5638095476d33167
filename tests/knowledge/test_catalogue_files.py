"""A user's own catalogue files: laid over the built-in ones, checked, shown and exported."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from plantset.core.errors import ConfigError, DataError
from plantset.knowledge.catalogue import extended_catalogue
from plantset.knowledge.catalogue_check import check_files
from plantset.knowledge.catalogue_command import catalogue
from plantset.knowledge.catalogue_entries import LABEL_LINE
from plantset.knowledge.config import CatalogueConfig
from plantset.knowledge.render import language_of
from plantset.knowledge.schema import Disease


def taro() -> dict[str, Any]:
    """Return a whole and right file of a crop that the built-in catalogue does not have."""
    both = {"en": ["Brown round marks grow and join."], "fr": ["Des marques rondes et brunes s'étendent."]}
    entry = {
        "en": "corm decay",
        "fr": "dépérissement du corme",
        "agents": ["Fusarium testicus"],
        "kind": "fungus",
        "eppo": "FUSATE",
        "symptoms": {"fruit": both, "leaf": both},
        "conditions": both,
        "management": {"cultural": both, "biological": both, "chemical": both},
        "confused": [{"with": "tomato--late-blight", **both}],
        "sources": ["A title, a publisher, https://example.org"],
        "unverified": ["management.chemical"],
    }
    header = {"en": "testplant", "fr": "plantule", "gender": "f", "scientific": "Testum plantum"}
    return {"crop": header, "healthy": both, "diseases": {"corm-decay": entry}}


def write(folder: Path, content: dict[str, Any], name: str = "testplant") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


def late_blight(**parts: Any) -> dict[str, Any]:
    return {"diseases": {"late-blight": parts}}


def entry_of(path: Path) -> Disease:
    return extended_catalogue([path]).diseases["testplant--corm-decay"]


def test_a_new_crop_is_added_with_its_healthy_state(tmp_path: Path) -> None:
    write(tmp_path, taro())

    found = extended_catalogue([tmp_path])

    assert found.crops["testplant"].scientific == "Testum plantum"
    assert found.get("testplant--corm-decay")
    assert found.get("testplant--healthy")
    assert found.get("tomato--late-blight")


def test_symptoms_are_told_leaf_first(tmp_path: Path) -> None:
    text = entry_of(write(tmp_path, taro())).text["fr"]

    assert list(text.organs) == ["leaf", "fruit"]


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_label_line_is_added_once_to_chemical_measures(tmp_path: Path, language: str) -> None:
    text = entry_of(write(tmp_path, taro())).text[language]

    assert text.measures["chemical"].count(LABEL_LINE[language]) == 1
    assert text.management[-1] == LABEL_LINE[language]


def test_another_language_is_held_beside_french_and_english(tmp_path: Path) -> None:
    write(tmp_path, late_blight(wo="jàngoro", symptoms={"leaf": {"wo": ["Xob yi dañuy wow."]}}), "tomato")

    found = extended_catalogue([tmp_path]).diseases["tomato--late-blight"]

    assert found.name["wo"] == "jàngoro"
    assert found.text["wo"].symptoms == ("Xob yi dañuy wow.",)
    assert found.text["fr"].symptoms


def test_a_synonym_of_the_users_own_is_joined_to_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path, late_blight(also=["xyzzy"]), "tomato")

    found = extended_catalogue([tmp_path]).diseases["tomato--late-blight"].also

    assert "xyzzy" in found
    assert len(found) > 1


def test_a_difference_is_reported_with_both_files_and_the_part(tmp_path: Path) -> None:
    write(tmp_path, late_blight(en="big blight"), "tomato")

    with pytest.raises(DataError) as caught:
        extended_catalogue([tmp_path])

    assert "tomato--late-blight, en:" in caught.value.problem
    assert str(tmp_path / "tomato.yaml") in caught.value.problem
    assert caught.value.problem.count("tomato.yaml") == 2


def test_the_users_word_wins_when_asked(tmp_path: Path) -> None:
    write(tmp_path, late_blight(en="big blight"), "tomato")

    found = extended_catalogue([tmp_path], override=True)

    assert found.diseases["tomato--late-blight"].name["en"] == "big blight"


def test_a_key_written_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tomato.yaml").write_text("diseases:\n  a: {en: x}\n  a: {en: y}\n", encoding="utf-8")

    assert "stands twice" in check_files([tmp_path]).problems[0]


@pytest.mark.parametrize(
    ("asked", "expected"), [("wo", "wo"), ("pt-BR", "pt"), ("de", "fr"), ("en", "en"), ("fr", "fr")]
)
def test_a_language_falls_back_to_french(asked: str, expected: str) -> None:
    assert language_of(["en", "fr", "wo", "pt"], asked) == expected


def test_without_french_a_language_falls_back_to_english() -> None:
    assert language_of(["wo", "en"], "de") == "en"


def test_a_whole_file_has_no_problem(tmp_path: Path) -> None:
    assert check_files([write(tmp_path, taro())]).problems == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"conditions": {"en": ["Wet weather."]}}, "conditions has no text in fr"),
        ({"conditions": {"en": [], "fr": ["Temps humide."]}}, "conditions.en is empty"),
        ({"conditions": {"en": ["Rain.", "Wind."], "fr": ["La pluie."]}}, "2 sentences in English, 1 in French"),
        ({"symptoms": {"leaf": {"en": ["Fusarium grows."], "fr": ["Ça pousse."]}}}, "a name stands in"),
        ({"symptoms": {"leaf": {"en": ["Testplant is sick."], "fr": ["Ça sèche."]}}}, "a name stands in"),
        ({"symptoms": {"wing": {"en": ["It is dry."], "fr": ["Ça sèche."]}}}, "unknown organ wing"),
        ({"eppo": "phytin"}, "eppo phytin"),
        ({"kind": "demon"}, "kind is demon"),
        ({"colour": "red"}, "unknown field colour"),
        ({"unverified": ["weather"]}, "unknown part weather"),
        ({"conditions": {"en": ["Rain"], "fr": ["La pluie."]}}, "full stop"),
        ({"conditions": {"en": ["Rain."], "fr": ["La pluie: souvent."]}}, "spaces around marks"),
        ({"conditions": {"en": ["Rain " * 30 + "."], "fr": ["La pluie."]}}, "30 words are too many"),
        ({"confused": [{"with": "tomato--no-such", "en": ["A."], "fr": ["A."]}]}, "unknown id tomato--no-such"),
        ({"en": None}, "'en' is missing"),
        ({"unverified": [], "sources": []}, "neither sources"),
        ({"management": {"cultural": {"en": ["Do."], "fr": ["Faites."]}}}, "'management.biological' is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_check_names_what_is_wrong(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    content = taro()
    content["diseases"]["corm-decay"] |= change
    content["diseases"]["corm-decay"] = {k: v for k, v in content["diseases"]["corm-decay"].items() if v is not None}

    problems = check_files([write(tmp_path, content)]).problems

    assert any(expected in problem and "corm-decay" in problem for problem in problems), problems


def test_the_check_finds_a_name_claimed_twice(tmp_path: Path) -> None:
    content = taro()
    content["diseases"]["other-decay"] = {**content["diseases"]["corm-decay"], "en": "other decay", "also": ["decayed"]}
    content["diseases"]["corm-decay"]["also"] = ["Decayed"]

    problems = check_files([write(tmp_path, content)]).problems

    assert any("is also that of testplant--other-decay" in problem for problem in problems)


def test_the_check_tells_the_problems_of_every_file_and_exits_2(tmp_path: Path) -> None:
    content = taro()
    content["diseases"]["corm-decay"]["kind"] = "demon"
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    write(tmp_path, content)

    report = catalogue(CatalogueConfig(request=("check", str(tmp_path))))

    assert report.exit_code == 2
    assert "demon" in report.text
    assert "broken.yaml" in report.text


@pytest.mark.parametrize(("language", "expected"), [("fr", "Mildiou de la tomate"), ("en", "Late blight of tomato")])
def test_show_prints_a_sheet_in_either_language(language: str, expected: str) -> None:
    report = catalogue(CatalogueConfig(request=("show", "tomato--late-blight"), language=language))

    assert report.text.startswith(expected)
    assert "Phytophthora infestans" in report.text


def test_show_offers_the_nearest_id() -> None:
    with pytest.raises(DataError, match="tomato--late-blight"):
        catalogue(CatalogueConfig(request=("show", "tomato--lateblight")))


def test_search_needs_every_word_and_no_accent() -> None:
    report = catalogue(CatalogueConfig(request=("search", "BACTERIENNE", "tomate")))

    assert "tomato--bacterial-spot" in report.text
    assert "pepper--" not in report.text


@pytest.mark.parametrize("request_words", [(), ("eat",), ("show",)])
def test_a_request_that_makes_no_sense_says_what_does(request_words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="plantset catalogue"):
        catalogue(CatalogueConfig(request=request_words))


def test_the_three_exports_hold_the_same_identities(tmp_path: Path) -> None:
    paths = [tmp_path / f"out.{suffix}" for suffix in ("csv", "json", "yaml")]
    for path in paths:
        catalogue(CatalogueConfig(request=("export", "apple"), output_file=path))

    with paths[0].open(encoding="utf-8-sig", newline="") as file:
        from_csv = {row["id"] for row in csv.DictReader(file)}
    from_json = {row["id"] for row in json.loads(paths[1].read_text(encoding="utf-8"))}
    from_yaml = {row["id"] for row in yaml.safe_load(paths[2].read_text(encoding="utf-8"))}
    assert "apple--scab" in from_csv
    assert from_csv == from_json == from_yaml
