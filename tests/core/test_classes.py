"""What is known of each class, taken from the manifest and carried through JSON."""

from __future__ import annotations

import dataclasses
import json

from plantset.core.classes import ClassInfo, class_info_from_json, class_infos
from plantset.core.records import Record, class_names
from tests.fake_leaves import CLASS_IDS, TEXTS, leaf_record

RECORDS = [leaf_record(f"{class_id}_{n}.jpg", class_id, "train") for n in range(2) for class_id in reversed(CLASS_IDS)]


def test_there_is_one_info_a_class_in_index_order() -> None:
    infos = class_infos(RECORDS)

    assert tuple(info.class_id for info in infos) == class_names(RECORDS) == CLASS_IDS


def test_an_info_has_what_the_first_record_of_its_class_says() -> None:
    first = leaf_record("a.jpg", CLASS_IDS[0], "train")
    second = dataclasses.replace(first, label="another label", crop="other")

    assert class_infos([first, second]) == (
        ClassInfo(
            class_id=CLASS_IDS[0],
            label=first.label,
            crop=first.crop,
            disease=first.disease,
            texts=TEXTS[CLASS_IDS[0]],
            text_source=first.text_source,
            mask_terms=first.mask_terms,
        ),
    )


def test_an_info_comes_back_from_json_equal() -> None:
    for_json = [json.loads(json.dumps(dataclasses.asdict(info))) for info in class_infos(RECORDS)]

    assert tuple(map(class_info_from_json, for_json)) == class_infos(RECORDS)


def test_a_class_of_a_minimal_record_has_an_info_without_texts() -> None:
    (info,) = class_infos([Record("a.jpg", "Rouille", "train", class_id="user--rouille")])

    assert info == ClassInfo(class_id="user--rouille", label="Rouille")


def test_an_info_of_an_earlier_checkpoint_has_no_names_of_its_own() -> None:
    row = json.loads(json.dumps(dataclasses.asdict(class_infos(RECORDS)[0])))
    for name in ("crop_names", "disease_names", "sources"):
        del row[name]

    assert class_info_from_json(row) == class_infos(RECORDS)[0]


def test_what_is_said_of_one_photo_is_not_said_of_its_class() -> None:
    of_class = leaf_record("a.jpg", CLASS_IDS[0], "train")
    own = {language: dataclasses.replace(said, description="15 spots") for language, said in of_class.texts.items()}
    of_photo = dataclasses.replace(
        of_class, texts=own, text_source={"fr.description": "photo", "en.description": "photo", "fr.symptoms": "user"}
    )

    (alone,) = class_infos([of_photo])
    (beside,) = class_infos([of_photo, of_class])

    assert {said.description for said in alone.texts.values()} == {""}
    assert alone.texts["fr"].symptoms == of_class.texts["fr"].symptoms
    assert alone.text_source == {"fr.symptoms": "user"}
    assert beside.texts == of_class.texts
