"""From a tower's own width to the fusion width D, and from the tower's grid to the image tokens.

Every image connector is called with the tokens and their grid and gives image tokens that know where they stand.

Dimensions: B batch, N tokens of the tower, K image tokens, C tower's width, V projection width, D fusion width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plantset.models.attention import Attention, FeedForward, SelfAttentionLayer, sincos_positions_2d
from plantset.models.config import ModelConfig

Grid = tuple[int, int]


class LinearConnector(nn.Module):
    """Two Linear + LayerNorm steps, C -> V -> D, token by token.

    The input is normalised first: the towers differ in scale by orders of magnitude.
    """

    def __init__(self, width_in: int, width_mid: int, width_out: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.input_norm = nn.LayerNorm(width_in)
        self.to_mid = nn.Sequential(nn.Linear(width_in, width_mid), nn.LayerNorm(width_mid), nn.GELU())
        self.to_out = nn.Sequential(nn.Dropout(dropout), nn.Linear(width_mid, width_out), nn.LayerNorm(width_out))

    def forward(self, tokens_BNC: Tensor) -> Tensor:
        """Return (B, N, D)."""
        tokens_BND: Tensor = self.to_out(self.to_mid(self.input_norm(tokens_BNC)))
        return tokens_BND


class GridPositions(nn.Module):
    """Fixed 2-D sine-cosine positions: those of one grid are kept, those of any other are computed when asked for.

    Args:
        grid: (rows, columns) that the model was built for.
        width: D.
    """

    kept_ND: Tensor

    def __init__(self, grid: Grid, width: int) -> None:
        super().__init__()
        self.grid = grid
        self.width = width
        self.register_buffer("kept_ND", sincos_positions_2d(*grid, width), persistent=False)

    def forward(self, grid: Grid, like: Tensor) -> Tensor:
        """Return (rows × columns, D) of `like`'s dtype and device."""
        positions_ND = self.kept_ND if grid == self.grid else sincos_positions_2d(*grid, self.width)
        return positions_ND.to(like)


class PositionedConnector(LinearConnector):
    """The linear connector and the position of each cell: one image token for each token of the tower."""

    def __init__(self, width_in: int, width_mid: int, width_out: int, *, grid: Grid, dropout: float = 0.0) -> None:
        super().__init__(width_in, width_mid, width_out, dropout=dropout)
        self.positions = GridPositions(grid, width_out)

    def forward(self, tokens_BNC: Tensor, grid: Grid) -> Tensor:  # type: ignore[override]
        """Return (B, N, D)."""
        tokens_BND = super().forward(tokens_BNC)
        positions_ND: Tensor = self.positions(grid, tokens_BND)
        return tokens_BND + positions_ND


class MergeConnector(nn.Module):
    """Each 2 × 2 block of cells becomes one image token: RMSNorm, concatenation, two-layer MLP (Qwen2.5-VL).

    Section 2.1.1 of arXiv 2502.13923: a quarter of the tokens, hence of the cost of all that follows. `merge` is the
    released model's patch merger. Deviations: the tower's width is projected to V first, as in every connector here
    (four times a CNN's 1280 squared would be 26 million parameters); positions are added afterwards, since a CNN has no
    rotary ones; a grid of an odd side repeats its last row or column (Qwen2.5-VL resizes photos to even grids).
    """

    def __init__(self, width_in: int, width_mid: int, width_out: int, *, grid: Grid) -> None:
        super().__init__()
        self.to_mid = _to_mid(width_in, width_mid)
        self.norm = nn.RMSNorm(width_mid, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(4 * width_mid, 4 * width_mid), nn.GELU(), nn.Linear(4 * width_mid, width_out)
        )
        self.output_norm = nn.LayerNorm(width_out)
        self.positions = GridPositions(_merged(grid), width_out)

    def forward(self, tokens_BNC: Tensor, grid: Grid) -> Tensor:
        """Return (B, ceil(rows / 2) × ceil(columns / 2), D)."""
        merged_BKD = self.output_norm(self.merge(self.to_mid(tokens_BNC), grid))
        positions_KD: Tensor = self.positions(_merged(grid), merged_BKD)
        return torch.add(merged_BKD, positions_KD)

    def merge(self, tokens_BNV: Tensor, grid: Grid) -> Tensor:
        """Return (B, K, D): the patch merger alone."""
        merged_BKD: Tensor = self.mlp(blocks_of_four(self.norm(tokens_BNV), grid))
        return merged_BKD


