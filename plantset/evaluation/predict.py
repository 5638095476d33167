"""The model's answers as arrays: the only module here, with `run`, that touches the model and the photos.

Each photo is decoded and seen by the vision tower once; the conditions that need it share its tokens.

Dimensions: N photos of the split, B photos of a batch, C classes, H W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plantset.clean.cues import border_pixels
from plantset.core.classes import ClassInfo
from plantset.core.language import tr
from plantset.core.log import progress
from plantset.core.preprocess import PreprocessConfig
from plantset.core.records import Record
from plantset.data.module import photo_batches
from plantset.evaluation.generation import LikelihoodScores, score_likelihood
from plantset.evaluation.modality import CONDITIONS, NOT_RUN, Condition
from plantset.evaluation.unknown import familiarity
from plantset.knowledge.notes import grower_notes
from plantset.models.decision import Calibration
from plantset.models.views import PhotoAnswer, ask

_NOTE_STREAM = 9_001  # training draws its notes from the plain seed: evaluation must not repeat them
_WRONG_NOTE_TRIES = 50
BORDER_VALUES = 24  # 8 pixels, 3 colours


class EvaluatedModel(Protocol):
    """What evaluation asks of a model; `plantset.models.load.LoadedModel` gives it."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class ids in index order."""

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """What training knew of each class, in index order."""

    @property
    def calibration(self) -> Calibration:
        """Temperature, thresholds, sets, and what tells unknown photos."""

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

    def answer_photos(self, tokens_BKC: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits, what the classifier reads) of the photos alone, float32 on the CPU."""

    @property
    def compares_texts(self) -> bool:
        """Whether photos and texts have vectors in one space."""

    def photo_vectors(self, tokens_BKC: Tensor) -> Tensor:
        """Return unit vectors (B, P) of photos."""

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (M, P) of texts."""

    def caption_tokens(self, tokens_BKC: Tensor, language: str) -> list[str]:
        """Write a description of each photo from its tokens."""

    def caption_nll_tokens(self, tokens_BKC: Tensor, texts: Sequence[str], language: str) -> tuple[float, int, int]:
        """Return (sum of negative log-likelihoods in nats, tokens, bytes) of these texts given the photos' tokens.

        Of a text that the model cannot take whole, all three count what it takes.
        """


@dataclass(frozen=True)
class PhotoSource:
    """Where photos come from and how they are read."""

    images_dir: Path
    batch_size: int
    num_workers: int
    tta: bool = False


@dataclass(frozen=True)
class PhotoAnswers:
    """Of photos alone: logits (N, C), not calibrated; the same and classifier features (N, F) of each seen once."""

    logits_NC: NDArray[np.float32]
    single_logits_NC: NDArray[np.float32]
    features_NF: NDArray[np.float32]


@dataclass(frozen=True)
class NotePlan:
    """For each photo its own note and one of another class; None where no symptom is known."""

    right: tuple[str | None, ...]
    wrong: tuple[str | None, ...]


@dataclass(frozen=True)
class CaptionPlan:
    """What is done about texts while a photo's tokens are there.

    Attributes:
        references: the rows that are described -> the reference whose likelihood is measured.
        compared: the rows whose vector is kept, to be compared with texts.
    """

    language: str
    references: Mapping[int, str]
    compared: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Captions:
    """What the model wrote: row -> text, how likely the references are to it, and row -> the photo's vector."""

    generated: Mapping[int, str]
    likelihood: LikelihoodScores | None
    vectors: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitPredictions:
    """What the model answered.

    Attributes:
        logits_NC: from the photo alone, not calibrated; the mean over flips where these were asked for.
        single_logits_NC: from the photo as it is; the same array without test-time augmentation.
        familiarity_N: how much the photo looks like the learned classes. The features that say so are not kept: of a
            million photos they would be 5 GB.
        borders_NP: 8 border pixels of each photo as the model sees it, (N, 24).
        predicted: condition -> class index per photo, `NOT_RUN` where the condition lacked something. All of them,
            the photo alone too, from the photo as it is: what a note adds must not mix with what flips add.
    """

    logits_NC: NDArray[np.float32]
    single_logits_NC: NDArray[np.float32]
    familiarity_N: NDArray[np.float64]
    borders_NP: NDArray[np.uint8]
    predicted: Mapping[Condition, NDArray[np.int64]]
    captions: Captions


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
    captions: CaptionPlan,
    source: PhotoSource,
    rng: np.random.Generator,
) -> SplitPredictions:
    """Ask the model about every photo under every condition, and let it describe some.

    Photos are read in a random order: in the manifest's order a batch is often of one class, and swapping photos
    inside it would change nothing.
    """
    num_photos, num_classes = len(records), len(model.class_names)
    logits_NC = np.empty((num_photos, num_classes), dtype=np.float32)
    single_NC = np.empty_like(logits_NC) if source.tta else logits_NC
    familiarity_N = np.empty(num_photos)
    borders_NP = np.empty((num_photos, BORDER_VALUES), dtype=np.uint8)
    predicted = {condition: np.full(num_photos, NOT_RUN, dtype=np.int64) for condition in CONDITIONS}
    order = rng.permutation(num_photos)
    writer = _Writer(model, captions)
    for positions, pixels_BHWC in read_photos(model, [records[index] for index in order], source):
        rows = order[positions]
        answer = ask(model, pixels_BHWC, tta=source.tta)
        logits_NC[rows] = answer.logits_BC
        single_NC[rows] = answer.single_logits_BC
        familiarity_N[rows] = familiarity(answer.single_logits_BC, answer.features_BF, model.calibration)
        predicted["image_only"][rows] = answer.single_logits_BC.argmax(axis=1)
        borders_NP[rows] = read_borders(pixels_BHWC)
        _ask_conditions(model, answer.tokens_BKC, rows, labels_N, notes, predicted)
        writer.write(answer.tokens_BKC, rows)
    return SplitPredictions(logits_NC, single_NC, familiarity_N, borders_NP, predicted, writer.captions())


