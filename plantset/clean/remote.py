"""Photos and outputs in an object store: how they are listed, and where the manifest is made before it goes there."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from plantset.clean.journal import journal_path
from plantset.clean.scan import FoundFile, place_file
from plantset.clean.seen import memory_path
from plantset.core.files import write_bytes
from plantset.core.storage import list_stored, read_stored, url_of, write_stored

_GROWING = (journal_path, memory_path)


def scan_store(root: Path) -> list[FoundFile]:
    """Return every object under `root`, sorted by `source_path`, as `scan_folder` does for a folder."""
    return sorted((place_file(root, path) for path in list_stored(root)), key=lambda file: file.source_path)


def stage_for(output_file: Path) -> Path:
    """Return the local path where a manifest is made that belongs into a store.

    It is the same for the same output, so that a killed run goes on where it was.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "plantset" / "clean" / sha256(url_of(output_file).encode()).hexdigest()[:16] / output_file.name


def fetch_earlier(output_file: Path, staged: Path) -> None:
    """Take over what another machine has done: its manifest, whose splits stay, its journal, and what its network saw.

    The published manifest counts, whatever a killed run has left here; the other two only ever grow.
    """
    staged.parent.mkdir(parents=True, exist_ok=True)
    for name, newest_is_here in ((output_file.name, False), *((path(output_file).name, True) for path in _GROWING)):
        place = staged.with_name(name)
        if newest_is_here and place.exists():
            continue
        try:
            write_bytes(place, read_stored(output_file.with_name(name)))
        except FileNotFoundError:
            place.unlink(missing_ok=True)


def publish(staged: Path, output_file: Path) -> None:
    """Copy all that was made beside the staged manifest to the store, the manifest last."""
    files = (path for path in staged.parent.iterdir() if path.is_file() and not path.name.startswith("."))
    made = sorted(files, key=lambda path: path == staged)
    for path in made:
        write_stored(output_file.with_name(path.name), path.read_bytes())
