"""What can be chosen of the data side, by name; without NumPy, so that `--help` stays instant."""

from __future__ import annotations

from typing import Literal

CacheDtype = Literal["fp16", "fp32"]
Sampling = Literal["natural", "sqrt", "balanced"]
