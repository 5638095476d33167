"""What saving a checkpoint costs beside writing the same bytes; prints a table.

    .venv/bin/python benchmarks/checkpoint.py --megabytes 400 --rounds 7

The same bytes: the finished file's own, written to a temporary name, fsynced and renamed. The two take turns; the ratio
is that of the medians. The state is a model and AdamW's two moments, the larger half of it in channels-last order.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import xxhash

from plantset.core.files import write_bytes
from plantset.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

_LAYER_BYTES = 2 * 256 * 256 * 9 * 4  # of the two tensors that each layer has


def make_state(megabytes: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for number in range(max(1, megabytes * 10**6 // (3 * _LAYER_BYTES))):
        for role in ("model", "first_moment", "second_moment"):
            kernel = torch.randn(256, 256, 3, 3, generator=generator)
            tensors[f"{role}.{number}.kernel"] = kernel.to(memory_format=torch.channels_last)
            tensors[f"{role}.{number}.matrix"] = torch.randn(256, 2304, generator=generator)
    return Checkpoint({"classes": [f"class {index}" for index in range(133)]}, tensors)


def seconds_of(action: Callable[[], None]) -> tuple[float, float]:
    """Return wall and CPU seconds, of this action alone: what others left to write is written before."""
    os.sync()
    started, used = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - started, time.process_time() - used


def measure(checkpoint: Checkpoint, folder: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of each round by what was done; one round before is not counted."""
    path = folder / "last_model.pth"
    save_checkpoint(path, checkpoint)
    content = path.read_bytes()
    actions: dict[str, Callable[[], None]] = {
        "write the bytes": lambda: write_bytes(folder / "raw.bin", content),
        "save_checkpoint": lambda: save_checkpoint(path, checkpoint),
        "torch.save alone": lambda: torch.save(dict(checkpoint.tensors), folder / "torch.pt"),
        "load_checkpoint": lambda: _load(path),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for round_number in range(rounds + 1):
        turn = round_number % len(actions)  # what stands first varies: a disk remembers what was done before
        for name, action in (list(actions.items()) * 2)[turn : turn + len(actions)]:
            seconds = seconds_of(action)
            if round_number:
                taken[name].append(seconds)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; by default the system's temporary folder")
    options = parser.parse_args()
    checkpoint = make_state(options.megabytes)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        taken = measure(checkpoint, Path(folder), options.rounds)
        size = (Path(folder) / "last_model.pth").stat().st_size
    print(f"{size / 1e6:.0f} MB, {options.rounds} rounds; python {platform.python_version()}, torch", end=" ")
    print(f"{torch.__version__}, xxhash {xxhash.VERSION}")
    medians = {name: [statistics.median(part) for part in zip(*rounds, strict=True)] for name, rounds in taken.items()}
    wall, cpu = medians["write the bytes"]
    print(f"{'':18}{'wall s':>9}{'ratio':>8}{'CPU s':>9}{'ratio':>8}")
    for name, (wall_s, cpu_s) in medians.items():
        print(f"{name:18}{wall_s:9.3f}{wall_s / wall:8.2f}{cpu_s:9.3f}{cpu_s / cpu:8.2f}")


def _load(path: Path) -> None:
    load_checkpoint(path)


if __name__ == "__main__":
    main()
