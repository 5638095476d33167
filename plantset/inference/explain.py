"""Where the model looked, drawn over the photo; what is drawn comes from `models.relevance`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.data.geometry import Pixels

_HEAT_SHARE = 0.45  # of the heat's colour where it is hottest; the leaf must stay readable under it
_EPSILON = 1e-12


def draw_heat(view_HWC: Pixels, heat_HW: NDArray[np.float64]) -> Pixels:
    """Lay a heat map over the photo, dark where nothing spoke for the class."""
    level = (255 * heat_HW / max(float(heat_HW.max()), _EPSILON)).round().astype(np.uint8)
    colours = cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)[:, :, ::-1].astype(np.float64)
    share = _HEAT_SHARE * (level[:, :, None] / 255)
    return np.asarray((view_HWC * (1 - share) + colours * share).round(), dtype=np.uint8)


def encode_png(pixels_HWC: Pixels) -> bytes:
    """Return RGB pixels as a PNG file."""
    return cv2.imencode(".png", np.ascontiguousarray(pixels_HWC[:, :, ::-1]))[1].tobytes()


def mass_inside(heat_HW: NDArray[np.float64], mask_HW: NDArray[np.bool_]) -> float:
    """Return the share of the heat that lies inside the mask; an even map gives the mask's share of the area."""
    return float(heat_HW[mask_HW].sum() / max(float(heat_HW.sum()), _EPSILON))
