"""The page on which a person decides: one file, no network, decisions kept by the browser until they are exported."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from plantset.core.classes import class_infos
from plantset.core.corrections import COLUMNS
from plantset.core.files import sha256_json
from plantset.core.language import message_language, tr
from plantset.core.page import Sentence, data_address, percent, render_page
from plantset.core.photo import encode_jpeg
from plantset.core.records import Record
from plantset.data.geometry import Pixels
from plantset.data.photos import decode_one, photos_of
from plantset.evaluation.review.doubts import DoubtfulPhoto, Reason
from plantset.knowledge.class_titles import title_of

_TEMPLATE = Path(__file__).with_name("review.html.j2")
_PICTURE_PX = 288
_PICTURE_QUALITY = 72
_LEAST_PROB = 0.005  # answers below are no answers: they would only push the photo's buttons off the screen


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the model's answers as a button: the label it would give, None where no photo has a label of the class."""

    title: str
    label: str | None
    share: str
    width: float


@dataclass(frozen=True, slots=True)
class Card:
    """One photo as the page shows it."""

    picture: str
    label: str
    title: str
    why: tuple[str, ...]
    choices: tuple[Choice, ...]
    source_path: str
    sha256: str
    split: str


def render_review(
    shown: Sequence[DoubtfulPhoto], records: Sequence[Record], images_dir: Path, verdict: Sequence[Sentence]
) -> str:
    """Return the page, in the language of messages.

    Raises:
        PhotoError: a photo of the manifest is gone or damaged.
    """
    names = _Names(records)
    photos = photos_of([photo.answer.record for photo in shown], images_dir)
    cards = [
        (photo.reasons[0], _card(photo, names, decode_one(photos, at, longer_side_px=_PICTURE_PX).pixels))
        for at, photo in enumerate(shown)
    ]
    values: dict[str, Any] = {
        "sections": [
            (reason_title(reason), [card for _, card in group]) for reason, group in groupby(cards, key=lambda c: c[0])
        ],
        "total": len(cards),
        "labels": names.options(),
        "photos": [{"source_path": c.source_path, "sha256": c.sha256, "old_label": c.label} for _, c in cards],
        "columns": COLUMNS,
        "key": "plantset-review-" + sha256_json([[card.sha256, card.label] for _, card in cards])[:16],
    }
    return render_page(_TEMPLATE, verdict, values)


def reason_title(reason: Reason) -> str:
    """Return the heading of the photos that one reason brings here."""
    return {
        "label-error": tr("The label itself is in doubt", "L'étiquette elle-même est douteuse"),
        "conflict": tr("Copies under two labels", "Copies sous deux étiquettes"),
        "wrong-sure": tr("The model is sure of another class", "Le modèle est sûr d'une autre classe"),
        "wrong-unsure": tr("The model leans to another class", "Le modèle penche pour une autre classe"),
        "unknown": tr("Like none of the learned classes", "Ne ressemble à aucune classe apprise"),
        "unsure": tr("Right, but not sure", "Juste, mais pas sûr"),
    }[reason]


class _Names:
    """What classes are called, and which label a class has in a photo's collection."""

    def __init__(self, records: Sequence[Record]) -> None:
        language = message_language()
        self._titles = {info.class_id: title_of(info, language) for info in class_infos(records)}
        self._class_of = {record.label: record.class_id for record in records}
        self._labels: dict[tuple[str, str | None], Counter[str]] = defaultdict(Counter)
        self._anywhere: dict[str, Counter[str]] = defaultdict(Counter)
        for record in records:
            self._labels[record.class_id, record.source][record.label] += 1
            self._anywhere[record.class_id][record.label] += 1

    def title(self, class_id: str) -> str:
        return self._titles.get(class_id, class_id)

    def label(self, class_id: str, source: str | None) -> str | None:
        """Return the commonest label of the class in the collection, else anywhere."""
        counts: Counter[str] = self._labels.get((class_id, source)) or self._anywhere.get(class_id) or Counter()
        return min(counts, key=lambda label: (-counts[label], label), default=None)

    def options(self) -> list[tuple[str, str]]:
        """Return (label, title) of every label, sorted by title."""
        named = [(label, self.title(class_id)) for label, class_id in self._class_of.items()]
        return sorted(named, key=lambda item: (item[1].casefold(), item[0]))


def _card(photo: DoubtfulPhoto, names: _Names, pixels: Pixels) -> Card:
    answer, record = photo.answer, photo.answer.record
    return Card(
        picture=data_address(encode_jpeg(pixels, _PICTURE_QUALITY), "jpeg"),
        label=record.label,
        title=names.title(record.class_id),
        why=tuple(_say(reason, photo, names) for reason in photo.reasons),
        choices=tuple(
            Choice(
                title=names.title(class_id),
                label=record.label if class_id == record.class_id else names.label(class_id, record.source),
                share=_share(probability),
                width=round(100 * probability, 1),
            )
            for rank, (class_id, probability) in enumerate(answer.candidates)
            if rank == 0 or probability >= _LEAST_PROB
        ),
        source_path=record.source_path or "",
        sha256=record.sha256 or "",
        split=record.split,
    )


def _say(reason: Reason, photo: DoubtfulPhoto, names: _Names) -> str:
    answer = photo.answer
    own, first = _share(answer.label_prob), names.title(answer.predicted)
    texts: Mapping[Reason, str] = {
        "label-error": tr(
            f"The model gives this label {own}: few labels are believed as little.",
            f"Le modèle donne {own} à cette étiquette : peu d'étiquettes sont aussi peu crues.",
        ),
        "conflict": tr(
            "A copy of this photo, or another of the same leaf, has another label.",
            "Une copie de cette photo, ou une autre de la même feuille, a une autre étiquette.",
        ),
        "wrong-sure": tr(
            f"The model would answer {first} without hesitating.", f"Le modèle répondrait {first} sans hésiter."
        ),
        "wrong-unsure": tr(f"The model leans to {first}, not sure.", f"Le modèle penche pour {first}, sans certitude."),
        "unknown": tr(
            "The photo looks like none of the classes the model learned.",
            "La photo ne ressemble à aucune des classes apprises par le modèle.",
        ),
        "unsure": tr(
            "The model finds the label, but is not sure enough to answer.",
            "Le modèle trouve l'étiquette, mais sans être assez sûr pour répondre.",
        ),
    }
    return texts[reason]


def _share(probability: float) -> str:
    """Return a probability in whole percent; what rounds to 0 is said to be less than 1."""
    return percent(probability, 0) if probability >= _LEAST_PROB else tr("less than 1%", "moins de 1 %")
