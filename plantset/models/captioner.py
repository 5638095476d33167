"""An autoregressive decoder that writes a description while looking at the image tokens.

Dimensions: B batch, N image tokens, T caption tokens, D width, W words in the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plantset.core.vocabulary import END_ID, PAD_ID
from plantset.models.attention import Attention, FeedForward
from plantset.models.objectives import Term

KeyValues = tuple[Tensor, Tensor]


def predicted_words(ids_BT: Tensor) -> Tensor:
    """Return (B, T - 1): the word that each position is to predict, padding where none counts."""
    targets = ids_BT[:, 1:].clone()
    targets[:, 0] = PAD_ID  # the language token is part of the prompt
    return targets


class DecoderLayer(nn.Module):
    """Pre-norm causal self-attention, cross-attention to the image, feed-forward."""

    def __init__(self, width: int, num_heads: int, *, dropout: float) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(width)
        self.cross_norm = nn.LayerNorm(width)
        self.ffn_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, num_heads, dropout=dropout)
        self.cross_attention = Attention(width, num_heads, dropout=dropout)
        self.ffn = FeedForward(width, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, words_BTD: Tensor, image: KeyValues, past: KeyValues | None, *, allowed_TT: Tensor | None = None
    ) -> tuple[Tensor, KeyValues]:
        """Return the updated words and this layer's keys and values so far.

        Args:
            past: keys and values of the words before these (then T is 1); None at the start of a sequence.
            allowed_TT: bool, which words each word sees; None: those before it.
        """
        queries = self.self_norm(words_BTD)
        keys, values = self.self_attention.project_keys(queries)
        if past is not None:
            keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
        causal = past is None and allowed_TT is None
        mixed = self.self_attention.attend(queries, keys, values, mask_QK=allowed_TT, causal=causal)
        words_BTD = words_BTD + self.dropout(mixed)
        words_BTD = words_BTD + self.dropout(self.cross_attention.attend(self.cross_norm(words_BTD), *image))
        words_BTD = words_BTD + self.dropout(self.ffn(self.ffn_norm(words_BTD)))
        return words_BTD, (keys, values)


class Captioner(nn.Module):
    """Words and positions in, layers, words out; the word embedding is also the output projection (tied).

    Args:
        vocabulary_size: W. max_length: longest caption in tokens, prompt and end included.
        image_width: width of the image tokens, normalised here.
    """

    def __init__(
        self,
        vocabulary_size: int,
        max_length: int,
        *,
        image_width: int,
        width: int,
        num_heads: int,
        num_layers: int,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.words = nn.Embedding(vocabulary_size, width)
        self.positions = nn.Embedding(max_length, width)
        self.image_norm = nn.LayerNorm(image_width)
        self.image_projection = nn.Linear(image_width, width)
        self.layers = nn.ModuleList(DecoderLayer(width, num_heads, dropout=dropout) for _ in range(num_layers))
        self.output_norm = nn.LayerNorm(width)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.02)

    def forward(self, ids_BT: Tensor, image_BND: Tensor) -> Tensor:
        """Return logits (B, T, W): position t predicts the word at t + 1."""
        logits, _ = self._step(ids_BT, self._image_keys(image_BND), past=None, start=0)
        return logits

    def loss(self, ids_BT: Tensor, image_BND: Tensor) -> Term:
        """Return the sum of negative log-likelihoods in nats over all words after the prompt, and how many they are.

        Padding does not count, nor does the prompt (task and language), which is given and not predicted. A row
        of padding alone counts nothing.
        """
        targets = predicted_words(ids_BT)
        logits = self(ids_BT[:, :-1], image_BND)
        total = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=PAD_ID, reduction="sum")
        return Term(total, (targets != PAD_ID).sum().float())

    def tree_logits(self, ids_M: Tensor, positions_M: Tensor, allowed_MM: Tensor, image_BND: Tensor) -> Tensor:
        """Return logits (B, M, W) of what follows each node of a tree of beginnings (`models.name_scoring`)."""
        batch = image_BND.shape[0]
        words = (self.words(ids_M) + self.positions(positions_M)).expand(batch, -1, -1)
        for layer, image in zip(self._decoder_layers(), self._image_keys(image_BND), strict=True):
            words, _ = layer(words, image, None, allowed_TT=allowed_MM)
        return F.linear(self.output_norm(words), self.words.weight)

    @torch.no_grad()
    def generate(self, image_BND: Tensor, prompt_ids: Sequence[int]) -> Tensor:
        """Write greedily, with cached keys and values, until every row has ended or is full.

        Returns:
            (B, T) int64 without the prompt; after its end a row is padding.
        """
        batch = image_BND.shape[0]
        image = self._image_keys(image_BND)
        ids = torch.tensor(prompt_ids, device=image_BND.device).expand(batch, -1)
        logits, past = self._step(ids, image, past=None, start=0)
        ended = torch.zeros(batch, dtype=torch.bool, device=image_BND.device)
        written: list[Tensor] = []
        for position in range(len(prompt_ids), self.max_length):
            word = logits[:, -1].argmax(dim=-1).masked_fill(ended, PAD_ID)
            written.append(word)
            ended = ended | (word == END_ID)
            if bool(ended.all()):
                break
            logits, past = self._step(word[:, None], image, past=past, start=position)
        return torch.stack(written, dim=1)

    def _image_keys(self, image_BND: Tensor) -> list[KeyValues]:
        image = self.image_projection(self.image_norm(image_BND))
        return [layer.cross_attention.project_keys(image) for layer in self._decoder_layers()]

    def _step(
        self, ids_BT: Tensor, image: Sequence[KeyValues], *, past: Sequence[KeyValues] | None, start: int
    ) -> tuple[Tensor, list[KeyValues]]:
        positions = torch.arange(start, start + ids_BT.shape[1], device=ids_BT.device)
        words = self.words(ids_BT) + self.positions(positions)
        grown: list[KeyValues] = []
        for index, layer in enumerate(self._decoder_layers()):
            words, keys_values = layer(words, image[index], past[index] if past is not None else None)
            grown.append(keys_values)
        return F.linear(self.output_norm(words), self.words.weight), grown

    def _decoder_layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]
