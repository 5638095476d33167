"""What goes with a photo in training: its label, a note that the grower might have written, a caption target.

The class's description is only ever a target here. The note is the classifier's one text input: made from symptom
sentences, names masked, given half the time, and now and then about another plant.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from plantset.core.language import Language
from plantset.core.records import Record
from plantset.core.vocabulary import TASKS, CaptionVocabulary, Task
from plantset.data.sampler import Key
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.notes import grower_notes
from plantset.knowledge.render import catalogue_sheet, headline

_NOTES_PER_CLASS = 12
_NOTE_STREAM, _CAPTION_STREAM = 1, 2
# Descriptions are the longest texts, and the only ones that may be of one photo: most of the learning is theirs.
_TASK_SHARES: Mapping[Task, float] = {"DESCRIBE": 0.7, "CLASSIFY": 0.1, "SYMPTOMS": 0.1, "TREATMENT": 0.1}

CaptionRow = NDArray[np.int64]
CaptionRows = Mapping[Task, Sequence[CaptionRow]]
_NO_ROWS: CaptionRows = {}


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
        tasks: what the captioner may be asked.
        notes: None for a split that is asked without notes.
    """

    def __init__(
        self,
        records: Sequence[Record],
        class_names: Sequence[str],
        *,
        vocabulary: CaptionVocabulary | None,
        caption_length: int,
        notes: NotePolicy | None,
        seed: int,
        tasks: Sequence[Task] = TASKS,
    ) -> None:
        class_index = {name: index for index, name in enumerate(class_names)}
        self.labels_N = np.array([class_index[record.class_id] for record in records], dtype=np.int64)
        self._policy = notes
        self._seed = seed
        self._notes = note_pools(records, class_names, seed=seed) if notes else []
        self._noted_classes = [index for index, pool in enumerate(self._notes) if pool]
        self._padding: CaptionRow = np.zeros(caption_length, dtype=np.int64)
        writer = _RowWriter(vocabulary, caption_length, tasks)
        self._captions: list[CaptionRows] = [writer.rows(record) for record in records]

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

    def caption(self, key: Key) -> CaptionRow:
        """Return one of the photo's caption rows (T,), its task and then its language drawn; padding where it has none.

        Seven in ten are descriptions, one in ten each the name, the symptoms and the treatment, where there are such.
        """
        rows = self._captions[key.index]
        if not rows:
            return self._padding
        rng = np.random.default_rng([self._seed, _CAPTION_STREAM, key.epoch, key.index])
        tasks = [task for task in TASKS if task in rows]
        shares = np.array([_TASK_SHARES[task] for task in tasks])
        chosen = rows[tasks[int(np.searchsorted(shares.cumsum(), rng.random() * shares.sum(), side="right"))]]
        return chosen[int(rng.integers(len(chosen)))]

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


def task_texts(record: Record) -> dict[tuple[Task, str], str]:
    """Return (task, language) -> what the captioner should answer: descriptions, symptoms, treatment, disease and crop.

    The name is the catalogue's, in both languages; of a class that the catalogue lacks, the user's own name for it.
    """
    texts: dict[tuple[Task, str], str] = {("DESCRIBE", tag): text for tag, text in caption_targets(record).items()}
    for tag, said in record.texts.items():
        texts["SYMPTOMS", tag] = " ".join(said.symptoms)
        texts["TREATMENT", tag] = " ".join(said.management)
    texts |= {("CLASSIFY", tag): name for tag, name in _disease_names(record).items()}
    return {asked: text for asked, text in texts.items() if text}


def with_distinct_texts(records: Iterable[Record]) -> list[Record]:
    """Return one record of each distinct set of `task_texts`: the photos of a class mostly say the same."""
    return list({_texts_key(record): record for record in records}.values())


def _texts_key(record: Record) -> tuple[Hashable, ...]:
    """Return what `task_texts` depends on; `read_records` keeps equal texts once, so that identity tells them apart."""
    return id(record.texts), record.text, record.language, record.disease_id, record.disease


def _disease_names(record: Record) -> Mapping[str, str]:
    known = _catalogue_names(record.disease_id) if record.disease_id else {}
    return known or ({record.language: record.disease} if record.disease else {})


@cache
def _catalogue_names(disease_id: str) -> Mapping[str, str]:
    catalogue = load_catalogue()
    disease = catalogue.get(disease_id)
    if disease is None:
        return {}
    languages: tuple[Language, ...] = ("en", "fr")
    return {tag: headline(catalogue_sheet(disease, catalogue, tag), tag) for tag in languages}


class _RowWriter:
    """Records to caption rows; photos of a class share their texts, so that each text is one row."""

    def __init__(self, vocabulary: CaptionVocabulary | None, length: int, tasks: Sequence[Task]) -> None:
        self._vocabulary = vocabulary
        self._length = length
        self._tasks = tasks
        self._known: dict[tuple[Task, str, str], CaptionRow] = {}
        self._rows: dict[tuple[Hashable, ...], tuple[CaptionRows, Record]] = {}  # with the record: its id stays taken

    def rows(self, record: Record) -> CaptionRows:
        """Return the rows of each task, by language; no entry for a task without a text."""
        if self._vocabulary is None:
            return _NO_ROWS
        key = _texts_key(record)
        if key not in self._rows:
            self._rows[key] = self._write(record, self._vocabulary), record
        return self._rows[key][0]

    def _write(self, record: Record, vocabulary: CaptionVocabulary) -> CaptionRows:
        found: dict[Task, list[CaptionRow]] = {}
        for (task, language), text in sorted(task_texts(record).items()):
            if task in self._tasks and task in vocabulary.tasks and language in vocabulary.languages:
                key = (task, language, text)
                if key not in self._known:
                    self._known[key] = vocabulary.encode(text, language=language, length=self._length, task=task)
                found.setdefault(task, []).append(self._known[key])
        return found
