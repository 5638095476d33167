"""A few photos of each of the commonest confusions: seeing them says more than their number."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from plantset.core.photo import encode_jpeg
from plantset.core.records import Record
from plantset.data.geometry import Pixels
from plantset.data.photos import decode_one, photos_of
from plantset.evaluation.classification import Confusion
from plantset.evaluation.predict import PhotoSource

_PHOTOS_OF_A_PAIR = 3
_SIDE_PX = 112
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class ConfusionPhotos:
    """The surest mistakes of one pair, as JPEG miniatures with their paths."""

    true: str
    predicted: str
    photos: tuple[tuple[str, bytes], ...]


def show_confusions(
    confusions: Sequence[Confusion],
    records: Sequence[Record],
    probs_NC: NDArray[np.float64],
    class_names: Sequence[str],
    source: PhotoSource,
) -> tuple[ConfusionPhotos, ...]:
    """Return miniatures of the photos that each pair was surest about."""
    predicted = probs_NC.argmax(axis=1)
    by_pair: dict[tuple[str, str], list[Record]] = {}
    for at in np.argsort(-probs_NC.max(axis=1), kind="stable").tolist():
        pair = (records[at].class_id, class_names[predicted[at]])
        by_pair.setdefault(pair, []).append(records[at])
    shown = [by_pair[pair.true, pair.predicted][:_PHOTOS_OF_A_PAIR] for pair in confusions]
    photos = photos_of([record for records in shown for record in records], source.images_dir)
    places = itertools.count()
    return tuple(
        ConfusionPhotos(
            pair.true,
            pair.predicted,
            tuple((record.image_path, _miniature(decode_one(photos, next(places)).pixels)) for record in of_pair),
        )
        for pair, of_pair in zip(confusions, shown, strict=True)
    )


def _miniature(pixels: Pixels) -> bytes:
    scale = _SIDE_PX / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return encode_jpeg(np.asarray(small, dtype=np.uint8), quality=_JPEG_QUALITY)
