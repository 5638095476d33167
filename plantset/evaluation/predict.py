"""The model's answers as arrays: the only module here, with `run`, that touches the model and the photos.

Each photo is decoded and seen by the vision tower once; the conditions that need it share its tokens.

Dimensions: N photos of the split, B photos of a batch, C classes, H W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from plantset.core.language import tr
from plantset.core.log import progress
from plantset.core.preprocess import PreprocessConfig
from plantset.core.records import Record
from plantset.data.module import photo_batches
from plantset.evaluation.captions import DescribedPhotos
from plantset.evaluation.generation import normalize_text, score_likelihood
from plantset.evaluation.modality import CONDITIONS, NOT_RUN, Condition
from plantset.knowledge.notes import grower_notes

_NOTE_STREAM = 9_001  # training draws its notes from the plain seed: evaluation must not repeat them
_WRONG_NOTE_TRIES = 50


class EvaluatedModel(Protocol):
    """What evaluation asks of a model; `plantset.models.load.LoadedModel` gives it."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class ids in index order."""

    @property
    def temperature(self) -> float:
        """What logits are divided by before the softmax."""

    @property
    def language(self) -> str:
        """The language in which the model describes by default."""

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which it can describe; empty without a captioner."""

    @property
    def takes_notes(self) -> bool:
        """Whether a grower's note can be given."""

    @property
    def preprocess(self) -> PreprocessConfig:
        """Geometry of its input."""

    def encode_photos(self, pixels_BHWC: Tensor) -> Tensor:
        """Return the vision tower's tokens, photos first: the costly part of an answer."""

    def predict_tokens(self, tokens_BKC: Tensor | None, notes: Sequence[str | None] | None) -> Tensor:
        """Return logits (B, C), float32 on the CPU, not calibrated; without photos the notes alone are read."""

    def caption_batch(self, pixels_BHWC: Tensor, language: str) -> list[str]:
        """Write a description of each uint8 photo."""

    def caption_nll_batch(self, pixels_BHWC: Tensor, texts: Sequence[str], language: str) -> tuple[float, int]:
        """Return (sum of negative log-likelihoods in nats, tokens) of these texts given the photos."""


@dataclass(frozen=True)
class PhotoSource:
    """Where photos come from and how they are read."""

    images_dir: Path
    batch_size: int
    num_workers: int


@dataclass(frozen=True)
class NotePlan:
    """For each photo its own note and one of another class; None where no symptom is known."""

    right: tuple[str | None, ...]
    wrong: tuple[str | None, ...]


@dataclass(frozen=True)
class SplitPredictions:
    """What the model answered.

    Attributes:
        logits_NC: from the photo alone, not calibrated.
        predicted: condition -> class index per photo, `NOT_RUN` where the condition lacked something.
    """

    logits_NC: NDArray[np.float32]
    predicted: Mapping[Condition, NDArray[np.int64]]


def plan_notes(records: Sequence[Record], language: Literal["fr", "en"], seed: int) -> NotePlan:
    """Write each photo a note, and draw it a note of another class that says something else."""
    rng = np.random.default_rng([seed, _NOTE_STREAM])
    right: list[str | None] = []
    for record in records:
        notes = grower_notes(record, language=language, count=1, seed=int(rng.integers(2**31)))
        right.append(notes[0] if notes else None)
    noted = [index for index, note in enumerate(right) if note is not None]
    wrong = [
        _draw_wrong_note(index, records, right, noted, rng) if right[index] is not None else None
        for index in range(len(records))
    ]
    return NotePlan(tuple(right), tuple(wrong))


def no_notes(num_photos: int) -> NotePlan:
    """Return the plan of a model that takes no notes."""
    return NotePlan((None,) * num_photos, (None,) * num_photos)


