"""`map` with a catalogue of one's own, in a language of one's own: the record says which language was used."""

from __future__ import annotations

from pathlib import Path

import pytest

from plantset.core.errors import ConfigError
from plantset.core.files import write_json_lines
from plantset.core.records import Record, read_records
from plantset.knowledge.bank import bank_texts
from plantset.knowledge.config import MapConfig
from plantset.knowledge.run import map_texts

_OWN = """
diseases:
  late-blight:
    wo: jàngoro
    symptoms: {leaf: {wo: ["Xob yi dañuy wow."]}}
"""


def clean_manifest(folder: Path, *labels: str) -> Path:
    rows = [
        {
            "image_path": f"{number}.jpg",
            "label": label,
            "split": "train",
            "original_size": [9, 9],
            "size": [9, 9],
            "sha256": "0" * 64,
            "phash": "0" * 16,
            "group": str(number),
            "source_path": f"{number}.jpg",
        }
        for number, label in enumerate(labels)
    ]
    path = folder / "clean.jsonl"
    write_json_lines(path, rows)
    return path


def mapped(folder: Path, *labels: str, language: str = "wo", note_crop: bool = False) -> list[Record]:
    own = folder / "own"
    own.mkdir()
    (own / "tomato.yaml").write_text(_OWN, encoding="utf-8")
    config = MapConfig(
        dataset_jsonl=clean_manifest(folder, *labels),
        output_file=folder / "out.jsonl",
        language=language,
        catalogue=own,
        note_crop=note_crop,
    )
    map_texts(config)
    return read_records(folder / "out.jsonl")


def test_a_text_in_the_language_asked_for_is_used(tmp_path: Path) -> None:
    (record,) = mapped(tmp_path, "Tomato late blight")

    assert (record.language, record.disease, record.text) == ("wo", "jàngoro", "Jàngoro. Xob yi dañuy wow.")


def test_without_one_the_record_has_the_french_text_and_says_so(tmp_path: Path) -> None:
    (record,) = mapped(tmp_path, "Tomato early blight")

    assert record.language == "fr"
    assert record.text == record.texts["fr"].description


def test_what_is_no_language_tag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--language"):
        mapped(tmp_path, "Tomato late blight", language="Français")


@pytest.mark.parametrize(("note_crop", "masked"), [(False, True), (True, False)])
def test_crop_names_are_masked_unless_notes_may_say_them(tmp_path: Path, note_crop: bool, masked: bool) -> None:
    (record,) = mapped(tmp_path, "Tomato late blight", language="fr", note_crop=note_crop)

    assert ("tomate" in record.mask_terms) == masked
    assert "mildiou" in record.mask_terms


def test_the_record_keeps_the_organ_of_each_symptom(tmp_path: Path) -> None:
    (record,) = mapped(tmp_path, "Tomato late blight", language="fr")

    assert len(record.texts["fr"].organs) == len(record.texts["fr"].symptoms)
    assert record.texts["fr"].organs[0] == "leaf"


def test_a_bank_text_is_known_by_its_class_and_place(tmp_path: Path) -> None:
    records = mapped(tmp_path, "Tomato late blight", "Tomato early blight", language="fr")

    bank = bank_texts(records, "fr")

    assert bank[0].text_id == "tomato--early-blight#0"
    assert len({text.text_id for text in bank}) == len(bank)
    assert {text.class_id for text in bank} == {"tomato--early-blight", "tomato--late-blight"}
