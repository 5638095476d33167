"""A healthy leaf on a square canvas: blades, veins and tissue, with the coordinates that lesions follow.

Each blade is an implicit shape. A pixel has a place along the midrib (0 at the base, 1 at the tip) and a place
across (0 on the midrib, ±1 on the margin); the outline, the veins and later the lesions are functions of the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.demo.crops import Crop
from plantset.demo.texture import Field, TextureBank, three

CANVAS_PX = 320
_STEPS = 256
_VEIN_RGB = np.array([196, 208, 128], np.float32)


@dataclass(frozen=True, slots=True)
class Blade:
    """One blade or leaflet, in canvas pixels.

    Attributes:
        angle: of the midrib at the base, radians, from the x axis, y down.
        left, right: half width at 256 places from base to tip.
        bend: sideways drift of the tip, in lengths.
    """

    base_x: float
    base_y: float
    angle: float
    length: float
    left: Field
    right: Field
    bend: float

    def point(self, along: float, across: float) -> tuple[float, float]:
        """Return the canvas (x, y) of a place on the blade."""
        half = self.half_width(along, across)
        u, v = along * self.length, across * half + self.bend * self.length * along * along
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return self.base_x + u * cos - v * sin, self.base_y + u * sin + v * cos

    def half_width(self, along: float, across: float) -> float:
        """Return the half width in pixels on the side that `across` is on."""
        side = self.left if across < 0 else self.right
        return float(side[min(_STEPS - 1, max(0, int(along * _STEPS)))])

    def heading(self, along: float) -> float:
        """Return the direction of the midrib at that place, radians."""
        return self.angle + math.atan(2 * self.bend * along)

    def area(self) -> float:
        """Return the blade's area in square pixels."""
        return float((self.left + self.right).mean()) * self.length


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf on its canvas; every array is CANVAS_PX on a side.

    Attributes:
        rgb: float32, 0..255.
        opacity: float32, 0..1: blades and stalk.
        tissue: float32, 0..1: blades only; what a disease can be on.
        along, across: place on the top blade; across is signed.
        veins: 0..1, 1 on a vein.
    """

    crop: Crop
    rgb: Field
    opacity: Field
    tissue: Field
    along: Field
    across: Field
    veins: Field
    blades: tuple[Blade, ...]


def grow_leaf(crop: Crop, rng: np.random.Generator, bank: TextureBank, *, narrowing: float = 1.0) -> Leaf:
    """Grow one leaf; `narrowing` below 1 makes blades narrower, as leaf curl does."""
    blades = _arrange(crop, rng, narrowing)
    shape = (CANVAS_PX, CANVAS_PX)
    leaf = Leaf(
        crop=crop,
        rgb=np.zeros((*shape, 3), np.float32),
        opacity=np.zeros(shape, np.float32),
        tissue=np.zeros(shape, np.float32),
        along=np.zeros(shape, np.float32),
        across=np.zeros(shape, np.float32),
        veins=np.zeros(shape, np.float32),
        blades=blades,
    )
    green = _leaf_green(crop, rng)
    _draw_stalk(leaf, green, rng)
    for blade in blades:
        _draw_blade(leaf, blade, green, rng, bank)
    return leaf


def _leaf_green(crop: Crop, rng: np.random.Generator) -> Field:
    hsv = np.array([[[crop.hue, crop.saturation, crop.value]]], np.float32)
    hsv += rng.normal(0, 1, 3).astype(np.float32) * np.array([2.5, 12, 10], np.float32)
    rgb: Field = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)
    return rgb


def _arrange(crop: Crop, rng: np.random.Generator, narrowing: float) -> tuple[Blade, ...]:
    middle = CANVAS_PX / 2
    if crop.arrangement == "single":
        start = (0.5 + min(crop.length, 0.94) / 2) * CANVAS_PX
        return (_blade(crop, rng, (middle, start), 0.0, 1.0, narrowing),)
    if crop.arrangement == "palmate":
        lobes = int(rng.choice([5, 7]))
        turns = np.linspace(-118, 118, lobes) + rng.normal(0, 4, lobes)
        order = np.argsort(-np.abs(turns))
        foot = (middle, 0.60 * CANVAS_PX)
        return tuple(
            _blade(crop, rng, foot, float(turns[i]), 1.0 - 0.28 * abs(float(turns[i])) / 118, narrowing) for i in order
        )
    if crop.arrangement == "paired":
        pairs: tuple[tuple[float, float, float], ...] = (
            (0.62, 78, 0.92),
            (0.62, -78, 0.92),
            (0.50, 24, 1.0),
            (0.50, -24, 1.0),
        )
    else:
        pairs = (
            (0.80, 66, 0.62),
            (0.79, -64, 0.62),
            (0.62, 58, 0.86),
            (0.60, -58, 0.86),
            (0.46, 0, 1.0),
        )
    return tuple(
        _blade(crop, rng, (middle, y * CANVAS_PX), turn + rng.normal(0, 6), size, narrowing) for y, turn, size in pairs
    )


def _blade(
    crop: Crop, rng: np.random.Generator, base: tuple[float, float], turn: float, size: float, narrowing: float
) -> Blade:
    size *= float(rng.uniform(0.93, 1.03))
    length = min(crop.length * size, 0.96) * CANVAS_PX
    half = crop.width * size * narrowing * float(rng.uniform(0.9, 1.1)) * CANVAS_PX / 2
    return Blade(
        base_x=base[0],
        base_y=base[1],
        angle=math.radians(turn - 90),
        length=length,
        left=_profile(crop, rng) * np.float32(half),
        right=_profile(crop, rng) * np.float32(half),
        bend=float(rng.normal(0, 0.06)),
    )


def _profile(crop: Crop, rng: np.random.Generator) -> Field:
    """Half width along the midrib as a share of its greatest value."""
    s = (np.arange(_STEPS, dtype=np.float32) + 0.5) / _STEPS
    outline = s**crop.rise * (1 - s) ** crop.fall
    outline /= outline.max()
    lobes, depth = crop.lobes
    if lobes:
        place = (s * lobes * float(rng.uniform(0.9, 1.15)) + float(rng.uniform(0, 1))) % 1.0
        outline *= 1 - depth * place**2.2 * np.minimum(1, 4 * (1 - s))
    ripple = np.sin(2 * np.pi * (s * float(rng.uniform(2, 4)) + float(rng.uniform(0, 1))))
    result: Field = (outline * (1 + 0.035 * ripple)).astype(np.float32)
    return result


def _draw_stalk(leaf: Leaf, green: Field, rng: np.random.Generator) -> None:
    """Draw the stalk from the foot of the canvas to the last blade's base."""
    top = min(blade.base_y for blade in leaf.blades)
    foot = CANVAS_PX * 0.985
    if foot - top < 6:
        return
    sway = float(rng.normal(0, 4))
    points = np.array([[CANVAS_PX / 2 + sway, foot], [CANVAS_PX / 2, (top + foot) / 2 + 8], [CANVAS_PX / 2, top]])
    fixed = (points * 16).astype(np.int32)
    drawn = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
    cv2.polylines(drawn, [fixed], False, 255, 5, cv2.LINE_AA, 4)
    leaf.opacity[:] = drawn.astype(np.float32) / 255
    leaf.rgb[drawn > 0] = green * 0.55 + _VEIN_RGB * 0.45


