"""What a disease does to a leaf: spots, mosaics, curling margins and mines, painted with a mask of what is diseased.

Sizes are in canvas pixels (a canvas is 320 on a side). Many separate lesions share one field of relative radius:
0 at a lesion's centre, 1 at its edge. Colour and opacity are then functions of that field, looked up in one pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.demo.foliage import CANVAS_PX, Blade, Leaf
from plantset.demo.texture import Field, TextureBank, three

Place = Literal["spread", "margin", "tip", "midrib", "between-veins"]
Stop = tuple[float, tuple[int, int, int], float]

_LUT_STEPS_PER_RADIUS = 100
_FAR = 2.55
_LARGE_PX = 18


@dataclass(frozen=True, slots=True)
class Spots:
    """Separate lesions: spots, blotches, pustules, streaks, patches of powder.

    Attributes:
        count: fewest and most on a leaf.
        radius: smallest and largest, across the lesion's short axis.
        elongation: long over short axis; long lesions follow the veins.
        profile: (relative radius, colour, opacity) from the centre outwards; 1.0 is the edge, beyond it the halo.
        irregular: how far the edge wanders, in radii.
        vein_stop: how strongly veins stop the lesion, which makes it angular.
        rings: concentric rings from centre to edge.
        mottle: 0 even, 1 dusty: opacity broken up by fine texture.
        bloom: opacity of white mould around the edge.
    """

    count: tuple[int, int]
    radius: tuple[float, float]
    profile: tuple[Stop, ...]
    place: Place = "spread"
    elongation: tuple[float, float] = (1.0, 1.35)
    irregular: float = 0.12
    vein_stop: float = 0.0
    rings: int = 0
    mottle: float = 0.0
    bloom: float = 0.0


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Pale patches over the whole leaf, between veins that stay green, and blades that grow narrow.

    Attributes:
        cover: smallest and largest share of the blade that turns pale.
    """

    colour: tuple[int, int, int]
    cover: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curl:
    """Margins that roll up and turn yellow, on narrow puckered blades.

    Attributes:
        reach: smallest and largest share of the half width, from the margin, that turns yellow.
    """

    colour: tuple[int, int, int]
    reach: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mines:
    """Winding tunnels of a larva under the skin, widening as it grows.

    Attributes:
        count: fewest and most on a leaf.
        width: of a tunnel at its end.
    """

    colour: tuple[int, int, int]
    old_colour: tuple[int, int, int]
    count: tuple[int, int]
    width: tuple[float, float]


Symptom = Spots | Mosaic | Curl | Mines


def narrowing(symptom: Symptom | None, rng: np.random.Generator) -> float:
    """Return how narrow the symptom makes the blades: 1 for none."""
    if isinstance(symptom, Curl):
        return float(rng.uniform(0.62, 0.82))
    if isinstance(symptom, Mosaic):
        return float(rng.uniform(0.74, 0.98))
    return 1.0


def paint(symptom: Symptom, leaf: Leaf, rng: np.random.Generator, bank: TextureBank) -> NDArray[np.bool_]:
    """Paint the symptom onto `leaf.rgb` and return the mask of diseased tissue, (CANVAS_PX, CANVAS_PX)."""
    severity = float(rng.beta(1.3, 1.5))
    if isinstance(symptom, Spots):
        return _paint_spots(symptom, leaf, severity, rng, bank)
    if isinstance(symptom, Mosaic):
        return _paint_mosaic(symptom, leaf, severity, rng, bank)
    if isinstance(symptom, Curl):
        return _paint_curl(symptom, leaf, severity, rng, bank)
    return _paint_mines(symptom, leaf, severity, rng, bank)


def _paint_spots(
    spots: Spots, leaf: Leaf, severity: float, rng: np.random.Generator, bank: TextureBank
) -> NDArray[np.bool_]:
    radius = _radius_field(spots, leaf, severity, rng)
    radius *= 1 + np.float32(spots.irregular) * np.clip(_wander(spots, rng, bank), -2, 2)
    if spots.vein_stop:
        radius += np.float32(spots.vein_stop) * leaf.veins * radius
    np.clip(radius, 0, _FAR, out=radius)
    colours, opacities = _lookup(spots.profile)
    index = (radius * _LUT_STEPS_PER_RADIUS).astype(np.uint8)
    colour = cv2.LUT(cv2.merge([index, index, index]), colours).astype(np.float32)
    opacity = cv2.LUT(index, opacities).astype(np.float32) / 255 * leaf.tissue
    grain = bank.crop("fine", rng, CANVAS_PX, CANVAS_PX)
    colour *= three(1 + np.float32(0.09) * grain)
    if spots.rings:
        wave = np.cos(np.float32(2 * math.pi * spots.rings) * radius)
        colour *= three(np.where(radius < 0.95, 1 + np.float32(0.2) * wave, np.float32(1)))
    if spots.mottle:
        opacity *= np.clip(1 - np.float32(spots.mottle) * (np.float32(0.35) + np.float32(0.5) * grain), 0, 1)
    leaf.rgb[:] += (colour - leaf.rgb) * three(opacity)
    if spots.bloom:
        _paint_bloom(spots, leaf, radius, grain)
    diseased: NDArray[np.bool_] = (radius < 1) & (leaf.tissue > 0.5)
    return diseased


