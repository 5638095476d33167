"""What happens to photo folders in real life: copies, thumbnails, broken files, augmented files, turned photos."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

_EXIF_ORIENTATION = 0x0112
_TURN_LEFT_TO_SHOW = 6
_HTML = b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>\n"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 48213\n" % (b"0" * 64)
_BREAKAGES = ("truncated", "empty", "html", "lfs-pointer")


@dataclass(frozen=True, slots=True)
class Mess:
    """How many files of each kind were added or changed.

    Attributes:
        exact_copies: same bytes, same class. broken: cut short, empty, a web page, a pointer.
        too_small: thumbnails. augmented: `aug_…` files. turned: photos whose upright way only EXIF tells.
        two_labels: photos that also lie, byte for byte, in the folder of another class.
    """

    exact_copies: int
    broken: int
    too_small: int
    augmented: int
    turned: int
    two_labels: int
    breakages: dict[str, int] = field(default_factory=dict)

    @property
    def added(self) -> int:
        """Files that are there beside the photos."""
        return self.exact_copies + self.broken + self.too_small + self.augmented + self.two_labels


def make_mess(photos: list[Path], rng: np.random.Generator) -> Mess:
    """Spoil a folder of photos as life does, about one file in twelve; every choice comes from `rng`.

    Args:
        photos: the clean photos, in a fixed order; `…/<split>/<class>/name.jpg`.
    """
    total = len(photos)
    few, some = max(2, total // 110), max(3, total // 45)
    order = iter(rng.permutation(total).tolist())
    broken = [_break(photos[next(order)], _BREAKAGES[i % len(_BREAKAGES)], rng) for i in range(max(4, few))]
    for _ in range(few):
        _shrink(photos[next(order)])
    for _ in range(some):
        _turn(photos[next(order)])
    for number in range(some):
        _augment(photos[next(order)], number, rng)
    for number in range(some):
        _copy(photos[next(order)], number)
    return Mess(
        exact_copies=some,
        broken=len(broken),
        too_small=few,
        augmented=some,
        turned=some,
        two_labels=_misfile(photos, next(order)),
        breakages=dict(Counter(broken)),
    )


def _break(photo: Path, how: str, rng: np.random.Generator) -> str:
    whole = photo.read_bytes()
    content = {
        "truncated": whole[: int(len(whole) * rng.uniform(0.3, 0.8))],
        "empty": b"",
        "html": _HTML,
        "lfs-pointer": _LFS_POINTER,
    }[how]
    photo.with_name(f"IMG_{int(rng.integers(2000, 9999))}_{photo.stem}.jpg").write_bytes(content)
    return how


def _shrink(photo: Path) -> None:
    pixels = _read(photo)
    height, width = pixels.shape[:2]
    scale = 0.3
    small = cv2.resize(pixels, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_AREA)
    photo.with_name(f"{photo.stem}_thumb.jpg").write_bytes(_jpeg(small))


def _turn(photo: Path) -> None:
    """Store the photo on its side, with the EXIF tag that says how to show it upright."""
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = _TURN_LEFT_TO_SHOW
    buffer = io.BytesIO()
    Image.fromarray(np.rot90(_read(photo))).save(buffer, "JPEG", quality=92, exif=exif)
    photo.write_bytes(buffer.getvalue())


def _augment(photo: Path, number: int, rng: np.random.Generator) -> None:
    turned = np.rot90(_read(photo), int(rng.integers(4)))
    if rng.integers(2):
        turned = turned[:, ::-1]
    lit = np.clip(turned.astype(np.float32) * np.float32(rng.uniform(0.8, 1.2)), 0, 255).astype(np.uint8)
    photo.with_name(f"aug_{photo.stem}_{number:03d}.jpg").write_bytes(_jpeg(lit))


def _copy(photo: Path, number: int) -> None:
    name = f"{photo.stem} (1).jpg" if number % 2 else f"{photo.stem} - Copie.jpg"
    photo.with_name(name).write_bytes(photo.read_bytes())


def _misfile(photos: list[Path], index: int) -> int:
    """Put a copy of one photo into the folder of another class, same split."""
    photo = photos[index]
    others = sorted(folder for folder in photo.parent.parent.iterdir() if folder.is_dir() and folder != photo.parent)
    if not others:
        return 0
    (others[index % len(others)] / photo.name).write_bytes(photo.read_bytes())
    return 1


def _read(photo: Path) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(photo.read_bytes())
    return pixels


def _jpeg(pixels: NDArray[Any]) -> bytes:
    encoded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels, dtype=np.uint8), quality=88)
    return encoded