def _draw_blade(leaf: Leaf, blade: Blade, green: Field, rng: np.random.Generator, bank: TextureBank) -> None:
    rows, columns = _extent(blade)
    along, across, half = _coordinates(blade, rows, columns)
    cover = np.clip((1 - np.abs(across)) * half + 0.5, 0, 1) * ((along > 0) & (along < 1))
    veins, relief = _venation(leaf.crop, blade, along, across, half)
    shade = _shade(leaf.crop, relief, across, rng, bank)
    vein_mix = three(veins * np.float32(leaf.crop.vein_contrast))
    tint = green * np.float32(rng.uniform(0.9, 1.08))
    painted = tint * three(shade) * (1 - vein_mix) + _VEIN_RGB * vein_mix
    window = (rows, columns)
    leaf.rgb[window] += (painted - leaf.rgb[window]) * three(cover)
    np.maximum(leaf.opacity[window], cover, out=leaf.opacity[window])
    np.maximum(leaf.tissue[window], cover, out=leaf.tissue[window])
    top = cover > 0.5
    for field, value in ((leaf.along, along), (leaf.across, across), (leaf.veins, veins)):
        np.copyto(field[window], value, where=top)


def _extent(blade: Blade) -> tuple[slice, slice]:
    places = [blade.point(s, t) for s in (0.0, 0.15, 0.35, 0.55, 0.75, 0.9, 0.999) for t in (-1.0, 1.0)]
    xs, ys = zip(*places, strict=True)
    margin = 6 + 0.05 * blade.length
    low_x, high_x = max(0, int(min(xs) - margin)), min(CANVAS_PX, int(max(xs) + margin))
    low_y, high_y = max(0, int(min(ys) - margin)), min(CANVAS_PX, int(max(ys) + margin))
    return slice(low_y, high_y), slice(low_x, high_x)


