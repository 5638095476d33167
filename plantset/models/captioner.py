"""An autoregressive decoder that writes a text while looking at the image tokens.

Dimensions: B photos, R rows (each photo's beams), N image tokens, G pooled photo, C classes, T caption tokens, D width,
H heads, E head width, W words in the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plantset.core.vocabulary import PAD_ID, PROMPT_LENGTH
from plantset.models.attention import Attention, FeedForward
from plantset.models.generation import GREEDY, Decoding, check_decoding, write
from plantset.models.objectives import Term

KeyValues = tuple[Tensor, Tensor]


def predicted_words(ids_BT: Tensor) -> Tensor:
    """Return (B, T - 1): the word that each position is to predict, padding where none counts.

    The prompt does not count: the first ids of a row that are no padding, which may stand on either side.
    """
    is_prompt_BT = (ids_BT != PAD_ID).long().cumsum(dim=1) <= PROMPT_LENGTH
    return ids_BT.masked_fill(is_prompt_BT, PAD_ID)[:, 1:]


class CaptionEvidence(nn.Module):
    """Two tokens for the captioner beside the image tokens: the pooled photo, and the classes seen in the photo.

    The classifier reads the pooled photo, image tokens alone do not hold it, and two heads that read different things
    contradict each other. The class token is the mean of learned class vectors, weighted with the probabilities that
    the model itself gives: never the true class, and from the photo alone, so that a note cannot dictate the text.
    """

    def __init__(self, photo_width: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.photo = nn.Linear(photo_width, width)
        self.classes = nn.Linear(num_classes, width, bias=False)

    def forward(self, image_BND: Tensor, photo_BG: Tensor, probs_BC: Tensor) -> Tensor:
        """Return (B, N + 2, D)."""
        return torch.cat([image_BND, self.photo(photo_BG)[:, None], self.classes(probs_BC)[:, None]], dim=1)


class KeyValueCache:
    """Keys and values (R, H, T, E) of the words so far, in memory that is taken once: growing copies nothing."""

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._length = 0
        self._held: KeyValues | None = None

    def extend(self, keys_RHTE: Tensor, values_RHTE: Tensor) -> KeyValues:
        """Return all keys and values, these included."""
        rows, heads, count, width = keys_RHTE.shape
        if self._held is None:
            shape = (rows, heads, self._max_length, width)
            self._held = keys_RHTE.new_empty(shape), values_RHTE.new_empty(shape)
        start, self._length = self._length, self._length + count
        for held, new in zip(self._held, (keys_RHTE, values_RHTE), strict=True):
            held[:, :, start : self._length] = new
        return self._filled()

    def reorder(self, rows_R: Tensor) -> None:
        """Let row r hold what row `rows_R[r]` held."""
        for filled in self._filled():
            filled.copy_(filled[rows_R])

    def _filled(self) -> KeyValues:
        assert self._held is not None
        return self._held[0][:, :, : self._length], self._held[1][:, :, : self._length]


class DecoderLayer(nn.Module):
    """Pre-norm causal self-attention, cross-attention to the image, feed-forward."""

    def __init__(self, width: int, num_heads: int, *, dropout: float) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(width)
        self.cross_norm = nn.LayerNorm(width)
        self.ffn_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, num_heads)
        self.cross_attention = Attention(width, num_heads)
        self.ffn = FeedForward(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        words_RTD: Tensor,
        image: KeyValues,
        cache: KeyValueCache | None = None,
        *,
        allowed_TT: Tensor | None = None,
    ) -> Tensor:
        """Return the updated words (R, T, D).

        Args:
            image: keys and values of B photos; the rows of a photo, its beams, stand together.
            cache: of the words before these (then T is 1), or empty at the start of a sequence.
            allowed_TT: bool, which words each word sees; None: those before it.
        """
        queries = self.self_norm(words_RTD)
        keys, values = self.self_attention.project_keys(queries)
        if cache is not None:
            keys, values = cache.extend(keys, values)
        causal = words_RTD.shape[1] > 1 and allowed_TT is None
        mixed = self.self_attention.attend(queries, keys, values, mask_QK=allowed_TT, causal=causal)
        words_RTD = words_RTD + self.dropout(mixed)
        # All words of a photo's beams ask at once: the image's keys need no copy for each beam.
        asked_BQD = self.cross_norm(words_RTD).reshape(image[0].shape[0], -1, words_RTD.shape[-1])
        seen = self.cross_attention.attend(asked_BQD, *image).view_as(words_RTD)
        words_RTD = words_RTD + self.dropout(seen)
        updated_RTD: Tensor = words_RTD + self.dropout(self.ffn(self.ffn_norm(words_RTD)))
        return updated_RTD


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
        return self.read(ids_BT, self.project_image(image_BND))

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
        for layer, image in zip(self.decoder_layers, self.project_image(image_BND), strict=True):
            words = layer(words, image, allowed_TT=allowed_MM)
        return F.linear(self.output_norm(words), self.words.weight)

    @torch.no_grad()
    def generate(self, image_BND: Tensor, prompt_ids: Sequence[int], *, decoding: Decoding = GREEDY) -> Tensor:
        """Write a text for each photo, with cached keys and values, until every row has ended or is full.

        Returns:
            (B, T) int64 without the prompt; after its end a row is padding.

        Raises:
            ConfigError: settings of decoding that exclude each other.
        """
        check_decoding(decoding)
        writing = _Writing(self, image_BND)
        rows = image_BND.shape[0] * decoding.num_beams
        logits_RW = writing.read(torch.tensor(prompt_ids, device=image_BND.device).expand(rows, -1))
        return write(writing, logits_RW, max_words=self.max_length - len(prompt_ids), decoding=decoding)

    def project_image(self, image_BND: Tensor) -> list[KeyValues]:
        """Return each layer's keys and values of the image tokens, the same for all words."""
        image = self.image_projection(self.image_norm(image_BND))
        return [layer.cross_attention.project_keys(image) for layer in self.decoder_layers]

    def read(
        self,
        ids_RT: Tensor,
        image: Sequence[KeyValues],
        caches: Sequence[KeyValueCache] | None = None,
        *,
        start: int = 0,
    ) -> Tensor:
        """Return logits (R, T, W) of what follows each word.

        Args:
            image: of `project_image`.
            caches: of each layer, holding the `start` words before these; they grow.
        """
        positions = torch.arange(start, start + ids_RT.shape[1], device=ids_RT.device)
        words = self.words(ids_RT) + self.positions(positions)
        for index, layer in enumerate(self.decoder_layers):
            words = layer(words, image[index], caches[index] if caches is not None else None)
        return F.linear(self.output_norm(words), self.words.weight)

    @property
    def decoder_layers(self) -> list[DecoderLayer]:
        """The layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]


class _Writing:
    """A captioner in the middle of its texts: a `StepDecoder`."""

    def __init__(self, captioner: Captioner, image_BND: Tensor) -> None:
        self._captioner = captioner
        self._image = captioner.project_image(image_BND)
        self._caches = [KeyValueCache(captioner.max_length) for _ in captioner.decoder_layers]
        self._length = 0

    def read(self, ids_RT: Tensor) -> Tensor:
        logits_RTW = self._captioner.read(ids_RT, self._image, self._caches, start=self._length)
        self._length += ids_RT.shape[1]
        return logits_RTW[:, -1]

    def step(self, words_R: Tensor) -> Tensor:
        return self.read(words_R[:, None])

    def reorder(self, rows_R: Tensor) -> None:
        for cache in self._caches:
            cache.reorder(rows_R)
