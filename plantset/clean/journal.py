"""What has been done already: one line a photo, appended while working, so that a killed run goes on where it was.

It holds the capture times that the manifest leaves out (grouping needs them): a file to keep beside the output, not to
publish with it.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from plantset.clean.cues import PhotoCues
from plantset.clean.facts import Outcome, PhotoFacts, Refusal
from plantset.core.files import write_json_lines

_LINES_AT_ONCE = 64
_HELD_BACK_S = 0.5


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a source file looked like when it was read, and where its image went: equal means nothing to do."""

    size: int
    mtime_ns: int
    image_path: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo that was done, under the settings named by `settings`."""

    settings: str
    stamp: Stamp
    outcome: Outcome


def journal_path(output_file: Path) -> Path:
    """Return `NAME.work.jsonl` for `NAME.jsonl`."""
    return output_file.with_name(output_file.name.removesuffix(".jsonl") + ".work.jsonl")


def read_journal(path: Path) -> dict[str, Entry]:
    """Return source path -> its last entry, whatever its settings; a line cut off by a kill is left out."""
    if not path.exists():
        return {}
    entries: dict[str, Entry] = {}
    with path.open("rb") as file:
        for line in file:
            row = _parse(line)
            if row is not None:
                stamp = Stamp(row["bytes"], row["mtime_ns"], row["image_path"])
                entries[row["source_path"]] = Entry(row["settings"], stamp, _outcome(row))
    return entries


def write_journal(path: Path, entries: Mapping[str, Entry]) -> None:
    """Write the journal anew, atomically, in the order of the source paths."""
    write_json_lines(path, (_row(source_path, entries[source_path]) for source_path in sorted(entries)))


class JournalWriter:
    """Appends to a journal, some lines at a time: a kill loses the photos of the last half second at most."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._lines: list[bytes] = []
        self._written_at_s = time.monotonic()

    def __enter__(self) -> Self:
        cut_off = _last_byte(self._path) not in (b"", b"\n")
        self._file = self._path.open("ab", buffering=0)
        if cut_off:  # by a kill: the part stays a line of its own, which reading leaves out
            self._file.write(b"\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._write()
        self._file.close()

    def add(self, source_path: str, entry: Entry) -> None:
        """Append one photo."""
        self._lines.append(json.dumps(_row(source_path, entry)).encode("ascii") + b"\n")
        if len(self._lines) >= _LINES_AT_ONCE or time.monotonic() - self._written_at_s > _HELD_BACK_S:
            self._write()

    def _write(self) -> None:
        assert self._file is not None
        self._file.write(b"".join(self._lines))
        self._lines.clear()
        self._written_at_s = time.monotonic()


def _row(source_path: str, entry: Entry) -> dict[str, Any]:
    stamp, outcome = entry.stamp, entry.outcome
    row: dict[str, Any] = {
        "source_path": source_path,
        "settings": entry.settings,
        "bytes": stamp.size,
        "mtime_ns": stamp.mtime_ns,
        "image_path": stamp.image_path,
    }
    if isinstance(outcome, Refusal):
        return row | {"refusal": [outcome.reason, outcome.detail]}
    return row | {
        "sha256": outcome.sha256,
        "original_size": outcome.original_size,
        "size": outcome.size,
        "phash": outcome.phash,
        "issues": outcome.issues,
        "thumbnail_base64": base64.b64encode(outcome.thumbnail).decode("ascii"),
        "image_bytes": outcome.image_bytes,
        "colours_base64": base64.b64encode(outcome.cues.colours).decode("ascii"),
        "taken_at": outcome.taken_at,
    }


def _outcome(row: Mapping[str, Any]) -> Outcome:
    if "refusal" in row:
        return Refusal(*row["refusal"])
    if "thumbnail_base64" not in row:  # of an older version: its settings never equal ours, only its image path counts
        return Refusal("older-journal")
    return PhotoFacts(
        sha256=row["sha256"],
        original_size=tuple(row["original_size"]),
        size=tuple(row["size"]),
        phash=row["phash"],
        issues=tuple(row["issues"]),
        thumbnail=base64.b64decode(row["thumbnail_base64"]),
        image_bytes=row["image_bytes"],
        cues=PhotoCues(base64.b64decode(row["colours_base64"]), row["bytes"]),
        taken_at=row.get("taken_at"),
    )


def _parse(line: bytes) -> Any:
    """Return the line's object, None for a line that a kill cut off."""
    if not line.endswith(b"\n"):
        return None
    try:
        return json.loads(line)
    except ValueError:
        return None


def _last_byte(path: Path) -> bytes:
    if not path.exists() or not path.stat().st_size:
        return b""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)
