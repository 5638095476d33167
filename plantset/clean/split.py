"""Who trains, who validates, who tests: whole groups, each class in its share, the same for the same seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from plantset.core.records import SPLITS, Split

_STRENGTH: dict[Split, int] = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True, slots=True)
class SplitMember:
    """What splitting needs to know of one photo.

    Attributes:
        given: the split that the user's folders or table say.
        previous: the split in an earlier manifest.
    """

    label: str
    group: str
    given: Split | None
    previous: Split | None = None


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Shares of the held-out splits, the seed, and whether leaks are mended."""

    val_ratio: float
    test_ratio: float
    seed: int
    fix_leaks: bool


def strongest(splits: Sequence[Split]) -> Split:
    """Return the split that wins when copies of one photo stand in several: test over val over train."""
    return max(splits, key=_STRENGTH.__getitem__)


def find_leaks(members: Sequence[SplitMember]) -> list[str]:
    """Return the groups that the user's own splits, or those of an earlier manifest, spread over several; sorted."""
    splits: dict[str, set[Split]] = defaultdict(set)
    for member in settle(members):
        if member.given:
            splits[member.group].add(member.given)
    return sorted(group for group, given in splits.items() if len(given) > 1)


def settle(members: Sequence[SplitMember]) -> list[SplitMember]:
    """Return the members with `given` as an earlier manifest completes it.

    What the user's folders say wins, but for photos in train that an earlier run drew for a split that the user has
    not made.
    """
    made = {member.given for member in members}
    return [
        replace(member, given=member.previous)
        if member.previous and (member.given is None or (member.given == "train" and member.previous not in made))
        else member
        for member in members
    ]


def assign_splits(members: Sequence[SplitMember], plan: SplitPlan) -> list[Split]:
    """Return each photo's split, in order.

    Splits that are given, now or in an earlier manifest, are kept (`plan.fix_leaks` unites a group that is spread).
    When the user gave some splits but
    not val, or not test though it is asked for, those are drawn from train. Everything else is drawn group by group,
    stratified by label; a held-out split gets at least one group of each class that has enough of them.
    """
    members = settle(members)
    given = _given_splits(members, plan)
    wanted: list[Split] = [split for split in SPLITS if split == "train" or _ratio(plan, split) > 0]
    present = {split for split in given if split}
    lacking = [split for split in wanted if split not in present]
    if present and lacking:
        given, wanted = _free_train(members, given), ["train", *(split for split in lacking if split != "train")]
    chosen = _draw(members, given, wanted, plan)
    return [split or chosen[member.group] for member, split in zip(members, given, strict=True)]


def _given_splits(members: Sequence[SplitMember], plan: SplitPlan) -> list[Split | None]:
    """A photo without a split joins its group's; leaks are mended here."""
    by_group: dict[str, list[Split]] = defaultdict(list)
    for member in members:
        if member.given:
            by_group[member.group].append(member.given)
    unite = {group: strongest(splits) for group, splits in by_group.items()}
    return [
        unite.get(member.group) if plan.fix_leaks else member.given or unite.get(member.group) for member in members
    ]


def _free_train(members: Sequence[SplitMember], given: Sequence[Split | None]) -> list[Split | None]:
    """Let go of the groups that stand wholly in train, so that the missing splits can be drawn from them."""
    held_out = {member.group for member, split in zip(members, given, strict=True) if split not in (None, "train")}
    return [split if member.group in held_out else None for member, split in zip(members, given, strict=True)]


def _draw(
    members: Sequence[SplitMember], given: Sequence[Split | None], wanted: Sequence[Split], plan: SplitPlan
) -> dict[str, Split]:
    """Give each free group to the split of its class that lacks most, large groups first."""
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    filled: dict[str, Counter[Split]] = defaultdict(Counter)
    for member, fixed in zip(members, given, strict=True):
        if fixed is None:
            labels[member.group][member.label] += 1
        else:
            filled[member.label][fixed] += 1
    by_label: dict[str, list[str]] = defaultdict(list)
    for group, counts in labels.items():
        by_label[min(counts, key=lambda label: (-counts[label], label))].append(group)
    chosen: dict[str, Split] = {}
    for label, groups in by_label.items():
        sizes = {group: labels[group].total() for group in groups}
        order = sorted(groups, key=lambda group: (-sizes[group], _lot(plan.seed, group)))
        missing = _targets(sizes, filled[label], wanted, plan)
        for group in order:
            split = max(missing, key=missing.__getitem__)
            missing[split] -= sizes[group]
            chosen[group] = split
    return chosen


def _targets(
    sizes: Mapping[str, int], filled: Counter[Split], wanted: Sequence[Split], plan: SplitPlan
) -> dict[Split, float]:
    """How many photos of one class each split still lacks."""
    total = sum(sizes.values()) + filled.total()
    held_out = [split for split in wanted if split != "train"]
    enough_groups = len(sizes) > len(held_out) - (filled["train"] > 0)
    missing: dict[Split, float] = {"train": float(sum(sizes.values()))}
    for split in held_out:
        target = _ratio(plan, split) * total
        if enough_groups:
            target = max(target, 1.0)
        missing[split] = target - filled[split]
        missing["train"] -= max(0.0, missing[split])
    return missing


def _ratio(plan: SplitPlan, split: Split) -> float:
    return {"train": 1.0, "val": plan.val_ratio, "test": plan.test_ratio}[split]


def _lot(seed: int, group: str) -> str:
    """A random-looking order that depends on nothing but the seed and the group."""
    return sha256(f"{seed}:{group}".encode()).hexdigest()
