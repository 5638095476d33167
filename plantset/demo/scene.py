"""How a leaf is photographed: ground, light, pose, blur, fingers and litter.

Nothing here knows the class: `draw_scene` takes a generator and no leaf, so that no nuisance can name a disease.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.demo.foliage import CANVAS_PX, Leaf
from plantset.demo.ground import BACKGROUNDS, GroundBank, Rgb
from plantset.demo.texture import Field, TextureBank, three

BORDER_PX = 12
_SHAPES = ((1.0, 1.0), (1.25, 1.0), (1.0, 1.25))


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything about a photo that is not the leaf.

    Attributes:
        aspect: (width, height) in short sides.
        turn: rotation of the leaf, radians. tilt: strength of the perspective, 0 none.
        fill: how much of the frame the leaf spans, 0..1. shift_x, shift_y: place in what is left, 0..1.
        light: direction of the light, radians. contrast: of the light across the photo.
        exposure, warmth: gain of the light, and of red over blue.
        shadow: length in pixels. blur: sigma in pixels. grain: sensor noise, grey levels.
        fingers: how many reach into the photo. litter: bits of straw and pebbles on the ground.
        quality: of the JPEG.
    """

    background: str
    aspect: tuple[float, float]
    turn: float
    tilt: float
    fill: float
    shift_x: float
    shift_y: float
    light: float
    contrast: float
    exposure: float
    warmth: float
    shadow: float
    blur: float
    grain: float
    fingers: int
    litter: int
    quality: int


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo and what is known of it; masks are 0 or 255, the photo's size."""

    rgb: NDArray[np.uint8]
    leaf_mask: NDArray[np.uint8]
    lesion_mask: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Cutout:
    """A leaf as its photos need it, on the canvas.

    Attributes:
        layers: uint8, red, green, blue and opacity. masks: uint8, tissue and diseased tissue, 0..255.
        rim: (N, 2), x and y: points that the leaf does not reach beyond.
    """

    layers: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    rim: NDArray[np.float64]


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw how a photo is taken."""
    return Scene(
        background=str(rng.choice(BACKGROUNDS)),
        aspect=_SHAPES[int(rng.integers(len(_SHAPES)))],
        turn=float(rng.uniform(-math.pi, math.pi)),
        tilt=float(rng.normal(0, 0.07)),
        fill=float(rng.uniform(0.85, 1.0)),
        shift_x=float(rng.uniform(0, 1)),
        shift_y=float(rng.uniform(0, 1)),
        light=float(rng.uniform(-math.pi, math.pi)),
        contrast=float(rng.uniform(0, 0.28)),
        exposure=float(rng.uniform(0.82, 1.14)),
        warmth=float(rng.normal(1.0, 0.05)),
        shadow=float(rng.uniform(2, 8)),
        blur=float(max(0.0, rng.gamma(1.2, 0.35) - 0.15)),
        grain=float(rng.uniform(0.5, 5)),
        fingers=int(rng.choice([0, 0, 0, 1, 1, 2])),
        litter=int(rng.choice([0, 0, 2, 5, 9])),
        quality=int(rng.integers(78, 95)),
    )


def cut_out(leaf: Leaf, diseased: NDArray[np.bool_]) -> Cutout:
    """Prepare a leaf for its photos."""
    colours = np.clip(leaf.rgb, 0, 255).astype(np.uint8)
    opacity = (leaf.opacity * 255).astype(np.uint8)
    tissue = (leaf.tissue * 255).astype(np.uint8)
    visible = (opacity > 4).astype(np.uint8)
    rows = np.flatnonzero(visible.any(axis=1))
    first = visible[rows].argmax(axis=1)
    last = CANVAS_PX - 1 - visible[rows][:, ::-1].argmax(axis=1)
    rim = np.concatenate([np.stack([first, rows], axis=-1), np.stack([last, rows], axis=-1)])
    return Cutout(
        layers=cv2.merge([colours, opacity]).astype(np.uint8, copy=False),
        masks=cv2.merge([tissue, diseased.astype(np.uint8) * 255]).astype(np.uint8, copy=False),
        rim=rim.astype(np.float64),
    )


def take_photo(
    cutout: Cutout,
    scene: Scene,
    rng: np.random.Generator,
    banks: tuple[TextureBank, GroundBank],
    size_px: int,
) -> Photo:
    """Photograph the leaf; the short side is `size_px`, and the leaf keeps BORDER_PX or more from the edge."""
    textures, grounds = banks
    width, height = (round(size_px * side) for side in scene.aspect)
    ground = grounds.crop(scene.background, rng, height, width)
    _scatter_litter(ground, scene, rng)
    _draw_fingers(ground, scene, rng)
    placing = _placing(cutout.rim, scene, width, height)
    warped = cv2.warpPerspective(cutout.layers, placing, (width, height), flags=cv2.INTER_LINEAR)
    opacity = warped[..., 3].astype(np.float32) * np.float32(1 / 255)
    image: NDArray[Any] = ground.astype(np.float32)
    image *= three(1 - np.float32(0.5) * _shadow(opacity, scene))
    leaf_rgb = np.ascontiguousarray(warped[..., :3]).astype(np.float32)
    image += (leaf_rgb - image) * three(opacity)
    image *= _light(scene, width, height)
    if scene.blur > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), scene.blur)
    image += three(np.float32(scene.grain) * textures.crop("grain", rng, height, width))
    tissue, diseased = cv2.split(cv2.warpPerspective(cutout.masks, placing, (width, height), flags=cv2.INTER_LINEAR))
    return Photo(
        rgb=np.clip(image, 0, 255).astype(np.uint8),
        leaf_mask=(tissue > 127).astype(np.uint8) * 255,
        lesion_mask=((diseased > 127) & (tissue > 127)).astype(np.uint8) * 255,
    )


def _placing(rim: NDArray[np.float64], scene: Scene, width: int, height: int) -> NDArray[np.float64]:
    """Return the 3×3 matrix that turns, tilts, scales and moves the leaf into the frame, away from the border."""
    cos, sin, half = math.cos(scene.turn), math.sin(scene.turn), CANVAS_PX / 2
    turned = np.array([[cos, -sin, -half * cos + half * sin], [sin, cos, -half * sin - half * cos], [0, 0, 1]])
    tilted = np.array([[1, 0, 0], [0.0, 1, 0], [scene.tilt / half, 0, 1]]) @ turned
    flat = cv2.perspectiveTransform(rim[None], tilted)[0]
    low, high = flat.min(axis=0), flat.max(axis=0)
    span = high - low
    room = np.array([width, height]) - 2 * BORDER_PX
    scale = float(min(room / span)) * scene.fill
    slack = room - span * scale
    start = BORDER_PX + slack * np.array([scene.shift_x, scene.shift_y])
    move = start - low * scale
    placing: NDArray[np.float64] = np.array([[scale, 0, move[0]], [0, scale, move[1]], [0, 0, 1]]) @ tilted
    return placing


def _shadow(opacity: Field, scene: Scene) -> Field:
    """Return how much of the light the leaf takes from the ground, 0..1; none at the border, which must not tell."""
    dx, dy = scene.shadow * math.cos(scene.light), scene.shadow * math.sin(scene.light)
    move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    height, width = opacity.shape
    shadow: Field = cv2.warpAffine(opacity, move, (width, height)).astype(np.float32, copy=False)
    shadow = cv2.GaussianBlur(shadow, (0, 0), 1 + scene.shadow / 4).astype(np.float32, copy=False)
    edge = 9
    shadow[:edge] = shadow[-edge:] = 0
    shadow[:, :edge] = shadow[:, -edge:] = 0
    return shadow


def _light(scene: Scene, width: int, height: int) -> Field:
    """Return the gain of the light at each pixel, (height, width, 3)."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * np.float32(math.cos(scene.light))
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(math.sin(scene.light))
    gain = np.float32(scene.exposure) * (1 - np.float32(0.7 * scene.contrast) * (x + y))
    channels = [gain * np.float32(scene.warmth), gain, gain * np.float32(2 - scene.warmth)]
    return cv2.merge(channels).astype(np.float32, copy=False)


