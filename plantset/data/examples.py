"""What goes with a photo in training: its label, a note that the grower might have written, a caption target.

The class's description is only ever a target here. The note is the classifier's one text input: made from symptom
sentences, names masked, given half the time, and now and then about another plant (DESIGN §5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantset.core.records import Record
from plantset.core.vocabulary import Vocabulary
from plantset.data.sampler import Key
from plantset.knowledge.notes import grower_notes

_NOTES_PER_CLASS = 12
_NOTE_STREAM, _CAPTION_STREAM = 1, 2


@dataclass(frozen=True, slots=True)
class NotePolicy:
    """How often a training photo has a note, and how often that note is somebody else's."""

    note_prob: float = 0.5
    wrong_note_prob: float = 0.1


class Examples:
    """Labels, notes and caption targets of a list of records, each a pure function of (seed, epoch, index).

    Args:
        records: one split's photos.
        class_names: class ids in index order.
        vocabulary: makes caption rows; None when there is no captioner.
        caption_length: tokens in a caption row.
        notes: None for a split that is asked without notes.
    """

    def __init__(
        self,
        records: Sequence[Record],
        class_names: Sequence[str],
        *,
        vocabulary: Vocabulary | None,
        caption_length: int,
        notes: NotePolicy | None,
        seed: int,
    ) -> None:
        class_index = {name: index for index, name in enumerate(class_names)}
        self.labels_N = np.array([class_index[record.class_id] for record in records], dtype=np.int64)
        self._policy = notes
        self._seed = seed
        self._notes = note_pools(records, class_names, seed=seed) if notes else []
        self._noted_classes = [index for index, pool in enumerate(self._notes) if pool]
        rows: dict[tuple[str, str], NDArray[np.int64]] = {}  # photos of a class share their text: one row each
        self._captions = [_caption_rows(record, vocabulary, caption_length, rows) for record in records]

    def note(self, key: Key) -> tuple[str | None, int]:
        """Return (note, class that it is about) for this photo in this epoch; (None, -1) without a note."""
        if self._policy is None or not self._noted_classes:
            return None, -1
        rng = np.random.default_rng([self._seed, _NOTE_STREAM, key.epoch, key.index])
        if rng.random() >= self._policy.note_prob:
            return None, -1
        label = int(self.labels_N[key.index])
        if rng.random() < self._policy.wrong_note_prob:
            label = self._noted_classes[int(rng.integers(len(self._noted_classes)))]
        pool = self._notes[label]
        return (pool[int(rng.integers(len(pool)))], label) if pool else (None, -1)

    def caption(self, key: Key) -> NDArray[np.int64]:
        """Return one of the photo's caption rows (T,), drawn among its languages; all padding where it has none."""
        rows = self._captions[key.index]
        rng = np.random.default_rng([self._seed, _CAPTION_STREAM, key.epoch, key.index])
        return rows[int(rng.integers(len(rows)))]

    @property
    def all_notes(self) -> list[str]:
        """Every note that `note` can return, for encoding once."""
        return sorted({note for pool in self._notes for note in pool})


def note_pools(records: Sequence[Record], class_names: Sequence[str], *, seed: int) -> list[tuple[str, ...]]:
    """Return a pool of notes per class, half French, half English; empty where no symptom is known."""
    first_of_class: dict[str, Record] = {}
    for record in records:
        first_of_class.setdefault(record.class_id, record)
    pools: list[tuple[str, ...]] = []
    for name in class_names:
        example = first_of_class.get(name)
        notes: list[str] = []
        if example is not None:
            notes += grower_notes(example, language="fr", count=_NOTES_PER_CLASS // 2, seed=seed)
            notes += grower_notes(example, language="en", count=_NOTES_PER_CLASS // 2, seed=seed)
        pools.append(tuple(dict.fromkeys(notes)))
    return pools


def caption_targets(record: Record) -> dict[str, str]:
    """Return language -> the text that the captioner should write for this photo."""
    targets = {language: texts.description for language, texts in record.texts.items() if texts.description}
    if record.text:
        targets[record.language] = record.text
    return targets


def _caption_rows(
    record: Record, vocabulary: Vocabulary | None, length: int, known: dict[tuple[str, str], NDArray[np.int64]]
) -> list[NDArray[np.int64]]:
    found: list[NDArray[np.int64]] = []
    for language, text in sorted(caption_targets(record).items()):
        if vocabulary is None or language not in vocabulary.languages:
            continue
        if (language, text) not in known:
            known[language, text] = vocabulary.encode(text, language=language, length=length)
        found.append(known[language, text])
    return found or [known.setdefault(("", ""), np.zeros(length, dtype=np.int64))]
