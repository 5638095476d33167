"""Kill training at random moments, go on, and compare with the run that was never killed: every bit of both models.

    python benchmarks/kill.py [--runs 20] [--seed 0]

Each run is a process of its own, killed with SIGKILL: at a random moment of its life, or (every fourth) while it writes
a checkpoint. It is then started again with --resume auto until it ends. Worker processes, gradient accumulation, the
weight average, dropout, early stopping and, in every second run, the feature cache are on.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.demo.config import DemoDataConfig
from plantset.demo.data import make_demo_data
from plantset.knowledge.config import MapConfig
from plantset.knowledge.run import map_texts
from plantset.runtime.checkpoint import Checkpoint, load_checkpoint

FLAGS = (  # noqa: SIM905  # as one types it
    "--vision-backbone resnet10t --no-pretrained --text-model none --image-size 64 --fusion-dim 32 --vision-dim 32"
    " --num-attention-heads 4 --num-attention-layers 1 --text-length 24 --dropout 0.2 --epochs 5 --batch-size 8"
    " --accumulate-steps 2 --ema-decay 0.95 --early-stopping 4 --save-steps 2 --save-every 1 --keep-last 2"
    " --num-workers 2 --num-threads 1"
).split()
CACHED = ["--freeze-stages", "1", "--cache-views", "2"]
FILES = ("best_model.pth", "last_model.pth")


@dataclass(frozen=True)
class Killed:
    """How a run went: when it was killed, how often it had to be started, and which tensors differ in the end."""

    moment: str
    starts: int
    differing: list[str]


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--runs", type=int, default=20)
    words.add_argument("--seed", type=int, default=0)
    flags = words.parse_args()
    rng = random.Random(flags.seed)
    with tempfile.TemporaryDirectory(prefix="plantset-kill-") as name:
        folder = Path(name)
        manifest = make_manifest(folder)
        lives_s = {cached: run_whole(manifest, folder / f"whole_{cached}", cached=cached) for cached in (False, True)}
        equal = 0
        for number in range(flags.runs):
            cached, in_save = number % 2 == 1, number % 4 >= 2
            killed = kill_and_resume(
                manifest, folder / f"run_{number}", folder / f"whole_{cached}", lives_s[cached], rng, cached, in_save
            )
            equal += not killed.differing
            verdict = "equal" if not killed.differing else f"DIFFERS in {killed.differing[:3]}"
            print(
                f"{number + 1:3d}  {'cache ' if cached else 'photos'}  killed {killed.moment:28s}"
                f"  starts {killed.starts}  {verdict}",
                flush=True,
            )
    print(f"{equal} of {flags.runs} end bit for bit like the run that was never killed (torch {torch.__version__})")
    return 0 if equal == flags.runs else 1


def make_manifest(folder: Path) -> Path:
    """Draw demo leaves and take them through cleaning and mapping."""
    make_demo_data(DemoDataConfig(run_dir=folder / "demo", photos_per_class=6, size_px=96))
    cleaned, mapped = folder / "dataset_clean.jsonl", folder / "multimodal_dataset.jsonl"
    clean(CleanConfig(data_dir=folder / "demo" / "leaves", output_file=cleaned, min_size=64, target_size=96))
    map_texts(MapConfig(dataset_jsonl=cleaned, output_file=mapped))
    return mapped


def command(manifest: Path, folder: Path, *, cached: bool) -> list[str]:
    here = [sys.executable, "-m", "plantset", "train", "--jsonl-file", str(manifest), "--checkpoint-dir", str(folder)]
    return [*here, *FLAGS, *(CACHED if cached else []), "--resume", "auto"]


def run_whole(manifest: Path, folder: Path, *, cached: bool) -> float:
    """Train without a kill; return how long it lived."""
    started = time.perf_counter()
    subprocess.run(command(manifest, folder, cached=cached), check=True, capture_output=True)
    return time.perf_counter() - started


def kill_and_resume(
    manifest: Path, folder: Path, whole: Path, life_s: float, rng: random.Random, cached: bool, in_save: bool
) -> Killed:
    words = command(manifest, folder, cached=cached)
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
    moment = wait_for_save(process, folder, rng) if in_save else wait_at_random(process, life_s, rng)
    os.killpg(process.pid, signal.SIGKILL)  # its workers, too, as a machine that is taken away does
    process.wait()
    starts = 1
    while subprocess.run(words, check=False, capture_output=True).returncode != 0:
        starts += 1
        if starts > 3:
            raise SystemExit(f"{folder.name} does not go on: {' '.join(words)}")
    return Killed(moment, starts + 1, differing(folder, whole))


def wait_at_random(process: subprocess.Popen[bytes], life_s: float, rng: random.Random) -> str:
    moment_s = rng.uniform(0.3, 0.95) * life_s  # before that it only imports
    try:
        process.wait(timeout=moment_s)
    except subprocess.TimeoutExpired:
        return f"after {moment_s:.1f} s"
    return "never: it had ended"


def wait_for_save(process: subprocess.Popen[bytes], folder: Path, rng: random.Random) -> str:
    """Wait for a random one of the first dozen files that are being written."""
    wanted, seen = rng.randint(1, 12), set[str]()
    while process.poll() is None:
        seen |= {path.name for path in folder.glob(".*.pth.*.tmp")}
        if len(seen) >= wanted:
            return f"while writing file {wanted}"
    return "never: it had ended"


def progress_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return where a run stood, but for what was measured by the clock; empty for a model alone."""
    progress = dict(checkpoint.meta.get("progress", {}))
    by_clock = {"seconds", "photos_per_s", "data_wait_ratio"}
    rows = progress.get("history", [])
    return progress | {"history": [{name: row[name] for name in row if name not in by_clock} for row in rows]}


def differing(folder: Path, whole: Path) -> list[str]:
    """Return the tensors and the facts in which two runs' checkpoints differ."""
    found: list[str] = []
    for name in FILES:
        mine, other = load_checkpoint(folder / name), load_checkpoint(whole / name)
        found += sorted(set(mine.tensors) ^ set(other.tensors))
        found += [key for key in mine.tensors if not torch.equal(mine.tensors[key], other.tensors[key])]
        found += [key for key in ("calibration", "classes") if mine.meta[key] != other.meta[key]]
        found += [key for key, value in progress_of(mine).items() if value != progress_of(other)[key]]
    return found


if __name__ == "__main__":
    sys.exit(main())
