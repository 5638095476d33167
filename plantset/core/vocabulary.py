"""Rows of ids for the captioner: text to row and back, with task and language prompts.

Two vocabularies make them, behind one face: byte-level BPE trained on the texts (`Vocabulary`), and the tokenizer of a
pretrained language model (`LanguageModelVocabulary`). In every row 0 is padding, 1 the end, and the first two ids the
prompt, whoever made it, so that losses, beams and batches know of one kind of row.

NFC, so that composed and decomposed accents are one.
"""

from __future__ import annotations

import json
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

Task = Literal["DESCRIBE", "CLASSIFY", "SYMPTOMS", "TREATMENT"]
TASKS: tuple[Task, ...] = get_args(Task)
PAD_ID, END_ID = 0, 1
FIRST_PROMPT_ID = 2
PROMPT_LENGTH = 2  # the task and the language, which are given and not predicted
_LANGUAGE_MODEL = "language-model"


class CaptionVocabulary(ABC):
    """Text <-> fixed-length rows of ids: `<TASK> <language> words… <end>` and padding."""

    @property
    @abstractmethod
    def languages(self) -> tuple[str, ...]:
        """The languages that have a prompt, sorted."""

    @property
    @abstractmethod
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that have a prompt."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many ids there are, special ones included."""

    @abstractmethod
    def word_ids(self, text: str) -> list[int]:
        """Return the ids of a text alone, without prompt and end."""

    @abstractmethod
    def to_json(self) -> str:
        """Return the whole vocabulary as JSON, for the checkpoint; `vocabulary_from_json` reads it."""

    @abstractmethod
    def _prompt_id(self, word: str) -> int:
        """Return the id of a task or language that has a prompt."""

    @abstractmethod
    def _text_of(self, ids: list[int]) -> str:
        """Return the text of ids without padding and end; prompts say nothing."""

    def prompt_ids(self, language: str, task: Task = "DESCRIBE") -> list[int]:
        """Return the ids that ask for a text: the task and the language.

        Raises:
            KeyError: the vocabulary has no such language or task.
        """
        if language not in self.languages:
            raise KeyError(language)
        if task not in self.tasks:
            raise KeyError(task)
        return [self._prompt_id(word) for word in (task, language)]

    def count(self, text: str) -> int:
        """Return the length of the row that holds the whole text: prompt, words and end."""
        return PROMPT_LENGTH + len(self.word_ids(text)) + 1

    def encode(self, text: str, *, language: str, length: int, task: Task = "DESCRIBE") -> NDArray[np.int64]:
        """Return (length,) ids: prompt, text, end, padding; a longer text is cut, and then has no end."""
        ids = [*self.prompt_ids(language, task), *self.word_ids(text), END_ID][:length]
        row = np.full(length, PAD_ID, dtype=np.int64)
        row[: len(ids)] = ids
        return row

    def held(self, text: str, length: int) -> str:
        """Return what of the text a row of `length` ids holds: all, or its beginning as the tokenizer reads it."""
        ids, room = self.word_ids(text), max(0, length - PROMPT_LENGTH)
        return text if len(ids) <= room else self._text_of(ids[:room])

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text up to the end, without prompts and padding."""
        kept: list[int] = []
        for token in ids:
            if token == END_ID:
                break
            if token != PAD_ID:
                kept.append(int(token))
        return self._text_of(kept).strip()


class Vocabulary(CaptionVocabulary):
    """Byte-level BPE, so that no character of any language is unknown; prompts are words of it.

    Args:
        tokenizer: a `tokenizers.Tokenizer` with the special tokens that `Vocabulary.train` adds.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def train(cls, texts: Iterable[str], *, languages: Sequence[str], size: int = 4096) -> Vocabulary:
        """Learn at most `size` tokens from the texts; every language gets a prompt token."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        special = ["<pad>", "<end>", *(f"<{task}>" for task in TASKS), *(f"<{tag}>" for tag in sorted(set(languages)))]
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(sorted(set(texts)), trainer)  # sorted: the same texts give the same ids
        return cls(tokenizer)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Restore what `to_json` gave."""
        return cls(Tokenizer.from_str(text))

    def to_json(self) -> str:
        """Return the whole vocabulary as JSON, for the checkpoint."""
        text: str = self._tokenizer.to_str()
        return text

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a prompt token, sorted."""
        return tuple(sorted(tag for tag in self._prompt_words if tag not in TASKS))

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that have a prompt token: in a vocabulary of an earlier version, only DESCRIBE."""
        return tuple(task for task in TASKS if task in self._prompt_words)

    def word_ids(self, text: str) -> list[int]:
        """Return the ids of a text alone, without prompt and end."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _prompt_id(self, word: str) -> int:
        return self._prompt_words[word]

    def _text_of(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    @cached_property
    def _prompt_words(self) -> dict[str, int]:
        """Task or language -> its token's id; asking the tokenizer for its vocabulary costs a millisecond."""
        special = {token["content"].strip("<>") for token in json.loads(self.to_json())["added_tokens"]}
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        return {word: vocabulary[f"<{word}>"] for word in sorted(special - {"pad", "end"})}


