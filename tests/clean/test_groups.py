"""What belongs together, and where labels contradict it."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from plantset.clean.groups import GroupMember, group_photos
from plantset.clean.leaf_names import original_name

UUID = "0a1b2c3d-0000-4000-8000-0123456789ab"


def member(path: str, *, label: str = "rust", sha: str | None = None, seed: int, **others: str) -> GroupMember:
    """A photo whose picture is decided by `seed` and whose bytes by `sha` (default: its path)."""
    rng = np.random.default_rng(seed)
    return GroupMember(
        source_path=path,
        label=label,
        sha256=sha or sha256(path.encode()).hexdigest(),
        phash=int(rng.integers(0, 2**63)),
        thumbnail=rng.integers(0, 256, 256, dtype=np.uint8).tobytes(),
        **others,  # type: ignore[arg-type]
    )


def test_different_photos_are_groups_of_their_own() -> None:
    grouping = group_photos([member("a/1.jpg", seed=1), member("a/2.jpg", seed=2)])

    assert len(set(grouping.groups)) == 2
    assert not grouping.conflicts


def test_equal_bytes_are_one_group() -> None:
    grouping = group_photos([member("a/1.jpg", sha="f" * 64, seed=1), member("a/2.jpg", sha="f" * 64, seed=1)])

    assert len(set(grouping.groups)) == 1


def test_equal_bytes_are_no_near_copies() -> None:
    grouping = group_photos([member("a/1.jpg", sha="f" * 64, seed=1), member("a/2.jpg", sha="f" * 64, seed=1)])

    assert grouping.near_copy_pairs == 0


def test_near_copies_are_one_group() -> None:
    grouping = group_photos([member("a/1.jpg", seed=1), member("b/2.jpg", seed=1)])

    assert len(set(grouping.groups)) == 1
    assert grouping.near_copy_pairs == 1


def test_near_copies_under_two_labels_are_a_conflict() -> None:
    grouping = group_photos(
        [member("a/1.jpg", seed=1), member("b/2.jpg", seed=1, label="scab"), member("c.jpg", seed=2)]
    )

    assert grouping.conflicts == {0, 1}


def test_even_surfaces_are_not_near_copies() -> None:
    members = [member(f"{name}.jpg", seed=1, plain=True) for name in "ab"]  # type: ignore[arg-type]

    assert len(set(group_photos(members).groups)) == 2


def test_what_the_user_groups_is_one_group() -> None:
    grouping = group_photos(
        [member("a/1.jpg", seed=1, user_group="leaf 7"), member("a/2.jpg", seed=2, user_group="leaf 7")]
    )

    assert len(set(grouping.groups)) == 1


def test_chains_are_one_group() -> None:
    members = [
        member("1.jpg", seed=1),
        member("2.jpg", seed=1, user_group="x"),
        member("3.jpg", seed=2, user_group="x"),
    ]

    assert len(set(group_photos(members).groups)) == 1


def test_an_augmented_photo_joins_its_original() -> None:
    grouping = group_photos([member("rust/real_00005.jpg", seed=1), member("rust/aug_00005_006.jpg", seed=2)])

    assert len(set(grouping.groups)) == 1


def test_equal_numbers_in_two_classes_are_two_photos() -> None:
    grouping = group_photos(
        [member("rust/real_00005.jpg", seed=1), member("scab/aug_00005_006.jpg", seed=2, label="scab")]
    )

    assert len(set(grouping.groups)) == 2


def test_equal_names_in_two_collections_are_two_photos() -> None:
    grouping = group_photos(
        [member("x/rust/7.jpg", seed=1, source="x"), member("y/rust/7_aug.jpg", seed=2, source="y")]
    )

    assert len(set(grouping.groups)) == 2


def test_equal_plain_names_say_nothing() -> None:
    grouping = group_photos([member("train/rust/real_1.jpg", seed=1), member("val/rust/real_1.jpg", seed=2)])

    assert len(set(grouping.groups)) == 2


def test_group_names_do_not_depend_on_the_order_of_files() -> None:
    members = [member("1.jpg", seed=1), member("2.jpg", seed=1), member("3.jpg", seed=2)]

    assert group_photos(members).groups == group_photos(members[::-1]).groups[::-1]


@pytest.mark.parametrize(
    ("stem", "original"),
    [
        ("aug_00005_006", "#00005"),
        ("real_00005", "#00005"),
        ("real_00005_merged", "#00005"),
        ("337_aug", "337"),
        ("leaf copy", "leaf"),
        ("leaf copy 2", "leaf"),
        ("leaf - Copie (3)", "leaf"),
        ("Copy of leaf", "leaf"),
        ("leaf_flipped_rotated", "leaf"),
        ("IMG_2021", "img_2021"),
        ("leaf0012_photo3", "leaf#0012"),
        ("image (246)", "image (246)"),
        ("copy", "copy"),
    ],
)
def test_a_file_name_names_its_original(stem: str, original: str) -> None:
    assert original_name(stem) == original


def test_each_photo_says_which_rules_joined_it() -> None:
    grouping = group_photos(
        [
            member("a/1.jpg", seed=1),
            member("a/2.jpg", seed=1, user_group="x"),
            member("a/3.jpg", seed=2, user_group="x"),
        ]
    )

    assert grouping.rules == (("near-copy",), ("near-copy", "table"), ("table",))


def test_copy_in_the_name_proves_nothing_without_an_original() -> None:
    grouping = group_photos([member("rust/R.S_HL 7 copy.jpg", seed=1), member("rust/R.S_HL 7 copy 2.jpg", seed=2)])

    assert len(set(grouping.groups)) == 2


def test_a_copy_by_name_joins_the_original_that_is_there() -> None:
    grouping = group_photos([member("rust/leaf.jpg", seed=1), member("rust/leaf copy.jpg", seed=2)])

    assert len(set(grouping.groups)) == 1


def alike(path: str, seed: int, **others: str) -> GroupMember:
    """A photo whose thumbnail hardly differs from all others of this function, and whose hash differs much."""
    base = np.random.default_rng(0).integers(40, 216, 256)
    noise = np.random.default_rng(seed).integers(-15, 16, 256)
    small = (base + noise).astype(np.uint8).tobytes()
    return replace(member(path, seed=seed, **others), thumbnail=small)


def test_neighbouring_numbers_that_look_alike_are_one_leaf() -> None:
    members = [alike("a/x___RS_HL 1234.jpg", 1), alike("a/y___RS_HL 1235.jpg", 2)]
    members = [replace(one, source_path=one.source_path.replace(one.source_path[2], UUID)) for one in members]

    assert len(set(group_photos(members).groups)) == 1


def test_neighbouring_numbers_alone_are_two_leaves() -> None:
    members = [member("a/RS_HL 1234.jpg", seed=1), member("a/RS_HL 1235.jpg", seed=2)]

    assert len(set(group_photos(members).groups)) == 2


@pytest.mark.parametrize(("second", "groups"), [("2024-05-01T10:00:08", 1), ("2024-05-01T10:00:20", 2)])
def test_a_burst_is_alike_and_within_seconds(second: str, groups: int) -> None:
    members = [alike("a/p.jpg", 1, taken_at="2024-05-01T10:00:00"), alike("a/q.jpg", 2, taken_at=second)]

    assert len(set(group_photos(members).groups)) == groups


def test_equal_pixels_in_two_formats_are_one_content() -> None:
    members = [member("a/1.jpg", seed=1), member("a/1.png", seed=1), member("a/2.png", seed=2)]

    contents = group_photos(members, are_pixels_equal=lambda *_: True).contents

    assert contents[0] == contents[1] != contents[2]


def test_what_the_search_for_leaves_finds_is_one_group() -> None:
    members = [member("a/1.jpg", seed=1), member("a/2.jpg", seed=2)]

    grouping = group_photos(members, find_same_leaves=lambda *_: [(0, 1)])

    assert grouping.rules == (("same-leaf",), ("same-leaf",))
