"""What a training of many photos costs before its first step, over imports: CPU and wall seconds of each part.

    python benchmarks/start.py [--records 1000 10000 100000] [--profile]

The manifest is the one of benchmarks/manifest.py (texts of 100 classes in two languages); its photos are links to a few
files, as only those of the first batch are read. The model is small, so that the records are what is timed.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from manifest import write_synthetic

from plantset.core.records import read_records
from plantset.runtime.launch import launch
from plantset.training.announce import draw_first_batch
from plantset.training.config import TrainConfig
from plantset.training.feeds import PhotoFeeds
from plantset.training.task import build_card, build_objective, note_encoder, prepare_task

_LINKS = 20_000  # to one file: file systems allow some ten thousand


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    print(f"{'records':>9} {'of them':<22} {'wall s':>8} {'CPU s':>8}")
    for count in asked.records:
        with tempfile.TemporaryDirectory() as held:
            config = write_photos(Path(held), count)
            profile = cProfile.Profile()
            if asked.profile:
                profile.enable()
            start(config, count)
            if asked.profile:
                profile.disable()
                pstats.Stats(profile).sort_stats("cumtime").print_stats(45)


def start(config: TrainConfig, count: int) -> None:
    """Do what `training.run` does before its first step, and print what each part took."""
    whole = now()

    def timed(title: str, run: Callable[[], Any]) -> Any:
        begun = now()
        result = run()
        show(count, title, begun)
        return result

    timed("(read_records alone)", lambda: read_records(config.jsonl_file))
    whole = now()
    with launch("cpu", mixed_precision=False) as strategy:
        task = timed("prepare_task", lambda: prepare_task(config))
        timed("model card", lambda: build_card(task))
        timed("picture of a batch", lambda: draw_first_batch(task))
        feeds = timed("feeds", lambda: PhotoFeeds(task, strategy))
        timed("losses and notes", lambda: (build_objective(task), note_encoder(task)))
        timed("first batch", lambda: next(iter(feeds.train(0))))
    show(count, "start to first step", whole)


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def show(count: int, title: str, begun: tuple[float, float]) -> None:
    wall, cpu = (end - start for end, start in zip(now(), begun, strict=True))
    print(f"{count:>9} {title:<22} {wall:>8.2f} {cpu:>8.2f}", flush=True)


def write_photos(folder: Path, count: int) -> TrainConfig:
    """Write the manifest and links for photos; return the config of a small model on them."""
    manifest = folder / "m.jsonl"
    write_synthetic(manifest, count)
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"train/class-{number % 100}/photo-{number:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        original = folder / f"{number // _LINKS}.jpg"
        if number % _LINKS == 0:
            cv2.imwrite(str(original), rng.integers(0, 255, (64, 64, 3)).astype(np.uint8))
        os.link(original, path)
    return TrainConfig(
        jsonl_file=manifest,
        root_dir=folder,
        checkpoint_dir=folder / "checkpoints",
        vision_backbone="resnet18",
        text_model="none",
        pretrained=False,
        batch_size=16,
        image_size=64,
        num_workers=0,
        device="cpu",
    )


if __name__ == "__main__":
    main()
