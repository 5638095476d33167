"""Connectors against references: torch's own attention with hand-added positions, and released models' blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from plantset.models.attention import Attention, SelfAttentionLayer, sincos_positions_2d
from plantset.models.config import ConnectorName, ModelConfig
from plantset.models.connector import (
    AdapterConnector,
    ImageConnector,
    MergeConnector,
    ResamplerConnector,
    blocks_of_four,
    build_image_connector,
    query_grid,
)

TOWER, MID, WIDTH, HEADS = 20, 12, 16, 4
GRID = (3, 5)
NAMES: tuple[ConnectorName, ...] = ("linear", "mlp", "resampler", "vadapter")


def _config(connector: ConnectorName) -> ModelConfig:
    return ModelConfig(
        3,
        vision_dim=MID,
        fusion_dim=WIDTH,
        num_attention_heads=HEADS,
        connector=connector,
        num_queries=4,
        adapter_layers=2,
        dropout=0.0,
    )


def _build(connector: ConnectorName) -> ImageConnector:
    torch.manual_seed(0)
    return build_image_connector(_config(connector), TOWER, GRID).eval()


def _tokens(grid: tuple[int, int] = GRID, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, grid[0] * grid[1], TOWER, generator=torch.Generator().manual_seed(1))


def _twin_of(attention: Attention) -> nn.MultiheadAttention:
    """Return torch's module with the same weights: its projection stacks query, key and value."""
    twin = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    with torch.no_grad():
        twin.in_proj_weight.copy_(torch.cat([attention.query.weight, attention.key_value.weight]))
        twin.in_proj_bias.copy_(torch.cat([attention.query.bias, attention.key_value.bias]))
        twin.out_proj.load_state_dict(attention.output.state_dict())
    return twin.eval()


@pytest.mark.parametrize(
    ("connector", "grid", "count"),
    [
        ("linear", GRID, 15),
        ("linear", (2, 2), 4),
        ("mlp", GRID, 6),
        ("mlp", (7, 7), 16),
        ("mlp", (4, 2), 2),
        ("mlp", (1, 1), 1),
        ("resampler", GRID, 4),
        ("resampler", (12, 12), 4),
        ("vadapter", GRID, 4),
        ("vadapter", (1, 9), 4),
    ],
)
def test_any_grid_becomes_that_many_tokens_of_the_fusion_width(
    connector: ConnectorName, grid: tuple[int, int], count: int
) -> None:
    tokens = _build(connector)(_tokens(grid), grid)

    assert tokens.shape == (2, count, WIDTH)
    assert tokens.isfinite().all()


@pytest.mark.parametrize("connector", NAMES)
def test_positions_are_kept_and_not_saved(connector: ConnectorName) -> None:
    built = _build(connector)

    kept = {name for name, _ in built.named_buffers()}

    assert kept
    assert not kept & set(built.state_dict())


@pytest.mark.parametrize("connector", NAMES)
def test_another_grid_than_the_one_built_for_gives_what_a_model_built_for_it_gives(connector: ConnectorName) -> None:
    built, other = _build(connector), build_image_connector(_config(connector), TOWER, (4, 6)).eval()
    other.load_state_dict(built.state_dict())
    tokens = _tokens((4, 6))

    assert torch.equal(built(tokens, (4, 6)), other(tokens, (4, 6)))


@pytest.mark.parametrize("connector", NAMES)
def test_where_a_token_stands_matters(connector: ConnectorName) -> None:
    built, tokens = _build(connector), _tokens()

    assert (built(tokens.flip(1), GRID) - built(tokens, GRID)).abs().max() > 1e-4


@torch.no_grad()
def test_the_resampler_is_torchs_attention_with_positions_on_query_and_key_only() -> None:
    built = _build("resampler")
    assert isinstance(built, ResamplerConnector)
    keys = built.key_norm(built.to_key(built.to_mid(_tokens())))
    key_positions = sincos_positions_2d(*GRID, WIDTH)
    # four queries on a 2 × 2 grid: their middles in cells of the 3 × 5 grid, worked out by hand
    rows, columns = (0.25, 1.75), (0.75, 3.25)
    query_positions = torch.tensor([_position(row, column) for row in rows for column in columns])
    queries = (built.query_norm(built.queries) + query_positions).expand(2, -1, -1)

    read, _ = _twin_of(built.attention)(queries, keys + key_positions, keys, need_weights=False)

    expected = built.output(built.output_norm(read))
    torch.testing.assert_close(built(_tokens(), GRID), expected, rtol=1e-5, atol=1e-6)


