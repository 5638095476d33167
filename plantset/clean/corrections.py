"""What a person decided in `plantset review` wins over what the folders say: relabelled, left out, or seen and kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from plantset.clean.scan import FoundFile
from plantset.clean.selection import EXCLUDED, Candidate, is_excluded
from plantset.core.corrections import Correction, read_corrections
from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.core.records import RejectedRecord

CORRECTED = "corrected"

Book = Mapping[str, Correction]


@dataclass(frozen=True, slots=True)
class Corrected:
    """The photos after the decisions.

    Attributes:
        counts: decision -> how many photos it changed or confirmed, exact copies included; "idle": decisions about
            photos that are rejected for another reason.
        new_labels: labels that only a decision gives, no folder or table.
    """

    candidates: list[Candidate]
    rejected: list[RejectedRecord]
    counts: Mapping[str, int]
    new_labels: tuple[str, ...] = ()


def read_books(paths: Sequence[Path]) -> list[tuple[Path, Book]]:
    """Read the tables of decisions, in the order in which they were made.

    Raises:
        DataError: as `read_corrections`.
    """
    return [(path, read_corrections(path)) for path in paths]


def decided_paths(books: Sequence[tuple[Path, Book]]) -> frozenset[str]:
    """Return the source paths that a decision names."""
    return frozenset(source_path for _, book in books for source_path in book)


def apply_corrections(
    candidates: Sequence[Candidate],
    files: Sequence[FoundFile],
    books: Sequence[tuple[Path, Book]],
    excluded: Collection[str],
) -> Corrected:
    """Apply each table to what the one before left; a later review judges photos as the earlier left them.

    A decision holds for the exact copies of its photo under the same label too: else the copy would take the place
    of a photo that was rejected, and bring the wrong label back.

    Args:
        files: all that was found, to tell a photo that is gone from one that is rejected anyway.
        excluded: patterns of labels to leave out, which a new label may match.

    Raises:
        DataError: a decision is about a photo that is not there, that has changed, or that is called otherwise now.
    """
    found = {file.source_path for file in files}
    labels = {candidate.label for candidate in candidates}
    kept, rejected, counts = list(candidates), list[RejectedRecord](), Counter[str]()
    for path, book in books:
        kept, left_out = _apply_book(kept, path, book, found, {record.source_path for record in rejected}, counts)
        rejected += left_out
    if books:
        unwanted = [candidate for candidate in kept if is_excluded(candidate.label, excluded)]
        rejected += [RejectedRecord(candidate.file.source_path, EXCLUDED, candidate.label) for candidate in unwanted]
        kept = [candidate for candidate in kept if not is_excluded(candidate.label, excluded)]
    new_labels = tuple(sorted({candidate.label for candidate in kept} - labels))
    return Corrected(kept, rejected, counts, new_labels)


def _apply_book(
    candidates: Sequence[Candidate],
    path: Path,
    book: Book,
    found: Collection[str],
    rejected_before: Collection[str],
    counts: Counter[str],
) -> tuple[list[Candidate], list[RejectedRecord]]:
    by_path = {candidate.file.source_path: candidate for candidate in candidates}
    by_content: dict[tuple[str, str], Correction] = {}
    for source_path, correction in book.items():
        candidate = by_path.get(source_path)
        if candidate is None:
            if source_path not in found:
                raise _not_found(path, correction, candidates)
            if source_path in rejected_before:
                raise _rejected_before(path, correction)
            counts["idle"] += 1
            continue
        _check_match(path, correction, candidate)
        twin = by_content.setdefault((correction.sha256, correction.old_label), correction)
        if (twin.decision, twin.new_label) != (correction.decision, correction.new_label):
            raise _copies_disagree(path, twin, correction)
    kept: list[Candidate] = []
    rejected: list[RejectedRecord] = []
    for candidate in candidates:
        decided = by_content.get((candidate.facts.sha256, candidate.label))
        if decided is None:
            kept.append(candidate)
            continue
        counts[decided.decision] += 1
        if decided.decision == "reject":
            rejected.append(RejectedRecord(candidate.file.source_path, CORRECTED, f"rejected in {path.name}"))
        else:
            before = candidate.label_before or candidate.label
            kept.append(
                replace(
                    candidate,
                    label=decided.new_label,
                    reviewed=decided.decision,
                    label_before=before if decided.new_label != before else None,
                )
            )
    return kept, rejected


def _check_match(path: Path, correction: Correction, candidate: Candidate) -> None:
    where = tr(f"{path} line {correction.line}", f"{path} ligne {correction.line}")
    if candidate.facts.sha256 != correction.sha256:
        raise DataError(
            tr(
                f"{where}: {correction.source_path} has other bytes than when it was judged",
                f"{where} : {correction.source_path} n'a plus les octets qu'elle avait quand on l'a jugée",
            ),
            tr(
                "the photo was changed or replaced: look at it again with plantset review, or take the row out",
                "la photo a été modifiée ou remplacée : revoyez-la avec plantset review, ou ôtez la ligne",
            ),
        )
    if candidate.label != correction.old_label:
        raise DataError(
            tr(
                f"{where}: {correction.source_path} was called '{correction.old_label}' when it was judged, "
                f"and is called '{candidate.label}' now",
                f"{where} : {correction.source_path} s'appelait « {correction.old_label} » quand on l'a jugée, "
                f"et s'appelle « {candidate.label} » maintenant",
            ),
            tr(
                "take the row out if the folder is right now; several tables are given in the order they were made",
                "ôtez la ligne si le dossier est juste à présent ; plusieurs tableaux se donnent dans leur ordre",
            ),
        )


def _not_found(path: Path, correction: Correction, candidates: Sequence[Candidate]) -> DataError:
    moved = [item.file.source_path for item in candidates if item.facts.sha256 == correction.sha256]
    where = tr(f"{path} line {correction.line}", f"{path} ligne {correction.line}")
    return DataError(
        tr(
            f"{where}: there is no photo {correction.source_path} in the source folder",
            f"{where} : il n'y a pas de photo {correction.source_path} dans le dossier source",
        ),
        tr(f"its bytes are now at {moved[0]}", f"ses octets sont maintenant à {moved[0]}")
        if moved
        else tr(
            "clean the folder that was reviewed, or take the row out",
            "nettoyez le dossier qui a été relu, ou ôtez la ligne",
        ),
    )


def _rejected_before(path: Path, correction: Correction) -> DataError:
    return DataError(
        tr(
            f"{path} line {correction.line}: {correction.source_path} was rejected by an earlier table",
            f"{path} ligne {correction.line} : {correction.source_path} a été écartée par un tableau précédent",
        ),
        tr("take one of the two rows out", "ôtez l'une des deux lignes"),
    )


def _copies_disagree(path: Path, first: Correction, second: Correction) -> DataError:
    return DataError(
        tr(
            f"{path}: two decisions for one photo: {first.source_path} (line {first.line}) and "
            f"{second.source_path} (line {second.line}) have the same bytes",
            f"{path} : deux décisions pour une même photo : {first.source_path} (ligne {first.line}) et "
            f"{second.source_path} (ligne {second.line}) ont les mêmes octets",
        ),
        tr("decide the same for both", "décidez de même pour les deux"),
    )
