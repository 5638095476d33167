"""Multi-head attention whose head width does not depend on the model's width.

Dropout acts on what a layer adds to its tokens (Vaswani et al. 2017, section 5.4) and nowhere else: on attention
weights it keeps PyTorch from its fused kernel, and there and in the feed-forward it cost an eighth of a step on a CPU.

Dimensions: B batch, Q queries, K keys, D model width, H heads, E head width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plantset.core.errors import ConfigError
from plantset.core.language import tr


def head_width(model_width: int, num_heads: int) -> int:
    """Return the width of one head: `model_width // num_heads`, so that 12 heads on 512 build (42 each).

    Raises:
        ConfigError: more heads than the width has dimensions.
    """
    width = model_width // num_heads if num_heads > 0 else 0
    if width < 1:
        raise ConfigError(
            tr(
                f"{num_heads} attention heads do not fit a width of {model_width}",
                f"{num_heads} têtes d'attention ne tiennent pas dans une largeur de {model_width}",
            ),
            tr(
                f"give 1 to {model_width} heads, or a larger --fusion-dim",
                f"donnez 1 à {model_width} têtes, ou un --fusion-dim plus grand",
            ),
        )
    return width


class Attention(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1) from queries to keys, with a key padding mask."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        inner = num_heads * head_width(width, num_heads)
        self.num_heads = num_heads
        self.query = nn.Linear(width, inner)
        self.key_value = nn.Linear(width, 2 * inner)
        self.output = nn.Linear(inner, width)

    def forward(
        self, queries_BQD: Tensor, keys_BKD: Tensor, *, key_mask_BK: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Attend from each query to the keys.

        Args:
            key_mask_BK: bool, True where a key is real; every row needs at least one. None: all are real.
            causal: query i sees keys 0..i only; queries and keys are one sequence then.

        Returns:
            (B, Q, D).
        """
        keys_BHKE, values_BHKE = self.project_keys(keys_BKD)
        return self.attend(queries_BQD, keys_BHKE, values_BHKE, key_mask_BK=key_mask_BK, causal=causal)

    def project_keys(self, keys_BKD: Tensor) -> tuple[Tensor, Tensor]:
        """Return (keys, values), each (B, H, K, E): what a decoder caches."""
        keys, values = self.key_value(keys_BKD).chunk(2, dim=-1)
        return self._split_heads(keys), self._split_heads(values)

    def attend(
        self,
        queries_BQD: Tensor,
        keys_BHKE: Tensor,
        values_BHKE: Tensor,
        *,
        key_mask_BK: Tensor | None = None,
        mask_QK: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Attend to keys and values that are projected already.

        Args:
            mask_QK: bool, which keys each query sees; instead of `key_mask_BK`.
        """
        mask = mask_QK if key_mask_BK is None else key_mask_BK[:, None, None, :]
        mixed_BHQE = F.scaled_dot_product_attention(
            self._split_heads(self.query(queries_BQD)),
            keys_BHKE,
            values_BHKE,
            attn_mask=mask,
            is_causal=causal,
        )
        batch, _, queries, _ = mixed_BHQE.shape
        output: Tensor = self.output(mixed_BHQE.transpose(1, 2).reshape(batch, queries, -1))
        return output

    def _split_heads(self, states_BND: Tensor) -> Tensor:
        batch, length, _ = states_BND.shape
        return states_BND.view(batch, length, self.num_heads, -1).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Position-wise network with GELU: D -> ratio × D -> D."""

    def __init__(self, width: int, *, ratio: float = 2.0) -> None:
        hidden = int(width * ratio)
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class SelfAttentionLayer(nn.Module):
    """A pre-norm transformer layer: self-attention, then the feed-forward network (as ViT, GPT-2 and FLAVA have it).

    Args:
        causal: each token sees itself and those before it.
    """

    def __init__(self, width: int, num_heads: int, *, causal: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.causal = causal
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, num_heads)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width, ratio=4.0)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """Return (B, N, D).

        Args:
            mask_BN: bool, True where a token is real; every row needs at least one. None: all are real.
        """
        normed = self.attention_norm(tokens_BND)
        mixed = self.attention(normed, normed, key_mask_BK=mask_BN, causal=self.causal)
        tokens_BND = tokens_BND + self.dropout(mixed)
        updated_BND: Tensor = tokens_BND + self.dropout(self.ffn(self.ffn_norm(tokens_BND)))
        return updated_BND


def sincos_positions_2d(height: int, width: int, dim: int, *, extent: tuple[int, int] | None = None) -> Tensor:
    """Return fixed 2-D sine-cosine positions (height × width, dim): MAE, arXiv 2111.06377, appendix A.1.

    A quarter of the channels each is the sine and cosine of the row and of the column; a remainder stays 0.

    Args:
        extent: (rows, columns) of another grid of the same photo, in whose units the cells' middles are numbered; by
            default this one's, so that cells are numbered 0, 1, 2 …
    """
    quarter = dim // 4
    frequencies = 1.0 / (10_000 ** (torch.arange(quarter, dtype=torch.float32) / max(1, quarter)))
    tall, wide = extent or (height, width)
    rows = _cell_middles(height, tall)[:, None] * frequencies
    columns = _cell_middles(width, wide)[:, None] * frequencies
    by_row = torch.cat([rows.sin(), rows.cos()], dim=1)[:, None, :].expand(height, width, 2 * quarter)
    by_column = torch.cat([columns.sin(), columns.cos()], dim=1)[None, :, :].expand(height, width, 2 * quarter)
    positions = torch.cat([by_row, by_column], dim=-1).reshape(height * width, 4 * quarter)
    return F.pad(positions, (0, dim - 4 * quarter))


def _cell_middles(count: int, extent: int) -> Tensor:
    return (torch.arange(count, dtype=torch.float32) + 0.5) * (extent / count) - 0.5
