"""From a tower's own width to the fusion width D: Linear + LayerNorm to the tower's dim, then to D.

Dimensions: B batch, N tokens, C tower's width, V projection width, D fusion width.
"""

from __future__ import annotations

from torch import Tensor, nn


class LinearConnector(nn.Module):
    """Two Linear + LayerNorm steps, C -> V -> D, token by token (DESIGN §2 "Widths").

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
