"""One self-contained HTML page in the language of messages: the verdict in words, then pictures, then tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from plantset.core.language import message_language, tr
from plantset.core.page import data_address, number, render_page
from plantset.evaluation.confusion_photos import ConfusionPhotos
from plantset.evaluation.intervals import Estimate
from plantset.evaluation.modality import Condition
from plantset.evaluation.results import EvaluationResults, split_title
from plantset.evaluation.robustness import RobustnessScore
from plantset.evaluation.verdict import percent_with_interval, unknown_title, write_verdict
from plantset.knowledge.class_titles import crop_name

_TEMPLATE = Path(__file__).with_name("report.html.j2")


@dataclass(frozen=True, slots=True)
class Plots:
    """The pictures of the report, as PNG bytes."""

    confusion_matrix: bytes
    reliability: bytes
    class_f1: bytes
    risk_coverage: bytes


def render_report(
    results: EvaluationResults,
    plots: Plots,
    titles: Mapping[str, str],
    confusion_photos: Sequence[ConfusionPhotos],
) -> str:
    """Return the page; it needs nothing beside itself.

    Args:
        titles: class id -> what people call it; the id stands small beside it.
    """
    values = {
        "results": results,
        "scores": results.classification,
        "split": split_title(results.split),
        "pictures": {name: data_address(getattr(plots, name), "png") for name in Plots.__slots__},
        "caption_rows": _caption_rows(results),
        "estimate": percent_with_interval,
        "as_it_is": str,
        "style_title": style_title,
        "crop_title": lambda crop: crop_name(crop, message_language()),
        "class_title": lambda class_id: _class_title(class_id, titles),
        "photos_of": {(pair.true, pair.predicted): _photo_addresses(pair) for pair in confusion_photos},
        "unknown_title": unknown_title,
        "robustness_rows": _robustness_rows(results),
        "condition_title": condition_title,
        "points": points,
        "plain_estimate": plain_estimate,
    }
    return render_page(_TEMPLATE, write_verdict(results), values)


def style_title(style: str) -> str:
    """Return the style of a photo in the language of messages; one of the user's own stays as it is."""
    return {"field": tr("field", "champ"), "lab": tr("laboratory", "laboratoire")}.get(style, style)


def spoiler_title(kind: str) -> str:
    """Return the kind of spoiling in the language of messages."""
    return {
        "blur": tr("blurred", "floue"),
        "jpeg": tr("strongly compressed", "très compressée"),
        "dark": tr("dark", "sombre"),
        "bright": tr("too bright", "trop claire"),
        "crop": tr("too near", "trop près"),
        "small": tr("few pixels", "peu de pixels"),
        "rotation": tr("turned", "tournée"),
    }[kind]


def _class_title(class_id: str, titles: Mapping[str, str]) -> Markup:
    return Markup('<span>{} <small class="soft">{}</small></span>').format(titles.get(class_id, class_id), class_id)


def _photo_addresses(pair: ConfusionPhotos) -> list[tuple[str, str]]:
    return [(path, data_address(photo, "jpeg")) for path, photo in pair.photos]


def _robustness_rows(results: EvaluationResults) -> list[tuple[str, list[RobustnessScore]]]:
    kinds = dict.fromkeys(score.kind for score in results.robustness)
    return [(spoiler_title(kind), [score for score in results.robustness if score.kind == kind]) for kind in kinds]


def condition_title(condition: Condition) -> str:
    """Return the condition in the language of messages."""
    return {
        "image_only": tr("photo only", "photo seule"),
        "note_only": tr("note only", "note seule"),
        "image_and_note": tr("photo and note", "photo et note"),
        "wrong_note": tr("photo and a note about another disease", "photo et note sur une autre maladie"),
        "empty_note": tr("photo and an empty note", "photo et note vide"),
        "shuffled_image": tr("another disease's photo and the note", "photo d'une autre maladie et la note"),
    }[condition]


def points(estimate: Estimate) -> str:
    """Return a difference of rates in points, signed, with its interval."""
    texts = [
        f"{number(100 * value, 1)}" for value in (estimate.value, estimate.low, estimate.high) if value is not None
    ]
    signed = [text if text.startswith("-") else f"+{text}" for text in texts]
    value, *interval = [text.replace("-", "−") for text in signed]
    return f"{value} ({interval[0]} {tr('to', 'à')} {interval[1]})" if interval else value


def plain_estimate(estimate: Estimate) -> str:
    """Return a score that is no rate, "0.312 (0.290 to 0.340)"."""
    if estimate.low is None or estimate.high is None:
        return number(estimate.value, 3)
    return f"{number(estimate.value, 3)} ({number(estimate.low, 3)} {tr('to', 'à')} {number(estimate.high, 3)})"


def _caption_rows(results: EvaluationResults) -> list[tuple[str, object]]:
    captions = results.captions
    if captions is None:
        return []
    rows = [
        (tr("the model's descriptions", "descriptions du modèle"), captions.model),
        (tr("the same, of another photo", "les mêmes, d'une autre photo"), captions.shuffled_photos),
        (tr("text of the predicted class", "texte de la classe prédite"), captions.class_text),
        (tr("the commonest text, always", "le texte le plus fréquent, toujours"), captions.most_frequent),
    ]
    return [(title, scores) for title, scores in rows if scores is not None]
