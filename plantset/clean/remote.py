"""Photos and outputs in an object store: how they are listed, and where the manifest is made before it goes there."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from plantset.clean.journal import journal_path
from plantset.clean.scan import FoundFile, place_file
from plantset.core.files import write_bytes
from plantset.core.storage import list_stored, read_stored, url_of, write_stored


def scan_store(root: Path) -> list[FoundFile]:
    """Return every object under `root`, sorted by `source_path`, as `scan_folder` does for a folder."""
    return sorted((place_file(root, path) for path in list_stored(root)), key=lambda file: file.source_path)


def stage_for(output_file: Path) -> Path:
    """Return the local path where a manifest is made that belongs into a store.

    It is the same for the same output, so that a killed run goes on where it was.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "plantset" / "clean" / sha256(url_of(output_file).encode()).hexdigest()[:16] / output_file.name


def fetch_journal(output_file: Path, staged: Path) -> None:
    """Take over what another machine has done: its journal lies beside the manifest it published."""
    if journal_path(staged).exists():
        return
    try:
        write_bytes(journal_path(staged), read_stored(journal_path(output_file)))
    except FileNotFoundError:
        staged.parent.mkdir(parents=True, exist_ok=True)


def publish(staged: Path, output_file: Path) -> None:
    """Copy all that was made beside the staged manifest to the store, the manifest last."""
    made = sorted((path for path in staged.parent.iterdir() if path.is_file()), key=lambda path: path == staged)
    for path in made:
        write_stored(output_file.with_name(path.name), path.read_bytes())
