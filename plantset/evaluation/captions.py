"""Reference texts and the baselines that a caption must beat before it is worth reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plantset.core.errors import DataError
from plantset.core.files import read_json_lines
from plantset.core.language import tr
from plantset.core.records import Record
from plantset.evaluation.generation import LikelihoodScores, OverlapScores, score_texts


@dataclass(frozen=True, slots=True)
class CaptionExample:
    """One photo's generated description beside its reference."""

    image_path: str
    class_id: str
    predicted: str
    generated: str
    reference: str


@dataclass(frozen=True, slots=True)
class CaptionScores:
    """The generated descriptions beside three baselines, on the same photos.

    Attributes:
        language: of the texts.
        num_photos: how many were described, of `num_photos_with_reference` that could have been.
        num_distinct_references: few mean that references are class texts, which a classifier can look up.
        model: the generated descriptions.
        most_frequent: one text for all: the commonest of the training photos; None where the manifest has none.
        class_text: the class is predicted and its commonest training text looked up; None likewise.
        shuffled_photos: the generated descriptions, each of another photo; None for a single photo.
        likelihood: of the references under the model.
        examples: a few, for people.
    """

    language: str
    num_photos: int
    num_photos_with_reference: int
    num_distinct_references: int
    model: OverlapScores
    most_frequent: OverlapScores | None
    class_text: OverlapScores | None
    shuffled_photos: OverlapScores | None
    likelihood: LikelihoodScores
    examples: tuple[CaptionExample, ...]


@dataclass(frozen=True, slots=True)
class DescribedPhotos:
    """What the model wrote, and what it could have written: one entry per described photo.

    Attributes:
        predicted: the class id that the model gives the photo without a note.
    """

    records: tuple[Record, ...]
    references: tuple[tuple[str, ...], ...]
    generated: tuple[str, ...]
    predicted: tuple[str, ...]
    likelihood: LikelihoodScores


def caption_text(record: Record, language: str) -> str:
    """Return the caption target of the record in one language, or an empty text."""
    if record.language == language and record.text:
        return record.text
    texts = record.texts.get(language)
    return texts.description if texts else ""


def read_reference_texts(path: Path) -> dict[str, tuple[str, ...]]:
    """Read `--reference-texts`: JSON lines of {image_path, references: [...]}.

    Raises:
        DataError: absent, not JSON lines, or a line without its fields; file and line named.
    """
    references: dict[str, tuple[str, ...]] = {}
    for number, row in read_json_lines(path):
        image_path, texts = row.get("image_path"), row.get("references")
        if not isinstance(image_path, str) or not isinstance(texts, list) or not _are_texts(texts):
            raise DataError(
                tr(
                    f"{path} line {number} lacks image_path or a list of texts in references",
                    f"{path} ligne {number} : il manque image_path ou une liste de textes dans references",
                ),
                '{"image_path": "a.jpg", "references": ["…", "…"]}',
            )
        references[image_path] = (*references.get(image_path, ()), *texts)
    return references


def find_references(
    records: Sequence[Record], language: str, given: Mapping[str, tuple[str, ...]] | None
) -> list[tuple[str, ...]]:
    """Return the references of each record: the given ones if there is such a file, else the record's own text.

    Raises:
        DataError: a file was given and none of its photos is among the records.
    """
    if given is None:
        return [(text,) if (text := caption_text(record, language)) else () for record in records]
    found = [given.get(record.image_path, ()) for record in records]
    if not any(found):
        raise DataError(
            tr(
                "the reference texts name no photo of this split",
                "les textes de référence ne nomment aucune photo de ce jeu",
            ),
            tr(
                f"image_path must be as in the JSONL, for example {records[0].image_path}",
                f"image_path doit être celui du JSONL, par exemple {records[0].image_path}",
            ),
        )
    return found


def choose_described(references: Sequence[tuple[str, ...]], count: int | None, rng: np.random.Generator) -> list[int]:
    """Draw `count` of the photos that have a reference (all for None), in their order."""
    able = [index for index, several in enumerate(references) if several]
    if count is None or count >= len(able):
        return able
    return sorted(int(index) for index in rng.choice(able, size=count, replace=False))


def score_captions(
    described: DescribedPhotos,
    training: Sequence[Record],
    *,
    language: str,
    num_with_reference: int,
    rng: np.random.Generator,
) -> CaptionScores:
    """Score the generated descriptions and the three baselines.

    Args:
        training: where the baselines take their texts; they see no reference of the described photos. Without a text
            there are no such baselines.
    """
    references = described.references
    by_class = class_texts(training, language)
    commonest = most_common_text([text for record in training if (text := caption_text(record, language))])
    looked_up = [by_class.get(class_id, "") for class_id in described.predicted]
    num_photos = len(described.records)
    order = rng.permutation(num_photos)
    others = [described.generated[index] for index in np.roll(order, 1)[np.argsort(order)]]  # one cycle: none its own
    return CaptionScores(
        language=language,
        num_photos=num_photos,
        num_photos_with_reference=num_with_reference,
        num_distinct_references=len({text for several in references for text in several}),
        model=score_texts(described.generated, references),
        most_frequent=score_texts([commonest] * num_photos, references) if commonest else None,
        class_text=score_texts(looked_up, references) if by_class else None,
        shuffled_photos=score_texts(others, references) if num_photos > 1 else None,
        likelihood=described.likelihood,
        examples=_choose_examples(described, rng),
    )


def class_texts(records: Sequence[Record], language: str) -> dict[str, str]:
    """Return class id -> the commonest text of its records in the language."""
    by_class: dict[str, list[str]] = {}
    for record in records:
        if text := caption_text(record, language):
            by_class.setdefault(record.class_id, []).append(text)
    return {class_id: most_common_text(texts) for class_id, texts in by_class.items()}


def most_common_text(texts: Sequence[str]) -> str:
    """Return the commonest text, the first in the alphabet among equals; empty without any."""
    counts = Counter(texts)
    return min(counts, key=lambda text: (-counts[text], text)) if counts else ""


def to_rows(described: DescribedPhotos) -> dict[str, dict[str, Any]]:
    """Return image_path -> {generated, references}, for predictions.jsonl."""
    rows = zip(described.records, described.generated, described.references, strict=True)
    return {
        record.image_path: {"generated": generated, "references": list(references)}
        for record, generated, references in rows
    }


def _choose_examples(
    described: DescribedPhotos, rng: np.random.Generator, limit: int = 6
) -> tuple[CaptionExample, ...]:
    chosen = sorted(rng.permutation(len(described.records))[:limit].tolist())
    return tuple(
        CaptionExample(
            image_path=described.records[index].image_path,
            class_id=described.records[index].class_id,
            predicted=described.predicted[index],
            generated=described.generated[index],
            reference=described.references[index][0],
        )
        for index in chosen
    )


def _are_texts(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) and value.strip() for value in values)
