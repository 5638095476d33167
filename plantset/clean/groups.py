"""Which photos belong together: copies of one photo, photos of one leaf."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from plantset.clean.duplicates import confirm_pairs, correlation
from plantset.clean.hamming import near_pairs
from plantset.clean.leaf_names import is_original, original_name, place_in_series, says_copy

SAME_BYTES = "same-bytes"
SAME_PIXELS = "same-pixels"
NEAR_COPY = "near-copy"
NAMED = "file-name"
SERIES = "series"
BURST = "burst"
SAME_LEAF = "same-leaf"
TABLE = "table"

# Of photos with neighbouring numbers 2 in 93 are as alike, of distant ones of the same series 1 in 316; only with
# `--embeddings` are the re-shots found that look less alike (28 of those 93).
MIN_ALIKE = 0.9
BURST_SECONDS = 10

_Pair = tuple[int, int]
FindSameLeaves = Callable[[Sequence[int], Sequence[_Pair]], Sequence[_Pair]]
ArePixelsEqual = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class GroupMember:
    """What grouping needs to know of one photo."""

    source_path: str
    label: str
    sha256: str
    phash: int
    thumbnail: bytes
    source: str | None = None
    user_group: str | None = None
    plain: bool = False  # almost uniform: its hash says nothing
    original_size: tuple[int, int] = (0, 0)
    taken_at: str | None = None

    @property
    def stem(self) -> str:
        """The file's name without folders and suffix."""
        return Path(self.source_path).stem


@dataclass(frozen=True, slots=True)
class Grouping:
    """Who belongs together, why, and where that contradicts the labels.

    Attributes:
        groups: name of each photo's group, in order; made from content, so that it doesn't change with file names.
        contents: name of each photo's picture: equal where bytes or all decoded pixels are equal.
        clusters: name of each photo's cluster of copies, a part of its group.
        rules: the rules that joined each photo to another, sorted.
        conflicts: indices of the photos whose group holds two labels.
        near_copy_pairs: how many pairs of near copies (not of equal bytes) were found.
    """

    groups: tuple[str, ...]
    contents: tuple[str, ...]
    clusters: tuple[str, ...]
    rules: tuple[tuple[str, ...], ...]
    conflicts: frozenset[int]
    near_copy_pairs: int


def group_photos(
    members: Sequence[GroupMember],
    are_pixels_equal: ArePixelsEqual | None = None,
    find_same_leaves: FindSameLeaves | None = None,
) -> Grouping:
    """Join copies of one photo, photos of one leaf, and what the user's table joins.

    Each rule joins; none hides that two labels meet: those photos are in `conflicts`.

    Args:
        members: the photos; the result doesn't depend on their order, for all is done in the order of their contents.
        are_pixels_equal: decodes two members and compares; asked of equal hashes and sizes only.
        find_same_leaves: pairs among the given members, the second argument being likely ones (`--embeddings`).
    """
    order = sorted(range(len(members)), key=lambda index: (members[index].sha256, members[index].source_path))

    def are_equal(first: int, second: int) -> bool:
        return are_pixels_equal is not None and are_pixels_equal(order[first], order[second])

    def find(places: Sequence[int], likely: Sequence[_Pair]) -> Sequence[_Pair]:
        assert find_same_leaves is not None
        outside = [(order[first], order[second]) for first, second in likely]
        place_of = {index: place for place, index in enumerate(order)}
        found = find_same_leaves([order[place] for place in places], outside)
        return [(place_of[first], place_of[second]) for first, second in found]

    found = _group_in_order([members[index] for index in order], are_equal, find if find_same_leaves else None)
    back = np.argsort(np.array(order, dtype=np.int64)).tolist()
    return Grouping(
        groups=tuple(found.groups[place] for place in back),
        contents=tuple(found.contents[place] for place in back),
        clusters=tuple(found.clusters[place] for place in back),
        rules=tuple(found.rules[place] for place in back),
        conflicts=frozenset(order[place] for place in found.conflicts),
        near_copy_pairs=found.near_copy_pairs,
    )


def _group_in_order(
    members: Sequence[GroupMember], are_pixels_equal: ArePixelsEqual, find_same_leaves: FindSameLeaves | None
) -> Grouping:
    same_bytes = _stars(_alike((index, member.sha256) for index, member in enumerate(members)))
    near = [pair for pair in _near_copies(members) if members[pair[0]].sha256 != members[pair[1]].sha256]
    same_pixels = [pair for pair in near if _may_be_equal(members, pair) and are_pixels_equal(*pair)]
    joined: dict[str, Sequence[_Pair]] = {SAME_BYTES: same_bytes, SAME_PIXELS: same_pixels, NEAR_COPY: near}
    contents = _united(members, same_bytes, same_pixels)
    clusters = _united(members, same_bytes, near)
    joined[TABLE] = _stars(
        _alike((index, member.user_group) for index, member in enumerate(members) if member.user_group)
    )
    joined[NAMED] = _named_copies(members)
    series, bursts = _next_in_series(members), _next_in_time(members)
    joined[SERIES] = _look_alike(members, series)
    joined[BURST] = _look_alike(members, bursts)
    if find_same_leaves is not None:
        firsts = sorted({contents[index]: index for index in reversed(range(len(members)))}.values())
        joined[SAME_LEAF] = find_same_leaves(firsts, [*series, *bursts])
    groups = _united(members, *joined.values())
    return Grouping(groups, contents, clusters, _rules(len(members), joined), _conflicts(members, groups), len(near))