class LanguageModelVocabulary(CaptionVocabulary):
    """The tokenizer of a pretrained language model, its ids moved up behind padding, end and prompts.

    Prompts are added ids with embeddings of their own, which the captioner learns, not plain text: they also learn
    under a frozen language model, always take two places, speak no language that the model may not know, and leave its
    table of words, its tied head and its tokenizer as they were released. Such learned prompts are prompt tuning's
    (Lester et al., arXiv 2104.08691).

    Args:
        tokenizer: the language model's own; not shared with anything that sets its truncation.
        end_id: the id with which the language model ends a text; written as 1 in rows.
        languages: each gets a prompt.
    """

    def __init__(self, tokenizer: Tokenizer, *, end_id: int, languages: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._end_id = end_id
        self._languages = tuple(sorted(set(languages)))
        self._prompt_words: tuple[str, ...] = (*TASKS, *self._languages)

    @classmethod
    def from_json(cls, text: str) -> LanguageModelVocabulary:
        """Restore what `to_json` gave."""
        parts = json.loads(text)
        tokenizer = Tokenizer.from_str(parts["tokenizer"])
        return cls(tokenizer, end_id=parts["end_id"], languages=parts["languages"])

    def to_json(self) -> str:
        """Return the whole vocabulary as JSON, for the checkpoint."""
        parts = {"end_id": self._end_id, "languages": self._languages, "tokenizer": self._tokenizer.to_str()}
        return json.dumps({"kind": _LANGUAGE_MODEL, **parts})

    def __len__(self) -> int:
        return self._first_word_id + int(self._tokenizer.get_vocab_size())

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a prompt, sorted."""
        return self._languages

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All tasks."""
        return TASKS

    @property
    def num_prompts(self) -> int:
        """How many tasks and languages have a prompt."""
        return len(self._prompt_words)

    def word_ids(self, text: str) -> list[int]:
        """Return the ids of a text alone, without prompt and end."""
        ids = self._tokenizer.encode(unicodedata.normalize("NFC", text), add_special_tokens=False).ids
        return [self._first_word_id + int(token) for token in ids]

    @property
    def _first_word_id(self) -> int:
        return FIRST_PROMPT_ID + self.num_prompts

    def _prompt_id(self, word: str) -> int:
        return FIRST_PROMPT_ID + self._prompt_words.index(word)

    def _text_of(self, ids: list[int]) -> str:
        words = [token - self._first_word_id for token in ids if token >= self._first_word_id]
        text: str = self._tokenizer.decode(words, skip_special_tokens=True)
        return text


def vocabulary_from_json(text: str) -> CaptionVocabulary:
    """Restore what either vocabulary's `to_json` gave."""
    is_language_model = json.loads(text).get("kind") == _LANGUAGE_MODEL
    return LanguageModelVocabulary.from_json(text) if is_language_model else Vocabulary.from_json(text)
