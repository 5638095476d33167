"""One photo: decode, judge, hash, shrink, write. What a worker does; it knows nothing of the other photos.

A JPEG that needs no change of its pixels (small enough, upright, sRGB) is not encoded a second time: its picture data
are kept as they are, without any metadata. That loses nothing and takes less time.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import cv2
import numpy as np

from plantset.clean.checks import WORKING_SIZE_PX, find_issues, view_photo
from plantset.clean.cues import PhotoCues, colour_bytes
from plantset.clean.duplicates import miniature, perceptual_hash, thumbnail
from plantset.clean.thresholds import CheckThresholds
from plantset.core.errors import DataError
from plantset.core.jpeg_metadata import strip_metadata
from plantset.core.language import tr
from plantset.core.photo import (
    MAX_BYTES,
    Photo,
    PhotoError,
    Pixels,
    decode_photo,
    encode_jpeg,
    has_wrong_suffix,
    shrink,
)
from plantset.core.storage import is_remote, read_stored, status_of, write_stored

_CHANGED_BY_DECODING = {"cmyk", "end-marker-repaired", "icc"}
_NOTED_ISSUES = {"end-marker-repaired", "icc-unreadable", "suspected-damage", "trailing-data"}
PART_SUFFIX = ".plantset-part"


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to do: where it is, and where its clean image goes.

    Attributes:
        source_bytes: its length, when it is known already: a store then isn't asked again.
    """

    source: Path
    image: Path
    min_size: int
    target_size: int
    thresholds: CheckThresholds = field(default_factory=CheckThresholds)
    source_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """What is known of a photo by itself.

    Attributes:
        original_size, size: (width, height) before and after.
        phash: 16 hex digits.
        thumbnail: 16×16 grey levels.
        image_bytes: length of the written image: how a rerun sees that it is still whole.
        taken_at: when the camera says it was taken (ISO 8601, no zone), for telling bursts of one leaf. The journal
            keeps it, beside the output; the manifest gets it with `--keep-time` only.
        cues: what a model could cheat with.
    """

    sha256: str
    original_size: tuple[int, int]
    size: tuple[int, int]
    phash: str
    issues: tuple[str, ...]
    thumbnail: bytes
    image_bytes: int
    cues: PhotoCues
    taken_at: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file is not kept: a stable code and what was seen."""

    reason: str
    detail: str = ""


Outcome = PhotoFacts | Refusal


def measure(job: Job) -> Outcome:
    """Do one photo. The image is in place, whole, when this returns facts.

    Raises:
        DataError: the image can't be written (a full disk, missing rights).
    """
    try:
        size = status_of(job.source).size if job.source_bytes is None else job.source_bytes
        if size > MAX_BYTES:
            return Refusal("too-many-bytes", f"{size} > {MAX_BYTES}")
        data = read_stored(job.source)
        photo = decode_photo(data, longer_side_px=max(WORKING_SIZE_PX, job.target_size), suspicious=True)
    except OSError as error:
        return Refusal("unreadable", error.strerror or type(error).__name__)
    except PhotoError as error:
        return Refusal(error.reason, error.detail)
    width, height = photo.original_size
    if min(width, height) < job.min_size:
        return Refusal("too-small", f"{width}x{height}, short side under {job.min_size}")
    wrong_suffix = has_wrong_suffix(job.source.name, data)
    return _facts(job, photo, data, wrong_suffix=wrong_suffix)


def _facts(job: Job, photo: Photo, data: bytes, *, wrong_suffix: bool) -> PhotoFacts:
    seen = shrink(photo.pixels, WORKING_SIZE_PX)
    grey = np.asarray(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    view = view_photo(seen, grey, photo.original_size, job.source.name)
    issues = {*find_issues(view, job.thresholds), *_NOTED_ISSUES.intersection(photo.notes)}
    if wrong_suffix:
        issues.add("extension-mismatch")
    pixels = seen if job.target_size == WORKING_SIZE_PX else shrink(photo.pixels, job.target_size)
    encoded = _as_it_is(photo, data, pixels) or encode_jpeg(pixels)
    _write(job.image, encoded)
    small = miniature(grey)
    return PhotoFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        original_size=photo.original_size,
        size=(pixels.shape[1], pixels.shape[0]),
        phash=f"{perceptual_hash(small):016x}",
        issues=tuple(sorted(issues)),
        thumbnail=thumbnail(small),
        image_bytes=len(encoded),
        cues=PhotoCues(colour_bytes(pixels), len(data)),
        taken_at=photo.taken_at,
    )


def _as_it_is(photo: Photo, data: bytes, pixels: Pixels) -> bytes | None:
    """Return the source's own picture data when they show exactly `pixels`, else None."""
    height, width = pixels.shape[:2]
    if photo.original_size != (width, height) or _CHANGED_BY_DECODING.intersection(photo.notes):
        return None
    return strip_metadata(data, photo.structure)


def _write(image: Path, encoded: bytes) -> None:
    try:
        if is_remote(image):
            write_stored(image, encoded)
        else:
            _write_and_rename(image, encoded)
    except OSError as error:
        raise DataError(
            tr(f"cannot write {image}: {error.strerror}", f"impossible d'écrire {image} : {error.strerror}"),
            tr(
                "free some space or choose another --images-dir, then run again: only the rest is done",
                "libérez de la place ou choisissez un autre --images-dir, puis relancez : seul le reste sera fait",
            ),
        ) from error


def _write_and_rename(image: Path, encoded: bytes) -> None:
    """Write a whole image; no flush to the disk for each photo, because a rerun checks every image's length."""
    name = str(image)
    part = name + PART_SUFFIX
    try:
        file = FileIO(part, "w")
    except FileNotFoundError:
        image.parent.mkdir(parents=True, exist_ok=True)
        file = FileIO(part, "w")
    with file:
        left = memoryview(encoded)
        while left:
            left = left[file.write(left) :]
    os.replace(part, name)  # noqa: PTH105 # a Path made for each photo takes as long as the renaming
