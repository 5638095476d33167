"""Which photos stay: excluded labels, exact copies and rare classes go, each with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from plantset.clean.facts import Outcome, PhotoFacts, Refusal
from plantset.clean.groups import GroupMember, group_photos
from plantset.clean.scan import FoundFile
from plantset.clean.split import SplitMember, strongest
from plantset.core.records import RejectedRecord

EXACT_COPY = "exact-copy"
EXCLUDED = "excluded-label"
NO_LABEL = "no-label"
TOO_FEW_GROUPS = "too-few-groups"
LABEL_CONFLICT = "label-conflict"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A photo that is good by itself; `group` and `in_conflict` are filled by `group_candidates`."""

    file: FoundFile
    label: str
    image_path: str
    facts: PhotoFacts
    group: str = ""
    in_conflict: bool = False

    def split_member(self) -> SplitMember:
        """Return what splitting needs to know of it."""
        return SplitMember(self.label, self.group, self.file.split)


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


def group_candidates(candidates: Sequence[Candidate]) -> tuple[list[Candidate], int]:
    """Return the candidates with their groups and conflicts, and how many pairs of near copies there are."""
    grouping = group_photos([_group_member(candidate) for candidate in candidates])
    grouped = [
        replace(candidate, group=group, in_conflict=index in grouping.conflicts)
        for index, (candidate, group) in enumerate(zip(candidates, grouping.groups, strict=True))
    ]
    return grouped, grouping.near_copy_pairs


def drop_exact_copies(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[RejectedRecord]]:
    """Keep one photo for each content and label: the one in the strongest split, then the first by name."""
    families: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        families[candidate.facts.sha256, candidate.label].append(candidate)
    kept, copies = [], []
    for family in families.values():
        splits = [candidate.file.split for candidate in family if candidate.file.split is not None]
        wanted = strongest(splits) if splits else None
        first = min(family, key=lambda candidate: (candidate.file.split != wanted, candidate.file.source_path))
        kept.append(first)
        copies += [
            RejectedRecord(candidate.file.source_path, EXACT_COPY, f"of {first.file.source_path}")
            for candidate in family
            if candidate is not first
        ]
    return sorted(kept, key=lambda candidate: candidate.file.source_path), copies


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
        label=candidate.label,
        sha256=candidate.facts.sha256,
        phash=int(candidate.facts.phash, 16),
        thumbnail=candidate.facts.thumbnail,
        source=candidate.file.source,
        user_group=candidate.file.user_group,
        plain="uniform" in candidate.facts.issues,
    )
