"""How many damaged JPEG photos Plantset, Pillow and OpenCV refuse, and how many whole ones.

Run: python benchmarks/damage.py. With PLANTSET_PHOTOS set to a folder, a fixed sample of its JPEGs is damaged, as they
are and encoded anew as progressive; without it, leaves of the demo. Damage falls anywhere after the first two bytes.
"or marked" adds what Plantset decodes and marks as suspected damage; "slight" is the share of damaged files that
OpenCV decodes to pixels within 2 grey levels of the whole photo's on average: a byte of EXIF, one block.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import PIL
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from plantset.core.photo import PhotoError, decode_photo
from plantset.demo.data import DemoDataConfig, leaf_jobs, make_folders
from plantset.demo.drawing import draw_leaf

PHOTOS, DEMO_LEAVES, TIMES = 300, 40, 4
Damage = Callable[[bytes, np.random.Generator], bytes]
Pixels = NDArray[np.uint8]


def main() -> None:
    cv2.setNumThreads(1)
    print(f"simplejpeg {simplejpeg.__version__}, Pillow {PIL.__version__}, OpenCV {cv2.__version__}")
    photos = sample_photos()
    with silent_stderr():
        sets = {"as they are": photos, "progressive": [progressive(data) for data in photos[::3]]}
        lines = [line for name, chosen in sets.items() for line in measure(name, chosen)]
    columns = ("Plantset", "or marked", "Pillow", "OpenCV", "slight")
    print(f"{'photos':<13}{'damage':<17}{'n':>6}" + "".join(f"{column:>11}" for column in columns))
    print("\n".join(lines))


def measure(name: str, photos: list[bytes]) -> Iterator[str]:
    for title, damage in DAMAGES.items():
        rng = np.random.default_rng(7)
        seen: list[tuple[bool, ...]] = []
        for photo in photos:
            whole = by_opencv(photo)
            seen += [judge(damaged, whole) for damaged in damaged_copies(photo, damage, rng)]
        rates = np.mean(seen, axis=0)
        yield f"{name:<13}{title:<17}{len(seen):>6}" + "".join(f"{100 * rate:>9.1f} %" for rate in rates)


def judge(damaged: bytes, whole: Pixels | None) -> tuple[bool, ...]:
    """Return what the columns of the table ask of one file."""
    refused, marked = by_plantset(damaged)
    opencv = by_opencv(damaged)
    same_shape = opencv is not None and whole is not None and opencv.shape == whole.shape
    slight = same_shape and float(cv2.absdiff(opencv, whole).mean()) <= 2
    return refused, refused or marked, by_pillow(damaged) is None, opencv is None, slight


def damaged_copies(photo: bytes, damage: Damage | None, rng: np.random.Generator) -> Iterator[bytes]:
    if damage is None:
        yield photo
    elif damage is cut:
        yield from (photo[: len(photo) * step // 64] for step in range(1, 64, 2))
    else:
        yield from (changed for _ in range(TIMES) if (changed := damage(photo, rng)) != photo)


def flip_bit(photo: bytes, rng: np.random.Generator) -> bytes:
    place = rng.integers(2, len(photo))
    return photo[:place] + bytes([photo[place] ^ 1 << int(rng.integers(8))]) + photo[place + 1 :]


def change_byte(photo: bytes, rng: np.random.Generator) -> bytes:
    place = rng.integers(2, len(photo))
    return photo[:place] + bytes([(photo[place] + int(rng.integers(1, 256))) % 256]) + photo[place + 1 :]


def zero_run(length: int) -> Damage:
    def zero(photo: bytes, rng: np.random.Generator) -> bytes:
        place = rng.integers(2, max(3, len(photo) - length))
        return photo[:place] + bytes(min(length, len(photo) - place)) + photo[place + length :]

    return zero


def cut(photo: bytes, rng: np.random.Generator) -> bytes:
    return photo[: int(rng.integers(len(photo)))]


DAMAGES: dict[str, Damage | None] = {
    "none": None,
    "one bit": flip_bit,
    "one byte": change_byte,
    "64 zero bytes": zero_run(64),
    "512 zero bytes": zero_run(512),
    "cut at n/64": cut,
}


def by_plantset(data: bytes) -> tuple[bool, bool]:
    """Return whether it is refused, and whether it is marked."""
    try:
        return False, "suspected-damage" in decode_photo(data, suspicious=True).notes
    except PhotoError:
        return True, False


def by_pillow(data: bytes) -> Pixels | None:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, IndexError, TypeError, RuntimeError, Image.DecompressionBombError):
        return None


def by_opencv(data: bytes) -> Pixels | None:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if pixels is None else np.asarray(pixels, dtype=np.uint8)


def sample_photos() -> list[bytes]:
    folder = os.environ.get("PLANTSET_PHOTOS")
    if not folder:
        print(f"{DEMO_LEAVES} leaves of the demo")
        return demo_photos()
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    chosen = np.random.default_rng(0).permutation(len(paths))[:PHOTOS]
    photos = [paths[index].read_bytes() for index in chosen]
    photos = [data for data in photos if data.startswith(b"\xff\xd8\xff")]
    print(f"{len(photos)} real photos, {np.median([len(data) for data in photos]) / 1000:.0f} kB in the middle")
    return photos


def demo_photos() -> list[bytes]:
    jobs = leaf_jobs(DemoDataConfig(photos_per_class=3))
    with tempfile.TemporaryDirectory() as name:
        make_folders(jobs, Path(name))
        for job in jobs:
            draw_leaf(job, Path(name))
        paths = sorted(path for path in Path(name).rglob("*.jpg"))
        return [path.read_bytes() for path in paths][:DEMO_LEAVES]


def progressive(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=85, progressive=True)
    return buffer.getvalue()


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Hide what OpenCV's libjpeg prints of each damaged file."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} s")