class ResamplerConnector(nn.Module):
    """Learned queries read the tower's tokens in one cross-attention layer (Qwen-VL, arXiv 2308.12966, section 2.1).

    2-D sine-cosine positions are added to queries and keys, never to values: what is read carries no position, the
    query that reads it does. The queries stand on a grid of their own, stretched over the photo. Deviations: the
    tower's width is projected to V first; the keys' positions are evaluated at each cell's place instead of
    interpolated from a table, which is exact on any grid.

    Args:
        num_queries: K; a square number gives a square grid of queries, as in the paper.
    """

    query_positions_KD: Tensor

    def __init__(
        self,
        width_in: int,
        width_mid: int,
        width_out: int,
        *,
        grid: Grid,
        num_heads: int,
        num_queries: int,
    ) -> None:
        super().__init__()
        self.query_grid = query_grid(num_queries)
        self.to_mid = _to_mid(width_in, width_mid)
        self.to_key = nn.Linear(width_mid, width_out, bias=False)
        self.queries = nn.Parameter(torch.randn(num_queries, width_out) * 0.02)
        self.query_norm = nn.LayerNorm(width_out)
        self.key_norm = nn.LayerNorm(width_out)
        self.attention = PositionedAttention(width_out, num_heads)
        self.output_norm = nn.LayerNorm(width_out)
        self.output = nn.Linear(width_out, width_out)
        self.key_positions = GridPositions(grid, width_out)
        self.register_buffer("query_positions_KD", _query_positions(self.query_grid, grid, width_out), persistent=False)

    def forward(self, tokens_BNC: Tensor, grid: Grid) -> Tensor:
        """Return (B, K, D)."""
        keys_BND = self.key_norm(self.to_key(self.to_mid(tokens_BNC)))
        queries_KD = self.query_norm(self.queries)
        read_BKD = self.attention(
            queries_KD.expand(keys_BND.shape[0], -1, -1),
            keys_BND,
            query_positions_QD=self._positions_of_queries(grid).to(keys_BND),
            key_positions_KD=self.key_positions(grid, keys_BND),
        )
        resampled_BKD: Tensor = self.output(self.output_norm(read_BKD))
        return resampled_BKD

    def _positions_of_queries(self, grid: Grid) -> Tensor:
        if grid == self.key_positions.grid:
            return self.query_positions_KD
        return _query_positions(self.query_grid, grid, self.queries.shape[1])


class PositionedAttention(Attention):
    """Attention whose positions are added to queries and keys only."""

    def forward(  # type: ignore[override]
        self, queries_BQD: Tensor, keys_BKD: Tensor, *, query_positions_QD: Tensor, key_positions_KD: Tensor
    ) -> Tensor:
        """Return (B, Q, D)."""
        weight_key, weight_value = self.key_value.weight.chunk(2)
        bias_key, bias_value = self.key_value.bias.chunk(2)
        keys = F.linear(keys_BKD + key_positions_KD, weight_key, bias_key)
        values = F.linear(keys_BKD, weight_value, bias_value)
        return self.attend(queries_BQD + query_positions_QD, self._split_heads(keys), self._split_heads(values))