def predict_split(
    model: EvaluatedModel,
    records: Sequence[Record],
    labels_N: NDArray[np.int64],
    notes: NotePlan,
    source: PhotoSource,
    rng: np.random.Generator,
) -> SplitPredictions:
    """Ask the model about every photo under every condition.

    Photos are read in a random order: in the manifest's order a batch is often of one class, and swapping photos
    inside it would change nothing.
    """
    num_photos = len(records)
    logits_NC = np.empty((num_photos, len(model.class_names)), dtype=np.float32)
    predicted = {condition: np.full(num_photos, NOT_RUN, dtype=np.int64) for condition in CONDITIONS}
    order = rng.permutation(num_photos)
    shuffled = [records[index] for index in order]
    for positions, pixels_BHWC in _read(model, shuffled, source, title=tr("photos", "photos")):
        rows = order[positions]
        tokens = model.encode_photos(pixels_BHWC)
        logits_NC[rows] = model.predict_tokens(tokens, None).numpy()
        predicted["image_only"][rows] = logits_NC[rows].argmax(axis=1)
        right = [notes.right[row] for row in rows]
        wrong = [notes.wrong[row] for row in rows]
        partners = _swap_partners(labels_N[rows])
        swapped = [note if partners[at] != at else None for at, note in enumerate(right)]
        _ask(model, None, right, predicted["note_only"], rows)
        _ask(model, tokens, right, predicted["image_and_note"], rows)
        _ask(model, tokens, wrong, predicted["wrong_note"], rows)
        _ask(model, tokens[partners], swapped, predicted["shuffled_image"], rows)
    return SplitPredictions(logits_NC, predicted)


def describe_photos(
    model: EvaluatedModel,
    records: Sequence[Record],
    references: Sequence[tuple[str, ...]],
    predicted: Sequence[str],
    *,
    language: str,
    source: PhotoSource,
) -> DescribedPhotos:
    """Generate a description of each photo, and measure how likely its first reference is to the model.

    Args:
        references: one or more per photo.
        predicted: class id per photo, from the photo alone.
    """
    generated: list[str] = []
    total_nll, total_tokens, total_bytes = 0.0, 0, 0
    for positions, pixels_BHWC in _read(model, records, source, title=tr("descriptions", "descriptions")):
        firsts = [references[at][0] for at in positions]
        generated += model.caption_batch(pixels_BHWC, language)
        nll, num_tokens = model.caption_nll_batch(pixels_BHWC, firsts, language)
        total_nll, total_tokens = total_nll + nll, total_tokens + num_tokens
        total_bytes += sum(len(normalize_text(text).encode("utf-8")) for text in firsts)
    return DescribedPhotos(
        records=tuple(records),
        references=tuple(references),
        generated=tuple(generated),
        predicted=tuple(predicted),
        likelihood=score_likelihood(total_nll, total_tokens, total_bytes),
    )


def _read(
    model: EvaluatedModel, records: Sequence[Record], source: PhotoSource, *, title: str
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Yield (positions in `records`, pixels) batch by batch."""
    batches = photo_batches(records, source.images_dir, model.preprocess, source.batch_size, source.num_workers)
    num_batches = -(-len(records) // source.batch_size)
    start = 0
    for batch, pixels_BHWC in progress(batches, title=title, total=num_batches, unit="batch"):
        yield np.arange(start, start + len(batch)), pixels_BHWC
        start += len(batch)


def _ask(
    model: EvaluatedModel,
    tokens: Tensor | None,
    notes: list[str | None],
    answers_N: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> None:
    """Fill in the answers of the photos that have a note; the others stay `NOT_RUN`."""
    has_note = np.array([note is not None for note in notes])
    if not has_note.any():
        return
    kept = np.flatnonzero(has_note)
    some_tokens = None if tokens is None else tokens[kept]
    logits = model.predict_tokens(some_tokens, [notes[at] for at in kept])
    answers_N[rows[kept]] = logits.argmax(dim=1).numpy()


def _swap_partners(labels_B: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each photo of the batch another one of another class: the rotation that serves most; else itself."""
    size = len(labels_B)
    own = np.arange(size)
    best = max(range(size), key=lambda shift: int((np.roll(labels_B, shift) != labels_B).sum()))
    partners = np.roll(own, best)
    return np.where(labels_B[partners] != labels_B, partners, own)


def _draw_wrong_note(
    index: int,
    records: Sequence[Record],
    right: Sequence[str | None],
    noted: Sequence[int],
    rng: np.random.Generator,
) -> str | None:
    """Return a note of another class, or None where nearly all photos are of one class."""
    for _ in range(_WRONG_NOTE_TRIES):
        other = noted[int(rng.integers(len(noted)))]
        if records[other].class_id != records[index].class_id and right[other] != right[index]:
            return right[other]
    return None
