"""What a training photo costs: our loader, the same operations in a bare loop, the usual Pillow + torchvision recipe.

    python benchmarks/loader.py [--photos 48] [--rounds 5] [--photo-dir DIR]

224 px from files of 512 × 384 and of 4000 × 3000 (drawn, or the JPEGs of DIR enlarged). CPU seconds in alternating runs
of one process without workers, the fastest round of each: other work on the machine slows them, but all alike.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from plantset.core.photo import decode_photo, encode_jpeg
from plantset.data.geometry import augment_photo, least_side_px
from plantset.data.module import DataModule, create_data_module

SIDE_PX, BATCH = 224, 16
SIZES = {"512 × 384": (512, 384), "4000 × 3000": (4000, 3000)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--photo-dir", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print(f"{'files':<12} {'contender':<26} {'CPU ms/photo':>13} {'photos/s':>9}")
    for title, size in SIZES.items():
        with tempfile.TemporaryDirectory() as held:
            count = asked.photos if size[0] < 1000 else max(BATCH, asked.photos // 3)
            module = write_photos(Path(held), size, count, asked.photo_dir)
            compare(title, module, asked.rounds)


def compare(title: str, module: DataModule, rounds: int) -> None:
    """Print the cost of each contender and the two ratios."""
    paths = [module.images_dir / record.image_path for record in module.records]
    whole = dataclasses.replace(module, augment=None)  # the view of evaluation
    contenders: dict[str, Callable[[], None]] = {
        "our loader": lambda: exhaust(module.train_dataloader()),
        "bare loop": lambda: bare_loop(paths, module),
        "Pillow + torchvision": lambda: usual_recipe(paths),
        "reading and decoding alone": lambda: decode_alone(paths, module),
        "our loader, whole photo": lambda: exhaust(whole.train_dataloader()),
    }
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], (time.process_time() - start) / len(paths))
    for name, seconds in best.items():
        print(f"{title:<12} {name:<26} {1e3 * seconds:>13.2f} {1 / seconds:>9.0f}")
    ours = best["our loader"]
    print(f"{title:<12} goal at least 0.9 of the bare loop's rate: {best['bare loop'] / ours:.2f};"
          f" goal at least 2.5 × the usual recipe's: {best['Pillow + torchvision'] / ours:.2f}"
          f" (decoding alone: {best['Pillow + torchvision'] / best['reading and decoding alone']:.2f})")  # fmt: skip


def exhaust(loader: object) -> None:
    for _ in loader:  # type: ignore[attr-defined]
        pass


def bare_loop(paths: list[Path], module: DataModule) -> None:
    """Decode, cut and collate, with nothing around it."""
    least_px, policy = least_side_px(module.preprocess), module.augment
    assert policy is not None
    for start in range(0, len(paths), BATCH):
        photos = [decode_photo(path, least_side_px=least_px).pixels for path in paths[start : start + BATCH]]
        views = [augment_photo(photo, module.preprocess, np.random.default_rng(1), policy) for photo in photos]
        torch.from_numpy(np.stack(views))


def decode_alone(paths: list[Path], module: DataModule) -> None:
    """Do what no loader of these files can leave out: the limit."""
    least_px = least_side_px(module.preprocess)
    for path in paths:
        decode_photo(path, least_side_px=least_px)


RECIPE = transforms.Compose(
    [
        transforms.RandomResizedCrop(SIDE_PX, scale=(0.35, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)


def usual_recipe(paths: list[Path]) -> None:
    """Do as the ImageNet example of PyTorch does."""
    for start in range(0, len(paths), BATCH):
        torch.stack([RECIPE(Image.open(path).convert("RGB")) for path in paths[start : start + BATCH]])


def write_photos(folder: Path, size: tuple[int, int], count: int, photo_dir: Path | None) -> DataModule:
    """Write photos of one size and return the module that reads them."""
    rng = np.random.default_rng(0)
    found = sorted(photo_dir.rglob("*.jpg")) if photo_dir else []
    found = found[:: max(1, len(found) // count)]
    rows = []
    for number in range(count):
        pixels = rng.integers(0, 255, (24, 32, 3)).astype(np.uint8) if not found else fit(found[number % len(found)])
        large = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC).astype(np.int16)
        grain = rng.integers(-6, 7, (size[1], size[0], 1), dtype=np.int16)
        name = f"{number:04d}.jpg"
        (folder / name).write_bytes(encode_jpeg(np.clip(large + grain, 0, 255).astype(np.uint8)))
        rows.append({"image_path": name, "label": f"class {number % 4}", "split": "train", "text": ""})
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return create_data_module(folder / "m.jsonl", folder, BATCH, SIDE_PX, num_workers=0)


def fit(path: Path) -> np.ndarray:
    return decode_photo(path, longer_side_px=512).pixels


if __name__ == "__main__":
    main()
