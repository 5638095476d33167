"""Records of which a million fit into memory are still dataclasses to those who use them."""

from __future__ import annotations

import dataclasses
import gc
import json
import pickle
import sys
import tracemalloc
from pathlib import Path

import pytest

from plantset.core.files import read_json_lines
from plantset.core.records import Record, Texts, read_records

RECORD = Record("a.jpg", "Rust", "train", "Brown.", class_id="maize--rust", texts={"en": Texts("Brown.")}, style="lab")


def test_replacing_a_common_field_leaves_the_others_and_the_original() -> None:
    changed = dataclasses.replace(RECORD, label="Smut")

    assert (changed.label, changed.style, changed.image_path) == ("Smut", "lab", "a.jpg")
    assert RECORD.label == "Rust"


def test_equal_fields_make_equal_records() -> None:
    assert dataclasses.replace(RECORD) == RECORD
    assert dataclasses.replace(RECORD, kind="fungus") != RECORD


def test_a_record_survives_the_way_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(RECORD)) == RECORD


def test_a_record_as_a_row_has_every_field() -> None:
    row = dataclasses.asdict(RECORD)

    assert list(row) == [field.name for field in dataclasses.fields(Record)]
    assert (row["label"], row["style"], row["crop"]) == ("Rust", "lab", None)


@pytest.mark.parametrize("name", ["label", "image_path"])
def test_no_field_can_be_set(name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(RECORD, name, "other")


def _write(path: Path, count: int) -> None:
    said = {"description": "Taches brunes. " * 20, "symptoms": ["Des taches."] * 3}
    rows = [
        {
            "image_path": f"{number:07d}.jpg",
            "label": f"L{number % 5}",
            "split": "train",
            "text": said["description"],
            "class_id": f"c{number % 5}",
            "texts": {"fr": said, "en": {**said, "description": f"{number % 5}"}},
            "mask_terms": [f"L{number % 5}"],
            "sha256": f"{number:064x}",
            "phash": f"{number:016x}",
            "group": f"g{number}",
            "source_path": f"IMG_{number}.JPG",
            "size": [512, 384],
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_record_takes_at_most_200_bytes_beyond_its_own_texts(tmp_path: Path) -> None:
    _write(tmp_path / "m.jsonl", 3000)
    tracemalloc.start()
    records = read_records(tmp_path / "m.jsonl")
    gc.collect()
    total, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    own = [(r.image_path, r.sha256, r.phash, r.group, r.source_path) for r in records]

    assert total - sum(sys.getsizeof(text) for texts in own for text in texts) < 200 * len(records)


@pytest.mark.parametrize(
    "lines",
    [
        ['{"a": 1, "t": {"x": 1}, "u": 2, "b": 3}', '{"a": 2, "t": {"x": 1}, "u": 2, "b": 4}'],
        ['{"t": {"x": 1}, "b": 3}', '{"o": {"t": {"x": 1}}, "b": 4}'],
        ['{"t": 1, "u": 2}', '{"t": 1, "u": 2, "t": 5}', '{"t": 1, "u": 23}', '{"t": 1}'],
        ['{"b": "\\"t\\": 1", "t": 1}', '{"b": "\\"t\\": 1", "t": 1}'],
        ['{"t": "é"}', '{"t": "é", "u": null}', '{"t":"é"}'],
    ],
    ids=["run", "inner object", "twice or longer", "within a text", "spelt otherwise"],
)
def test_lines_that_repeat_a_run_are_read_as_if_each_were_the_first(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join([*lines, *lines]), encoding="utf-8")

    rows = [row for _, row in read_json_lines(path, repeated=("t", "u"))]

    assert rows == [json.loads(line) for line in [*lines, *lines]]


def test_the_values_of_a_repeated_run_are_one_object(tmp_path: Path) -> None:
    rows = [{"t": {"x": "taches brunes " * 10}, "b": number} for number in range(2)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    first, second = (row for _, row in read_json_lines(tmp_path / "m.jsonl", repeated=("t",)))

    assert first["t"] is second["t"]
