"""An answer in words, as the terminal shows it."""

from __future__ import annotations

from plantset.core.language import tr
from plantset.core.page import percent
from plantset.inference.answer import Answer
from plantset.inference.predictor import Candidate, Prediction
from plantset.inference.quality import warning_text
from plantset.models.decision import Confidence

_SHOWN_BEYOND = 5
_SHOWN_SOURCES = 3


def answer_lines(answer: Answer) -> list[str]:
    """Return one photo's answer: what to believe first, then the candidates, then what is known of the first."""
    if answer.prediction is None:
        return [f"{answer.path}", "  " + tr("error: ", "erreur : ") + str(answer.error)]
    prediction = answer.prediction
    lines = [tr(f"{answer.path}: ", f"{answer.path} : ") + _verdict(prediction)]
    lines += ["  ! " + warning_text(warning) for warning in prediction.warnings]
    answered = prediction.decision in ("answer", "unsure")
    in_set = {candidate.class_id for candidate in prediction.prediction_set}
    for candidate in prediction.candidates:
        mark = "*" if candidate.class_id in in_set and answered else " "
        lines.append(f" {mark}{percent(candidate.probability):>7}  {_title(candidate)}  [{candidate.class_id}]")
    if answered:
        lines.append(_set_line(prediction))
    if prediction.note is not None:
        lines += _note_lines(prediction)
    if prediction.description is not None:
        lines += [tr("  generated description:", "  description générée :"), f"    {prediction.description}"]
        lines += _contradiction_lines(prediction)
    if prediction.card is not None and answered:
        lines += _card_lines(prediction)
    return lines


def _contradiction_lines(prediction: Prediction) -> list[str]:
    """Return the line that says so when the description is about another class than the answer."""
    if not prediction.description_names:
        return []
    named, first = ", ".join(prediction.description_names), prediction.candidates[0].class_id
    return [
        tr(
            f"  the description contradicts the answer: it names {named}, not {first}; do not rely on it",
            f"  la description contredit la réponse : elle nomme {named}, pas {first} ; ne vous y fiez pas",
        )
    ]


def _note_lines(prediction: Prediction) -> list[str]:
    note = prediction.note
    assert note is not None
    lines: list[str] = []
    if note.given.strip() and not note.used and not note.names_masked:
        lines.append(
            tr(
                "  the note was not read: this model was trained without notes",
                "  la note n'a pas été lue : ce modèle a été entraîné sans notes",
            )
        )
    if note.names_masked:
        lines.append(
            tr(
                f"  note: a disease name was masked; read: {note.used}",
                f"  note : un nom de maladie a été masqué ; lu : {note.used}",
            )
        )
    if note.changed_answer:
        lines.append(
            tr(
                f"  the note changed the answer; the photo alone says {note.first_without}",
                f"  la note a changé la réponse ; la photo seule dit {note.first_without}",
            )
        )
    return lines


def _card_lines(prediction: Prediction) -> list[str]:
    card = prediction.card
    assert card is not None
    origins = {"user": tr("your texts", "vos textes"), "catalogue": tr("catalogue", "catalogue")}
    sources = ", ".join(origins[origin] for origin in sorted(set(card.source.values()))) or origins["catalogue"]
    lines = [tr(f"  card ({sources}):", f"  fiche ({sources}) :")]
    lines += [tr("    check: ", "    à vérifier : ") + sentence for sentence in card.symptoms]
    lines += [tr("    favoured by: ", "    favorisé par : ") + sentence for sentence in card.conditions]
    lines += [tr("    look-alike: ", "    ressemble à : ") + sentence for sentence in card.confused_with]
    lines += [tr("    do: ", "    à faire : ") + sentence for sentence in card.management]
    lines += [tr("    source: ", "    source : ") + source for source in card.sources[:_SHOWN_SOURCES]]
    return lines


def _verdict(prediction: Prediction) -> str:
    first = _title(prediction.candidates[0])
    if prediction.decision == "not a leaf":
        return tr("not a leaf: nothing here looks like a plant", "pas une feuille : rien ici ne ressemble à une plante")
    if prediction.decision == "unknown":
        return tr(
            f"unknown: none of the classes it learned (the nearest: {first})",
            f"inconnu : aucune des classes apprises (la plus proche : {first})",
        )
    if prediction.decision == "unsure":
        return tr(f"not sure; perhaps {first}", f"pas sûr ; peut-être {first}")
    return f"{first}, {confidence_text(prediction.confidence)}"


def confidence_text(confidence: Confidence) -> str:
    """Return how sure the model is, in the language of messages."""
    return {
        "almost certain": tr("almost certain", "presque certain"),
        "likely": tr("likely", "probable"),
        "possible": tr("possible", "possible"),
        "doubtful": tr("doubtful", "douteux"),
        "none": tr("none of its classes", "aucune de ses classes"),
    }[confidence]


def _set_line(prediction: Prediction) -> str:
    """Return how many classes the starred set has, the ones beyond the shown candidates named too."""
    size = len(prediction.prediction_set)
    shown = {candidate.class_id for candidate in prediction.candidates}
    more = [_title(candidate) for candidate in prediction.prediction_set if candidate.class_id not in shown]
    beyond = f" (+ {', '.join(more[:_SHOWN_BEYOND])}{', …' if len(more) > _SHOWN_BEYOND else ''})" if more else ""
    return tr(
        f"  * holds the right class 9 times in 10: {size} {'class' if size == 1 else 'classes'}{beyond}",
        f"  * contient la bonne classe 9 fois sur 10 : {size} {'classe' if size == 1 else 'classes'}{beyond}",
    )


def _title(candidate: Candidate) -> str:
    if candidate.disease is None:
        return candidate.label
    return f"{candidate.disease} ({candidate.crop})" if candidate.crop else candidate.disease
