"""What a person decided about photos: the table that the page of `plantset review` exports and `clean` takes back."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal, get_args

from plantset.core.errors import DataError
from plantset.core.files import read_text
from plantset.core.language import tr

Decision = Literal["keep", "relabel", "reject"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
COLUMNS = ("source_path", "sha256", "old_label", "new_label", "decision")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Correction:
    """One decision about one photo.

    Attributes:
        source_path: as in the manifest: POSIX, relative to the source folder.
        sha256: of the source file's bytes.
        old_label: what the photo was called when it was judged.
        new_label: what it is called from now on; equal to `old_label` unless the decision is relabel.
        line: in its file, from 1.
    """

    source_path: str
    sha256: str
    old_label: str
    new_label: str
    decision: Decision
    line: int


def read_corrections(path: Path) -> dict[str, Correction]:
    """Return source path -> what was decided; a decision that stands there twice counts once.

    Commas, semicolons or tabs, in any order of the columns: a spreadsheet may have saved the table in between.

    Raises:
        DataError: it cannot be read, its columns are others, a row makes no sense, or a photo has two decisions.
    """
    text = read_text(path)
    header = text.split("\n", 1)[0]
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    found: dict[str, Correction] = {}
    try:
        _check_columns(path, [name.strip() for name in reader.fieldnames or []])
        for row in reader:
            correction = _read_row(path, reader.line_num, row)
            earlier = found.setdefault(correction.source_path, correction)
            if (earlier.decision, earlier.new_label) != (correction.decision, correction.new_label):
                raise _two_decisions(path, earlier, correction)
    except csv.Error as error:
        raise _row_error(path, reader.line_num, str(error)) from error
    return found


def _check_columns(path: Path, names: list[str]) -> None:
    if sorted(names) == sorted(COLUMNS):
        return
    missing, unknown = (
        [name for name in COLUMNS if name not in names],
        [name for name in names if name not in COLUMNS or names.count(name) > 1],
    )
    if missing:
        problem = tr(f"{path} has no column '{missing[0]}'", f"{path} n'a pas de colonne « {missing[0]} »")
    else:
        problem = tr(f"{path} has an unknown column '{unknown[0]}'", f"{path} a une colonne inconnue « {unknown[0]} »")
    raise DataError(
        problem,
        tr(
            f"its columns must be {', '.join(COLUMNS)}: export it from the page of plantset review",
            f"ses colonnes doivent être {', '.join(COLUMNS)} : exportez-le de la page de plantset review",
        ),
    )


def _read_row(path: Path, line: int, row: Mapping[str | None, str | list[str] | None]) -> Correction:
    values = {str(name).strip(): value for name, value in row.items() if name is not None}
    if None in row or None in values.values():
        raise _row_error(path, line, tr(f"it has not {len(COLUMNS)} cells", f"elle n'a pas {len(COLUMNS)} cellules"))
    cells = {name: str(value) for name, value in values.items()}
    decision, sha256 = cells["decision"].strip(), cells["sha256"].strip().lower()
    old_label, new_label = cells["old_label"], cells["new_label"]
    if decision not in DECISIONS:
        expected = " / ".join(DECISIONS)
        raise _row_error(
            path,
            line,
            tr(f"the decision is '{decision}', not {expected}", f"la décision est « {decision} », pas {expected}"),
        )
    if not _SHA256.fullmatch(sha256):
        raise _row_error(path, line, tr("sha256 is not 64 hex digits", "sha256 n'a pas 64 chiffres hexadécimaux"))
    if not cells["source_path"] or not old_label.strip():
        raise _row_error(path, line, tr("source_path or old_label is empty", "source_path ou old_label est vide"))
    if decision == "relabel" and (not new_label.strip() or new_label == old_label):
        raise _row_error(path, line, tr("relabel needs another new_label", "relabel demande un autre new_label"))
    if decision != "relabel" and new_label not in ("", old_label):
        raise _row_error(
            path,
            line,
            tr(f"{decision} and a new_label contradict each other", f"{decision} et un new_label se contredisent"),
        )
    return Correction(
        source_path=cells["source_path"],
        sha256=sha256,
        old_label=old_label,
        new_label=new_label.strip() if decision == "relabel" else old_label,
        decision=decision,
        line=line,
    )


def _row_error(path: Path, line: int, why: str) -> DataError:
    return DataError(
        tr(f"{path} line {line}: {why}", f"{path} ligne {line} : {why}"),
        tr("mend that row, or take it out", "corrigez cette ligne, ou ôtez-la"),
    )


def _two_decisions(path: Path, first: Correction, second: Correction) -> DataError:
    return DataError(
        tr(
            f"{path}: two decisions for {first.source_path}, lines {first.line} and {second.line}",
            f"{path} : deux décisions pour {first.source_path}, lignes {first.line} et {second.line}",
        ),
        tr("keep one of the two rows", "gardez une seule des deux lignes"),
    )
