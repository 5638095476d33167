"""The captioner's own vocabulary: byte-level BPE trained on the texts, with task and language prompts.

Byte-level, so that no character of any language is unknown; NFC, so that composed and decomposed accents are one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

Task = Literal["DESCRIBE", "CLASSIFY", "SYMPTOMS", "TREATMENT"]
TASKS: tuple[Task, ...] = get_args(Task)
PAD_ID, END_ID = 0, 1


class Vocabulary:
    """Text <-> fixed-length rows of ids: `<TASK> <language> words… <end>` and padding.

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

    def prompt_ids(self, language: str, task: Task = "DESCRIBE") -> list[int]:
        """Return the ids that ask for a text: the task and the language.

        Raises:
            KeyError: the vocabulary has no such language or task.
        """
        if language not in self.languages:
            raise KeyError(language)
        if task not in self.tasks:
            raise KeyError(task)
        return [self._prompt_words[word] for word in (task, language)]

    def word_ids(self, text: str) -> list[int]:
        """Return the ids of a text alone, without prompt and end."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def count(self, text: str) -> int:
        """Return the length of the row that holds the whole text: prompt, words and end."""
        return len(self.prompt_ids(self.languages[0])) + len(self.word_ids(text)) + 1

    def encode(self, text: str, *, language: str, length: int, task: Task = "DESCRIBE") -> NDArray[np.int64]:
        """Return (length,) ids: prompt, text, end, padding; a longer text is cut, and then has no end."""
        ids = [*self.prompt_ids(language, task), *self.word_ids(text), END_ID][:length]
        row = np.full(length, PAD_ID, dtype=np.int64)
        row[: len(ids)] = ids
        return row

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text up to the end token, without prompts and padding."""
        kept: list[int] = []
        for token in ids:
            if token == END_ID:
                break
            kept.append(int(token))
        text: str = self._tokenizer.decode(kept, skip_special_tokens=True)
        return text.strip()

    @cached_property
    def _prompt_words(self) -> dict[str, int]:
        """Task or language -> its token's id; asking the tokenizer for its vocabulary costs a millisecond."""
        special = {token["content"].strip("<>") for token in json.loads(self.to_json())["added_tokens"]}
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        return {word: vocabulary[f"<{word}>"] for word in sorted(special - {"pad", "end"})}
