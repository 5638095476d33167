"""What lies behind a leaf: soil, grass, foliage out of focus, paper, cloth, wood, concrete, a palm of a hand.

Each is a few large tiles drawn once per process; a photo takes a random window of one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.demo.texture import TILE_PX, Field, fractal_noise, random_window, smooth_noise

Rgb = NDArray[np.uint8]

BACKGROUNDS: tuple[str, ...] = ("soil", "grass", "foliage", "paper", "cloth", "wood", "concrete", "palm")


class GroundBank:
    """Tiles of every background; depends on `seed` alone, so that every worker holds the same ones."""

    def __init__(self, seed: int) -> None:
        painters = (_soil, _grass, _foliage, _paper, _cloth, _wood, _concrete, _palm)
        self._tiles = {
            name: painter(np.random.default_rng([seed, 0x6E0D, index]))
            for index, (name, painter) in enumerate(zip(BACKGROUNDS, painters, strict=True))
        }

    def crop(self, background: str, rng: np.random.Generator, height: int, width: int) -> Rgb:
        """Return a random (height, width, 3) window, its colour shifted a little at random."""
        window = random_window(self._tiles[background], rng, height, width)
        spread = 0.12 if background == "cloth" else 0.035
        gain = (1 + rng.normal(0, spread, 3)) * rng.uniform(0.75, 1.08)
        levels = np.clip(np.arange(256)[:, None] * gain, 0, 255).astype(np.uint8)[:, None, :]
        return cv2.LUT(np.ascontiguousarray(window), levels).astype(np.uint8, copy=False)


def _tint(base: tuple[int, int, int], field: Field, strength: float) -> Field:
    tinted: Field = np.array(base, np.float32) * (1 + np.float32(strength) * field)[..., None]
    return tinted


def _finish(image: Field) -> Rgb:
    finished: Rgb = np.ascontiguousarray(np.clip(image, 0, 255), dtype=np.uint8)
    return finished


def _soil(rng: np.random.Generator) -> Rgb:
    relief = fractal_noise(rng, 40, 4)
    light = cv2.Sobel(cv2.GaussianBlur(relief, (0, 0), 1.2), cv2.CV_32F, 1, 1, ksize=3)
    image = _tint((122, 92, 66), relief, 0.16) * (1 + np.clip(light, -1, 1) * np.float32(0.35))[..., None]
    drawn = _finish(image)
    for _ in range(260):
        x, y, size = (int(rng.integers(low, high)) for low, high in ((0, TILE_PX), (0, TILE_PX), (2, 11)))
        tone = np.array([150, 132, 112]) * rng.uniform(0.6, 1.15)
        axes, turn = (size, max(1, int(size * rng.uniform(0.5, 0.9)))), float(rng.uniform(0, 180))
        cv2.ellipse(drawn, (x + 2, y + 2), axes, turn, 0, 360, (58, 44, 32), -1, cv2.LINE_AA)
        cv2.ellipse(drawn, (x, y), axes, turn, 0, 360, tone.tolist(), -1, cv2.LINE_AA)
    _strokes(drawn, rng, 90, (196, 170, 116), (14, 46), 2)
    return cv2.GaussianBlur(drawn, (0, 0), 0.7).astype(np.uint8)


def _grass(rng: np.random.Generator) -> Rgb:
    drawn = _finish(_tint((44, 66, 30), fractal_noise(rng, 30, 3), 0.25))
    for layer in range(6):
        shade = (54 + 11 * layer, 84 + 13 * layer, 34 + 6 * layer)
        _strokes(drawn, rng, 420, shade, (40, 120), 2 + layer // 2)
    return cv2.GaussianBlur(drawn, (0, 0), 0.9).astype(np.uint8)


def _foliage(rng: np.random.Generator) -> Rgb:
    drawn = _finish(_tint((50, 74, 40), fractal_noise(rng, 10, 2), 0.3))
    for _ in range(330):
        x, y = rng.integers(0, TILE_PX, 2).tolist()
        tone = np.array([88, 128, 58]) * rng.uniform(0.45, 1.35)
        axes = (int(rng.integers(16, 62)), int(rng.integers(8, 26)))
        cv2.ellipse(drawn, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, tone.tolist(), -1, cv2.LINE_AA)
    return cv2.GaussianBlur(drawn, (0, 0), 7).astype(np.uint8)


def _paper(rng: np.random.Generator) -> Rgb:
    image = _tint((226, 226, 222), smooth_noise(rng, 4), 0.03) * (1 + 0.012 * fractal_noise(rng, 200, 1))[..., None]
    return _finish(image)


def _cloth(rng: np.random.Generator) -> Rgb:
    steps = np.arange(TILE_PX, dtype=np.float32)
    weave = np.sin(steps * 1.7)[None, :] * np.sin(steps * 1.7)[:, None]
    folds = smooth_noise(rng, 6)
    return _finish(_tint((128, 138, 158), weave * 0.06 + folds * 0.11, 1.0))


def _wood(rng: np.random.Generator) -> Rgb:
    rows = np.linspace(0, 1, TILE_PX, dtype=np.float32)[:, None]
    grain = np.sin(2 * np.pi * (rows * 42 + 0.5 * smooth_noise(rng, 5)))
    streaks = cv2.resize(rng.standard_normal((TILE_PX, 12), dtype=np.float32), (TILE_PX, TILE_PX))
    planks = np.where((rows * 5) % 1 < 0.012, np.float32(-0.55), np.float32(0))
    return _finish(_tint((158, 118, 80), 0.07 * grain + 0.06 * streaks + planks, 1.0))


def _concrete(rng: np.random.Generator) -> Rgb:
    field = 0.05 * fractal_noise(rng, 24, 4) + 0.05 * fractal_noise(rng, 220, 1)
    return _finish(_tint((158, 156, 150), field, 1.0))


def _palm(rng: np.random.Generator) -> Rgb:
    drawn = _finish(_tint((176, 126, 96), 0.06 * smooth_noise(rng, 6) + 0.03 * fractal_noise(rng, 120, 2), 1.0))
    for _ in range(26):
        x, y = rng.integers(0, TILE_PX, 2).tolist()
        axes = (int(rng.integers(60, 260)), int(rng.integers(40, 200)))
        start = float(rng.uniform(0, 360))
        cv2.ellipse(drawn, (x, y), axes, start, 0, float(rng.uniform(40, 110)), (138, 90, 70), 2, cv2.LINE_AA)
    return cv2.GaussianBlur(drawn, (0, 0), 1.6).astype(np.uint8)


def _strokes(
    drawn: Rgb,
    rng: np.random.Generator,
    count: int,
    colour: tuple[int, int, int],
    length: tuple[int, int],
    thickness: int,
) -> None:
    starts = rng.integers(-20, TILE_PX + 20, (count, 2))
    angles = rng.uniform(0, 2 * np.pi, count)
    lengths = rng.uniform(*length, count)
    bends = rng.normal(0, 0.18, count)
    tones = rng.uniform(0.7, 1.25, count)
    for start, angle, reach, bend, tone in zip(starts, angles, lengths, bends, tones, strict=True):
        steps = np.array([0.0, 0.5, 1.0])
        x = start[0] + reach * steps * np.cos(angle + bend * steps)
        y = start[1] + reach * steps * np.sin(angle + bend * steps)
        points = np.stack([x, y], axis=-1).astype(np.int32)
        cv2.polylines(drawn, [points], False, (np.array(colour) * tone).tolist(), thickness, cv2.LINE_AA)
