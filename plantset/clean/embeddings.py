"""What a network trained on ImageNet sees in a photo: features to find its neighbours by, and how much of a plant.

Only here does cleaning know of encoders, and only `--embeddings` uses them, in one process of its own, so that neither
the main process nor the workers ever import torch.

The features are the means of the third stage but one of the packaged backbone (112 numbers): of 500 crops of 90 %, put
among 5,454 real photos, 99.6 % have their original as nearest neighbour and all have it among the nearest five; of the
last stage (1,280 numbers) 99.0 %.

How much of a plant it sees is the probability that its own classifier gives to plants, to what lives on them, and to
what photos of leaves are most often taken for (a quill, a tree frog, velvet). Nothing was trained on photos without a
plant. Of 3,168 real photos of 22 collections, each judged with the classes that the others are taken for, 16 lie below
`MIN_PLANT_SHARE`: 5 of dead banana leaves, 7 of a collection gathered on the web. Of 371
photos and drawings of other things 281 do: vehicles 95 %, household goods 94 %, animals 87 %, but 48 % of houses and
road signs, and 31 % of planets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.clean.engine import run_alone
from plantset.clean.seen import LeafPhoto, read_plant_shares, read_seen
from plantset.core.language import tr
from plantset.core.log import progress
from plantset.core.photo import decode_photo

MIN_PLANT_SHARE = 0.02

_STAGES = 5
_SIDE = 160
_BATCH = 32
# classes of ImageNet-1k, in the usual order: snails, insects, fruit, flowers, fungi
LIVING = (113, 114, *range(300, 327), *range(936, 958), *range(984, 999))
NUM_MISTAKEN = 60  # the classes that photos of leaves are most often taken for; those that are not living:
_MISTAKEN = (
    5, 6, 31, 32, 40, 46, 47, 59, 69, 110, 112, 452, 525, 562, 584, 591, 714, 723, 738, 749, 824, 852, 883, 885, 924,
)  # fmt: skip
LEAFY = sorted({*LIVING, *_MISTAKEN})


@dataclass(frozen=True, slots=True)
class Look:
    """What the network sees in B photos: features (B, 112), and probabilities (B, 1000) of its own classes."""

    photos: Sequence[LeafPhoto]
    features: NDArray[np.float32]
    probabilities: NDArray[np.float32]


def see_photos(photos: Sequence[LeafPhoto], memory_file: Path) -> list[float]:
    """Return how much of a plant each photo shows, 0..1, and remember that and its features.

    Costs about 40 ms of CPU a photo, once.

    Args:
        photos: any number may be of one content.
        memory_file: what earlier runs saw; made and extended here.

    Raises:
        CheckpointError: the packaged network is missing or damaged.
        DataError: a photo is gone meanwhile, the memory is damaged, or the process was killed.
    """
    shares = read_plant_shares(memory_file)
    absent = list({photo.sha256: photo for photo in photos if photo.sha256 not in shares}.values())
    if absent:
        run_alone(_see, absent, memory_file)
        shares = read_plant_shares(memory_file)
    return [shares[photo.sha256] for photo in photos]


def look_at(photos: Sequence[LeafPhoto]) -> Iterator[Look]:
    """Yield what the network sees in some photos at a time, in order; imports torch into this process."""
    import torch

    from plantset.encoders.embed import pool_photo
    from plantset.encoders.packaged_efficientnet import load_packaged_classifier
    from plantset.encoders.registry import PACKAGED_VISION, build_vision_encoder
    from plantset.encoders.stages import StageCut
    from plantset.encoders.vision import normalize

    encoder = build_vision_encoder(PACKAGED_VISION).eval()
    classifier = load_packaged_classifier()
    cut = StageCut(encoder, _STAGES)
    for start in range(0, len(photos), _BATCH):
        batch = photos[start : start + _BATCH]
        pixels = torch.from_numpy(np.stack([_squashed(photo.path) for photo in batch])).permute(0, 3, 1, 2)
        with torch.inference_mode():
            maps_BCHW = cut.frozen_part(normalize(pixels, encoder.preprocess))
            probabilities = classifier(pool_photo(cut.trained_part(maps_BCHW))).softmax(dim=1)
        yield Look(batch, maps_BCHW.mean(dim=(2, 3)).numpy(), probabilities.numpy())


def plant_shares(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what (N, 1000) probabilities give to plants, to what lives on them and to what leaves are taken for."""
    return np.asarray(probabilities[:, LEAFY].sum(axis=1))


def _see(photos: Sequence[LeafPhoto], memory_file: Path) -> None:
    """Do the work of `see_photos` in this process."""
    cv2.setNumThreads(1)
    seen = read_seen(memory_file)
    looks = progress(
        look_at(photos), title=tr("photos seen", "photos vues"), total=-(-len(photos) // _BATCH), unit="batch"
    )
    with seen.saved():
        for look in looks:
            contents = [photo.sha256 for photo in look.photos]
            seen.features.update(zip(contents, look.features.astype(np.float16), strict=True))
            seen.plant_shares.update(zip(contents, plant_shares(look.probabilities).tolist(), strict=True))
            seen.save_in_time()


def _squashed(path: Path) -> NDArray[np.uint8]:
    pixels = decode_photo(path, longer_side_px=2 * _SIDE).pixels
    method = cv2.INTER_AREA if min(pixels.shape[:2]) > _SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (_SIDE, _SIDE), interpolation=method), dtype=np.uint8)
