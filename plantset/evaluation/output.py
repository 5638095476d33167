"""What an evaluation leaves on disk, each file whole or absent."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantset.core.errors import DataError
from plantset.core.files import write_bytes, write_json, write_json_lines, write_text
from plantset.core.language import tr
from plantset.evaluation.confusion_photos import ConfusionPhotos
from plantset.evaluation.plots import plot_class_f1, plot_confusions, plot_reliability, plot_risk_coverage
from plantset.evaluation.report import Plots, render_report
from plantset.evaluation.results import EvaluationResults

OPENINGS_NAME = "test_openings.jsonl"


@dataclass(frozen=True)
class Evaluation:
    """One evaluation, not yet written.

    Attributes:
        prediction_rows: one per scored photo, in manifest order, as predictions.jsonl holds them.
        confusion_counts_CC: rows true, columns predicted, over all classes in index order.
        crops: crop of each class, None where it names no one crop.
        titles: class id -> what people call it, in the language of messages.
        confusion_photos: miniatures of the commonest confusions.
    """

    results: EvaluationResults
    prediction_rows: Iterable[Mapping[str, Any]]
    confusion_counts_CC: NDArray[np.int64]
    class_names: tuple[str, ...]
    crops: tuple[str | None, ...]
    titles: Mapping[str, str]
    confusion_photos: tuple[ConfusionPhotos, ...]


def write_evaluation(output_dir: Path, evaluation: Evaluation) -> None:
    """Write metrics.json, predictions.jsonl, confusion_matrix.{csv,png,svg}, the other plots and report.html."""
    results = evaluation.results
    titles = [evaluation.titles[name] for name in evaluation.class_names]
    matrix_png, matrix_svg = plot_confusions(evaluation.confusion_counts_CC, titles, evaluation.crops)
    plots = Plots(
        confusion_matrix=matrix_png,
        reliability=plot_reliability(results.calibration_before, results.calibration),
        class_f1=plot_class_f1(results.classification, evaluation.titles),
        risk_coverage=plot_risk_coverage(results.selective),
    )
    write_json(output_dir / "metrics.json", dataclasses.asdict(results))
    write_json_lines(output_dir / "predictions.jsonl", evaluation.prediction_rows)
    write_text(output_dir / "confusion_matrix.csv", _confusion_table(evaluation))
    write_bytes(output_dir / "confusion_matrix.png", plots.confusion_matrix)
    write_bytes(output_dir / "confusion_matrix.svg", matrix_svg)
    write_bytes(output_dir / "risk_coverage.png", plots.risk_coverage)
    write_bytes(output_dir / "reliability.png", plots.reliability)
    write_bytes(output_dir / "class_f1.png", plots.class_f1)
    write_text(
        output_dir / "report.html", render_report(results, plots, evaluation.titles, evaluation.confusion_photos)
    )


def log_test_opening(checkpoint: Path, checkpoint_sha256: str, jsonl_file: Path, num_photos: int) -> Path:
    """Append to `<checkpoint's folder>/test_openings.jsonl` when the test split was looked at, and by which model.

    Raises:
        DataError: it cannot be written; the test split then stays closed.
    """
    path = checkpoint.parent / OPENINGS_NAME
    row = {
        "opened_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": checkpoint_sha256,
        "jsonl_file": str(jsonl_file),
        "num_photos": num_photos,
    }
    try:
        with path.open("a", encoding="utf-8", newline="\n") as log:
            log.write(json.dumps(row, ensure_ascii=False) + "\n")
            log.flush()
            os.fsync(log.fileno())
    except OSError as error:
        raise DataError(
            tr(
                f"the opening of the test split cannot be logged in {path}: {error.strerror}",
                f"l'ouverture du jeu de test ne peut être notée dans {path} : {error.strerror}",
            ),
            tr(
                "copy the checkpoint to a folder that can be written",
                "copiez le modèle dans un dossier où l'on peut écrire",
            ),
        ) from error
    return path


def _confusion_table(evaluation: Evaluation) -> str:
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["true \\ predicted", *evaluation.class_names])
    for class_id, row in zip(evaluation.class_names, evaluation.confusion_counts_CC.tolist(), strict=True):
        table.writerow([class_id, *row])
    return buffer.getvalue()
