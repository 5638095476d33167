"""Do only what is not done yet, and leave no image behind that no record names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plantset.clean.daft_engine import measure_with_daft
from plantset.clean.engine import measure_all
from plantset.clean.facts import PART_SUFFIX, Job, Outcome, PhotoFacts, Refusal
from plantset.clean.journal import Entry, JournalWriter, Stamp, read_journal, write_journal
from plantset.clean.scan import FoundFile
from plantset.clean.thresholds import CheckThresholds
from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.core.log import progress, say
from plantset.core.storage import is_remote, list_stored, remove_stored, status_of


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where the work is done and how.

    Attributes:
        settings: fingerprint of all that decides facts and images; entries of other settings are done anew.
        engine: "local" or "daft"; it changes nothing in the outcome.
    """

    journal: Path
    images_dir: Path
    settings: str
    min_size: int
    target_size: int
    num_workers: int | None
    thresholds: CheckThresholds = field(default_factory=CheckThresholds)
    engine: str = "local"
    daft_address: str | None = None


@dataclass(frozen=True, slots=True)
class Worked:
    """The outcome of each source path, how many were known already, and all that the journal knows.

    Attributes:
        images: all that the journal says was written, by this run or earlier ones.
        superseded: the journal holds lines that no longer count.
    """

    outcomes: Mapping[str, Outcome]
    reused: int
    journal: Mapping[str, Entry]
    images: frozenset[str]
    superseded: bool = False


def do_photos(files: Sequence[FoundFile], image_paths: Mapping[str, str], workshop: Workshop) -> Worked:
    """Measure the files that no journal entry covers; entries are appended as they come."""
    known = read_journal(workshop.journal)
    entries: dict[str, Entry] = {}
    todo: list[tuple[FoundFile, Stamp]] = []
    for file in files:
        stamp = _stamp(file, image_paths[file.source_path])
        entry = known.get(file.source_path)
        if stamp is None:
            entries[file.source_path] = Entry(workshop.settings, Stamp(-1, -1, ""), Refusal("unreadable"))
        elif entry is not None and entry.settings == workshop.settings and entry.stamp == stamp:
            entries[file.source_path] = entry
        else:
            todo.append((file, stamp))
    reused = len(entries)
    entries.update(_measure(todo, workshop))
    images = {entry.stamp.image_path for book in (known, entries) for entry in book.values()}
    outcomes = {path: entry.outcome for path, entry in entries.items()}
    superseded = any(entries.get(path, entry) is not entry for path, entry in known.items())
    return Worked(outcomes, reused, {**known, **entries}, frozenset(images - {""}), superseded)


def restore_images(kept: Iterable[tuple[FoundFile, str, PhotoFacts]], workshop: Workshop) -> None:
    """Write again the images that a record names and that are gone or cut short.

    Raises:
        DataError: a photo has become unreadable since it was measured.
    """
    if is_remote(workshop.images_dir):
        list(list_stored(workshop.images_dir))  # one listing, in place of one question for each image
    absent = [
        _job(file, image_path, workshop)
        for file, image_path, facts in kept
        if _length(workshop.images_dir / image_path) != facts.image_bytes
    ]
    for index, outcome in _outcomes(absent, workshop):
        if isinstance(outcome, Refusal):
            source = absent[index].source
            raise DataError(
                tr(f"{source} changed during the run", f"{source} a changé pendant l'exécution"),
                tr("run again: only what changed is done", "relancez : seul ce qui a changé sera refait"),
            )


def tidy(files: Sequence[FoundFile], worked: Worked, kept_images: set[str], workshop: Workshop) -> None:
    """Remove images that no record names (only ones that the journal says we wrote), and forget vanished sources."""
    for image_path in sorted(worked.images - kept_images):
        image = workshop.images_dir / image_path
        remove_stored(image)
        if not is_remote(image):
            remove_stored(image.with_name(image.name + PART_SUFFIX))
    here = {file.source_path for file in files}
    entries = {path: entry for path, entry in worked.journal.items() if path in here}
    if worked.superseded or len(entries) < len(worked.journal):
        write_journal(workshop.journal, entries)


def _measure(todo: Sequence[tuple[FoundFile, Stamp]], workshop: Workshop) -> dict[str, Entry]:
    jobs = [_job(file, stamp.image_path, workshop, stamp.size) for file, stamp in todo]
    fresh: dict[str, Entry] = {}
    outcomes = progress(_outcomes(jobs, workshop), title=tr("photos", "photos"), total=len(jobs), unit=" photo")
    try:
        with JournalWriter(workshop.journal) as journal:
            for index, outcome in outcomes:
                file, stamp = todo[index]
                fresh[file.source_path] = Entry(workshop.settings, stamp, outcome)
                journal.add(file.source_path, fresh[file.source_path])
    except KeyboardInterrupt:
        say(
            tr(
                f"\n{len(fresh)} of {len(jobs)} photos are done; run the same command again for the rest",
                f"\n{len(fresh)} photos sur {len(jobs)} sont faites ; relancez la même commande pour le reste",
            )
        )
        raise
    return fresh


def _outcomes(jobs: Sequence[Job], workshop: Workshop) -> Iterator[tuple[int, Outcome]]:
    if workshop.engine == "daft":
        return measure_with_daft(jobs, workshop.num_workers, workshop.daft_address)
    return measure_all(jobs, workshop.num_workers)


def _job(file: FoundFile, image_path: str, workshop: Workshop, source_bytes: int | None = None) -> Job:
    image = workshop.images_dir / image_path
    return Job(file.path, image, workshop.min_size, workshop.target_size, workshop.thresholds, source_bytes)


def _stamp(file: FoundFile, image_path: str) -> Stamp | None:
    try:
        status = status_of(file.path)
    except OSError:
        return None
    return Stamp(status.size, status.mtime_ns, image_path)


def _length(path: Path) -> int:
    try:
        return status_of(path).size
    except FileNotFoundError:
        return -1
