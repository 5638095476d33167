"""Writing with an autoregressive decoder: greedily, with beams, or by sampling; the decoder keeps its own cache.

One interface (`StepDecoder`) for a decoder of our own and for a pretrained language model, so that both are searched
alike.

Dimensions: B photos, K beams, R = B × K rows, W words, T words written.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.core.vocabulary import END_ID, PAD_ID

Choose = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draw each word instead of taking the likeliest.

    Attributes:
        temperature: logits are divided by it; below 1 is bolder, above 1 more varied.
        top_p: draw among the fewest words that weigh this much together (nucleus sampling, Holtzman et al.,
            arXiv 1904.09751, section 3.1).
        seed: the same seed, photos and order give the same texts, on any device.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to write.

    Attributes:
        num_beams: beginnings kept at each word; 1 is greedy.
        sampling: draw words; with one beam only.
        no_repeat_ngram: a sequence of so many words is written at most once in a text; 0 allows any repetition.
        length_penalty: beams are compared by log-likelihood / words ** this (Wu et al., arXiv 1609.08144, section 7,
            without its constant 5, as `transformers` has it); 0 compares whole likelihoods, which favours short texts.
    """

    num_beams: int = 1
    sampling: Sampling | None = None
    no_repeat_ngram: int = 0
    length_penalty: float = 1.0


GREEDY = Decoding()


class StepDecoder(Protocol):
    """A decoder that has read a prompt for each of R rows, and goes on word by word."""

    def step(self, words_R: Tensor) -> Tensor:
        """Read one more word in each row and return the logits (R, W) of the next."""

    def reorder(self, rows_R: Tensor) -> None:
        """Let row r go on from what row `rows_R[r]` has read."""


def check_decoding(decoding: Decoding) -> None:
    """Refuse settings that no text can be written with.

    Raises:
        ConfigError: naming the setting.
    """
    sampling = decoding.sampling
    wrong = [
        (decoding.num_beams < 1, "num_beams", tr("at least 1", "au moins 1")),
        (decoding.no_repeat_ngram < 0, "no_repeat_ngram", tr("0 or more", "0 ou plus")),
        (sampling is not None and decoding.num_beams > 1, "num_beams", tr("1 with sampling", "1 avec un tirage")),
        (sampling is not None and sampling.temperature <= 0, "temperature", tr("above 0", "plus que 0")),
        (sampling is not None and not 0 < sampling.top_p <= 1, "top_p", tr("above 0, at most 1", "de plus que 0 à 1")),
    ]
    for is_wrong, name, expected in wrong:
        if is_wrong:
            raise ConfigError(
                tr(f"{name} is out of range", f"{name} est hors limites"), tr(f"give {expected}", f"donnez {expected}")
            )


def write(decoder: StepDecoder, logits_RW: Tensor, *, max_words: int, decoding: Decoding) -> Tensor:
    """Write a text for each photo.

    Args:
        decoder: which has read the prompts, `num_beams` rows in a row for each photo.
        logits_RW: what may follow the prompt.
        max_words: longest text, its end included.

    Returns:
        (B, T) int64 without the prompt; after its end a row is padding.

    Raises:
        ConfigError: the settings exclude each other.
    """
    check_decoding(decoding)
    if decoding.num_beams > 1:
        return _search(decoder, logits_RW, max_words=max_words, decoding=decoding)
    choose = _likeliest if decoding.sampling is None else _drawing(decoding.sampling)
    written_RT = logits_RW.new_zeros((logits_RW.shape[0], 0), dtype=torch.int64)
    ended_R = torch.zeros(logits_RW.shape[0], dtype=torch.bool, device=logits_RW.device)
    for position in range(max_words):
        words_R = choose(_allowed(logits_RW, written_RT, decoding)).masked_fill(ended_R, PAD_ID)
        written_RT = torch.cat([written_RT, words_R[:, None]], dim=1)
        ended_R = ended_R | (words_R == END_ID)
        if position + 1 == max_words or bool(ended_R.all()):
            break
        logits_RW = decoder.step(words_R)
    return written_RT


def forbid_repeats(logits_RW: Tensor, written_RT: Tensor, ngram: int) -> Tensor:
    """Return the logits with -inf for each word that would complete a sequence of `ngram` words written before."""
    length = written_RT.shape[1]
    if ngram == 0 or length < ngram:
        return logits_RW
    windows_RSN = written_RT.unfold(1, ngram, 1)
    last_RN = written_RT[:, length - ngram + 1 :]
    is_again_RS = (windows_RSN[..., :-1] == last_RN[:, None, :]).all(dim=-1)
    banned_RW = torch.zeros_like(logits_RW).scatter_add(1, windows_RSN[..., -1], is_again_RS.to(logits_RW.dtype))
    return logits_RW.masked_fill(banned_RW > 0, -math.inf)


def _allowed(logits_RW: Tensor, written_RT: Tensor, decoding: Decoding) -> Tensor:
    """Return the logits of what may be written: never padding, which is the mark of an ended row."""
    is_padding_W = torch.arange(logits_RW.shape[1], device=logits_RW.device) == PAD_ID
    return forbid_repeats(logits_RW.float().masked_fill(is_padding_W, -math.inf), written_RT, decoding.no_repeat_ngram)