def _wander(spots: Spots, rng: np.random.Generator, bank: TextureBank) -> Field:
    """Return how far edges go out or in; wide bends for large lesions, or they would crumble into many."""
    fine = bank.crop("medium", rng, CANVAS_PX, CANVAS_PX)
    if spots.radius[1] < _LARGE_PX:
        return fine
    wide: Field = np.float32(0.8) * bank.crop("coarse", rng, CANVAS_PX, CANVAS_PX) + np.float32(0.35) * fine
    return wide


def _paint_bloom(spots: Spots, leaf: Leaf, radius: Field, grain: Field) -> None:
    ring = np.exp(-(((radius - np.float32(0.92)) / np.float32(0.13)) ** 2)) * leaf.tissue
    ring *= np.float32(spots.bloom) * np.clip(np.float32(0.5) + np.float32(0.55) * grain, 0, 1)
    leaf.rgb[:] += (np.float32(226) - leaf.rgb) * three(ring)


def _radius_field(spots: Spots, leaf: Leaf, severity: float, rng: np.random.Generator) -> Field:
    """Return each pixel's distance from the nearest lesion's centre, in that lesion's radii."""
    field = np.full((CANVAS_PX, CANVAS_PX), np.float32(9), np.float32)
    low, high = spots.count
    count = max(1, round(low * (high / low) ** severity * float(rng.uniform(0.85, 1.15))))
    areas = np.array([blade.area() for blade in leaf.blades])
    owners = rng.choice(len(areas), size=count, p=areas / areas.sum())
    smallest, largest = spots.radius
    sizes = smallest + (largest - smallest) * rng.beta(1.2, 1.8, count)
    stretches = rng.uniform(*spots.elongation, count)
    for owner, size, stretch in zip(owners, sizes, stretches, strict=True):
        blade = leaf.blades[int(owner)]
        along, across = _place(spots.place, leaf, blade, rng)
        x, y = blade.point(along, across)
        heading = blade.heading(along) if spots.elongation[1] > 2 else float(rng.uniform(0, math.pi))
        _stamp(field, x, y, float(size), float(size * stretch), heading)
    return field


def _stamp(field: Field, x: float, y: float, short: float, long: float, heading: float) -> None:
    reach = math.ceil(long * _FAR) + 1
    top, bottom = max(0, int(y) - reach), min(CANVAS_PX, int(y) + reach + 1)
    left, right = max(0, int(x) - reach), min(CANVAS_PX, int(x) + reach + 1)
    if top >= bottom or left >= right:
        return
    dx = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(x)
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
    cos, sin = math.cos(heading), math.sin(heading)
    u = dx * np.float32(cos / long) + dy * np.float32(sin / long)
    v = dy * np.float32(cos / short) - dx * np.float32(sin / short)
    window = field[top:bottom, left:right]
    np.minimum(window, np.sqrt(u * u + v * v), out=window)


def _place(place: Place, leaf: Leaf, blade: Blade, rng: np.random.Generator) -> tuple[float, float]:
    side = 1.0 if rng.integers(2) else -1.0
    if place == "margin":
        return float(rng.uniform(0.1, 0.97)), side * float(rng.uniform(0.78, 1.02))
    if place == "tip":
        return float(rng.uniform(0.72, 1.0)), side * float(rng.uniform(0, 1))
    if place == "midrib":
        return float(rng.uniform(0.05, 0.95)), side * abs(float(rng.normal(0, 0.16)))
    widest = float(max(blade.left.max(), blade.right.max()))
    for _ in range(8):  # places are drawn evenly over the area: narrow parts get fewer
        along = float(rng.uniform(0.04, 0.97))
        if rng.uniform(0, widest) < blade.half_width(along, side):
            break
    across = side * float(rng.uniform(0, 0.93))
    if place == "between-veins" and leaf.crop.venation == "pinnate":
        crop = leaf.crop
        shift = 0.5 if side < 0 else 0.0
        phase = (along - crop.vein_slant * abs(across) ** 1.3) * crop.veins + shift
        middle = math.floor(phase) + 0.5 + float(rng.normal(0, 0.1))
        along = min(0.98, max(0.02, (middle - shift) / crop.veins + crop.vein_slant * abs(across) ** 1.3))
    return along, across


