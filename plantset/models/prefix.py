"""A pretrained language model that writes while it looks: image tokens stand before the text as if they were words.

LLaVA (arXiv 2304.08485, section 4.1), Qwen-VL (2308.12966) and PaLM2-VAdapter (2402.10896) give a decoder-only language
model the image tokens as the beginning of its input. So here: [start] image tokens, task, language, words. The image
tokens are projected to the width of its embeddings (LLaVA's linear layer, behind a norm), task and language have
learned embeddings of their own, and the rest is the language model: the text tower itself, frozen or learning as the
tower is, never a second copy. What differs from the papers: there is no chat around it, and the captioner also sees the
pooled photo and the predicted classes (`models.captioner.CaptionEvidence`).

Dimensions: B photos, R rows (each photo's beams), N image tokens, T ids, D image width, C language model's width, V its
words, W ids of rows (`core.vocabulary.LanguageModelVocabulary`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plantset.core.vocabulary import END_ID, FIRST_PROMPT_ID, PAD_ID
from plantset.encoders.language import LanguageModel
from plantset.models.captioner import predicted_words
from plantset.models.generation import GREEDY, Decoding, check_decoding, write
from plantset.models.objectives import Term

_IGNORED = -100
_MEASURED_WORDS = 4096


class PrefixCaptioner(nn.Module):
    """What a language model lacks to describe photos: a projection of image tokens, and prompts.

    The language model is attached, not held: it is the text tower, whose weights and checkpoints are its own.

    Args:
        max_length: longest caption in ids, prompt and end included.
        image_width: D. text_width: C.
        num_prompts: tasks and languages that have a prompt.
    """

    def __init__(self, max_length: int, *, image_width: int, text_width: int, num_prompts: int) -> None:
        super().__init__()
        self.max_length = max_length
        self.num_prompts = num_prompts
        self.image_norm = nn.LayerNorm(image_width)
        self.projection = nn.Linear(image_width, text_width)
        self.prompts = nn.Embedding(num_prompts, text_width)
        self._attached: tuple[LanguageModel, ...] = ()  # in a tuple, so that it is no part of this module

    def attach(self, language_model: LanguageModel) -> None:
        """Write with this language model from now on."""
        self._attached = (language_model,)

    @torch.no_grad()
    def begin_at_the_scale_of_words(self) -> None:
        """Draw new weights that make image tokens and prompts about as long as the language model's own words.

        Its embeddings are short (a standard deviation of 0.02 to 0.2); tokens ten times as long would drown the text.
        """
        table_VC = self._language_model.embed(torch.arange(min(_MEASURED_WORDS, self._language_model.vocabulary_size)))
        if table_VC.is_meta:
            return
        scale = float(table_VC.std())
        nn.init.normal_(self.projection.weight, std=scale / math.sqrt(self.projection.in_features))
        nn.init.zeros_(self.projection.bias)
        nn.init.normal_(self.prompts.weight, std=scale)

    def forward(self, ids_BT: Tensor, image_BND: Tensor) -> Tensor:
        """Return logits (B, T, W): position t predicts the id at t + 1; what is never written has -inf."""
        return self.row_logits(self._predict(ids_BT, image_BND))

    def loss(self, ids_BT: Tensor, image_BND: Tensor) -> Term:
        """Return the sum of negative log-likelihoods in nats over all words after the prompt, and how many they are.

        Padding, on either side, does not count, nor does the prompt. A row of padding alone counts nothing.
        """
        targets = predicted_words(ids_BT)
        counted = targets != PAD_ID
        words = self._words(targets).masked_fill(~counted, _IGNORED)
        logits = self._predict(ids_BT[:, :-1], image_BND)
        total = F.cross_entropy(logits.flatten(0, 1).float(), words.flatten(), ignore_index=_IGNORED, reduction="sum")
        return Term(total, counted.sum().float())

    @torch.no_grad()
    def generate(self, image_BND: Tensor, prompt_ids: Sequence[int], *, decoding: Decoding = GREEDY) -> Tensor:
        """Write a text for each photo with the language model's own cache, until every row has ended or is full.

        Returns:
            (B, T) int64 without the prompt; after its end a row is padding.

        Raises:
            ConfigError: settings of decoding that exclude each other.
        """
        check_decoding(decoding)
        writing = _Writing(self, self._language_model, decoding.num_beams)
        prompt_BT = torch.tensor(prompt_ids, device=image_BND.device).expand(image_BND.shape[0], -1)
        logits_RW = writing.begin(prompt_BT, image_BND)
        return write(writing, logits_RW, max_words=self.max_length - len(prompt_ids), decoding=decoding)

    def beginning(self, image_BND: Tensor) -> Tensor:
        """Return what stands before the prompt, (B, N', C): the language model's start and the projected image."""
        image_BNC = self.projection(self.image_norm(image_BND))
        start_ids = self._language_model.tokenizer.start_ids
        if not start_ids:
            return image_BNC  # type: ignore[no-any-return]
        start_1SC = self._language_model.embed(torch.tensor([start_ids], device=image_BND.device))
        return torch.cat([start_1SC.expand(image_BND.shape[0], -1, -1), image_BNC], dim=1)

    def embed(self, ids_RT: Tensor) -> Tensor:
        """Return the embeddings (R, T, C) of prompts and words; padding has some, which the mask hides."""
        prompts = self.prompts((ids_RT - FIRST_PROMPT_ID).clamp(0, self.num_prompts - 1))
        words = self._language_model.embed(self._words(ids_RT))
        is_prompt_RT = (ids_RT >= FIRST_PROMPT_ID) & (ids_RT < self._first_word_id)
        return torch.where(is_prompt_RT[..., None], prompts, words)

    def row_logits(self, logits: Tensor) -> Tensor:
        """Return logits over the ids of rows (…, W) from the language model's (…, V)."""
        end_id = self._language_model.end_id
        never = logits.new_full((*logits.shape[:-1], self._first_word_id), -math.inf)
        never[..., END_ID] = logits[..., end_id]
        words = logits.index_fill(-1, torch.tensor([end_id], device=logits.device), -math.inf)  # it stands as END_ID
        return torch.cat([never, words], dim=-1)

    def _predict(self, ids_BT: Tensor, image_BND: Tensor) -> Tensor:
        """Return the language model's own logits (B, T, V) behind each id."""
        beginning_BNC = self.beginning(image_BND)
        real_BN = torch.ones(beginning_BNC.shape[:2], dtype=torch.bool, device=ids_BT.device)
        mask_BM = torch.cat([real_BN, ids_BT != PAD_ID], dim=1)
        embedded_BMC = torch.cat([beginning_BNC, self.embed(ids_BT)], dim=1)
        states_BMC = self._language_model.read(embedded_BMC, mask_BM)
        return self._language_model.predict(states_BMC[:, beginning_BNC.shape[1] :])

    def _words(self, ids_RT: Tensor) -> Tensor:
        """Return the language model's ids of words and ends; of padding and prompts any."""
        words_RT = (ids_RT - self._first_word_id).clamp_min(0)
        return words_RT.masked_fill(ids_RT == END_ID, self._language_model.end_id)

    @property
    def _first_word_id(self) -> int:
        return FIRST_PROMPT_ID + self.num_prompts

    @property
    def _language_model(self) -> LanguageModel:
        assert self._attached, "attach the text tower first"
        return self._attached[0]


class _Writing:
    """A prefix captioner in the middle of its texts: a `StepDecoder`."""

    def __init__(self, captioner: PrefixCaptioner, language_model: LanguageModel, num_beams: int) -> None:
        self._captioner = captioner
        self._language_model = language_model
        self._num_beams = num_beams
        self._cache: Any = language_model.new_cache()

    def begin(self, prompt_BT: Tensor, image_BND: Tensor) -> Tensor:
        """Read photos and prompts, once for all beams of a photo, and return the logits of the first word."""
        embedded_BMC = torch.cat([self._captioner.beginning(image_BND), self._captioner.embed(prompt_BT)], dim=1)
        logits_BW = self._read(embedded_BMC)
        if self._num_beams > 1:
            self._cache.batch_repeat_interleave(self._num_beams)
        return logits_BW.repeat_interleave(self._num_beams, dim=0)

    def step(self, words_R: Tensor) -> Tensor:
        return self._read(self._captioner.embed(words_R[:, None]))

    def reorder(self, rows_R: Tensor) -> None:
        self._cache.reorder_cache(rows_R)

    def _read(self, embedded_RTC: Tensor) -> Tensor:
        states_RTC = self._language_model.read(embedded_RTC, cache=self._cache)
        logits_RV = self._language_model.predict(states_RTC[:, -1])
        return self._captioner.row_logits(logits_RV)