def _coordinates(blade: Blade, rows: slice, columns: slice) -> tuple[Field, Field, Field]:
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(blade.base_x)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(blade.base_y)
    cos, sin = np.float32(math.cos(blade.angle)), np.float32(math.sin(blade.angle))
    along = (x * cos + y * sin) / np.float32(blade.length)
    v = y * cos - x * sin - np.float32(blade.bend * blade.length) * along * along
    place = np.clip(along * _STEPS, 0, _STEPS - 1).astype(np.int32)
    half = np.where(v < 0, blade.left[place], blade.right[place])
    half = np.maximum(half, np.float32(0.6))
    return along.astype(np.float32), (v / half).astype(np.float32), half.astype(np.float32)


def _venation(crop: Crop, blade: Blade, along: Field, across: Field, half: Field) -> tuple[Field, Field]:
    """Return vein strength (0..1) and the relief's phase between veins, as a sine (-1..1)."""
    spread = np.abs(across)
    side: NDArray[Any]
    if crop.venation == "parallel":
        phase: NDArray[Any] = spread * np.float32(crop.veins)
        gap = np.abs(phase - np.rint(phase)) * half / np.float32(crop.veins)
        side = np.exp(-((gap / np.float32(0.8)) ** 2)) * np.float32(0.5)
        thick: NDArray[Any] = 3.4 * (1 - along) + 1.0
    else:
        phase = (along - np.float32(crop.vein_slant) * spread**1.3) * np.float32(crop.veins)
        phase = phase + np.where(across < 0, np.float32(0.5), np.float32(0))
        gap = np.abs(phase - np.rint(phase)) * np.float32(blade.length / crop.veins)
        side = np.exp(-((gap / np.float32(1.1)) ** 2)) * (1 - np.float32(0.75) * spread)
        side *= np.clip(np.minimum(along * 50 - 1, (np.float32(0.95) - along) * 14), 0, 1)  # none at the very ends
        thick = (1.9 * (1 - along) + 0.5) * np.float32(max(0.7, blade.length / 220))
    midrib = np.exp(-((across * half / thick) ** 2))
    veins: Field = np.clip(np.maximum(side, midrib), 0, 1).astype(np.float32)
    relief: Field = np.sin(2 * np.pi * phase).astype(np.float32)
    return veins, relief


def _shade(crop: Crop, relief: Field, across: Field, rng: np.random.Generator, bank: TextureBank) -> Field:
    height, width = relief.shape
    fold = np.float32(rng.normal(0, 0.07))
    shade: NDArray[Any] = 1 + np.float32(0.055) * relief + fold * np.tanh(3 * across)
    shade += np.float32(0.07) * bank.crop("coarse", rng, height, width)
    shade += np.float32(0.045) * bank.crop("medium", rng, height, width)
    shade += np.float32(0.05 * crop.gloss) * np.maximum(0, bank.crop("coarse", rng, height, width) - 0.6)
    shade -= np.float32(0.16) * np.maximum(0, np.abs(across) - 0.82) / np.float32(0.18)  # the rim turns away
    result: Field = np.clip(shade, 0.45, 1.6).astype(np.float32)
    return result