def _likeliest(logits_RW: Tensor) -> Tensor:
    return logits_RW.argmax(dim=-1)


def _drawing(sampling: Sampling) -> Choose:
    """Return a function that draws one word a row: the inverse of the distribution at a uniform random number."""
    generator = torch.Generator().manual_seed(sampling.seed)  # of the CPU, so that any device draws the same

    def draw(logits_RW: Tensor) -> Tensor:
        probs_RW, words_RW = (logits_RW / sampling.temperature).softmax(dim=-1).sort(dim=-1, descending=True)
        upto_RW = probs_RW.cumsum(dim=-1)
        nucleus_RW = probs_RW * (upto_RW - probs_RW < sampling.top_p)  # the word that passes top_p is the last in
        upto_RW = nucleus_RW.cumsum(dim=-1)
        point_R1 = torch.rand(logits_RW.shape[0], 1, generator=generator).to(upto_RW) * upto_RW[:, -1:]
        place_R1 = torch.searchsorted(upto_RW, point_R1, right=True).clamp(max=logits_RW.shape[-1] - 1)
        last_R1 = (nucleus_RW > 0).sum(dim=-1, keepdim=True) - 1  # a point that rounding put at the very end
        return words_RW.gather(1, torch.minimum(place_R1, last_R1)).squeeze(1)

    return draw


class _Beams(NamedTuple):
    """Texts of each photo, the best first: words (B, K, T) and scores (B, K)."""

    words_BKT: Tensor
    scores_BK: Tensor

    def best_with(self, words_BJT: Tensor, scores_BJ: Tensor) -> _Beams:
        """Return the K best of these and others."""
        words = torch.cat([self.words_BKT, words_BJT], dim=1)
        scores, order = torch.cat([self.scores_BK, scores_BJ], dim=1).topk(self.scores_BK.shape[1], dim=1)
        return _Beams(_take(words, order), scores)


def _search(decoder: StepDecoder, logits_RW: Tensor, *, max_words: int, decoding: Decoding) -> Tensor:
    """Beam search: the K likeliest beginnings at each word, ended texts set apart and compared by their mean."""
    num_beams, penalty = decoding.num_beams, decoding.length_penalty
    batch, vocabulary, device = logits_RW.shape[0] // num_beams, logits_RW.shape[1], logits_RW.device
    first_row_B1 = torch.arange(batch, device=device)[:, None] * num_beams
    words_BKT = torch.full((batch, num_beams, max_words), PAD_ID, device=device)
    scores_BK = torch.full((batch, num_beams), -math.inf, device=device)
    done = _Beams(words_BKT, scores_BK.clone())
    scores_BK[:, 0] = 0.0  # all beams of a photo are alike at the prompt: one of them goes on
    for position in range(max_words):
        written_RT = words_BKT.flatten(0, 1)[:, :position]
        log_probs_RW = _allowed(logits_RW, written_RT, decoding).log_softmax(dim=-1)
        totals_BKW = scores_BK[..., None] + log_probs_RW.view(batch, num_beams, vocabulary)
        # Twice as many as are kept: at most K of them end, so that K go on.
        count = min(2 * num_beams, num_beams * vocabulary)
        totals_BJ, place_BJ = totals_BKW.flatten(1).topk(count, dim=1)
        beam_BJ, word_BJ = place_BJ // vocabulary, place_BJ % vocabulary
        grown_BJT = _take(words_BKT, beam_BJ)
        grown_BJT[:, :, position] = word_BJ
        is_end_BJ = (word_BJ == END_ID) | (position + 1 == max_words)
        # Only what is among the K best may end, as in `transformers`: a poor ending is no reason to stop.
        is_end_BJ[:, num_beams:] = False
        ended_BJ = (totals_BJ / (position + 1) ** penalty).masked_fill(~is_end_BJ, -math.inf)
        done = done.best_with(grown_BJT, ended_BJ)
        if position + 1 == max_words:
            break
        scores_BK, order_BK = totals_BJ.masked_fill(word_BJ == END_ID, -math.inf).topk(num_beams, dim=1)
        words_BKT = _take(grown_BJT, order_BK)
        # As `transformers` stops: no photo's best beginning is, so far, better than the worst of its K texts.
        if not bool((scores_BK[:, 0] / (position + 1) ** penalty > done.scores_BK[:, -1]).any()):
            break
        decoder.reorder((first_row_B1 + beam_BJ.gather(1, order_BK)).flatten())
        logits_RW = decoder.step(words_BKT[:, :, position].flatten())
    best_BT = done.words_BKT[:, 0]
    return best_BT[:, : max(1, int((best_BT != PAD_ID).sum(dim=1).max()))]


def _take(words_BKT: Tensor, order_BJ: Tensor) -> Tensor:
    return words_BKT.gather(1, order_BJ[..., None].expand(-1, -1, words_BKT.shape[-1]))
