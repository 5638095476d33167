"""Which photos stay: excluded labels, exact copies and rare classes go, each with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from plantset.clean.embeddings import MIN_PLANT_SHARE, see_photos
from plantset.clean.facts import Outcome, PhotoFacts, Refusal
from plantset.clean.groups import GroupMember, group_photos
from plantset.clean.same_leaf import find_same_leaves
from plantset.clean.scan import FoundFile
from plantset.clean.seen import LeafPhoto
from plantset.clean.split import SplitMember, strongest
from plantset.clean.thresholds import NOT_A_LEAF
from plantset.core.photo import decode_photo
from plantset.core.records import RejectedRecord, Split

EXACT_COPY = "exact-copy"
NEAR_COPY = "near-copy"
EXCLUDED = "excluded-label"
NO_LABEL = "no-label"
TOO_FEW_GROUPS = "too-few-groups"
LABEL_CONFLICT = "label-conflict"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A photo that is good by itself; the rest is filled by `group_candidates` and `name_copies`.

    Attributes:
        content: equal for photos of equal bytes or pixels.
        cluster: equal for copies of one photo.
        rules: why it is in its group.
        copy_of: source path of the best photo among its near copies; None for that one.
        reviewed: what a person decided, "keep" or "relabel"; None where nobody did.
        label_before: the label before a person changed it.
    """

    file: FoundFile
    label: str
    image_path: str
    facts: PhotoFacts
    group: str = ""
    in_conflict: bool = False
    content: str = ""
    cluster: str = ""
    rules: tuple[str, ...] = ()
    copy_of: str | None = None
    reviewed: str | None = None
    label_before: str | None = None

    @property
    def photo(self) -> LeafPhoto:
        """Where it lies and what it is."""
        return LeafPhoto(self.file.path, self.facts.sha256)

    def split_member(self, previous: Mapping[str, Split]) -> SplitMember:
        """Return what splitting needs to know of it; `previous` is the split of each content in an earlier manifest."""
        return SplitMember(self.label, self.group, self.file.split, previous.get(self.facts.sha256))


def is_excluded(label: str | None, patterns: Iterable[str]) -> bool:
    """Return whether the label matches one of the user's patterns (`ambiguous|*`), case and all."""
    return label is not None and any(fnmatchcase(label, pattern) for pattern in patterns)


def sort_out(
    files: Sequence[FoundFile], outcomes: Mapping[str, Outcome], image_paths: Mapping[str, str]
) -> tuple[list[Candidate], list[RejectedRecord]]:
    """Part what is good by itself from what is not; a file without an outcome has a `refusal`."""
    candidates: list[Candidate] = []
    rejected: list[RejectedRecord] = []
    for file in files:
        outcome = outcomes[file.source_path] if file.refusal is None else Refusal(*file.refusal)
        if isinstance(outcome, Refusal):
            rejected.append(RejectedRecord(file.source_path, outcome.reason, outcome.detail))
        elif file.label is None:
            rejected.append(RejectedRecord(file.source_path, NO_LABEL, "no class folder or label cell"))
        else:
            candidates.append(Candidate(file, file.label, image_paths[file.source_path], outcome))
    return candidates, rejected


def flag_without_plant(candidates: Sequence[Candidate], embeddings_file: Path) -> list[Candidate]:
    """Return the candidates; those that show nothing of a plant have the issue `not-a-leaf`.

    Args:
        embeddings_file: memory of `--embeddings`; made and extended here.
    """
    shares = see_photos([candidate.photo for candidate in candidates], embeddings_file)
    return [
        candidate if share >= MIN_PLANT_SHARE else _with_issue(candidate, NOT_A_LEAF)
        for candidate, share in zip(candidates, shares, strict=True)
    ]


def _with_issue(candidate: Candidate, issue: str) -> Candidate:
    issues = tuple(sorted({*candidate.facts.issues, issue}))
    return replace(candidate, facts=replace(candidate.facts, issues=issues))


