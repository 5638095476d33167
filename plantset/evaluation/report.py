"""One self-contained HTML page in the language of messages: the verdict in words, then pictures, then tables."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plantset.core.language import message_language, tr
from plantset.evaluation.intervals import Estimate
from plantset.evaluation.modality import Condition
from plantset.evaluation.results import EvaluationResults, split_title
from plantset.evaluation.verdict import number, percent, percent_with_interval, typeset, write_verdict

_TEMPLATE = "report.html.j2"


@dataclass(frozen=True, slots=True)
class Plots:
    """The pictures of the report, as PNG bytes."""

    confusion_matrix: bytes
    reliability: bytes
    class_f1: bytes


def render_report(results: EvaluationResults, plots: Plots) -> str:
    """Return the page; it needs nothing beside itself."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"tr": _tr, "percent": percent, "number": number, "estimate": percent_with_interval}
    environment.globals |= {"class_title": class_title, "condition_title": condition_title, "points": points}
    page = environment.get_template(_TEMPLATE).render(
        results=results,
        scores=results.classification,
        language=message_language(),
        split=split_title(results.split),
        verdict=write_verdict(results),
        pictures={name: _data_address(getattr(plots, name)) for name in Plots.__slots__},
        caption_rows=_caption_rows(results),
    )
    return page + "\n"


def class_title(class_id: str) -> str:
    """Return "tomato · late blight" for "tomato--late-blight"."""
    return " · ".join(part.replace("-", " ") for part in class_id.split("--"))


def condition_title(condition: Condition) -> str:
    """Return the condition in the language of messages."""
    return {
        "image_only": tr("photo only", "photo seule"),
        "note_only": tr("note only", "note seule"),
        "image_and_note": tr("photo and note", "photo et note"),
        "wrong_note": tr("photo and a note about another disease", "photo et note sur une autre maladie"),
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


def _tr(en: str, fr: str) -> str:
    return typeset(tr(en, fr))


def _data_address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
