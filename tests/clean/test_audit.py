"""The whole set seen from above, and what a model could cheat with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantset.clean.audit import audit_path, audit_photos
from plantset.clean.cues import Cue, PhotoCues, Shortcut, colour_bytes
from plantset.clean.shortcuts import measure_shortcuts
from plantset.core.files import read_json
from plantset.core.records import CleanRecord, Split


def photo(number: int, label: str = "a", *, split: Split = "train", group: str | None = None) -> CleanRecord:
    return CleanRecord(
        image_path=f"{number}.jpg",
        label=label,
        split=split,
        original_size=(640, 480),
        size=(512, 384),
        sha256=f"{number:064x}",
        phash="0" * 16,
        group=group or f"g{number}",
        source_path=f"{label}/{number}.jpg",
    )


def cues_of(number: int, border: int) -> PhotoCues:
    rng = np.random.default_rng(number)
    noise = rng.integers(0, 20, 24)
    colours = bytes((border + noise).tolist()) + bytes(rng.integers(0, 256, 3).tolist())
    return PhotoCues(colours, int(rng.integers(1_000, 2_000)))


def two_classes(*, telling: bool) -> tuple[list[CleanRecord], list[PhotoCues]]:
    """120 photos of two classes; the border's grey level tells the class, or nothing."""
    records = [photo(number, "ab"[number % 2]) for number in range(120)]
    cues = [cues_of(number, 200 * (number % 2) if telling else 100) for number in range(120)]
    return records, cues


def cue_of(shortcuts: tuple[Shortcut, ...], cue: Cue) -> Shortcut:
    return next(shortcut for shortcut in shortcuts if shortcut.cue == cue)


def test_a_border_that_tells_the_class_is_found_out() -> None:
    records, cues = two_classes(telling=True)

    border = cue_of(measure_shortcuts(records, cues, seed=0), "border")

    assert border.accuracy == 1.0
    assert border.tells


@pytest.mark.parametrize("cue", ["colour", "file"])
def test_a_cue_that_says_nothing_stays_near_chance(cue: Cue) -> None:
    records, cues = two_classes(telling=True)

    found = cue_of(measure_shortcuts(records, cues, seed=0), cue)

    assert found.low < found.chance + 0.1
    assert not found.tells


def test_photos_of_one_leaf_do_not_stand_on_both_sides() -> None:
    """Each leaf has a border of its own that says nothing of the class: memory would look like knowledge."""
    leaves = [number // 4 for number in range(160)]
    records = [photo(number, "ab"[leaf % 2], group=f"leaf{leaf}") for number, leaf in enumerate(leaves)]
    cues = [cues_of(1_000 + leaf, int(np.random.default_rng(leaf).integers(0, 230))) for leaf in leaves]

    border = cue_of(measure_shortcuts(records, cues, seed=0), "border")

    assert border.accuracy < 0.75


def test_the_interval_holds_the_accuracy() -> None:
    records, cues = two_classes(telling=False)

    border = cue_of(measure_shortcuts(records, cues, seed=0), "border")

    assert border.low < border.accuracy < border.high


def test_each_collection_is_judged_beside_all_together() -> None:
    records, cues = two_classes(telling=True)
    halves = [replace(record, source="one" if index < 60 else "two") for index, record in enumerate(records)]

    scopes = {shortcut.scope for shortcut in measure_shortcuts(halves, cues, seed=0)}

    assert scopes == {"", "one", "two"}


def test_one_class_alone_can_not_be_guessed() -> None:
    records = [photo(number) for number in range(100)]

    assert measure_shortcuts(records, [cues_of(number, 0) for number in range(100)], seed=0) == ()


def test_the_cues_are_the_corners_the_middles_of_the_sides_and_the_mean() -> None:
    pixels = np.zeros((5, 9, 3), dtype=np.uint8)
    pixels[0, 0], pixels[2, 8], pixels[4, 4] = 10, 20, 30

    colours = colour_bytes(pixels)

    assert len(colours) == 27
    assert (colours[0], colours[3 * 4], colours[3 * 6]) == (10, 20, 30)


def test_groups_across_splits_are_counted() -> None:
    records = [
        photo(1, split="train", group="x"),
        photo(2, split="val", group="x"),
        photo(3, split="val", group="y"),
        photo(4, split="val", group="y"),
    ]

    audit = audit_photos(records, None, seed=0)

    assert audit.spread == {("train", "val"): 1, ("val", "val"): 1}


def test_classes_are_counted_by_photo_leaf_and_split() -> None:
    records = [photo(1, "a", group="x"), photo(2, "a", group="x", split="val"), photo(3, "b")]

    first = audit_photos(records, None, seed=0).classes[0]

    assert (first.label, first.photos, first.groups, dict(first.by_split)) == ("a", 2, 1, {"train": 1, "val": 1})


def test_classes_that_only_one_collection_has_are_counted() -> None:
    records = [
        replace(photo(1, "a"), source="one"),
        replace(photo(2, "b"), source="one"),
        replace(photo(3, "b"), source="two"),
    ]

    own = {count.source: count.own_classes for count in audit_photos(records, None, seed=0).sources}

    assert own == {"one": 1, "two": 0}


def test_the_same_photos_are_not_measured_twice(tmp_path: Path) -> None:
    records, cues = two_classes(telling=True)
    path = audit_path(tmp_path / "clean.jsonl")
    first = audit_photos(records, cues, 0, path)

    again = audit_photos(records, [cues_of(0, 0)] * len(records), 0, path)

    assert again.shortcuts == first.shortcuts


def test_other_photos_are_measured_anew(tmp_path: Path) -> None:
    records, cues = two_classes(telling=True)
    path = audit_path(tmp_path / "clean.jsonl")
    first = audit_photos(records, cues, 0, path)

    fewer = audit_photos(records[:100], cues[:100], 0, path)

    assert fewer.shortcuts != first.shortcuts


def test_the_audit_stands_in_a_file(tmp_path: Path) -> None:
    records, cues = two_classes(telling=True)
    path = audit_path(tmp_path / "clean.jsonl")
    audit_photos(records, cues, 0, path)

    row = read_json(path)

    assert {shortcut["cue"] for shortcut in row["shortcuts"]} == {"border", "colour", "file"}
    assert row["short_side_px"][1] == {"from": 256, "photos": 120}