def _scatter_litter(image: Rgb, scene: Scene, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    for _ in range(scene.litter):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        angle, reach = float(rng.uniform(0, math.pi)), float(rng.uniform(5, 40))
        tone = np.array([[186, 158, 104], [110, 82, 58], [92, 118, 56], [150, 142, 130]][int(rng.integers(4))])
        end = (round(x + reach * math.cos(angle)), round(y + reach * math.sin(angle)))
        colour = (tone * rng.uniform(0.7, 1.1)).tolist()
        cv2.line(image, (round(x) + 1, round(y) + 2), (end[0] + 1, end[1] + 2), (50, 42, 34), 3, cv2.LINE_AA)
        cv2.line(image, (round(x), round(y)), end, colour, int(rng.integers(2, 5)), cv2.LINE_AA)


def _draw_fingers(image: Rgb, scene: Scene, rng: np.random.Generator) -> None:
    """Draw fingers that come in from one border, side by side, under the leaf."""
    height, width = image.shape[:2]
    side, along = int(rng.integers(4)), float(rng.uniform(0.15, 0.85))
    skin = np.array([[222, 174, 146], [186, 132, 98], [132, 88, 62], [92, 60, 44]][int(rng.integers(4))], float)
    inward = (math.pi / 2, math.pi, -math.pi / 2, 0.0)[side] + float(rng.normal(0, 0.3))
    starts = (
        (along * width, -8.0),
        (width + 8.0, along * height),
        (along * width, height + 8.0),
        (-8.0, along * height),
    )
    x, y = starts[side]
    thick = 0.15 * min(width, height) * float(rng.uniform(0.85, 1.15))
    for finger in range(scene.fingers):
        across = (finger - (scene.fingers - 1) / 2) * thick * 1.02
        base = (x - across * math.sin(inward), y + across * math.cos(inward))
        reach = min(width, height) * float(rng.uniform(0.22, 0.42))
        _draw_finger(image, base, inward + float(rng.normal(0, 0.06)), reach, thick, skin)


def _draw_finger(
    image: Rgb, base: tuple[float, float], heading: float, reach: float, thick: float, skin: NDArray[np.float64]
) -> None:
    """Paint a capsule lit as a cylinder, with a soft rim, a nail and two creases at the joint."""
    height, width = image.shape[:2]
    cos, sin, radius = math.cos(heading), math.sin(heading), thick / 2
    tip = (base[0] + reach * cos, base[1] + reach * sin)
    left, right = (int(f(base[0], tip[0]) + s * (radius + 2)) for f, s in ((min, -1), (max, 1)))
    top, bottom = (int(f(base[1], tip[1]) + s * (radius + 2)) for f, s in ((min, -1), (max, 1)))
    left, right, top, bottom = max(0, left), min(width, right), max(0, top), min(height, bottom)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(base[0])
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(base[1])
    along, across = x * np.float32(cos) + y * np.float32(sin), y * np.float32(cos) - x * np.float32(sin)
    beyond = np.maximum(along - np.float32(reach), 0)
    distance = np.sqrt(across * across + beyond * beyond) / np.float32(radius)
    roundness = np.sqrt(np.clip(1 - distance * distance, 0, 1))
    joint = np.float32(reach - 1.7 * thick) - along
    creases = np.exp(-((np.abs(np.abs(joint) - np.float32(0.09 * thick)) / np.float32(0.9)) ** 2))
    shade = np.float32(0.55) + np.float32(0.5) * roundness - np.float32(0.13) * creases
    colour = np.clip(skin.astype(np.float32) * shade[..., None], 0, 255)
    nail = np.hypot((along - np.float32(reach + 0.1 * thick)) / 0.32, across / 0.27) / np.float32(thick)
    nail_cover = np.float32(0.55) * np.clip((1 - nail) * 5, 0, 1)
    colour += (np.array([232, 190, 178], np.float32) - colour) * nail_cover[..., None]
    cover = np.clip((1 - distance) * np.float32(radius), 0, 1)[..., None]
    window = image[top:bottom, left:right]
    window[:] = (window + (colour - window) * cover).astype(np.uint8)
