"""The JSON-lines contracts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantset.core.errors import DataError
from plantset.core.language import set_message_language
from plantset.core.records import (
    CleanRecord,
    ManifestMeta,
    Match,
    Record,
    RejectedRecord,
    Texts,
    class_names,
    find_images_dir,
    iter_splits,
    meta_path,
    read_clean_records,
    read_meta,
    read_records,
    read_rejected,
    rejected_path,
    slugify,
    write_manifest,
    write_rejected,
)

MINIMAL = {"image_path": "a.jpg", "label": "Mildiou (tomate)", "split": "train", "text": "Des taches."}
META = ManifestMeta(images_dir="images", classes=("a",), seed=0, command="plantset clean")
FULL = Record(
    image_path="train/é/a.png.jpg",
    label="Tomate – mildiou",
    split="val",
    text="Des taches brunes.",
    class_id="tomato--late-blight",
    disease_id="tomato--late-blight",
    crop="tomato",
    texts={"fr": Texts("Des taches.", ("taches brunes",), ("retirer les feuilles",)), "en": Texts("Spots.")},
    text_source={"description": "user"},
    mask_terms=("mildiou", "late blight"),
    match=Match("exact", 1.0),
    original_size=(4000, 3000),
    size=(512, 384),
    sha256="0" * 64,
    phash="f" * 16,
    group="g1",
    source_path="é/a.png",
    issues=("blurred",),
)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    set_message_language("en")
    yield
    set_message_language(None)


def write_rows(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_full_record_comes_back_as_it_was(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [FULL], META)

    assert read_records(tmp_path / "m.jsonl") == [FULL]


def test_four_fields_are_enough(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "m.jsonl", MINIMAL)

    (record,) = read_records(path)

    assert record.class_id == "user--mildiou-tomate"
    assert record.group is None
    assert record.mask_terms == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "valid"}, "line 2: 'split' is \"valid\", expected train, val or test"),
        ({"label": None}, "line 2: 'label' is missing"),
        ({"label": 3}, "line 2: 'label' is 3, expected a text"),
        ({"size": [512, 0]}, "line 2: 'size' is [512, 0], expected [width, height] in pixels"),
        ({"mask_terms": "rust"}, "line 2: 'mask_terms' is \"rust\", expected a list of texts"),
        ({"match": {"how": "exact"}}, "line 2: 'match' is"),
        ({"texts": {"fr": "Des taches."}}, "line 2: 'texts' is"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write_rows(tmp_path / "m.jsonl", MINIMAL, {**MINIMAL, **change})

    with pytest.raises(DataError) as caught:
        read_records(path)

    assert message in caught.value.problem


def test_a_record_without_text_is_refused_before_training(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "m.jsonl", {key: value for key, value in MINIMAL.items() if key != "text"})

    with pytest.raises(DataError, match="'text' is missing"):
        read_records(path)


def test_an_empty_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no record"):
        read_records(write_rows(tmp_path / "m.jsonl"))


def test_what_clean_writes_is_what_map_reads(tmp_path: Path) -> None:
    record = CleanRecord("a.jpg", "rouille", "train", (640, 480), (512, 384), "0" * 64, "0" * 16, "g", "x/a.jpg")

    write_manifest(tmp_path / "dataset_clean.jsonl", [record], META)

    assert read_clean_records(tmp_path / "dataset_clean.jsonl") == [record]
    assert read_meta(tmp_path / "dataset_clean.jsonl") == META


def test_rejected_files_come_back_with_their_reason(tmp_path: Path) -> None:
    rejected = [RejectedRecord("a.jpg", "truncated", "ends after 12 rows"), RejectedRecord("b.jpg", "empty")]

    write_rejected(tmp_path / "m.rejected.jsonl", rejected)

    assert read_rejected(tmp_path / "m.rejected.jsonl") == rejected


def test_the_files_beside_a_manifest_are_named_after_it() -> None:
    assert meta_path(Path("d/dataset_clean.jsonl")) == Path("d/dataset_clean.meta.json")
    assert rejected_path(Path("d/dataset_clean.jsonl")) == Path("d/dataset_clean.rejected.jsonl")


def test_a_sidecar_from_a_newer_plantset_is_refused(tmp_path: Path) -> None:
    newer = dataclasses.replace(META, schema_version=META.schema_version + 1)
    write_manifest(tmp_path / "m.jsonl", [FULL], newer)

    with pytest.raises(DataError, match="schema version"):
        read_meta(tmp_path / "m.jsonl")


def test_a_manifest_without_sidecar_has_none(tmp_path: Path) -> None:
    assert read_meta(tmp_path / "m.jsonl") is None


def test_classes_are_sorted_over_all_splits() -> None:
    records = [
        dataclasses.replace(FULL, class_id=name, split=split)
        for name, split in [("b", "test"), ("c", "train"), ("a", "val"), ("b", "train")]
    ]

    assert class_names(records) == ("a", "b", "c")


def test_splits_come_in_order_and_only_when_they_have_photos() -> None:
    records = [dataclasses.replace(FULL, split="val"), dataclasses.replace(FULL, split="train")]

    assert [split for split, _ in iter_splits(records)] == ["train", "val"]


def test_the_root_dir_replaces_the_recorded_folder(tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "a.jpg").touch()
    path = write_rows(tmp_path / "m.jsonl", MINIMAL)

    assert find_images_dir(path, read_records(path), tmp_path / "moved") == tmp_path / "moved"


def test_the_sidecar_says_where_the_photos_are(tmp_path: Path) -> None:
    record = dataclasses.replace(FULL, image_path="a.jpg")
    write_manifest(tmp_path / "m.jsonl", [record], META)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()

    assert find_images_dir(tmp_path / "m.jsonl", [record], None) == tmp_path / "images"


def test_the_folder_of_the_originals_is_answered_with_the_right_one(tmp_path: Path) -> None:
    record = dataclasses.replace(FULL, image_path="a.png.jpg", source_path="a.png")
    write_manifest(tmp_path / "m.jsonl", [record], META)
    (tmp_path / "originals").mkdir()
    (tmp_path / "originals" / "a.png").touch()

    with pytest.raises(DataError) as caught:
        find_images_dir(tmp_path / "m.jsonl", [record], tmp_path / "originals")

    assert caught.value.fix == f"--root-dir {tmp_path / 'images'}"


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Mildiou  (tomate)", "mildiou-tomate"), ("Éclairage précoce", "eclairage-precoce"), ("__A__b", "a-b")],
)
def test_a_label_becomes_a_kebab_case_slug(name: str, slug: str) -> None:
    assert slugify(name) == slug


@given(st.text(min_size=1))
def test_every_name_has_a_slug_that_is_its_own_slug(name: str) -> None:
    slug = slugify(name)

    assert slug
    assert slugify(slug) == slug


def test_photos_of_a_class_share_its_texts_in_memory(tmp_path: Path) -> None:
    other = dataclasses.replace(FULL, image_path="train/b.jpg", source_path="b.jpg")
    write_manifest(tmp_path / "m.jsonl", [FULL, other], META)

    first, second = read_records(tmp_path / "m.jsonl")

    assert (first, second) == (FULL, other)
    assert first.texts is second.texts
    assert first.text is second.text
    assert first.mask_terms is second.mask_terms


def test_values_that_differ_in_type_alone_are_checked_each(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "m.jsonl", {**MINIMAL, "size": [1, 1]}, {**MINIMAL, "size": [True, 1]})

    with pytest.raises(DataError, match="line 2: 'size'"):
        read_records(path)
