"""The report of a cleaning run as one HTML page: verdict in words, pictures of every problem, tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from plantset.clean.audit import Audit
from plantset.clean.cues import CUES
from plantset.clean.page_verdict import write_verdict
from plantset.clean.report import CleanReport
from plantset.clean.selection import LABEL_CONFLICT
from plantset.clean.titles import cue_title, issue_title
from plantset.core.page import data_address, render_page
from plantset.core.photo import decode_photo, encode_jpeg
from plantset.core.records import SPLITS, CleanRecord, RejectedRecord

_TEMPLATE = Path(__file__).with_name("report.html.j2")
_PICTURE_PX = 132
_PICTURE_QUALITY = 60
_PICTURES = 6  # of one problem
_GROUPS = 16  # of copies under different labels
_OF_A_GROUP = 8
_NAMES = 20  # of refused files, for each reason
_MATRIX = (150, 30)  # classes × collections that still read as a picture


@dataclass(frozen=True, slots=True)
class Picture:
    """A miniature with what to say of it."""

    address: str
    label: str
    source_path: str
    note: str


def report_page_path(output_file: Path) -> Path:
    """Return `NAME.report.html` for `NAME.jsonl`."""
    return output_file.with_name(output_file.name.removesuffix(".jsonl") + ".report.html")


def render_clean_page(
    report: CleanReport, records: Sequence[CleanRecord], rejected: Sequence[RejectedRecord], audit: Audit
) -> str:
    """Return the page, in the language of messages; under 3 MB whatever the number of photos.

    Raises:
        PhotoError: a written image is gone.
    """
    pictures = _Pictures(report.images_dir)
    families = _families(records)
    conflicts = [group for group in families if _has_conflict(group)]
    leaks = [group for group in families if _is_spread(group)]
    copies = [group for group in families if not _has_conflict(group) and not _is_spread(group)]
    values: dict[str, Any] = {
        "report": report,
        "audit": audit,
        "splits": [split for split in SPLITS if any(split in count.by_split for count in audit.classes)],
        "conflicts": [pictures.of(_one_of_each(group, lambda record: record.label)) for group in conflicts[:_GROUPS]],
        "num_conflicts": len(conflicts),
        "leaks": [
            pictures.of(_one_of_each(group, lambda record: record.split), note="split") for group in leaks[:_PICTURES]
        ],
        "num_leaks": len(leaks),
        "copies": [pictures.of(group[:4]) for group in copies[:_PICTURES]],
        "num_copies": len(copies),
        "flagged": _flagged(records, pictures),
        "refused": _refused(rejected),
        "issue_title": issue_title,
        "cue_title": cue_title,
        "cues": CUES,
        "shortcuts": [(scope, list(rows)) for scope, rows in groupby(audit.shortcuts, key=lambda row: row.scope)],
        "matrix_limit": _MATRIX,
        "largest_class": max((count.photos for count in audit.classes), default=1),
        "largest_size": max((photos for _, photos in audit.sizes), default=1),
    }
    return render_page(_TEMPLATE, write_verdict(report, audit), values)


class _Pictures:
    """Makes miniatures from the written images."""

    def __init__(self, images_dir: Path) -> None:
        self._images_dir = images_dir

    def of(self, records: Iterable[CleanRecord], note: str = "") -> list[Picture]:
        return [self._picture(record, record.split if note == "split" else "") for record in records]

    def _picture(self, record: CleanRecord, note: str) -> Picture:
        photo = decode_photo(self._images_dir / record.image_path, longer_side_px=_PICTURE_PX)
        jpeg = encode_jpeg(photo.pixels, _PICTURE_QUALITY)
        return Picture(data_address(jpeg, "jpeg"), record.label, record.source_path, note)


def _families(records: Sequence[CleanRecord]) -> list[list[CleanRecord]]:
    """Return the groups of two photos or more, those under several labels first, then in the order of their names."""
    groups: dict[str, list[CleanRecord]] = defaultdict(list)
    for record in records:
        groups[record.group].append(record)
    several = [group for group in groups.values() if len(group) > 1]
    return sorted(several, key=lambda group: (len({record.label for record in group}) == 1, group[0].source_path))


def _has_conflict(group: Sequence[CleanRecord]) -> bool:
    return any(LABEL_CONFLICT in record.issues for record in group)


def _is_spread(group: Sequence[CleanRecord]) -> bool:
    return len({record.split for record in group}) > 1


def _one_of_each(group: Sequence[CleanRecord], of: Callable[[CleanRecord], str]) -> list[CleanRecord]:
    """Return a photo of each kind first, then others, few enough to be shown: a burst may hold thousands."""
    first: dict[str, CleanRecord] = {}
    others = [record for record in group if first.setdefault(of(record), record) is not record]
    return [*first.values(), *others][:_OF_A_GROUP]


def _flagged(records: Sequence[CleanRecord], pictures: _Pictures) -> list[tuple[str, int, list[Picture]]]:
    """Return (issue, how many photos have it, the first of them evenly spread over the set)."""
    found: dict[str, list[CleanRecord]] = defaultdict(list)
    for record in records:
        for issue in record.issues:
            if issue != LABEL_CONFLICT:
                found[issue].append(record)
    commonest = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(issue, len(photos), pictures.of(_spread_out(photos))) for issue, photos in commonest]


def _spread_out(records: Sequence[CleanRecord]) -> list[CleanRecord]:
    step = max(1, len(records) // _PICTURES)
    return list(records[::step][:_PICTURES])


def _refused(rejected: Sequence[RejectedRecord]) -> list[tuple[str, int, Sequence[RejectedRecord]]]:
    by_reason: dict[str, list[RejectedRecord]] = defaultdict(list)
    for record in rejected:
        by_reason[record.reason].append(record)
    commonest: Mapping[str, list[RejectedRecord]] = dict(
        sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    )
    return [(reason, len(records), records[:_NAMES]) for reason, records in commonest.items()]
