"""Photos with their manifest, and answers about them as `evaluate` and `infer` write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from plantset.core.records import ManifestMeta, Record, write_manifest
from tests.fake_leaves import CLASS_IDS, leaf_record, write_leaves

Answer = Callable[..., dict[str, Any]]
WriteAnswers = Callable[..., Path]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Four photos of each of four classes, with what a correction needs to know."""
    path = write_leaves(tmp_path, (("val", 4),))
    write_records(path, [source_of(tmp_path, record) for record in leaf_records()])
    return path


def leaf_records() -> list[Record]:
    names = [(f"{class_id}_val_{number}.jpg", class_id) for class_id in CLASS_IDS for number in range(4)]
    return [leaf_record(name, class_id, "val", group=name) for name, class_id in names]


def source_of(folder: Path, record: Record) -> Record:
    digest = sha256((folder / "images" / record.image_path).read_bytes()).hexdigest()
    return replace(record, source_path=f"photos/{record.image_path}", sha256=digest)


def write_records(path: Path, records: list[Record]) -> None:
    write_manifest(path, records, ManifestMeta("images", tuple(sorted(CLASS_IDS)), seed=0, command="tests"))


@pytest.fixture
def answer() -> Answer:
    """Make one line of `evaluate`: right and sure unless told otherwise."""

    def make(image_path: str, probs: Mapping[str, float] | None = None, decision: str = "answer") -> dict[str, Any]:
        class_id = image_path.partition("_val_")[0]
        ranked = sorted((probs or {class_id: 0.9}).items(), key=lambda item: -item[1])
        return {
            "image_path": image_path,
            "class_id": class_id,
            "predicted": ranked[0][0],
            "decision": decision,
            "top5": [{"class_id": name, "probability": prob} for name, prob in ranked],
        }

    return make


@pytest.fixture
def write_answers(tmp_path: Path, answer: Answer) -> WriteAnswers:
    """Write answers about all photos, these in place of right ones; return the file."""

    def write(*odd: Mapping[str, Any], name: str = "predictions.jsonl") -> Path:
        by_path = {row["image_path"]: row for row in odd}
        rows = [by_path.get(record.image_path) or answer(record.image_path) for record in leaf_records()]
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write