def _may_be_equal(members: Sequence[GroupMember], pair: _Pair) -> bool:
    first, second = (members[index] for index in pair)
    return first.phash == second.phash and first.original_size == second.original_size


def _named_copies(members: Sequence[GroupMember]) -> list[_Pair]:
    """Only inside one class of one collection: elsewhere the same number is another photo.

    Where nothing but the word "copy" says so, the original must be there, or the photos must look alike.
    """
    families = _alike(
        (index, (member.label, member.source, original_name(member.stem))) for index, member in enumerate(members)
    )
    pairs: list[_Pair] = []
    for family in families:
        sources = [index for index in family if _is_source(members[index].stem)]
        derived = [index for index in family if not _is_source(members[index].stem)]
        told = [index for index in derived if sources or not says_copy(members[index].stem)]
        pairs += _stars([[*sources, *told]] if told else [])
        untold = sorted(set(derived[1:]) - set(told))
        pairs += _look_alike(members, [(derived[0], other) for other in untold])
    return pairs


def _is_source(stem: str) -> bool:
    return is_original(stem) or original_name(stem) == stem.casefold().strip()


def _next_in_series(members: Sequence[GroupMember]) -> list[_Pair]:
    """Photos of one class whose names a camera counted up, one after the other."""
    series: dict[Hashable, list[tuple[int, int]]] = defaultdict(list)
    for index, member in enumerate(members):
        place = place_in_series(member.stem)
        if place is not None:
            series[member.label, member.source, place[0]].append((place[1], index))
    return [
        (first, second)
        for shots in series.values()
        for (number, first), (next_number, second) in pairwise(sorted(shots))
        if next_number - number <= 1
    ]


def _next_in_time(members: Sequence[GroupMember]) -> list[_Pair]:
    """Photos of one class taken within `BURST_SECONDS` of each other, one after the other."""
    shots: dict[Hashable, list[tuple[datetime, int]]] = defaultdict(list)
    for index, member in enumerate(members):
        if member.taken_at:
            shots[member.label, member.source].append((datetime.fromisoformat(member.taken_at), index))
    return [
        (first, second)
        for times in shots.values()
        for (time, first), (next_time, second) in pairwise(sorted(times))
        if (next_time - time).total_seconds() <= BURST_SECONDS
    ]


def _look_alike(members: Sequence[GroupMember], pairs: Sequence[_Pair]) -> list[_Pair]:
    return [pair for pair in pairs if correlation(members[pair[0]].thumbnail, members[pair[1]].thumbnail) >= MIN_ALIKE]


def _near_copies(members: Sequence[GroupMember]) -> list[_Pair]:
    speaking = [index for index, member in enumerate(members) if not member.plain]
    if len(speaking) < 2:
        return []
    hashes = np.array([members[index].phash for index in speaking], dtype=np.uint64)
    thumbnails = np.stack([np.frombuffer(members[index].thumbnail, dtype=np.uint8) for index in speaking])
    pairs = confirm_pairs(near_pairs(hashes), thumbnails)
    return [(speaking[first], speaking[second]) for first, second in pairs.tolist()]


def _alike(keyed: Iterable[tuple[int, Hashable]]) -> list[list[int]]:
    families: dict[Hashable, list[int]] = defaultdict(list)
    for index, key in keyed:
        families[key].append(index)
    return list(families.values())


def _stars(families: Iterable[Sequence[int]]) -> list[_Pair]:
    """Each family as pairs with its first member."""
    return [(family[0], other) for family in families for other in family[1:]]


def _united(members: Sequence[GroupMember], *links: Sequence[_Pair]) -> tuple[str, ...]:
    """Name each member by the smallest content among all that the links join it to."""
    parents = list(range(len(members)))
    for pairs in links:
        for first, second in pairs:
            _join(parents, first, second)
    return _names(members, parents)


def _rules(count: int, joined: dict[str, Sequence[_Pair]]) -> tuple[tuple[str, ...], ...]:
    rules: list[set[str]] = [set() for _ in range(count)]
    for rule, pairs in joined.items():
        for pair in pairs:
            for index in pair:
                rules[index].add(rule)
    return tuple(tuple(sorted(names)) for names in rules)


def _conflicts(members: Sequence[GroupMember], groups: Sequence[str]) -> frozenset[int]:
    labels: dict[str, set[str]] = defaultdict(set)
    for member, group in zip(members, groups, strict=True):
        labels[group].add(member.label)
    return frozenset(index for index, group in enumerate(groups) if len(labels[group]) > 1)


def _join(parents: list[int], first: int, second: int) -> None:
    first, second = _root(parents, first), _root(parents, second)
    parents[max(first, second)] = min(first, second)


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index


def _names(members: Sequence[GroupMember], parents: list[int]) -> tuple[str, ...]:
    roots = [_root(parents, index) for index in range(len(members))]
    names: dict[int, str] = {}
    for root, member in zip(roots, members, strict=True):
        names[root] = min(names.get(root, member.sha256), member.sha256)
    return tuple(names[root][:16] for root in roots)
