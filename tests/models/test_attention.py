"""Attention against torch's own, head widths, masks, and 2-D positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from plantset.core.errors import ConfigError
from plantset.models.attention import Attention, head_width, sincos_positions_2d


def _twin_of(attention: Attention, width: int) -> nn.MultiheadAttention:
    """Return torch's module with the same weights: its projection stacks query, key and value."""
    twin = nn.MultiheadAttention(width, attention.num_heads, batch_first=True)
    with torch.no_grad():
        twin.in_proj_weight.copy_(torch.cat([attention.query.weight, attention.key_value.weight]))
        twin.in_proj_bias.copy_(torch.cat([attention.query.bias, attention.key_value.bias]))
        twin.out_proj.weight.copy_(attention.output.weight)
        twin.out_proj.bias.copy_(attention.output.bias)
    return twin.eval()


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(24, 4).eval()


def test_attention_equals_torchs_when_the_heads_divide_the_width(attention: Attention) -> None:
    queries, keys = torch.randn(2, 5, 24), torch.randn(2, 7, 24)

    expected, _ = _twin_of(attention, 24)(queries, keys, keys, need_weights=False)

    torch.testing.assert_close(attention(queries, keys), expected, rtol=1e-5, atol=1e-6)


def test_attention_equals_torchs_with_a_key_padding_mask(attention: Attention) -> None:
    queries, keys = torch.randn(2, 5, 24), torch.randn(2, 7, 24)
    real = torch.tensor([[True] * 3 + [False] * 4, [True] * 7])

    expected, _ = _twin_of(attention, 24)(queries, keys, keys, key_padding_mask=~real, need_weights=False)

    torch.testing.assert_close(attention(queries, keys, key_mask_BK=real), expected, rtol=1e-5, atol=1e-6)


def test_causal_attention_equals_torchs_with_a_triangular_mask(attention: Attention) -> None:
    words = torch.randn(2, 6, 24)
    later = torch.triu(torch.ones(6, 6, dtype=torch.bool), diagonal=1)

    expected, _ = _twin_of(attention, 24)(words, words, words, attn_mask=later, need_weights=False)

    torch.testing.assert_close(attention(words, words, causal=True), expected, rtol=1e-5, atol=1e-6)


def test_what_stands_under_a_masked_key_does_not_matter(attention: Attention) -> None:
    queries, keys = torch.randn(1, 3, 24), torch.randn(1, 4, 24)
    real = torch.tensor([[True, True, False, False]])
    changed = torch.cat([keys[:, :2], 100 * torch.randn(1, 2, 24)], dim=1)

    torch.testing.assert_close(
        attention(queries, changed, key_mask_BK=real), attention(queries, keys, key_mask_BK=real), rtol=0, atol=0
    )


def test_twelve_heads_on_a_width_of_512_are_42_wide_each() -> None:
    attention = Attention(512, 12)

    assert attention.query.out_features == 12 * 42
    assert attention(torch.randn(1, 2, 512), torch.randn(1, 3, 512)).shape == (1, 2, 512)


@pytest.mark.parametrize("heads", [0, -1, 33])
def test_heads_that_do_not_fit_the_width_are_refused_with_both_numbers(heads: int) -> None:
    with pytest.raises(ConfigError) as refused:
        head_width(32, heads)

    assert str(heads) in refused.value.problem
    assert "32" in refused.value.problem


def test_positions_are_the_sines_and_cosines_of_row_and_column() -> None:
    positions = sincos_positions_2d(2, 3, 8).numpy()

    expected = np.zeros((6, 8))
    for row in range(2):
        for column in range(3):
            angles = [row, row / 100.0, column, column / 100.0]  # 10000 ** (0/2) and 10000 ** (1/2)
            expected[row * 3 + column] = [
                *np.sin(angles[:2]),
                *np.cos(angles[:2]),
                *np.sin(angles[2:]),
                *np.cos(angles[2:]),
            ]
    np.testing.assert_allclose(positions, expected, atol=1e-6)


def test_channels_that_no_quarter_holds_stay_zero() -> None:
    assert sincos_positions_2d(2, 2, 10)[:, 8:].abs().max() == 0


def test_no_two_cells_of_a_grid_have_the_same_position() -> None:
    positions = sincos_positions_2d(7, 7, 32)

    assert len(torch.unique(positions, dim=0)) == 49