def _position(row: float, column: float) -> list[float]:
    frequencies = 10_000.0 ** -(np.arange(WIDTH // 4) / (WIDTH // 4))
    parts = [np.sin(row * frequencies), np.cos(row * frequencies)]
    parts += [np.sin(column * frequencies), np.cos(column * frequencies)]
    return [float(value) for value in np.concatenate(parts)]


@torch.no_grad()
def test_the_patch_merger_is_qwens_where_cells_come_block_by_block() -> None:
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLPatchMerger

    built = _build("mlp")
    assert isinstance(built, MergeConnector)
    theirs = Qwen2_5_VLPatchMerger(dim=WIDTH, context_dim=MID).eval()
    theirs.ln_q.weight.copy_(built.norm.weight.normal_())
    theirs.mlp.load_state_dict(built.mlp.state_dict())
    cells = torch.randn(1, 2 * 4, MID)
    by_block = cells[0, [0, 1, 4, 5, 2, 3, 6, 7]]  # 2 rows of 4: the left block's cells first, as Qwen orders them

    torch.testing.assert_close(built.merge(cells, (2, 4))[0], theirs(by_block), rtol=1e-5, atol=1e-6)


def test_an_odd_last_row_and_column_are_repeated() -> None:
    cells = torch.arange(9.0).view(1, 9, 1)

    blocks = blocks_of_four(cells, (3, 3))

    assert blocks[0].tolist() == [[0, 1, 3, 4], [2, 2, 5, 5], [6, 7, 6, 7], [8, 8, 8, 8]]


@torch.no_grad()
def test_the_adapter_is_a_perceiver_layer_and_torchs_causal_encoder() -> None:
    built = _build("vadapter")
    assert isinstance(built, AdapterConnector)
    keys = built.to_key(built.to_mid(_tokens())) + sincos_positions_2d(*GRID, WIDTH)
    queries = built.queries.expand(2, -1, -1)
    normed = built.key_norm(keys)
    read, _ = _twin_of(built.attention)(built.query_norm(queries), normed, normed, need_weights=False)
    states = queries + read
    states = states + built.ffn(states)
    later = torch.triu(torch.ones(4, 4, dtype=torch.bool), diagonal=1)
    for layer in built.language_model:
        assert isinstance(layer, SelfAttentionLayer)
        states = _encoder_layer_of(layer)(states, src_mask=later)

    torch.testing.assert_close(built(_tokens(), GRID), built.output_norm(states), rtol=1e-4, atol=1e-5)


def _encoder_layer_of(layer: SelfAttentionLayer) -> nn.TransformerEncoderLayer:
    twin = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    twin.self_attn = _twin_of(layer.attention)
    twin.norm1, twin.norm2 = layer.attention_norm, layer.ffn_norm
    twin.linear1.load_state_dict(layer.ffn[0].state_dict())
    twin.linear2.load_state_dict(layer.ffn[2].state_dict())
    return twin.eval()


def test_a_later_query_does_not_change_an_earlier_one_behind_the_causal_adapter() -> None:
    built = _build("vadapter")
    assert isinstance(built, AdapterConnector)
    before = built(_tokens(), GRID)

    with torch.no_grad():
        built.queries[3] += 1.0
    after = built(_tokens(), GRID)

    assert torch.equal(after[:, :3], before[:, :3])
    assert not torch.equal(after[:, 3], before[:, 3])


@pytest.mark.parametrize(("count", "expected"), [(1, (1, 1)), (16, (4, 4)), (12, (3, 4)), (7, (1, 7)), (64, (8, 8))])
def test_queries_stand_on_the_most_nearly_square_grid(count: int, expected: tuple[int, int]) -> None:
    assert query_grid(count) == expected
