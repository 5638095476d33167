"""The captioner: cached decoding, what its loss counts, where it stops."""

from __future__ import annotations

import pytest
import torch

from plantset.core.vocabulary import END_ID, PAD_ID
from plantset.models.captioner import Captioner

WORDS, LENGTH, IMAGE_WIDTH = 23, 12, 10
PROMPT = [2, 3]


@pytest.fixture
def captioner() -> Captioner:
    torch.manual_seed(0)
    built = Captioner(WORDS, LENGTH, image_width=IMAGE_WIDTH, width=16, num_heads=4, num_layers=2)
    with torch.no_grad():
        built.positions.weight.normal_(std=1.0)  # tied words would only repeat themselves
        for layer in built.layers:
            layer.cross_attention.output.weight.normal_(std=1.0)  # the photos must get different texts
    return built.eval()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(3, 4, IMAGE_WIDTH, generator=torch.Generator().manual_seed(1))


def _decode_without_a_cache(captioner: Captioner, image: torch.Tensor) -> list[list[int]]:
    texts: list[list[int]] = []
    for row in image:
        ids = list(PROMPT)
        while len(ids) < LENGTH and ids[-1] != END_ID:
            ids.append(int(captioner(torch.tensor([ids]), row[None])[0, -1].argmax()))
        texts.append(ids[len(PROMPT) :])
    return texts


@torch.no_grad()
def test_cached_decoding_writes_what_a_decoder_without_a_cache_writes(
    captioner: Captioner, image: torch.Tensor
) -> None:
    expected = _decode_without_a_cache(captioner, image)

    written = captioner.generate(image, PROMPT).tolist()

    assert [row[: len(text)] for row, text in zip(written, expected, strict=True)] == expected


def test_different_photos_get_different_texts(captioner: Captioner, image: torch.Tensor) -> None:
    texts = {tuple(row) for row in captioner.generate(image, PROMPT).tolist()}

    assert len(texts) == 3


def test_writing_stops_at_the_end_token_and_pads_the_rest(captioner: Captioner, image: torch.Tensor) -> None:
    end_after = {0: 1, 1: 3, 2: 2}
    steps = iter(range(LENGTH))

    def step_that_ends_rows(*_: object, **__: object) -> tuple[torch.Tensor, list[object]]:
        now = next(steps)
        logits = torch.zeros(3, 1, WORDS)
        for row, last in end_after.items():
            logits[row, 0, END_ID if now == last else 7] = 1.0
        return logits, []

    captioner._step = step_that_ends_rows  # type: ignore[method-assign, assignment]

    assert captioner.generate(image, PROMPT).tolist() == [
        [7, END_ID, PAD_ID, PAD_ID],
        [7, 7, 7, END_ID],
        [7, 7, END_ID, PAD_ID],
    ]


def test_a_text_without_an_end_fills_the_length_and_no_more(captioner: Captioner, image: torch.Tensor) -> None:
    with torch.no_grad():
        captioner.words.weight[END_ID] = 0.0
        captioner.words.weight[7] = 50 * captioner.output_norm.weight
        captioner.output_norm.bias.fill_(1.0)

    assert captioner.generate(image, PROMPT).shape == (3, LENGTH - len(PROMPT))


@torch.no_grad()
def test_the_loss_is_the_hand_computed_negative_log_likelihood_of_text_and_end(
    captioner: Captioner, image: torch.Tensor
) -> None:
    ids = torch.tensor([[*PROMPT, 9, 11, END_ID, PAD_ID, PAD_ID]])
    log_probs = captioner(ids[:, :-1], image[:1])[0].log_softmax(dim=-1)

    total, words = captioner.loss(ids, image[:1])

    by_hand = -(log_probs[1, 9] + log_probs[2, 11] + log_probs[3, END_ID])
    assert words == 3
    torch.testing.assert_close(total, by_hand)


@torch.no_grad()
def test_more_padding_does_not_change_the_loss(captioner: Captioner, image: torch.Tensor) -> None:
    ids = torch.tensor([[*PROMPT, 9, 11, END_ID]])
    padded = torch.cat([ids, torch.full((1, 5), PAD_ID)], dim=1)

    torch.testing.assert_close(captioner.loss(padded, image[:1]), captioner.loss(ids, image[:1]))


@torch.no_grad()
def test_a_row_of_padding_alone_counts_nothing(captioner: Captioner, image: torch.Tensor) -> None:
    total, words = captioner.loss(torch.full((2, 8), PAD_ID), image[:2])

    assert (float(total), int(words)) == (0.0, 0)


@torch.no_grad()
def test_a_word_does_not_see_the_words_after_it(captioner: Captioner, image: torch.Tensor) -> None:
    ids = torch.tensor([[*PROMPT, 9, 11, 5, 6]])
    changed = torch.tensor([[*PROMPT, 9, 11, 17, 4]])

    torch.testing.assert_close(captioner(changed, image[:1])[:, :4], captioner(ids, image[:1])[:, :4])
