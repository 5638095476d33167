"""The review table: what is not certain, for a person to decide in a spreadsheet, and their decisions applied."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from plantset.core.errors import DataError
from plantset.core.files import read_text, write_bytes
from plantset.core.language import tr
from plantset.knowledge.schema import Catalogue

KEEP, DROP = "keep", "drop"
_COLUMNS = ("label", "photos", "found", "how", "score", "candidates", "decision")


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One label that a person should look at.

    Attributes:
        found: the identity that will be used unless decided otherwise, or "".
        decision: an identity of the catalogue, "keep" (a class of its own), "drop" (leave its photos out), or "".
    """

    label: str
    photos: int
    found: str
    how: str
    score: float
    candidates: tuple[tuple[str, float], ...]
    decision: str = ""


def review_path(output_file: Path) -> Path:
    """Return `mapping_review.csv` beside the output; outputs of one folder share it, as decisions are of labels."""
    return output_file.with_name("mapping_review.csv")


def write_review(path: Path, rows: Iterable[ReviewRow]) -> None:
    """Write the table as UTF-8 with a byte-order mark, so that spreadsheets show accents right."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        candidates = "; ".join(f"{disease_id} ({score:.2f})" for disease_id, score in row.candidates)
        writer.writerow([row.label, row.photos, row.found, row.how, f"{row.score:.2f}", candidates, row.decision])
    write_bytes(path, out.getvalue().encode("utf-8-sig"))


def remembered_decisions(output_file: Path, catalogue: Catalogue) -> dict[str, str]:
    """Return the decisions of the table that an earlier run left beside this output, if there is one.

    Raises:
        DataError: as `read_decisions`.
    """
    path = review_path(output_file)
    return read_decisions(path, catalogue) if path.exists() else {}


def read_decisions(path: Path, catalogue: Catalogue) -> dict[str, str]:
    """Return label -> decision for each row that has one.

    Raises:
        DataError: a column is missing, or a decision is neither an identity, "keep" nor "drop"; line named.
    """
    text = read_text(path)
    delimiter = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    if not {"label", "decision"} <= set(reader.fieldnames or ()):
        raise DataError(
            tr(
                f"{path} has no columns 'label' and 'decision'",
                f"{path} n'a pas les colonnes « label » et « decision »",
            ),
            tr("use the table that plantset map wrote", "utilisez le tableau que plantset map a écrit"),
        )
    decisions: dict[str, str] = {}
    for row in reader:
        decision = (row["decision"] or "").strip()
        if decision:
            _check(path, reader.line_num, decision, catalogue)
            decisions[row["label"]] = decision
    return decisions


def _check(path: Path, line: int, decision: str, catalogue: Catalogue) -> None:
    if decision in (KEEP, DROP) or catalogue.get(decision):
        return
    raise DataError(
        tr(
            f"{path} line {line}: '{decision}' is not in the catalogue",
            f"{path} ligne {line} : « {decision} » n'est pas au catalogue",
        ),
        tr(
            f"write an id such as tomato--late-blight, '{KEEP}' (a class of its own) or '{DROP}' (leave out)",
            f"écrivez un identifiant comme tomato--late-blight, « {KEEP} » (une classe à part) "
            f"ou « {DROP} » (laisser de côté)",
        ),
    )
