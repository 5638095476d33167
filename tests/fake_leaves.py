"""A few dozen tiny leaf photos of four classes with their manifest, as `map` would leave them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.core.photo import encode_jpeg
from plantset.core.records import ManifestMeta, Record, Split, Texts, write_manifest

SIDE_PX = 48
_BLOTCH_RGB = {
    "maize--rust": (214, 112, 30),
    "tomato--late-blight": (70, 45, 40),
    "tomato--powdery-mildew": (240, 240, 235),
    "tomato--healthy": (60, 140, 50),
}
CLASS_IDS = tuple(sorted(_BLOTCH_RGB))
TEXTS = {
    "maize--rust": {
        "fr": Texts(
            "La rouille du maïs couvre la feuille de pustules orange.",
            ("Des pustules orange couvrent la feuille.", "La feuille jaunit autour des pustules."),
            ("Choisir une variété résistante.",),
        ),
        "en": Texts(
            "Maize rust covers the leaf with orange pustules.",
            ("Orange pustules cover the leaf.", "The leaf turns yellow."),
        ),
    },
    "tomato--late-blight": {
        "fr": Texts("Le mildiou de la tomate brunit la feuille.", ("Des taches brunes s'étendent sur la feuille.",)),
        "en": Texts("Late blight of tomato browns the leaf.", ("Brown spots grow on the leaf.",)),
    },
    "tomato--powdery-mildew": {
        "fr": Texts("L'oïdium de la tomate poudre la feuille de blanc.", ("Des taches blanches sur la feuille.",)),
        "en": Texts("Powdery mildew powders the tomato leaf.", ("White spots on the leaf.",)),
    },
    "tomato--healthy": {
        "fr": Texts("Une feuille de tomate saine, verte et sans tache."),
        "en": Texts("A healthy tomato leaf, green and without a spot."),
    },
}
_MASK_TERMS = {
    "maize--rust": ("rouille", "rust", "maïs", "maize"),
    "tomato--late-blight": ("mildiou", "late blight", "tomate", "tomato"),
    "tomato--powdery-mildew": ("oïdium", "powdery mildew", "tomate", "tomato"),
    "tomato--healthy": ("tomate", "tomato"),
}


def draw_leaf(class_id: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a green disc with three blotches of the class's colour on noise, (48, 48, 3)."""
    photo = rng.integers(90, 130, size=(SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
    cv2.circle(photo, (SIDE_PX // 2, SIDE_PX // 2), 19, (60, 140, 50), -1)
    for _ in range(3):
        x, y = (int(value) for value in rng.integers(14, SIDE_PX - 14, size=2))
        cv2.circle(photo, (x, y), int(rng.integers(5, 8)), _BLOTCH_RGB[class_id], -1)
    return photo


def write_leaves(
    folder: Path,
    counts: Sequence[tuple[Split, int]] = (("train", 8), ("val", 4)),
    *,
    classes: Sequence[str] = CLASS_IDS,
) -> Path:
    """Write photos and a manifest with its sidecar under `folder` and return the manifest's path.

    Args:
        counts: photos of each class in each split; two photos in a row are of one leaf.
    """
    rng = np.random.default_rng(0)
    records: list[Record] = []
    for class_id in classes:
        for split, count in counts:
            for number in range(count):
                name = f"{class_id}_{split}_{number}.jpg"
                path = folder / "images" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_jpeg(draw_leaf(class_id, rng)))
                records.append(leaf_record(name, class_id, split, group=f"{class_id}_{split}_{number // 2}"))
    manifest = folder / "multimodal_dataset.jsonl"
    write_manifest(manifest, records, ManifestMeta("images", tuple(sorted(classes)), seed=0, command="tests"))
    return manifest


def leaf_record(image_path: str, class_id: str, split: Split, *, group: str | None = None) -> Record:
    """Return a record with all that `map` knows of the class."""
    crop, disease = class_id.split("--")
    return Record(
        image_path=image_path,
        label=class_id.replace("--", " "),
        split=split,
        text=TEXTS[class_id]["fr"].description,
        class_id=class_id,
        disease_id=class_id,
        crop=crop,
        disease=disease,
        texts=TEXTS[class_id],
        text_source={"description": "user", "symptoms": "catalogue"},
        mask_terms=_MASK_TERMS[class_id],
        group=group,
    )
