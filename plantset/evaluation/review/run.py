"""`plantset review`: from predictions to a page of doubtful photos, and from there back to `plantset clean`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plantset.core.bounds import check_at_least
from plantset.core.errors import ConfigError
from plantset.core.files import read_json, write_text
from plantset.core.language import tr
from plantset.core.page import Sentence
from plantset.core.records import Record
from plantset.core.shards import open_photos
from plantset.evaluation.review.answers import Answers, read_answers
from plantset.evaluation.review.config import ReviewConfig
from plantset.evaluation.review.doubts import REASONS, DoubtfulPhoto, Reason, find_doubts
from plantset.evaluation.review.page import reason_title, render_review

_EVALUATED = "evaluate_config.json"  # what `evaluate` leaves beside its predictions


@dataclass(frozen=True)
class ReviewReport:
    """What there is to look at.

    Attributes:
        num_photos: photos with an answer. num_shown: on the page.
        doubts: first reason -> how many photos, all of them, shown or not.
        num_reviewed: doubtful or not, seen by a person before.
        num_left_out: lines about no photo of the manifest.
    """

    output: Path
    num_photos: int
    num_shown: int
    doubts: Mapping[Reason, int]
    num_reviewed: int
    num_left_out: int
    splits: tuple[str, ...]

    def summary(self) -> str:
        """Return how many photos there are to look at, why, and what to do next."""
        lines = [sentence.text for sentence in _verdict(self)]
        lines += [f"  {self.doubts[reason]:>5}  {reason_title(reason)}" for reason in REASONS if reason in self.doubts]
        lines.append(tr("page: ", "page : ") + str(self.output))
        return "\n".join(lines)

    @property
    def exit_code(self) -> int:
        """Return 3 when some answers were about no photo of the manifest."""
        return 3 if self.num_left_out else 0


def review(config: ReviewConfig) -> ReviewReport:
    """Write the page of the photos that a person should look at.

    Raises:
        ConfigError: no predictions, no manifest, or a number out of range.
        DataError: a file cannot be read, or does not fit the manifest.
        PhotoError: a photo of the manifest is gone or damaged.
    """
    check_at_least([("--limit", config.limit, 1)])
    if not config.predictions:
        raise ConfigError(
            tr("there are no predictions", "il n'y a pas de prédictions"),
            "plantset review evaluation_results/predictions.jsonl",
        )
    evaluated = [_evaluated(path) for path in config.predictions]
    manifest = config.jsonl_file or _manifest(config.predictions, evaluated)
    records, images_dir = open_photos(manifest, config.root_dir or _evaluated_root(evaluated))
    answers = read_answers(config.predictions, records, manifest, images_dir)
    doubts = find_doubts(answers.photos)
    shown = doubts[: config.limit]
    report = _report(config.output, answers, doubts, shown)
    write_text(config.output, render_review(shown, _labelled(records), images_dir, _verdict(report)))
    return report


def _evaluated(predictions: Path) -> Mapping[str, object]:
    settings = predictions.with_name(_EVALUATED)
    found = read_json(settings) if settings.exists() else {}
    return found if isinstance(found, dict) else {}


def _manifest(predictions: Sequence[Path], evaluated: Sequence[Mapping[str, object]]) -> Path:
    named = {str(settings["jsonl_file"]) for settings in evaluated if settings.get("jsonl_file")}
    there = [Path(name) for name in sorted(named) if Path(name).exists()]
    if len(named) == 1 and there:
        return there[0]
    if not named:
        why = tr(
            f"nothing beside {predictions[0]} names the manifest",
            f"rien à côté de {predictions[0]} ne nomme le manifeste",
        )
    else:
        listed = ", ".join(sorted(named))
        why = tr(
            f"the manifest that was evaluated is not there, or there are several: {listed}",
            f"le manifeste évalué n'est pas là, ou il y en a plusieurs : {listed}",
        )
    raise ConfigError(why, "--jsonl-file multimodal_dataset.jsonl")


def _evaluated_root(evaluated: Sequence[Mapping[str, object]]) -> Path | None:
    roots = {str(settings["root_dir"]) for settings in evaluated if settings.get("root_dir")}
    return Path(roots.pop()) if len(roots) == 1 else None


def _labelled(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.label]


def _report(
    output: Path, answers: Answers, doubts: Sequence[DoubtfulPhoto], shown: Sequence[DoubtfulPhoto]
) -> ReviewReport:
    return ReviewReport(
        output=output,
        num_photos=len(answers.photos),
        num_shown=len(shown),
        doubts=Counter(photo.reasons[0] for photo in doubts),
        num_reviewed=sum(answer.record.reviewed is not None for answer in answers.photos),
        num_left_out=answers.num_left_out,
        splits=tuple(sorted({answer.record.split for answer in answers.photos})),
    )


def _verdict(report: ReviewReport) -> list[Sentence]:
    doubtful = sum(report.doubts.values())
    errors = report.doubts.get("label-error", 0)
    found = [
        Sentence(
            "main",
            tr(
                f"{doubtful} of {report.num_photos} photos deserve a look; of {errors} the label itself is in doubt.",
                f"{doubtful} photos sur {report.num_photos} méritent un regard ; de {errors}, l'étiquette elle-même "
                "est douteuse.",
            ),
        )
    ]
    if report.num_shown < doubtful:
        found.append(
            Sentence(
                "plain",
                tr(
                    f"The {report.num_shown} most doubtful are here; --limit {doubtful} shows all.",
                    f"Voici les {report.num_shown} plus douteuses ; --limit {doubtful} les montre toutes.",
                ),
            )
        )
    if "train" in report.splits:
        found.append(
            Sentence(
                "warning",
                tr(
                    "The model learned from the photos of train, wrong labels included: it seldom contradicts them. "
                    "Errors among them are more than are found here.",
                    "Le modèle a appris sur les photos de train, fausses étiquettes comprises : il les contredit "
                    "rarement. Il y reste plus d'erreurs qu'il n'en est trouvé ici.",
                ),
            )
        )
    if report.num_reviewed:
        found.append(
            Sentence(
                "good",
                tr(
                    f"{report.num_reviewed} photos were reviewed before and are not shown again.",
                    f"{report.num_reviewed} photos ont déjà été relues et ne sont plus montrées.",
                ),
            )
        )
    if report.num_left_out:
        found.append(
            Sentence(
                "warning",
                tr(
                    f"{report.num_left_out} answers are about no photo of the manifest and were left out.",
                    f"{report.num_left_out} réponses sans photo dans le manifeste ont été laissées de côté.",
                ),
            )
        )
    return found
