"""One file's answer, and the files that answers are written to: JSON, JSON lines or CSV (docs/answers.md)."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantset import __version__
from plantset.core.files import write_json, write_json_lines, write_text
from plantset.inference.predictor import ModelVersion, Prediction

# 5: familiarity in units of its spread, by energy too; 4: "not a leaf", confidence, warnings, model; 3: description
# contradicts; 2: unknown, familiarity
SCHEMA_VERSION = 5
OUTPUT_SUFFIXES = (".json", ".jsonl", ".csv")
CSV_COLUMNS = (
    "image", "error", "decision", "confidence", "class_id", "crop", "disease", "probability", "second_class_id",
    "second_probability", "prediction_set", "familiarity", "warnings", "note_used", "note_changed_answer",
    "description", "description_contradicts", "model_digest", "plantset_version", "schema_version",
)  # fmt: skip
_SEPARATOR = "|"  # between the members of a cell: no class id has it


@dataclass(frozen=True)
class Answer:
    """One file with its prediction and the model that gave it, or with why it has none."""

    path: Path
    prediction: Prediction | None
    error: str | None = None
    version: ModelVersion | None = None


def to_row(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON-able values."""
    row: dict[str, Any] = {"image": answer.path.as_posix()}
    if answer.prediction is None:
        return {**row, "error": answer.error}
    prediction = dataclasses.asdict(answer.prediction)
    if answer.prediction.description is not None:
        prediction["description"] = {
            "text": answer.prediction.description,
            "language": answer.prediction.description_language,
            "generated": True,
            "contradicts": bool(answer.prediction.description_names),
            "names": list(answer.prediction.description_names),
        }
    del prediction["description_language"], prediction["description_names"]
    model = None if answer.version is None else dataclasses.asdict(answer.version)
    return {**row, **prediction, "model": model, "schema_version": SCHEMA_VERSION, "plantset_version": __version__}


def write_answers(output: Path, answers: Sequence[Answer]) -> None:
    """Write the answers in the format that the name's ending says, one of `OUTPUT_SUFFIXES`."""
    if output.suffix == ".csv":
        write_text(output, _table(answers))
    elif output.suffix == ".jsonl":
        write_json_lines(output, (to_row(answer) for answer in answers))
    else:
        write_json(output, [to_row(answer) for answer in answers])


def _table(answers: Sequence[Answer]) -> str:
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(map(_cells, answers))
    return buffer.getvalue()


def _cells(answer: Answer) -> dict[str, Any]:
    """Return one line of the table; what there is none of is an empty cell."""
    prediction = answer.prediction
    if prediction is None:
        return {"image": answer.path.as_posix(), "error": answer.error}
    first, *others = prediction.candidates
    second = others[0] if others else None
    note = prediction.note
    return {
        "image": answer.path.as_posix(),
        "decision": prediction.decision,
        "confidence": prediction.confidence,
        "class_id": first.class_id,
        "crop": first.crop,
        "disease": first.disease,
        "probability": first.probability,
        "second_class_id": second.class_id if second else None,
        "second_probability": second.probability if second else None,
        "prediction_set": _SEPARATOR.join(candidate.class_id for candidate in prediction.prediction_set),
        "familiarity": prediction.familiarity,
        "warnings": _SEPARATOR.join(prediction.warnings),
        "note_used": note.used if note else None,
        "note_changed_answer": note.changed_answer if note else None,
        "description": prediction.description,
        "description_contradicts": bool(prediction.description_names) if prediction.description is not None else None,
        "model_digest": answer.version.digest if answer.version else None,
        "plantset_version": __version__,
        "schema_version": SCHEMA_VERSION,
    }
