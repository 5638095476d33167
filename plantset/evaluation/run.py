"""`plantset evaluate`: load the model, measure it on one split, write the results, say what they mean."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from plantset.core.bounds import check_at_least, check_num_classes
from plantset.core.files import sha256_file
from plantset.core.language import tr
from plantset.core.options import write_resolved
from plantset.core.page import number
from plantset.core.shards import open_photos
from plantset.data.broken import skip_broken
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.measure import evaluate_model
from plantset.evaluation.output import log_test_opening, write_evaluation
from plantset.evaluation.report import condition_title
from plantset.evaluation.results import EvaluationResults
from plantset.evaluation.verdict import percent_with_interval, write_verdict
from plantset.models.load import load_model


@dataclass(frozen=True)
class EvaluateReport:
    """What an evaluation found and where it lies."""

    output_dir: Path
    results: EvaluationResults

    def summary(self) -> str:
        """Return the verdict, the main figures and the path of the report."""
        scores, modality, captions = self.results.classification, self.results.modality, self.results.captions
        lines = [sentence.text for sentence in write_verdict(self.results) if sentence.tone in ("main", "alarm")]
        rows = [
            (tr("accuracy", "exactitude"), percent_with_interval(scores.accuracy)),
            (tr("macro-F1", "F1 macro"), percent_with_interval(scores.macro_f1)),
        ]
        if modality:
            rows += [
                (condition_title(row.condition), percent_with_interval(row.accuracy)) for row in modality.conditions
            ]
        if captions:
            rows.append(("chrF++ / BLEU", f"{number(captions.model.chrf, 1)} / {number(captions.model.bleu, 1)}"))
        width = max(len(title) for title, _ in rows)
        lines += [f"  {title:<{width}}  {value}" for title, value in rows]
        lines.append(tr("report: ", "rapport : ") + str(self.output_dir / "report.html"))
        return "\n".join(lines)

    @property
    def exit_code(self) -> int:
        """Return 0: a bad model is a finding, not a failure."""
        return 0


def evaluate(config: EvaluateConfig) -> EvaluateReport:
    """Measure a checkpoint on one split and write the results; the checkpoint is only read.

    Raises:
        ConfigError: a number is out of range, or `num_classes` is not the checkpoint's.
        CheckpointError: the checkpoint is missing or damaged.
        DataError: the manifest, a photo or the reference texts cannot be read, or the split has nothing to score.
    """
    _check_numbers(config)
    model = load_model(config.checkpoint, config.device)
    check_num_classes(config.num_classes, model.class_names)
    records, images_dir = open_photos(config.jsonl_file, config.root_dir)
    if config.skip_broken:
        records = skip_broken(records, images_dir, config.output_dir, num_workers=config.num_workers)
    checkpoint_sha256 = sha256_file(config.checkpoint)
    if config.split == "test":
        log_test_opening(
            config.checkpoint, checkpoint_sha256, config.jsonl_file, sum(record.split == "test" for record in records)
        )
    evaluation = evaluate_model(model, records, images_dir, config)
    results = dataclasses.replace(
        evaluation.results, checkpoint=str(config.checkpoint), checkpoint_sha256=checkpoint_sha256
    )
    write_evaluation(config.output_dir, dataclasses.replace(evaluation, results=results))
    write_resolved(config.output_dir / "evaluate_config.json", config)
    return EvaluateReport(config.output_dir, results)


def _check_numbers(config: EvaluateConfig) -> None:
    check_at_least(
        [
            ("--batch-size", config.batch_size, 1),
            ("--num-workers", config.num_workers, 0),
            ("--caption-count", config.caption_count, 0),
            ("--bootstrap-count", config.bootstrap_count, 0),
            ("--seed", config.seed, 0),
        ]
    )