def read_borders(pixels_BHWC: Tensor) -> NDArray[np.uint8]:
    """Return the 8 border pixels of each photo, (B, 24)."""
    return border_pixels(pixels_BHWC.numpy()).reshape(len(pixels_BHWC), BORDER_VALUES)


def answer_views(model: EvaluatedModel, views_NHWC: NDArray[np.uint8], source: PhotoSource) -> PhotoAnswers:
    """Ask about pictures in memory, as many at a time as about photos."""
    starts = range(0, len(views_NHWC), source.batch_size)
    batches = (torch.from_numpy(views_NHWC[start : start + source.batch_size]) for start in starts)
    return _answers(ask(model, pixels, tta=source.tta) for pixels in batches)


def answer_records(model: EvaluatedModel, records: Sequence[Record], source: PhotoSource) -> PhotoAnswers:
    """Ask about photos of which only the answer is wanted."""
    return _answers(ask(model, pixels, tta=source.tta) for _, pixels in read_photos(model, records, source))


def _answers(asked: Iterable[PhotoAnswer]) -> PhotoAnswers:
    """Keep logits and features of each batch; its tokens, 250 kB a photo, go before the next is asked about."""
    kept = [(answer.logits_BC, answer.single_logits_BC, answer.features_BF) for answer in asked]
    return PhotoAnswers(*(np.concatenate(parts) for parts in zip(*kept, strict=True)))


def _ask_conditions(
    model: EvaluatedModel,
    tokens: Tensor,
    rows: NDArray[np.int64],
    labels_N: NDArray[np.int64],
    notes: NotePlan,
    predicted: Mapping[Condition, NDArray[np.int64]],
) -> None:
    right = [notes.right[row] for row in rows]
    wrong = [notes.wrong[row] for row in rows]
    partners = _swap_partners(labels_N[rows])
    swapped = [note if partners[at] != at else None for at, note in enumerate(right)]
    _ask(model, None, right, predicted["note_only"], rows)
    _ask(model, tokens, right, predicted["image_and_note"], rows)
    _ask(model, tokens, wrong, predicted["wrong_note"], rows)
    _ask(model, tokens[partners], swapped, predicted["shuffled_image"], rows)
    _ask_empty(model, tokens, right, predicted["empty_note"], rows)


class _Writer:
    """Describes the chosen photos of each batch from the tokens that their answer was made of."""

    def __init__(self, model: EvaluatedModel, plan: CaptionPlan) -> None:
        self._model, self._plan = model, plan
        self._generated: dict[int, str] = {}
        self._vectors: dict[int, NDArray[np.float32]] = {}
        self._nll, self._tokens, self._bytes = 0.0, 0, 0

    def write(self, tokens: Tensor, rows: NDArray[np.int64]) -> None:
        compared = [at for at, row in enumerate(rows) if int(row) in self._plan.compared]
        if compared:
            vectors = self._model.photo_vectors(tokens[compared]).numpy()
            self._vectors |= {int(rows[at]): vector for at, vector in zip(compared, vectors, strict=True)}
        chosen = [at for at, row in enumerate(rows) if int(row) in self._plan.references]
        if not chosen:
            return
        references = [self._plan.references[int(rows[at])] for at in chosen]
        texts = self._model.caption_tokens(tokens[chosen], self._plan.language)
        nll, num_tokens, num_bytes = self._model.caption_nll_tokens(tokens[chosen], references, self._plan.language)
        self._generated |= {int(rows[at]): text for at, text in zip(chosen, texts, strict=True)}
        self._nll, self._tokens, self._bytes = self._nll + nll, self._tokens + num_tokens, self._bytes + num_bytes

    def captions(self) -> Captions:
        likelihood = score_likelihood(self._nll, self._tokens, self._bytes) if self._generated else None
        return Captions(self._generated, likelihood, self._vectors)


def read_photos(
    model: EvaluatedModel, records: Sequence[Record], source: PhotoSource
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Yield (positions in `records`, pixels) batch by batch."""
    batches = photo_batches(records, source.images_dir, model.preprocess, source.batch_size, source.num_workers)
    num_batches = -(-len(records) // source.batch_size)
    start = 0
    for batch, pixels_BHWC in progress(batches, title=tr("photos", "photos"), total=num_batches, unit="batch"):
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


def _ask_empty(
    model: EvaluatedModel,
    tokens: Tensor,
    notes: list[str | None],
    answers_N: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> None:
    """Ask with an empty note, beside a real one: in a batch of empty notes alone no note would be read at all."""
    kept = np.array([at for at, note in enumerate(notes) if note is not None], dtype=np.int64)
    if not len(kept):
        return
    beside = np.concatenate([kept[:1], kept])
    logits = model.predict_tokens(tokens[beside], [notes[kept[0]], *[""] * len(kept)])
    answers_N[rows[kept]] = logits[1:].argmax(dim=1).numpy()


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
