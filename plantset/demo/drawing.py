"""One leaf, from its number to its photos, masks and texts on disk: the unit of work of a drawing process."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from plantset.demo.crops import CROPS
from plantset.demo.diseases import CLASSES, DemoClass
from plantset.demo.foliage import CANVAS_PX, Leaf, grow_leaf
from plantset.demo.ground import GroundBank
from plantset.demo.scene import Photo, Scene, cut_out, draw_scene, take_photo
from plantset.demo.symptoms import narrowing, paint
from plantset.demo.texture import TextureBank
from plantset.demo.wording import Findings, describe, find_place, read_masks

_LEAF_STREAM, _SCENE_STREAM, _TEXT_STREAM = 1, 2, 3


@dataclass(frozen=True, slots=True)
class LeafJob:
    """One leaf to draw.

    Attributes:
        leaf_index: within the class. leaf_number: unique over all classes, in the file names.
        first_photo: number of its first photo over all classes; it alone seeds the scenes.
    """

    class_index: int
    leaf_index: int
    leaf_number: int
    split: Literal["train", "val"]
    folder: str
    num_photos: int
    first_photo: int
    seed: int
    size_px: int


def draw_leaf(job: LeafJob, root: Path) -> list[dict[str, Any]]:
    """Draw one leaf and its photos under `root`, and return a row of photo_texts.jsonl for each photo."""
    demo_class = CLASSES[job.class_index]
    leaf, diseased = grow_sick_leaf(
        demo_class, np.random.default_rng([job.seed, _LEAF_STREAM, job.class_index, job.leaf_index]), banks(job.seed)[0]
    )
    place = find_place(leaf, diseased)
    cutout = cut_out(leaf, diseased)
    rows = []
    for shot in range(job.num_photos):
        number = job.first_photo + shot
        scene_rng = np.random.default_rng([job.seed, _SCENE_STREAM, number])
        scene = draw_scene(scene_rng)
        photo = take_photo(cutout, scene, scene_rng, banks(job.seed), job.size_px)
        findings = read_masks(photo.leaf_mask, photo.lesion_mask, place)
        texts = describe(demo_class, findings, np.random.default_rng([job.seed, _TEXT_STREAM, number]))
        name = f"{job.split}/{job.folder}/leaf{job.leaf_number:04d}_photo{shot + 1}"
        _write(root, name, photo, scene.quality)
        rows.append(_row(name, job, demo_class, findings, scene, texts))
    return rows


def grow_sick_leaf(
    demo_class: DemoClass, rng: np.random.Generator, bank: TextureBank
) -> tuple[Leaf, NDArray[np.bool_]]:
    """Grow a leaf of the class and return it with the mask of its diseased tissue, on the canvas."""
    symptom = demo_class.symptom
    leaf = grow_leaf(CROPS[demo_class.crop], rng, bank, narrowing=narrowing(symptom, rng))
    if symptom is None:
        return leaf, np.zeros((CANVAS_PX, CANVAS_PX), np.bool_)
    return leaf, paint(symptom, leaf, rng, bank)


@lru_cache(maxsize=1)
def banks(seed: int) -> tuple[TextureBank, GroundBank]:
    """Return this process's textures and grounds: the same in every process, drawn once."""
    return TextureBank(seed), GroundBank(seed)


def _write(root: Path, name: str, photo: Photo, quality: int) -> None:
    jpeg = simplejpeg.encode_jpeg(photo.rgb, quality=quality, colorsubsampling="420")
    (root / "leaves" / f"{name}.jpg").write_bytes(jpeg)
    for kind, mask in (("leaf", photo.leaf_mask), ("lesion", photo.lesion_mask)):
        done, png = cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 1])
        assert done
        (root / "leaves_masks" / f"{name}.{kind}.png").write_bytes(png.tobytes())


def _row(
    name: str, job: LeafJob, demo_class: DemoClass, findings: Findings, scene: Scene, texts: dict[str, str]
) -> dict[str, Any]:
    return {
        "source_path": f"{name}.jpg",
        "texts": texts,
        "share": round(findings.share, 4),
        "count": findings.count,
        "lesion_size": findings.size,
        "place": findings.place,
        "disease_id": demo_class.disease_id,
        "leaf": job.leaf_number,
        "leaf_mask": f"leaves_masks/{name}.leaf.png",
        "lesion_mask": f"leaves_masks/{name}.lesion.png",
        "scene": {key: round(v, 4) if isinstance(v, float) else v for key, v in dataclasses.asdict(scene).items()},
    }
