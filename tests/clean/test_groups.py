"""What belongs together, and where labels contradict it."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from plantset.clean.groups import GroupMember, group_photos
from plantset.clean.leaf_names import original_name


def member(path: str, *, label: str = "rust", sha: str | None = None, seed: int, **others: str) -> GroupMember:
    """A photo whose picture is decided by `seed` and whose bytes by `sha` (default: its path)."""
    rng = np.random.default_rng(seed)
    return GroupMember(
        source_path=path,
        label=label,
        sha256=sha or sha256(path.encode()).hexdigest(),
        phash=int(rng.integers(0, 2**63)),
        thumbnail=rng.integers(0, 256, 256, dtype=np.uint8).tobytes(),
        **others,
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
