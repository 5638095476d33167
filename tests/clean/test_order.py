"""Neither the order of the files nor the number of workers changes what belongs together, nor the manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from plantset.clean.config import CleanConfig
from plantset.clean.groups import GroupMember, group_photos
from plantset.clean.run import clean
from plantset.clean.split import SplitMember, SplitPlan, assign_splits
from plantset.core.records import read_clean_records

MakePixels = Callable[..., NDArray[np.uint8]]
_PLAN = SplitPlan(0.2, 0.2, 0, False)


def members_of_all_rules() -> list[GroupMember]:
    """Equal hashes of unlike pictures, numbers and times that stand twice, copies by name, by bytes and by table."""
    rng = np.random.default_rng(0)
    bases = [rng.integers(0, 256, 256).astype(np.float64) for _ in range(3)]
    found = []
    for number in range(36):
        mixed = bases[number % 3] * (number % 5) + bases[(number + 1) % 3] * (number % 4) + rng.normal(0, 20, 256)
        grey = np.clip(np.interp(mixed, (mixed.min(), mixed.max()), (0, 255)), 0, 255).astype(np.uint8)
        stem = ("IMG_{:04d}", "real_{:05d}", "aug_{:05d}_1", "leaf{:03d}_photo1")[number % 4].format(number // 6)
        found.append(
            GroupMember(
                source_path=f"{number}/{stem}.jpg",
                label="rust" if number % 7 else "blight",
                sha256=sha256(str(number - number % 2 if number < 6 else number).encode()).hexdigest(),
                phash=(0x1B2D3A4C5E6F7081, 0x2A2D3A4C5E6F7081, 0x1122334455667788)[number % 3] ^ (number % 2),
                thumbnail=grey.tobytes(),
                user_group="table" if number in (9, 20) else None,
                taken_at=f"2024-05-01T10:00:{number // 4:02d}",
                original_size=(400, 300),
            )
        )
    return found


def grouped_and_split(members: Sequence[GroupMember]) -> tuple[dict[str, tuple[str, ...]], set[str], int]:
    """What is decided for each file, whose labels conflict, and the number of pairs."""
    grouping = group_photos(members, lambda first, second: members[first].thumbnail == members[second].thumbnail)
    splits = assign_splits(
        [SplitMember(member.label, group, None, None) for member, group in zip(members, grouping.groups, strict=True)],
        _PLAN,
    )
    decided = zip(grouping.groups, grouping.contents, grouping.clusters, splits, strict=True)
    by_file = {
        member.source_path: (*names, *rules)
        for member, names, rules in zip(members, decided, grouping.rules, strict=True)
    }
    return by_file, {members[index].source_path for index in grouping.conflicts}, grouping.near_copy_pairs


@settings(max_examples=60, deadline=None)
@given(st.permutations(members_of_all_rules()))
def test_groups_and_splits_do_not_depend_on_the_order_of_the_photos(shuffled: list[GroupMember]) -> None:
    assert grouped_and_split(shuffled) == grouped_and_split(members_of_all_rules())


@pytest.mark.parametrize("rule", ["near-copy", "same-bytes", "file-name", "series", "burst", "table"])
def test_the_photos_of_the_order_test_meet_every_rule(rule: str) -> None:
    grouping = group_photos(members_of_all_rules())

    assert any(rule in rules for rules in grouping.rules)


def write_set(folder: Path, make_pixels: MakePixels, order: Sequence[int]) -> None:
    """A series, a burst, one picture in two containers, and a turned copy, written in the given order."""
    pictures: list[tuple[str, NDArray[np.uint8], str | None]] = []
    for seed in range(4):
        base = make_pixels(seed)
        softer = np.asarray(cv2.GaussianBlur(base, (0, 0), 1), dtype=np.uint8)
        pictures += [
            (f"a/IMG_{10 * seed:04d}.png", base, None),
            (f"a/IMG_{10 * seed + 1:04d}.jpg", softer, None),
            (f"b/same{seed}.bmp", base, None),
            (f"b/turned{seed}.png", np.ascontiguousarray(np.rot90(base)), None),
            (f"c/shot{seed}x.jpg", make_pixels(50 + seed), f"2024:05:01 10:00:0{seed}"),
        ]
    for index in order:
        name, pixels, taken = pictures[index]
        exif = Image.Exif()
        if taken:
            exif.get_ifd(0x8769)[0x9003] = taken
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name, exif=exif)


def test_the_manifest_does_not_depend_on_the_order_of_writing_nor_on_the_workers(
    make_pixels: MakePixels, tmp_path: Path
) -> None:
    manifests = []
    for number, order in enumerate([range(20), range(19, -1, -1)]):
        photos = tmp_path / str(number) / "photos"
        write_set(photos, make_pixels, order)
        output = tmp_path / str(number) / "clean.jsonl"
        clean(CleanConfig(data_dir=photos, output_file=output, test_ratio=0.2, audit=False, num_workers=2 * number))
        manifests.append(output)

    assert manifests[0].read_bytes() == manifests[1].read_bytes()
    assert {rule for record in read_clean_records(manifests[0]) for rule in record.group_rules} >= {
        "near-copy",
        "same-pixels",
        "series",
    }


def test_reject_leaves_the_failing_photos_out_and_loses_none(make_pixels: MakePixels, tmp_path: Path) -> None:
    write_set(tmp_path / "photos", make_pixels, range(20))
    for number in range(3):
        dark = (make_pixels(80 + number) * 0.2).astype(np.uint8)
        Image.fromarray(dark).save(tmp_path / "photos" / "a" / f"dusk{number}.jpg")
    config = CleanConfig(data_dir=tmp_path / "photos", output_file=tmp_path / "clean.jsonl", num_workers=0, audit=False)

    flagged = clean(config)
    rejected = clean(replace(config, reject=("border,too-dark",)))

    assert flagged.issues["too-dark"] == 3
    assert rejected.rejected["too-dark"] == 3
    assert rejected.kept == flagged.kept - 3
    assert rejected.found == rejected.kept + sum(rejected.rejected.values()) == 23
