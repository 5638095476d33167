"""Greedy, beams and sampling over a decoder whose probabilities are known."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch

from plantset.core.errors import ConfigError
from plantset.core.vocabulary import END_ID, PAD_ID
from plantset.models.generation import Decoding, Sampling, forbid_repeats, write

WORDS = 5


class Chain:
    """A decoder whose next word depends on the last one alone: a Markov chain, one for each photo."""

    def __init__(self, logits_BWW: torch.Tensor, num_beams: int = 1) -> None:
        self.photo_R = torch.arange(len(logits_BWW)).repeat_interleave(num_beams)
        self.table = logits_BWW
        self.read: list[list[int]] = [[] for _ in self.photo_R]

    def step(self, words_R: torch.Tensor) -> torch.Tensor:
        self.read = [[*row, int(word)] for row, word in zip(self.read, words_R, strict=True)]
        return self.table[self.photo_R, words_R]

    def reorder(self, rows_R: torch.Tensor) -> None:
        self.read = [self.read[int(row)] for row in rows_R]

    def start(self) -> torch.Tensor:
        return self.table[self.photo_R, PAD_ID]


def _chain(photos: int, num_beams: int = 1, seed: int = 0) -> Chain:
    table = torch.randn(photos, WORDS, WORDS, generator=torch.Generator().manual_seed(seed)) * 2
    return Chain(table, num_beams)


def _write(chain: Chain, max_words: int, decoding: Decoding) -> list[list[int]]:
    return write(chain, chain.start(), max_words=max_words, decoding=decoding).tolist()


def _log_likelihood(table_WW: torch.Tensor, text: tuple[int, ...]) -> float:
    logits = table_WW.clone()
    logits[:, PAD_ID] = -torch.inf
    before = (PAD_ID, *text[:-1])
    return float(logits.log_softmax(dim=-1)[list(before), list(text)].sum())


def _strip(row: list[int]) -> tuple[int, ...]:
    return tuple(itertools.takewhile(lambda word: word != PAD_ID, row))


def _all_texts(max_words: int) -> list[tuple[int, ...]]:
    words = [word for word in range(WORDS) if word not in (PAD_ID, END_ID)]
    ended = [(*text, END_ID) for n in range(max_words) for text in itertools.product(words, repeat=n)]
    return ended + list(itertools.product(words, repeat=max_words))


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_enough_beams_find_the_best_of_all_texts(penalty: float) -> None:
    chain = _chain(photos=6, num_beams=64)

    found = _write(chain, 3, Decoding(num_beams=64, length_penalty=penalty))

    for photo, row in enumerate(found):
        best = max(_all_texts(3), key=lambda text: _log_likelihood(chain.table[photo], text) / len(text) ** penalty)
        assert _strip(row) == best


@pytest.mark.parametrize("num_beams", [2, 4, 8])
def test_beams_find_likelier_texts_than_greedy(num_beams: int) -> None:
    table = _chain(photos=40).table
    greedy = _write(Chain(table), 6, Decoding())

    beams = _write(Chain(table, num_beams), 6, Decoding(num_beams, length_penalty=0.0))

    gains = [
        _log_likelihood(table[photo], _strip(beam)) - _log_likelihood(table[photo], _strip(plain))
        for photo, (beam, plain) in enumerate(zip(beams, greedy, strict=True))
    ]
    assert min(gains) > -1e-5
    assert max(gains) > 0.1


def test_greedy_takes_the_likeliest_word_and_pads_after_the_end() -> None:
    table = torch.zeros(2, WORDS, WORDS)
    table[0, PAD_ID, 3] = table[0, 3, END_ID] = 1.0
    table[1, PAD_ID, 2] = table[1, 2, 4] = table[1, 4, END_ID] = 1.0

    assert _write(Chain(table), 9, Decoding()) == [[3, END_ID, PAD_ID], [2, 4, END_ID]]


@pytest.mark.parametrize("num_beams", [1, 3])
def test_padding_is_never_written_before_the_end(num_beams: int) -> None:
    table = torch.zeros(1, WORDS, WORDS)
    table[:, :, PAD_ID] = 50.0
    table[:, :, END_ID] = -50.0

    (row,) = _write(Chain(table, num_beams), 4, Decoding(num_beams))

    assert len(row) == 4
    assert PAD_ID not in row


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("ngram", [1, 2, 3])
def test_no_sequence_is_written_twice(ngram: int, num_beams: int) -> None:
    table = torch.zeros(1, WORDS, WORDS)
    table[:, :, END_ID] = -50.0
    table[:, 2, 3] = table[:, 3, 2] = 9.0  # left alone, it would write 2 3 2 3 2 3 …

    (row,) = _write(Chain(table, num_beams), 3 if ngram == 1 else 9, Decoding(num_beams, no_repeat_ngram=ngram))

    sequences = Counter(zip(*(row[start:] for start in range(ngram)), strict=False))
    assert max(sequences.values()) == 1


def test_a_word_is_forbidden_exactly_where_transformers_forbids_it() -> None:
    from transformers import NoRepeatNGramLogitsProcessor

    written = torch.randint(2, WORDS, (50, 12), generator=torch.Generator().manual_seed(0))
    logits = torch.randn(50, WORDS, generator=torch.Generator().manual_seed(1))

    expected = NoRepeatNGramLogitsProcessor(3)(written, logits.clone())

    assert torch.equal(forbid_repeats(logits, written, 3), expected)


def test_sampling_draws_words_as_often_as_they_are_probable() -> None:
    table = torch.zeros(4000, WORDS, WORDS)
    table[:, PAD_ID] = torch.tensor([-50.0, 0.1, 0.2, 0.3, 0.4]).log().nan_to_num(nan=-50.0)

    words = write(Chain(table), table[:, PAD_ID], max_words=1, decoding=Decoding(sampling=Sampling(seed=5)))

    shares = torch.bincount(words.flatten(), minlength=WORDS) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4]), atol=0.03, rtol=0)


def test_a_low_temperature_makes_the_likeliest_word_certain() -> None:
    cold = _write(_chain(photos=30), 6, Decoding(sampling=Sampling(temperature=1e-3)))

    assert cold == _write(_chain(photos=30), 6, Decoding())


def test_only_the_fewest_words_that_weigh_top_p_are_drawn() -> None:
    table = torch.zeros(2000, WORDS, WORDS)
    table[:, PAD_ID] = torch.tensor([1e-9, 0.05, 0.15, 0.35, 0.45]).log()

    words = write(Chain(table), table[:, PAD_ID], max_words=1, decoding=Decoding(sampling=Sampling(top_p=0.7, seed=1)))

    assert set(words.flatten().tolist()) == {3, 4}


def test_the_same_seed_draws_the_same_texts_and_another_seed_others() -> None:
    texts = [_write(_chain(photos=9), 6, Decoding(sampling=Sampling(seed=seed))) for seed in (1, 1, 2)]

    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


@pytest.mark.parametrize(
    ("decoding", "name"),
    [
        (Decoding(num_beams=0), "num_beams"),
        (Decoding(num_beams=2, sampling=Sampling()), "num_beams"),
        (Decoding(sampling=Sampling(temperature=0.0)), "temperature"),
        (Decoding(sampling=Sampling(top_p=0.0)), "top_p"),
        (Decoding(no_repeat_ngram=-1), "no_repeat_ngram"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(decoding: Decoding, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        _write(_chain(photos=1), 4, decoding)
