"""What an answer costs beside what it can't do without; prints two tables.

    .venv/bin/python benchmarks/infer.py CHECKPOINT PHOTOS [--rounds 5]

Cold: `plantset infer` on one photo, as a process of its own, beside a process that imports torch, timm and the class of
the text tower in transformers, and reads the checkpoint's bytes. Warm: all that `infer` does for a photo (decode,
judge, resize, ask, put into words), and what `evaluate` does for it, beside the bare model on tensors that are ready.
All take turns; the ratios are those of the medians of CPU seconds: other work on the machine hardly counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from plantset.core.records import Record
from plantset.evaluation.predict import CaptionPlan, PhotoSource, no_notes, predict_split
from plantset.inference.answer import Answer
from plantset.inference.predictor import Predictor, load_predictor
from plantset.inference.run import find_photos
from plantset.inference.words import answer_lines

BATCH_SIZE = 16
MAX_PHOTOS = 128
_FLOORS = {
    "torch, timm, BertModel, the bytes": "import torch, timm; from transformers import BertModel",
    "torch, timm, the bytes": "import torch, timm",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = find_photos(options.photos)
    paths = [paths[at] for at in np.linspace(0, len(paths) - 1, min(len(paths), MAX_PHOTOS)).astype(int)]
    print_cold(cold(options.checkpoint, paths[0], options.rounds))
    print_warm(warm(load_predictor(options.checkpoint), paths, options.rounds), len(paths))


def cold(checkpoint: Path, photo: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return (wall, CPU) seconds of each process; one round before is not counted."""
    infer = [sys.executable, "-m", "plantset", "infer", "--checkpoint", str(checkpoint), "--image", str(photo)]
    commands = {"plantset infer, one photo": [*infer, "--device", "cpu"]}
    for name, imports in _FLOORS.items():
        commands[name] = [sys.executable, "-c", f"{imports}\nopen({str(checkpoint)!r}, 'rb').read()"]
    return _take_turns({name: lambda words=words: _run(words) for name, words in commands.items()}, rounds)


def warm(predictor: Predictor, paths: list[Path], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return (wall, CPU) seconds of each way to ask about all photos."""
    views = torch.from_numpy(np.stack([predictor.read(path) for path in paths]))
    model = predictor.model
    records = [Record(image_path=str(path.resolve()), label="", split="val", text="", class_id="") for path in paths]

    def bare() -> None:
        for start in range(0, len(views), BATCH_SIZE):
            model.answer_photos(model.encode_photos(views[start : start + BATCH_SIZE]))

    def infer() -> None:
        for start in range(0, len(paths), BATCH_SIZE):
            chunk = paths[start : start + BATCH_SIZE]
            answers = predictor.predict_seen([predictor.look(path) for path in chunk])
            for path, answer in zip(chunk, answers, strict=True):
                answer_lines(Answer(path, answer))

    def evaluate() -> None:
        source = PhotoSource(Path(), BATCH_SIZE, 0)
        labels = np.arange(len(paths)) % 2
        plan, notes = CaptionPlan(model.language, {}), no_notes(len(paths))
        predict_split(model, records, labels, notes, plan, source, np.random.default_rng(0))

    return _take_turns(
        {"plantset infer": infer, "plantset evaluate, photo alone": evaluate, "bare model": bare}, rounds
    )


def print_cold(taken: dict[str, list[tuple[float, float]]]) -> None:
    first, *floors = taken
    print(f"{'cold, one process':36}{'wall s':>9}{'CPU s':>9}{'infer / this (CPU)':>20}")
    for name in (first, *floors):
        wall, cpu = _medians(taken[name])
        print(f"{name:36}{wall:9.2f}{cpu:9.2f}{_medians(taken[first])[1] / cpu:20.2f}")


def print_warm(taken: dict[str, list[tuple[float, float]]], num_photos: int) -> None:
    bare = _medians(taken["bare model"])[1]
    print(f"\n{f'warm, {num_photos} photos, one thread':36}{'wall s':>9}{'CPU s':>9}{'rate / bare (CPU)':>20}")
    for name, rounds in taken.items():
        wall, cpu = _medians(rounds)
        print(f"{name:36}{wall:9.2f}{cpu:9.2f}{bare / cpu:20.2f}")


def _take_turns(actions: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            started, used = time.perf_counter(), _cpu_s()
            action()
            if number:
                taken[name].append((time.perf_counter() - started, _cpu_s() - used))
    return taken


def _cpu_s() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def _medians(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    wall, cpu = (statistics.median(part) for part in zip(*rounds, strict=True))
    return wall, cpu


def _run(words: list[str]) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
