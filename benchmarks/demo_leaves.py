"""How fast the demo's leaves are drawn, per core: growing, painting, photographing, encoding and writing.

Run: python benchmarks/demo_leaves.py. Processor time of one process, so that other work on the machine hardly counts;
the floor beside it is what only encoding and writing random photos of that size would take.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from plantset.demo.data import DemoDataConfig, leaf_jobs, make_folders
from plantset.demo.drawing import banks, draw_leaf

LEAVES_PER_CLASS = 4


def main() -> None:
    cv2.setNumThreads(1)
    config = DemoDataConfig(photos_per_class=3 * LEAVES_PER_CLASS)
    jobs = leaf_jobs(config)
    started = time.process_time()
    banks(config.seed)
    bank_s = time.process_time() - started
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_folders(jobs, folder)
        started = time.process_time()
        photos = sum(len(draw_leaf(job, folder)) for job in jobs)
        elapsed_s = time.process_time() - started
        floor = _encoding_floor(folder, config.size_px)
    print(f"{'what':<44}{'photos/s per core':>18}")
    print(f"{'draw, encode and write (3 photos a leaf)':<44}{photos / elapsed_s:>18.0f}")
    print(f"{'encode and write only, with both masks':<44}{floor:>18.0f}")
    print(f"once per process: {bank_s:.2f} s for the textures and grounds")


def _encoding_floor(folder: Path, size_px: int, count: int = 100) -> float:
    pixels = np.random.default_rng(0).integers(0, 256, (size_px, size_px, 3), dtype=np.uint8)
    mask = np.zeros((size_px, size_px), np.uint8)
    cv2.circle(mask, (size_px // 2, size_px // 2), size_px // 3, 255, -1)
    started = time.process_time()
    for number in range(count):
        jpeg = simplejpeg.encode_jpeg(cv2.GaussianBlur(pixels, (0, 0), 2), quality=87, colorsubsampling="420")
        (folder / f"{number}.jpg").write_bytes(jpeg)
        for kind in ("leaf", "lesion"):
            (folder / f"{number}.{kind}.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    return count / (time.process_time() - started)


if __name__ == "__main__":
    main()
