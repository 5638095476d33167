"""The map stage on small manifests: classes, texts, sources, the review round trip."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from plantset.core.errors import ConfigError, DataError
from plantset.core.language import set_message_language
from plantset.core.records import CleanRecord, ManifestMeta, Record, read_meta, read_records, write_manifest
from plantset.knowledge.bank import class_texts
from plantset.knowledge.config import MapConfig
from plantset.knowledge.review import review_path
from plantset.knowledge.run import map_texts


@pytest.fixture(autouse=True)
def _english() -> None:
    set_message_language("en")


def _clean(folder: Path, *labels: str) -> Path:
    path = folder / "dataset_clean.jsonl"
    records = [
        CleanRecord(
            image_path=f"{index}.jpg",
            label=label,
            split="val" if index % 4 == 3 else "train",
            original_size=(300, 200),
            size=(300, 200),
            sha256=f"{index:064x}",
            phash=f"{index:016x}",
            group=str(index),
            source_path=f"photos/{index}.jpg",
        )
        for index, label in enumerate(labels)
    ]
    write_manifest(path, records, ManifestMeta("dataset_clean_images", tuple(sorted(set(labels))), 7, "clean"))
    return path


def _config(folder: Path, *labels: str, **settings: object) -> MapConfig:
    fields = {"dataset_jsonl": _clean(folder, *labels), "output_file": folder / "out" / "multi.jsonl", **settings}
    return MapConfig(**fields)  # type: ignore[arg-type]


def _json(folder: Path, content: object) -> Path:
    path = folder / "maladies.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def _by_label(config: MapConfig) -> dict[str, Record]:
    return {record.label: record for record in read_records(config.output_file)}


def test_a_known_label_gets_class_texts_and_sources(tmp_path: Path) -> None:
    config = _config(tmp_path, "Tomato___Late_blight", "Tomato___healthy")

    map_texts(config)

    record = _by_label(config)["Tomato___Late_blight"]
    assert (record.class_id, record.disease_id, record.crop) == ("tomato--late-blight", "tomato--late-blight", "tomato")
    assert record.text == record.texts["fr"].description
    assert record.text.startswith("Mildiou de la tomate. Cause : Phytophthora infestans (oomycète).")
    assert record.texts["en"].symptoms
    assert record.text_source["fr.description"] == "catalogue"
    assert record.match is not None
    assert record.match.how == "exact"


def test_the_content_language_is_chosen(tmp_path: Path) -> None:
    config = _config(tmp_path, "Tomato___Late_blight", language="en")

    map_texts(config)

    assert _by_label(config)["Tomato___Late_blight"].text.startswith("Late blight of tomato.")


def test_the_users_words_come_first_and_the_catalogue_fills_the_gaps(tmp_path: Path) -> None:
    file = _json(tmp_path, {"Mildiou de la tomate": {"symptômes": ["taches huileuses sur les feuilles"]}})
    config = _config(tmp_path, "Tomato___Late_blight", diseases_json=file)

    map_texts(config)

    record = _by_label(config)["Tomato___Late_blight"]
    assert record.texts["fr"].symptoms == ("Taches huileuses sur les feuilles",)
    assert "Taches huileuses sur les feuilles." in record.text
    assert (record.text_source["fr.symptoms"], record.text_source["fr.management"]) == ("user", "catalogue")
    assert record.text_source["en.symptoms"] == "catalogue"


def test_an_entry_for_two_crops_serves_both(tmp_path: Path) -> None:
    file = _json(
        tmp_path, [{"name": "Late blight", "crops": ["tomato", "potato"], "symptoms": ["wet spots on the leaf"]}]
    )
    config = _config(tmp_path, "Tomato___Late_blight", "Potato___Late_blight", diseases_json=file, language="en")

    map_texts(config)

    assert {record.texts["en"].symptoms for record in read_records(config.output_file)} == {("Wet spots on the leaf",)}


def test_an_entry_without_crop_serves_the_same_cause_on_its_crops(tmp_path: Path) -> None:
    file = _json(tmp_path, [{"name": "Late blight", "symptoms": ["wet spots on the leaf"]}])
    config = _config(tmp_path, "Tomato___Late_blight", diseases_json=file, language="en")

    map_texts(config)

    assert _by_label(config)["Tomato___Late_blight"].text_source["en.symptoms"] == "user"


def test_a_label_that_only_the_users_file_knows_is_a_class_with_its_text(tmp_path: Path) -> None:
    file = _json(tmp_path, {"Purple spot of dragonfruit": {"description": "Purple spots on the stem."}})
    config = _config(tmp_path, "purple_spot_of_dragonfruit", diseases_json=file, language="en")

    report = map_texts(config)

    record = _by_label(config)["purple_spot_of_dragonfruit"]
    assert (record.class_id, record.disease_id) == ("user--purple-spot-of-dragonfruit", None)
    assert record.text == "Purple spots on the stem."
    assert report.refused == {}


def test_an_unknown_label_stays_a_class_without_text_and_is_reported(tmp_path: Path) -> None:
    config = _config(tmp_path, "Bacterial spot", "Tomato___Late_blight")

    report = map_texts(config)

    record = _by_label(config)["Bacterial spot"]
    assert (record.class_id, record.text, record.disease_id) == ("user--bacterial-spot", "", None)
    assert report.refused == {"Bacterial spot": 1}
    assert "Bacterial spot" in report.summary()


def test_unmatched_labels_can_be_left_out(tmp_path: Path) -> None:
    config = _config(tmp_path, "Bacterial spot", "Tomato___Late_blight", keep_unmatched=False)

    report = map_texts(config)

    assert set(_by_label(config)) == {"Tomato___Late_blight"}
    assert report.left_out == 1


def test_healthy_without_crop_is_a_class_and_never_a_text(tmp_path: Path) -> None:
    file = _json(tmp_path, {"Healthy": {"description": "The leaf is fine."}})
    config = _config(tmp_path, "Healthy", diseases_json=file)

    map_texts(config)

    assert _by_label(config)["Healthy"].text == ""


def test_strict_stops_and_still_writes_the_review_table(tmp_path: Path) -> None:
    config = _config(tmp_path, "Bacterial spot", strict=True)

    with pytest.raises(DataError, match="Bacterial spot"):
        map_texts(config)

    assert review_path(config.output_file).exists()
    assert not config.output_file.exists()


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_decisions_of_the_review_table_are_applied_and_kept(tmp_path: Path, delimiter: str) -> None:
    labels = ("Bacterial spot", "Leaf spot", "Mosaic", "Tomato___Late_blight")
    config = _config(tmp_path, *labels)
    map_texts(config)
    table = review_path(config.output_file)
    decisions = {"Bacterial spot": "peach--bacterial-spot", "Leaf spot": "keep", "Mosaic": "drop"}
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    filled = tmp_path / "filled.csv"
    with filled.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(row | {"decision": decisions.get(row["label"], "")} for row in rows)

    again = _config(tmp_path, *labels, review=filled, strict=True)
    map_texts(again)

    records = _by_label(again)
    assert records["Bacterial spot"].disease_id == "peach--bacterial-spot"
    assert records["Leaf spot"].class_id == "user--leaf-spot"
    assert "Mosaic" not in records
    with table.open(encoding="utf-8-sig", newline="") as file:
        assert {row["label"]: row["decision"] for row in csv.DictReader(file)} == decisions


def test_a_decision_that_is_no_identity_is_refused_with_its_line(tmp_path: Path) -> None:
    table = tmp_path / "review.csv"
    table.write_text("label,decision\nBacterial spot,tomato--bacterial-spott\n", encoding="utf-8")

    with pytest.raises(DataError, match="line 2"):
        map_texts(_config(tmp_path, "Bacterial spot", review=table))


def test_labels_that_meet_in_one_class_are_listed(tmp_path: Path) -> None:
    config = _config(tmp_path, "Tomato___Late_blight", "Mildiou de la tomate")

    report = map_texts(config)

    assert report.merged == {"tomato--late-blight": ("Mildiou de la tomate", "Tomato___Late_blight")}


def test_the_crop_serves_labels_that_name_none(tmp_path: Path) -> None:
    config = _config(tmp_path, "healthy", "Bacterial spot", crop="tomate")

    map_texts(config)

    assert {record.class_id for record in read_records(config.output_file)} == {
        "tomato--healthy",
        "tomato--bacterial-spot",
    }


def test_an_unknown_crop_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        map_texts(_config(tmp_path, "healthy", crop="dragonfruit"))

    assert "tomato" in caught.value.fix


def test_one_mineral_symbol_alone_is_not_believed(tmp_path: Path) -> None:
    alone = _config(tmp_path, "A", "B", "C")
    map_texts(alone)
    assert _by_label(alone)["B"].disease_id is None

    among_others = _config(tmp_path, "B", "Fe", "Mg")
    map_texts(among_others)
    assert _by_label(among_others)["B"].disease_id == "any--boron-deficiency"


def test_a_photos_own_text_becomes_its_text_and_stays_out_of_the_bank(tmp_path: Path) -> None:
    texts = tmp_path / "photo_texts.jsonl"
    row = {"source_path": "photos/0.jpg", "texts": {"fr": "Trois taches brunes.", "en": "Three brown spots."}}
    texts.write_text(json.dumps(row) + "\n", encoding="utf-8")
    config = _config(tmp_path, "Tomato___Late_blight", "Tomato___Late_blight", photo_texts=texts)

    map_texts(config)

    first, second = read_records(config.output_file)
    assert first.text == first.texts["fr"].description == "Trois taches brunes."
    assert first.text_source["fr.description"] == "photo"
    assert second.text_source["fr.description"] == "catalogue"
    bank = class_texts([first, second], "fr")["tomato--late-blight"]
    assert "Trois taches brunes." not in bank
    assert len(bank) >= 3


def test_the_sidecar_lists_the_classes_and_finds_the_images_from_the_new_folder(tmp_path: Path) -> None:
    config = _config(tmp_path, "Tomato___Late_blight", "Apple___Apple_scab")

    map_texts(config)

    meta = read_meta(config.output_file)
    assert meta is not None
    assert meta.classes == ("apple--scab", "tomato--late-blight")
    assert meta.seed == 7
    assert (config.output_file.parent / meta.images_dir).resolve() == (tmp_path / "dataset_clean_images").resolve()


def test_the_order_of_photos_changes_no_class(tmp_path: Path) -> None:
    labels = ("Late blight", "Tomato___Late_blight", "Bacterial spot", "Fe", "Zn")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    forward, backward = _config(tmp_path / "a", *labels), _config(tmp_path / "b", *reversed(labels))

    map_texts(forward)
    map_texts(backward)

    one = {label: record.class_id for label, record in _by_label(forward).items()}
    assert one == {label: record.class_id for label, record in _by_label(backward).items()}


def test_the_probe_is_written_beside_the_manifest(tmp_path: Path) -> None:
    config = _config(tmp_path, "Tomato___Late_blight", "Tomato___healthy", "Apple___Apple_scab")

    report = map_texts(config)

    written = json.loads((config.output_file.parent / "multi.probe.json").read_text(encoding="utf-8"))
    assert written["classes"] == 3
    assert report.probe is not None
    assert 0.0 <= report.probe.accuracy <= 1.0


def test_the_layer_imports_no_torch() -> None:
    code = "import sys, plantset.knowledge.run, plantset.knowledge.bank; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
