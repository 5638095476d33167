"""The whole set seen from above: balance, collections, sizes, groups across splits, what a model could cheat with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from plantset.clean.cues import PhotoCues, Shortcut
from plantset.core.errors import DataError
from plantset.core.files import read_json, sha256_json, write_json
from plantset.core.records import SPLITS, CleanRecord, Split

_METHOD = 1  # raise it when the same photos give other figures
_SIZE_EDGES_PX = (256, 512, 1024, 2048)


@dataclass(frozen=True, slots=True)
class ClassCount:
    """One class: its photos, its groups (different leaves) and its photos in each split."""

    label: str
    photos: int
    groups: int
    by_split: Mapping[Split, int]


@dataclass(frozen=True, slots=True)
class SourceCount:
    """One collection: its photos, its classes, and those of its classes that no other collection has."""

    source: str
    photos: int
    classes: Mapping[str, int]
    own_classes: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What is known of the kept photos together.

    Attributes:
        classes: rarest last.
        sources: largest first; empty where the records name none.
        sizes: (smallest short side of a bin in pixels, photos), from 0 up.
        spread: groups with photos in both splits; a split with itself: groups with two photos or more in it.
        shortcuts: empty when they were not asked for.
    """

    classes: tuple[ClassCount, ...]
    sources: tuple[SourceCount, ...]
    sizes: tuple[tuple[int, int], ...]
    spread: Mapping[tuple[Split, Split], int]
    shortcuts: tuple[Shortcut, ...]


def audit_path(output_file: Path) -> Path:
    """Return `NAME.audit.json` for `NAME.jsonl`."""
    return output_file.with_name(output_file.name.removesuffix(".jsonl") + ".audit.json")


def audit_photos(
    records: Sequence[CleanRecord], cues: Sequence[PhotoCues] | None, seed: int, path: Path | None = None
) -> Audit:
    """Look at all kept photos together; at the cues only where they are given.

    Args:
        records: the kept photos.
        cues: of each record, in the same order; None leaves the shortcuts out.
        seed: of the regressions' folds.
        path: `audit_path`; shortcuts that stand there for the same photos are read instead of measured again.
    """
    shortcuts = _shortcuts(records, cues, seed, path) if cues is not None else ()
    audit = Audit(_classes(records), _sources(records), _sizes(records), _spread(records), shortcuts)
    if path is not None:
        write_json(path, _row(audit, _fingerprint(records, seed)))
    return audit


def _shortcuts(
    records: Sequence[CleanRecord], cues: Sequence[PhotoCues], seed: int, path: Path | None
) -> tuple[Shortcut, ...]:
    if path is not None and path.exists():
        try:
            row = read_json(path)
            if row["fingerprint"] == _fingerprint(records, seed) and row["shortcuts"]:
                return tuple(Shortcut(**shortcut) for shortcut in row["shortcuts"])
        except (DataError, KeyError, TypeError):
            pass  # of another version, or cut short by hand: measured anew and written over
    from plantset.clean.shortcuts import measure_shortcuts  # scikit-learn takes a second to import

    return measure_shortcuts(records, cues, seed)


def _fingerprint(records: Sequence[CleanRecord], seed: int) -> str:
    return sha256_json([_METHOD, seed, [[record.sha256, record.label, record.group] for record in records]])


def _classes(records: Sequence[CleanRecord]) -> tuple[ClassCount, ...]:
    photos: dict[str, Counter[Split]] = defaultdict(Counter)
    groups: dict[str, set[str]] = defaultdict(set)
    for record in records:
        photos[record.label][record.split] += 1
        groups[record.label].add(record.group)
    counts = [ClassCount(label, by.total(), len(groups[label]), dict(by)) for label, by in photos.items()]
    return tuple(sorted(counts, key=lambda count: (-count.photos, count.label)))


def _sources(records: Sequence[CleanRecord]) -> tuple[SourceCount, ...]:
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    homes: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.source is not None:
            classes[record.source][record.label] += 1
            homes[record.label].add(record.source)
    counts = [
        SourceCount(source, labels.total(), dict(labels), sum(len(homes[label]) == 1 for label in labels))
        for source, labels in classes.items()
    ]
    return tuple(sorted(counts, key=lambda count: (-count.photos, count.source)))


def _sizes(records: Sequence[CleanRecord]) -> tuple[tuple[int, int], ...]:
    edges = (0, *_SIZE_EDGES_PX)
    bins = Counter(max(edge for edge in edges if edge <= min(record.original_size)) for record in records)
    return tuple((edge, bins[edge]) for edge in edges)


def _spread(records: Sequence[CleanRecord]) -> dict[tuple[Split, Split], int]:
    groups: dict[str, Counter[Split]] = defaultdict(Counter)
    for record in records:
        groups[record.group][record.split] += 1
    pairs: Counter[tuple[Split, Split]] = Counter()
    for by in groups.values():
        pairs.update((split, split) for split in SPLITS if by[split] > 1)
        pairs.update((one, two) for one, two in combinations(SPLITS, 2) if by[one] and by[two])
    return dict(pairs)


def _row(audit: Audit, fingerprint: str) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint,
        "classes": [asdict(count) for count in audit.classes],
        "sources": [asdict(count) for count in audit.sources],
        "short_side_px": [{"from": edge, "photos": photos} for edge, photos in audit.sizes],
        "groups_in_splits": [
            {"splits": list(splits), "groups": groups} for splits, groups in sorted(audit.spread.items())
        ],
        "shortcuts": [asdict(shortcut) for shortcut in audit.shortcuts],
    }
