"""The SHA-256 of each photo's file, remembered: a file whose size and time are the same is not read again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from plantset.core.errors import DataError
from plantset.core.files import read_json, sha256_file, write_json
from plantset.core.language import tr
from plantset.core.log import progress

_RACY_NS = 2_000_000_000  # a file that changed just before its hashing may change again within one tick of its clock
_Row = tuple[int, int, str]


def hash_photos(paths: Sequence[Path], memory_path: Path) -> list[str]:
    """Return the SHA-256 of each file in hex.

    As in git's index, size and time of change stand for the content, except where the file changed within two seconds
    of its hashing: that one is read again next time.

    Args:
        memory_path: a JSON file of what was hashed before; made, or written anew where something changed.

    Raises:
        DataError: a photo is missing.
    """
    known = _remembered(memory_path)
    hashes: list[str] = []
    fresh: dict[str, _Row] = {}
    for path in progress(paths, title="sha256", unit="photo"):
        name = str(path.absolute())
        size, changed_ns = _stamp(path)
        row = known.get(name)
        if row is None or (row[0], row[1]) != (size, changed_ns):
            row = (size, changed_ns, sha256_file(path))
            if time.time_ns() - changed_ns > _RACY_NS:
                fresh[name] = row
        hashes.append(row[2])
    if fresh:
        write_json(memory_path, {**known, **fresh})
    return hashes


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise DataError(
            tr(f"{path} is missing", f"{path} manque"),
            tr(
                "bring the photo back, or make the manifest anew: plantset clean, plantset map",
                "remettez la photo, ou refaites le manifeste : plantset clean, plantset map",
            ),
        ) from error
    return status.st_size, status.st_mtime_ns


def _remembered(memory_path: Path) -> dict[str, _Row]:
    if not memory_path.exists():
        return {}
    try:
        held = read_json(memory_path)
    except DataError:  # torn: it only saves time, and is made anew
        return {}
    return {name: (size, changed_ns, digest) for name, (size, changed_ns, digest) in held.items()}