class AdapterConnector(nn.Module):
    """One perceiver layer, then a small language model as the adapter (PaLM2-VAdapter, arXiv 2402.10896, section 3.2).

    The perceiver layer has separate norms for queries and keys, which the paper found to matter (its table 6), and
    learned queries; the language model is a stack of causal transformer layers over what the queries read. Deviations:
    the language model starts at random, where the paper's is a PaLM 2 of 108 million parameters; the keys carry 2-D
    sine-cosine positions, since a CNN's tokens carry none.
    """

    def __init__(
        self,
        width_in: int,
        width_mid: int,
        width_out: int,
        *,
        grid: Grid,
        num_heads: int,
        num_queries: int,
        num_layers: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.to_mid = _to_mid(width_in, width_mid)
        self.to_key = nn.Linear(width_mid, width_out)
        self.queries = nn.Parameter(torch.randn(num_queries, width_out) * 0.02)
        self.positions = GridPositions(grid, width_out)
        self.query_norm = nn.LayerNorm(width_out)
        self.key_norm = nn.LayerNorm(width_out)
        self.attention = Attention(width_out, num_heads)
        self.ffn = nn.Sequential(nn.LayerNorm(width_out), FeedForward(width_out, ratio=4.0))
        self.language_model = nn.ModuleList(
            SelfAttentionLayer(width_out, num_heads, causal=True, dropout=dropout) for _ in range(num_layers)
        )
        self.output_norm = nn.LayerNorm(width_out)

    def forward(self, tokens_BNC: Tensor, grid: Grid) -> Tensor:
        """Return (B, K, D)."""
        keys_BND = self.to_key(self.to_mid(tokens_BNC))
        keys_BND = keys_BND + self.positions(grid, keys_BND)
        states_BKD = self.queries.expand(keys_BND.shape[0], -1, -1)
        states_BKD = states_BKD + self.attention(self.query_norm(states_BKD), self.key_norm(keys_BND))
        states_BKD = states_BKD + self.ffn(states_BKD)
        for layer in self.language_model:
            states_BKD = layer(states_BKD)
        adapted_BKD: Tensor = self.output_norm(states_BKD)
        return adapted_BKD


ImageConnector = PositionedConnector | MergeConnector | ResamplerConnector | AdapterConnector


def build_image_connector(config: ModelConfig, width_in: int, grid: Grid) -> ImageConnector:
    """Build the connector that the config names, for a tower of that width and grid."""
    widths = (width_in, config.vision_dim, config.fusion_dim)
    if config.connector == "linear":
        return PositionedConnector(*widths, grid=grid, dropout=config.dropout)
    if config.connector == "mlp":
        return MergeConnector(*widths, grid=grid)
    asked = {"num_heads": config.num_attention_heads, "num_queries": config.num_queries}
    if config.connector == "resampler":
        return ResamplerConnector(*widths, grid=grid, **asked)
    return AdapterConnector(*widths, grid=grid, **asked, num_layers=config.adapter_layers, dropout=config.dropout)


def blocks_of_four(tokens_BNC: Tensor, grid: Grid) -> Tensor:
    """Lay the four cells of each 2 × 2 block side by side, row by row: (B, K, 4 C).

    An odd last row or column is repeated.
    """
    rows, columns = grid
    batch, _, width = tokens_BNC.shape
    cells = tokens_BNC.view(batch, rows, columns, width)
    if rows % 2:
        cells = torch.cat([cells, cells[:, -1:]], dim=1)
    if columns % 2:
        cells = torch.cat([cells, cells[:, :, -1:]], dim=2)
    half_rows, half_columns = _merged(grid)
    blocks = cells.view(batch, half_rows, 2, half_columns, 2, width).transpose(2, 3)
    return blocks.reshape(batch, half_rows * half_columns, 4 * width)


def query_grid(num_queries: int) -> Grid:
    """Return the most nearly square (rows, columns) whose product is `num_queries`, rows ≤ columns."""
    rows = max(side for side in range(1, int(num_queries**0.5) + 1) if num_queries % side == 0)
    return rows, num_queries // rows


def _query_positions(queries: Grid, grid: Grid, width: int) -> Tensor:
    """Return the positions (K, D) of a grid of queries that is stretched over the tower's grid."""
    return sincos_positions_2d(*queries, width, extent=grid)


def _merged(grid: Grid) -> Grid:
    return (grid[0] + 1) // 2, (grid[1] + 1) // 2


def _to_mid(width_in: int, width_mid: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width_in), nn.Linear(width_in, width_mid), nn.LayerNorm(width_mid))