def group_candidates(
    candidates: Sequence[Candidate], embeddings_file: Path | None = None
) -> tuple[list[Candidate], int]:
    """Return the candidates with their groups and conflicts, and how many pairs of near copies there are.

    Args:
        candidates: sorted by source path.
        embeddings_file: what `flag_without_plant` remembered of all of them; None goes without.
    """

    def are_pixels_equal(first: int, second: int) -> bool:
        return _are_pixels_equal(candidates[first].file.path, candidates[second].file.path)

    def find_pairs(indices: Sequence[int], likely: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        assert embeddings_file is not None
        places = {index: place for place, index in enumerate(indices)}
        photos = [candidates[index].photo for index in indices]
        near = [(places[one], places[other]) for one, other in likely if one in places and other in places]
        return [(indices[one], indices[other]) for one, other in find_same_leaves(photos, near, embeddings_file)]

    members = [_group_member(candidate) for candidate in candidates]
    grouping = group_photos(members, are_pixels_equal, find_pairs if embeddings_file else None)
    labels: dict[str, set[str]] = defaultdict(set)
    for candidate, group in zip(candidates, grouping.groups, strict=True):
        labels[group].add(candidate.label)
    grouped = [
        replace(
            candidate,
            group=grouping.groups[index],
            content=grouping.contents[index],
            cluster=grouping.clusters[index],
            rules=grouping.rules[index],
            in_conflict=len(labels[grouping.groups[index]]) > 1,
        )
        for index, candidate in enumerate(candidates)
    ]
    return grouped, grouping.near_copy_pairs


def drop_exact_copies(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[RejectedRecord]]:
    """Keep one photo for each content and label: the one in the strongest split, then the first by name."""
    copies: list[RejectedRecord] = []
    kept: list[Candidate] = []
    for family in _families(candidates, "content"):
        first = min(_in_strongest_split(family), key=lambda candidate: candidate.file.source_path)
        kept.append(first)
        for candidate in family:
            if candidate is not first:
                same_bytes = candidate.facts.sha256 == first.facts.sha256
                detail = f"of {first.file.source_path}" + ("" if same_bytes else ", in another format")
                copies.append(RejectedRecord(candidate.file.source_path, EXACT_COPY, detail))
    return sorted(kept, key=lambda candidate: candidate.file.source_path), copies


def name_copies(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Choose the best photo of each cluster of near copies under one label; the others say in `copy_of` which it is.

    The best stands in the strongest given split, fails the fewest checks, is the largest, then the sharpest: at one
    size and one quality, a sharper picture takes more bytes.
    """
    best: dict[str, str] = {}
    for family in _families(candidates, "cluster"):
        first = min(_in_strongest_split(family), key=_quality)
        best |= {one.file.source_path: first.file.source_path for one in family if one is not first}
    return [replace(candidate, copy_of=best.get(candidate.file.source_path)) for candidate in candidates]


def drop_near_copies(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[RejectedRecord]]:
    """Leave out what `name_copies` found to be a lesser copy."""
    kept = [candidate for candidate in candidates if candidate.copy_of is None]
    copies = [
        RejectedRecord(candidate.file.source_path, NEAR_COPY, f"of {candidate.copy_of}")
        for candidate in candidates
        if candidate.copy_of is not None
    ]
    return kept, copies


def _families(candidates: Sequence[Candidate], what: str) -> list[list[Candidate]]:
    families: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        families[getattr(candidate, what) or candidate.facts.sha256, candidate.label].append(candidate)
    return list(families.values())


def _in_strongest_split(family: Sequence[Candidate]) -> list[Candidate]:
    splits = [candidate.file.split for candidate in family if candidate.file.split is not None]
    wanted = strongest(splits) if splits else None
    return [candidate for candidate in family if candidate.file.split == wanted]


def _quality(candidate: Candidate) -> tuple[int, int, float, str]:
    facts = candidate.facts
    width, height = facts.original_size
    bytes_a_pixel = facts.image_bytes / (facts.size[0] * facts.size[1])
    return len(facts.issues), -width * height, -bytes_a_pixel, candidate.file.source_path


def _are_pixels_equal(first: Path, second: Path) -> bool:
    """Decode both in full; two decoders may round one grey level apart."""
    one, other = (decode_photo(path).pixels for path in (first, second))
    return one.shape == other.shape and int(np.abs(one.astype(np.int16) - other).max()) <= 1


def drop_rare_classes(
    candidates: Sequence[Candidate], min_group_count: int
) -> tuple[list[Candidate], list[RejectedRecord]]:
    """Leave out the classes that have fewer groups than asked for."""
    groups: dict[str, set[str]] = defaultdict(set)
    for candidate in candidates:
        groups[candidate.label].add(candidate.group)
    rare = {label: len(names) for label, names in groups.items() if len(names) < min_group_count}
    kept = [candidate for candidate in candidates if candidate.label not in rare]
    left_out = [
        RejectedRecord(candidate.file.source_path, TOO_FEW_GROUPS, f"{candidate.label}: {rare[candidate.label]} groups")
        for candidate in candidates
        if candidate.label in rare
    ]
    return kept, left_out


def _group_member(candidate: Candidate) -> GroupMember:
    return GroupMember(
        source_path=candidate.file.source_path,
        label=candidate.label_before or candidate.label,  # a corrected photo is still of its leaf: no new leak
        sha256=candidate.facts.sha256,
        phash=int(candidate.facts.phash, 16),
        thumbnail=candidate.facts.thumbnail,
        source=candidate.file.source,
        user_group=candidate.file.user_group,
        plain="uniform" in candidate.facts.issues,
        original_size=candidate.facts.original_size,
        taken_at=candidate.facts.taken_at,
    )
