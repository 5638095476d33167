"""Which photos belong together: copies of one photo, photos of one leaf."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from plantset.clean.duplicates import confirm_pairs
from plantset.clean.hamming import near_pairs

_STEM_NUMBER = re.compile(r"^(?:real|orig|original|aug|augmented)_(\d+)(?:_\d+)?$")
_ITSELF = re.compile(r"^(?:real|orig|original)_\d+$")
_NUMBERED_LEAF = re.compile(r"^(leaf|feuille|plant|plante)[ _-]?(\d+)[ _-]+(?:photo|view|vue|img)[ _-]?\d+$")
_COPY_WORD = "merged|aug|augmented|copy|copie|flip|flipped|rotated"
_COPY_SUFFIX = re.compile(rf"(?:[ _-]+(?:{_COPY_WORD})(?:[ _-]?\d+)?(?: ?\(\d+\))?| ?\((?:copy|copie)\))$")
_COPY_PREFIX = re.compile(r"^(?:copy of|copie de|aug_|augmented_)\s*")


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


@dataclass(frozen=True, slots=True)
class Grouping:
    """Who belongs together, and where that contradicts the labels.

    Attributes:
        groups: name of each photo's group, in order; made from content, so that it doesn't change with file names.
        conflicts: indices of photos that are copies of a photo with another label.
        near_copy_pairs: how many pairs of near copies (not of equal bytes) were found.
    """

    groups: tuple[str, ...]
    conflicts: frozenset[int]
    near_copy_pairs: int


def group_photos(members: Sequence[GroupMember]) -> Grouping:
    """Join photos of equal bytes, near copies, names that say "copy of", and the user's own groups.

    Each rule joins; none hides that two labels meet: those photos are in `conflicts`.
    """
    parents = list(range(len(members)))
    conflicts: set[int] = set()
    same_bytes = _alike((index, member.sha256) for index, member in enumerate(members))
    told = _alike((index, member.user_group) for index, member in enumerate(members) if member.user_group)
    named = _named_copies(members)
    near = [pair for pair in _near_copies(members) if members[pair[0]].sha256 != members[pair[1]].sha256]
    for together in [*same_bytes, *told, *named, *near]:
        for other in together[1:]:
            _join(parents, together[0], other)
        if len({members[index].label for index in together}) > 1:
            conflicts.update(together)
    return Grouping(_names(members, parents), frozenset(conflicts), len(near))


def original_name(stem: str) -> str:
    """Return what a file's stem says its original is: `aug_00005_006` and `real_00005_merged` are both `#00005`.

    `leaf0012_photo3` says that it is one of several photos of leaf 12: `leaf#0012`. A stem that says nothing is its
    own original.
    """
    name = stem.casefold().strip()
    while True:
        shorter = _COPY_SUFFIX.sub("", name)
        if shorter in (name, ""):
            break
        name = shorter
    numbered = _STEM_NUMBER.match(name)
    if numbered:
        return f"#{numbered[1]}"
    leaf = _NUMBERED_LEAF.match(name)
    if leaf:
        return f"{leaf[1]}#{leaf[2]}"
    return _COPY_PREFIX.sub("", name) or name


def _named_copies(members: Sequence[GroupMember]) -> list[list[int]]:
    """Only inside one class of one collection: elsewhere the same number is another photo."""
    families: dict[Hashable, list[int]] = defaultdict(list)
    speaking: set[Hashable] = set()
    for index, member in enumerate(members):
        stem = member.source_path.rsplit("/", 1)[-1].rsplit(".", 1)[0].casefold().strip()
        original = original_name(stem)
        key = (member.label, member.source, original)
        families[key].append(index)
        if original != stem and not _ITSELF.match(stem):
            speaking.add(key)
    return [families[key] for key in families if key in speaking and len(families[key]) > 1]


def _near_copies(members: Sequence[GroupMember]) -> list[list[int]]:
    speaking = [index for index, member in enumerate(members) if not member.plain]
    if len(speaking) < 2:
        return []
    hashes = np.array([members[index].phash for index in speaking], dtype=np.uint64)
    thumbnails = np.stack([np.frombuffer(members[index].thumbnail, dtype=np.uint8) for index in speaking])
    pairs = confirm_pairs(near_pairs(hashes), thumbnails)
    return [[speaking[first], speaking[second]] for first, second in pairs.tolist()]


def _alike(keyed: Iterable[tuple[int, Hashable]]) -> list[list[int]]:
    families: dict[Hashable, list[int]] = defaultdict(list)
    for index, key in keyed:
        families[key].append(index)
    return [family for family in families.values() if len(family) > 1]


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
