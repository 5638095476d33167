"""Where the model looked: the gradient of a class's logit times the activation, token by token, as a heat map.

HiResCAM (Draelos and Carin 2020, arXiv 2011.08891): unlike Grad-CAM it does not average the gradient over places
first, so that a place counts only when it speaks for the class itself. It needs no layer to be named, and works for
convolutional and transformer towers alike; its resolution is the tower's grid.

Dimensions: B photos, H W pixels, N tokens on a grid, C token width.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plantset.data.geometry import Pixels
from plantset.encoders.vision import VisionTokens
from plantset.models.load import LoadedModel

_HEAT_SHARE = 0.45  # of the heat's colour where it is hottest; the leaf must stay readable under it
_EPSILON = 1e-12


def explain_photos(model: LoadedModel, pixels_BHWC: Tensor, class_index_B: Tensor) -> NDArray[np.float64]:
    """Return heat maps (B, H, W) of the size of the photos: what spoke for the class; each sums to 1.

    A map is even where nothing spoke for the class. Asked without a note: the note has no place in the photo.

    Args:
        pixels_BHWC: uint8, as `Predictor.read` gives them.
        class_index_B: the class to explain, of each photo.
    """
    with torch.no_grad():
        seen = model.model.encode_photos(pixels_BHWC.to(model.device))
    tokens_BNC = seen.tokens_BNC.detach().clone().requires_grad_()
    with torch.enable_grad():
        output = model.model(VisionTokens(tokens_BNC, seen.grid, seen.prefix_BPC), None)
        chosen = output.logits_BC.gather(1, class_index_B.to(model.device)[:, None]).sum()
        (gradient_BNC,) = torch.autograd.grad(chosen, tokens_BNC)
    relevance_BN = (gradient_BNC * tokens_BNC.detach()).sum(dim=-1).clamp(min=0).float().cpu().numpy()
    side = int(pixels_BHWC.shape[1])
    return np.stack([_enlarge(row.reshape(seen.grid), side) for row in relevance_BN])


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


def _enlarge(grid_map: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    large = np.asarray(cv2.resize(grid_map, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float64)
    total = float(large.sum())
    return large / total if total > 0 else np.full((side, side), 1 / side**2)
