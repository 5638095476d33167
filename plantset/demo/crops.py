"""The crops: outline, venation and hue of their leaves, and how leaflets stand on the stalk.

Lengths are shares of the canvas side; angles are degrees from straight up, clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Arrangement = Literal["single", "pinnate", "palmate", "paired"]
Venation = Literal["pinnate", "parallel"]


@dataclass(frozen=True, slots=True)
class Crop:
    """One crop's leaf.

    Attributes:
        arrangement: one blade; leaflets along a stalk; lobes from one point; two pairs of leaflets.
        rise, fall: exponents of the outline s^rise · (1-s)^fall, s from 0 at the base to 1 at the tip.
        length, width: of the blade (of the terminal one when there are several).
        lobes: how many lobes or teeth a side has, and how deep they are (share of the half width).
        veins: side veins per blade length, or parallel veins per half width.
        vein_slant: how far a side vein runs towards the tip before it meets the margin, in blade lengths.
        hue, saturation, value: of the blade, as OpenCV's HSV (hue 0..180, the others 0..255).
    """

    name: str
    arrangement: Arrangement
    rise: float
    fall: float
    length: float
    width: float
    lobes: tuple[float, float]
    veins: float
    vein_slant: float
    venation: Venation
    vein_contrast: float
    hue: float
    saturation: float
    value: float
    gloss: float


CROPS: dict[str, Crop] = {
    crop.name: crop
    for crop in (
        Crop("tomato", "pinnate", 0.42, 0.80, 0.44, 0.30, (4.0, 0.34), 6, 0.22, "pinnate", 0.35, 47, 150, 112, 0.3),
        Crop("potato", "pinnate", 0.50, 0.72, 0.42, 0.29, (0.0, 0.0), 7, 0.20, "pinnate", 0.45, 44, 138, 118, 0.3),
        Crop("maize", "single", 0.20, 0.46, 0.98, 0.29, (0.0, 0.0), 11, 0.0, "parallel", 0.40, 43, 152, 128, 0.4),
        Crop("cassava", "palmate", 0.90, 0.75, 0.52, 0.15, (0.0, 0.0), 11, 0.10, "pinnate", 0.40, 46, 160, 108, 0.3),
        Crop("cashew", "single", 0.82, 0.36, 0.86, 0.56, (0.0, 0.0), 12, 0.09, "pinnate", 0.90, 42, 168, 128, 0.8),
        Crop("groundnut", "paired", 0.62, 0.46, 0.46, 0.26, (0.0, 0.0), 9, 0.14, "pinnate", 0.40, 40, 162, 134, 0.4),
        Crop("mango", "single", 0.58, 0.74, 0.96, 0.30, (0.0, 0.0), 18, 0.05, "pinnate", 0.60, 48, 158, 92, 0.9),
    )
}
