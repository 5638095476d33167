"""Whole groups, fair shares, the same again."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plantset.clean.split import SplitMember, SplitPlan, assign_splits, find_leaks
from plantset.core.records import Split

PLAN = SplitPlan(val_ratio=0.15, test_ratio=0.2, seed=0, fix_leaks=False)
MENDING = SplitPlan(val_ratio=0.15, test_ratio=0.2, seed=0, fix_leaks=True)
NO_TEST = SplitPlan(val_ratio=0.15, test_ratio=0.0, seed=0, fix_leaks=False)


def photos(label: str, count: int, given: Split | None = None, *, start: int = 0) -> list[SplitMember]:
    return [SplitMember(label, f"{label}{index}", given) for index in range(start, start + count)]


def test_each_class_is_split_in_its_shares() -> None:
    members = photos("rust", 100) + photos("scab", 40)

    splits = Counter(zip((member.label for member in members), assign_splits(members, PLAN), strict=True))

    assert splits == {
        ("rust", "train"): 65, ("rust", "val"): 15, ("rust", "test"): 20,
        ("scab", "train"): 26, ("scab", "val"): 6, ("scab", "test"): 8,
    }  # fmt: skip


def test_no_test_split_is_made_unless_asked_for() -> None:
    assert set(assign_splits(photos("rust", 50), NO_TEST)) == {"train", "val"}


def test_three_photos_of_a_class_serve_all_three_splits() -> None:
    assert sorted(assign_splits(photos("rust", 3), PLAN)) == ["test", "train", "val"]


def test_the_only_photo_of_a_class_trains() -> None:
    assert assign_splits(photos("rust", 1), PLAN) == ["train"]


@pytest.mark.parametrize("seed", range(8))
def test_a_large_group_goes_to_train_and_leaves_singles_for_val(seed: int) -> None:
    members = [SplitMember("rust", "burst", None)] * 8 + photos("rust", 4)

    splits = assign_splits(members, SplitPlan(val_ratio=0.2, test_ratio=0.0, seed=seed, fix_leaks=False))

    assert splits[:8] == ["train"] * 8
    assert Counter(splits[8:]) == {"train": 2, "val": 2}


def test_another_seed_draws_others() -> None:
    members = photos("rust", 100)
    other = SplitPlan(val_ratio=0.15, test_ratio=0.2, seed=1, fix_leaks=False)

    assert assign_splits(members, PLAN) != assign_splits(members, other)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=1, max_size=60), st.randoms())
def test_groups_stay_whole_and_order_does_not_matter(drawn: list[tuple[str, int]], random: object) -> None:
    members = [SplitMember(label, str(group), None) for label, group in drawn]
    shuffled = members.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    splits = {member.group: split for member, split in zip(members, assign_splits(members, PLAN), strict=True)}

    assert assign_splits(members, PLAN) == [splits[member.group] for member in members]
    assert assign_splits(shuffled, PLAN) == [splits[member.group] for member in shuffled]


def test_given_splits_are_kept() -> None:
    members = photos("rust", 5, "train") + photos("rust", 3, "val", start=5) + photos("rust", 2, "test", start=8)

    assert assign_splits(members, PLAN) == [member.given for member in members]


def test_a_missing_val_is_drawn_from_train_and_test_stays() -> None:
    members = photos("rust", 17, "train") + photos("rust", 3, "test", start=17)

    splits = assign_splits(members, NO_TEST)

    assert splits[17:] == ["test"] * 3
    assert Counter(splits[:17]) == {"train": 14, "val": 3}


def test_a_missing_test_is_drawn_only_when_asked_for() -> None:
    members = photos("rust", 16, "train") + photos("rust", 4, "val", start=16)

    assert assign_splits(members, NO_TEST) == [member.given for member in members]
    assert Counter(assign_splits(members, PLAN)) == {"train": 12, "val": 4, "test": 4}


def test_what_is_without_a_split_fills_what_lacks() -> None:
    members = photos("rust", 5, "train") + photos("rust", 5, "val", start=5) + photos("rust", 10, start=10)

    assert Counter(assign_splits(members, NO_TEST)[10:]) == {"train": 10}


def test_a_photo_without_a_split_joins_its_copies() -> None:
    members = [SplitMember("rust", "x", "val"), SplitMember("rust", "x", None), *photos("rust", 5, "train")]

    assert assign_splits(members, NO_TEST)[:2] == ["val", "val"]


def test_a_leak_is_a_group_over_two_splits() -> None:
    members = [SplitMember("rust", "x", "val"), SplitMember("rust", "x", "train"), SplitMember("rust", "y", "val")]

    assert find_leaks(members) == ["x"]


def test_a_leak_is_left_as_it_is_unless_mending_is_asked_for() -> None:
    members = [SplitMember("rust", "x", "test"), SplitMember("rust", "x", "train"), *photos("rust", 2, "val")]

    assert assign_splits(members, PLAN)[:2] == ["test", "train"]


@pytest.mark.parametrize(
    ("first", "second", "winner"), [("train", "test", "test"), ("val", "test", "test"), ("train", "val", "val")]
)
def test_a_mended_leak_goes_to_the_stronger_split(first: Split, second: Split, winner: Split) -> None:
    rest = photos("rust", 3, "train") + photos("scab", 3, "val") + photos("scab", 3, "test", start=3)
    members = [SplitMember("rust", "x", first), SplitMember("rust", "x", second), *rest]

    assert assign_splits(members, MENDING)[:2] == [winner, winner]


def test_photos_of_an_earlier_manifest_keep_their_split() -> None:
    old = [SplitMember("rust", f"o{index}", None, "val" if index < 6 else "train") for index in range(10)]

    assert assign_splits([*old, *photos("rust", 2)], NO_TEST)[:10] == ["val"] * 6 + ["train"] * 4


def test_new_groups_go_to_the_split_that_lacks_most() -> None:
    old = [SplitMember("rust", f"o{index}", None, "val" if index < 6 else "train") for index in range(10)]

    assert assign_splits([*old, *photos("rust", 4)], NO_TEST)[10:] == ["train"] * 4


def test_a_val_that_was_drawn_from_train_stays_val() -> None:
    members = [
        SplitMember("rust", "a", "train", "val"),
        *photos("rust", 3, "train"),
        *photos("rust", 2, "test", start=3),
    ]

    assert assign_splits(members, NO_TEST)[0] == "val"


def test_a_photo_that_the_user_moves_goes_where_the_user_says() -> None:
    members = [SplitMember("rust", "a", "test", "val"), *photos("rust", 3, "train"), *photos("rust", 2, "val", start=3)]

    assert assign_splits(members, PLAN)[0] == "test"


def test_a_new_photo_that_joins_two_splits_is_a_leak() -> None:
    members = [
        SplitMember("rust", "x", None, "val"),
        SplitMember("rust", "x", None, "train"),
        SplitMember("rust", "x", None),
    ]

    assert find_leaks(members) == ["x"]
