"""What reading a photo costs: from shards by its bytes, from its own file, from whole row groups, and decoding it.

    python benchmarks/shards.py [--photos 600] [--row-group-mb 1 4 8 32]

CPU µs a photo in random order, files in the page cache, the fastest of five rounds. A reader that knows Parquet alone
must take the row group around a photo: its size is what such a random access costs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from pyarrow import parquet

from plantset.core.photo import decode_photo, encode_jpeg
from plantset.core.shards import open_photos
from plantset.data import shard as shard_module
from plantset.data.config import ShardConfig
from plantset.data.photos import PhotoFiles, photos_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--row-group-mb", type=int, nargs="+", default=[1, 4, 8, 32])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as held:
        manifest, mean_bytes = write_photos(Path(held), asked.photos)
        print(f"{asked.photos} photos of {mean_bytes / 1e3:.0f} kB")
        print(f"{'row groups':<12} {'way':<34} {'CPU µs/photo':>13}")
        for number, size in enumerate(asked.row_group_mb):
            shard_module.ROW_GROUP_BYTES = size << 20
            out = Path(held) / f"shards{size}"
            shard_module.shard(ShardConfig(jsonl_file=manifest, output_dir=out))
            measure(f"{size} MiB", out, manifest.parent, is_first=number == 0)


def measure(title: str, out: Path, images: Path, *, is_first: bool) -> None:
    """Print what each way of reading takes."""
    records, folder = open_photos(out)
    order = np.random.default_rng(0).permutation(len(records))
    shards = photos_of(records, folder)
    files = PhotoFiles(images, [record.image_path for record in records])
    group_rows, opened = row_groups(out)
    ways: dict[str, tuple[Callable[[int], object], Sequence[int]]] = {
        "shards, the photo's own bytes": (lambda at: shards[at], order),
        "pyarrow, the row group around it": (lambda at: read_group(opened, group_rows, at), order[:40]),
    }
    if is_first:
        ways |= {
            "a file of its own": (lambda at: files[at].read_bytes(), order),
            "decoding it": (lambda at: decode_photo(shards[at]), order[:100]),
        }
    for name, (read, places) in ways.items():
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            for at in places:
                read(int(at))
            best = min(best, (time.process_time() - start) / len(places))
        print(f"{title:<12} {name:<34} {1e6 * best:>13.0f}", flush=True)


def row_groups(out: Path) -> tuple[list[tuple[int, int, int]], list[parquet.ParquetFile]]:
    """Return (first row, file, row group) of each group, and the open files."""
    opened = [parquet.ParquetFile(path) for path in sorted((out / "data").glob("*.parquet"))]
    rows, first = [], 0
    for number, file in enumerate(opened):
        for group in range(file.num_row_groups):
            rows.append((first, number, group))
            first += file.metadata.row_group(group).num_rows
    return rows, opened


def read_group(opened: list[parquet.ParquetFile], rows: list[tuple[int, int, int]], at: int) -> bytes:
    first, file, group = [row for row in rows if row[0] <= at][-1]
    table = opened[file].read_row_group(group, columns=["image.bytes"])
    return bytes(table["image"][at - first]["bytes"].as_py())


def write_photos(folder: Path, count: int) -> tuple[Path, float]:
    """Write photos of 512 × 384 and their manifest."""
    rng = np.random.default_rng(0)
    rows, total = [], 0
    for number in range(count):
        coarse = rng.integers(0, 255, (24, 32, 3)).astype(np.uint8)
        smooth = cv2.resize(coarse, (512, 384), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        data = encode_jpeg(np.clip(smooth + rng.integers(-6, 7, (384, 512, 1)), 0, 255).astype(np.uint8))
        (folder / f"{number:05d}.jpg").write_bytes(data)
        total += len(data)
        rows.append({"image_path": f"{number:05d}.jpg", "label": "a", "split": "train", "text": ""})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "m.jsonl", total / count


if __name__ == "__main__":
    main()