@lru_cache(maxsize=64)
def _lookup(profile: tuple[Stop, ...]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the profile as 256 colours (256, 1, 3) and 256 opacities (256, 1)."""
    radii = [stop[0] for stop in profile]
    places = np.arange(256) / _LUT_STEPS_PER_RADIUS
    colours = np.stack([np.interp(places, radii, [stop[1][i] for stop in profile]) for i in range(3)], axis=-1)
    opacities = np.interp(places, radii, [255 * stop[2] for stop in profile])
    return colours.astype(np.uint8)[:, None, :], opacities.astype(np.uint8)[:, None]


def _paint_mosaic(
    mosaic: Mosaic, leaf: Leaf, severity: float, rng: np.random.Generator, bank: TextureBank
) -> NDArray[np.bool_]:
    field = bank.crop("medium", rng, CANVAS_PX, CANVAS_PX) + 0.6 * bank.crop("coarse", rng, CANVAS_PX, CANVAS_PX)
    field -= np.float32(1.3) * leaf.veins
    tissue = leaf.tissue > 0.5
    low, high = mosaic.cover
    threshold = np.quantile(field[tissue], 1 - (low + (high - low) * severity))
    opacity = np.clip((field - threshold) / np.float32(0.5) + np.float32(0.5), 0, 1) * leaf.tissue
    _blend(leaf, mosaic.colour, opacity * np.float32(rng.uniform(0.72, 0.92)))
    diseased: NDArray[np.bool_] = (opacity > 0.5) & tissue
    return diseased


def _paint_curl(
    curl: Curl, leaf: Leaf, severity: float, rng: np.random.Generator, bank: TextureBank
) -> NDArray[np.bool_]:
    low, high = curl.reach
    edge = 1 - (low + (high - low) * severity)
    inward = np.abs(leaf.across) + np.float32(0.10) * bank.crop("medium", rng, CANVAS_PX, CANVAS_PX)
    inward -= np.float32(0.22) * leaf.veins
    opacity = np.clip((inward - edge) / np.float32(0.22) + np.float32(0.5), 0, 1) * leaf.tissue
    _blend(leaf, curl.colour, opacity * np.float32(0.85))
    pucker = np.float32(0.12) * bank.crop("medium", rng, CANVAS_PX, CANVAS_PX)
    roll = np.exp(-(((np.abs(leaf.across) - np.float32(0.66)) / np.float32(0.13)) ** 2))
    rim = np.clip((np.abs(leaf.across) - np.float32(0.8)) / np.float32(0.2), 0, 1)
    leaf.rgb[:] *= three(np.clip(1 + pucker - np.float32(0.3) * roll + np.float32(0.3) * rim, 0.4, 1.4))
    diseased: NDArray[np.bool_] = (opacity > 0.5) & (leaf.tissue > 0.5)
    return diseased


def _paint_mines(
    mines: Mines, leaf: Leaf, severity: float, rng: np.random.Generator, bank: TextureBank
) -> NDArray[np.bool_]:
    low, high = mines.count
    drawn = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    frass = np.zeros_like(drawn)
    for _ in range(max(1, round(low * (high / low) ** severity))):
        blade = leaf.blades[int(rng.integers(len(leaf.blades)))]
        _draw_tunnel(drawn, frass, blade, float(rng.uniform(*mines.width)), rng)
    cover = cv2.GaussianBlur(drawn, (0, 0), 0.8).astype(np.float32) / 255 * leaf.tissue
    age = np.clip(np.float32(severity) + np.float32(0.35) * bank.crop("coarse", rng, CANVAS_PX, CANVAS_PX), 0, 1)
    young, old = np.array(mines.colour, np.float32), np.array(mines.old_colour, np.float32)
    colour = young + (old - young) * three(age)
    colour *= three(1 + np.float32(0.08) * bank.crop("fine", rng, CANVAS_PX, CANVAS_PX))
    leaf.rgb[:] += (colour - leaf.rgb) * three(cover * np.float32(0.9))
    _blend(leaf, (70, 58, 40), cv2.GaussianBlur(frass, (0, 0), 0.7).astype(np.float32) / 255 * leaf.tissue * 0.6)
    diseased: NDArray[np.bool_] = (cover > 0.5) & (leaf.tissue > 0.5)
    return diseased


def _draw_tunnel(
    drawn: NDArray[np.uint8], frass: NDArray[np.uint8], blade: Blade, width: float, rng: np.random.Generator
) -> None:
    """Walk with a slowly turning heading; the tunnel widens and its droppings mark the middle."""
    x, y = blade.point(float(rng.uniform(0.2, 0.85)), float(rng.uniform(-0.7, 0.7)))
    heading = float(rng.uniform(0, 2 * math.pi))
    turn = 0.0
    steps = int(rng.integers(16, 34))
    for step in range(steps):
        turn = 0.75 * turn + float(rng.normal(0, 0.3))
        heading += turn
        next_x, next_y = x + 5 * math.cos(heading), y + 5 * math.sin(heading)
        ends = ((round(x * 16), round(y * 16)), (round(next_x * 16), round(next_y * 16)))
        cv2.line(drawn, *ends, 255, max(1, round(width * (0.3 + 0.7 * step / steps))), cv2.LINE_AA, 4)
        cv2.line(frass, *ends, 255, 1, cv2.LINE_AA, 4)
        x, y = next_x, next_y


def _blend(leaf: Leaf, colour: tuple[int, int, int], opacity: NDArray[np.floating]) -> None:
    leaf.rgb[:] += (np.array(colour, np.float32) - leaf.rgb) * three(opacity)
