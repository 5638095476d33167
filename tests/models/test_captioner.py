"""The captioner: cached decoding, what its loss counts, where it stops."""

from __future__ import annotations

import pytest
import torch

from plantset.core.vocabulary import END_ID, PAD_ID
from plantset.models.captioner import Captioner, CaptionEvidence
from plantset.models.generation import Decoding, write

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
            logits = captioner(torch.tensor([ids]), row[None])[0, -1]
            logits[PAD_ID] = -torch.inf  # the mark of an ended row is never written
            ids.append(int(logits.argmax()))
        texts.append(ids[len(PROMPT) :])
    return texts


@torch.no_grad()
def test_cached_decoding_writes_what_a_decoder_without_a_cache_writes(
    captioner: Captioner, image: torch.Tensor
) -> None:
    expected = _decode_without_a_cache(captioner, image)

    written = captioner.generate(image, PROMPT).tolist()

    assert [row[: len(text)] for row, text in zip(written, expected, strict=True)] == expected


def test_different_photos_get_different_texts(captioner: Captioner) -> None:
    image = torch.randn(8, 4, IMAGE_WIDTH, generator=torch.Generator().manual_seed(1))

    texts = {tuple(row) for row in captioner.generate(image, PROMPT).tolist()}

    assert len(texts) >= 6


@torch.no_grad()
@pytest.mark.parametrize("num_beams", [2, 5])
def test_the_beams_of_a_photo_do_not_depend_on_its_neighbours(
    captioner: Captioner, image: torch.Tensor, num_beams: int
) -> None:
    together = captioner.generate(image, PROMPT, decoding=Decoding(num_beams)).tolist()

    alone = [captioner.generate(row[None], PROMPT, decoding=Decoding(num_beams))[0].tolist() for row in image]

    assert [row[: len(text)] for row, text in zip(together, alone, strict=True)] == alone


@torch.no_grad()
def test_beams_with_a_cache_find_what_beams_without_a_cache_find(captioner: Captioner, image: torch.Tensor) -> None:
    decoding = Decoding(num_beams=3)
    uncached = _ReadsAllAgain(captioner, image.repeat_interleave(3, dim=0))
    logits = uncached.logits()

    expected = write(uncached, logits, max_words=LENGTH - len(PROMPT), decoding=decoding)

    assert captioner.generate(image, PROMPT, decoding=decoding).tolist() == expected.tolist()


class _ReadsAllAgain:
    def __init__(self, captioner: Captioner, image: torch.Tensor) -> None:
        self._captioner, self._image = captioner, image
        self._ids = torch.tensor(PROMPT).expand(len(image), -1)

    def logits(self) -> torch.Tensor:
        return self._captioner(self._ids, self._image)[:, -1]

    def step(self, words_R: torch.Tensor) -> torch.Tensor:
        self._ids = torch.cat([self._ids, words_R[:, None]], dim=1)
        return self.logits()

    def reorder(self, rows_R: torch.Tensor) -> None:
        self._ids = self._ids[rows_R]


def test_the_evidence_stands_behind_the_image_tokens_and_tells_classes_apart() -> None:
    torch.manual_seed(0)
    evidence = CaptionEvidence(photo_width=6, num_classes=3, width=IMAGE_WIDTH)
    image, photo = torch.randn(2, 4, IMAGE_WIDTH), torch.randn(2, 6)
    sure = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

    seen = evidence(image, photo, sure)

    assert seen.shape == (2, 6, IMAGE_WIDTH)
    assert torch.equal(seen[:, :4], image)
    torch.testing.assert_close(seen[0, 5], evidence.classes.weight[:, 0])
    torch.testing.assert_close(seen[1, 5], evidence.classes.weight[:, 2])


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
