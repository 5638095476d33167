"""Small trainings on this CPU, through XLA or without: `python -m tests.xla.trainings SCENE FOLDER WORD …`.

How many devices XLA makes of a CPU (CPU_NUM_DEVICES) is fixed when a process starts, so each number has its own.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from plantset.data.config import ShardConfig
from plantset.data.shard import shard
from plantset.models.load import load_model
from plantset.runtime.checkpoint import load_checkpoint
from plantset.runtime.launch import launch
from plantset.training import loop
from plantset.training.config import TpuTrainConfig
from plantset.training.feeds import PhotoFeeds
from plantset.training.logs import NO_LOG
from plantset.training.loop import Progress, Trainer
from plantset.training.metrics import Judgement
from plantset.training.optimizer import OptimizerSettings, build_optimizer
from plantset.training.run import _hooks, _plan, train, train_on_tpu
from plantset.training.saving import Saver
from plantset.training.stopping import Clock, StopRequest
from plantset.training.task import build_bank, build_card, prepare_task
from tests.fake_leaves import write_leaves
from tests.tiny_models import save_tiny_bert
from tests.xla import small

PRESETS = ("cross-attention", "qwen-vl", "vadapter", "flava", "florence-2")
STEPS = {"sgd": 50, "adamw": 20}
_LEARNING_RATE = {"sgd": 1e-3, "adamw": 1e-4}
Losses = list[dict[str, float]]


def base_config(folder: Path) -> TpuTrainConfig:
    """A model of thousands of parameters, without dropout, on 32 photos of 32 pixels a side: four steps an epoch."""
    return TpuTrainConfig(
        jsonl_file=_once(folder / "leaves", write_leaves) / "multimodal_dataset.jsonl",
        text_model=str(_once(folder / "bert", save_tiny_bert)),
        checkpoint_dir=folder / "checkpoints",
        vision_backbone="test_resnet",
        pretrained=False,
        batch_size=8,
        vision_learning_rate_ratio=1.0,
        image_size=32,
        text_length=12,
        note_length=8,
        vision_dim=16,
        text_dim=16,
        fusion_dim=16,
        num_attention_heads=2,
        num_attention_layers=1,
        dropout=0.0,
        num_workers=0,
        num_threads=1,
        warmup_steps=0,
        schedule="constant",
        ema_decay=0.0,
        tpu_cores=int(os.environ.get("CPU_NUM_DEVICES", "1")),
    )


def training_of(name: str, folder: Path) -> TpuTrainConfig:
    """Return the training of a name: `PRESET/OPTIMIZER`, then any of vit, bf16, sharded, recomputed, clipped."""
    preset, optimizer, *words = name.split("/")
    changes: dict[str, Any] = {
        "preset": preset,
        "optimizer": optimizer,
        "learning_rate": _LEARNING_RATE[optimizer],
        "max_steps": STEPS[optimizer],
        "epochs": -(-STEPS[optimizer] // 4),
        "vision_backbone": "test_vit" if "vit" in words else "test_resnet",
        "mixed_precision": "bf16" in words,
        "shard_parameters": "sharded" in words,
        "gradient_checkpointing": "recomputed" in words,
        "gradient_clip": 0.01 if "clipped" in words else 1.0,
    }
    return dataclasses.replace(base_config(folder), **changes)


def losses_of(config: TpuTrainConfig) -> Losses:
    """Take the steps of a training, nothing judged or saved, and return the losses of each."""
    seen: Losses = []

    def keep(_: int, values: Mapping[str, float]) -> None:
        seen.append({name: value for name, value in values.items() if name.startswith("loss")})

    before, loop._LOG_EVERY_STEPS = loop._LOG_EVERY_STEPS, 1
    opened = launch(config.device, mixed_precision=config.mixed_precision, shard_parameters=config.shard_parameters)
    try:
        with opened as strategy:
            task = prepare_task(config)
            strategy.prepare(task.model)
            settings = OptimizerSettings(config.learning_rate, 1.0, config.weight_decay, config.optimizer)
            optimizer = build_optimizer(task.model, settings)
            card, bank = build_card(task), build_bank(task)
            saver = Saver(config.checkpoint_dir, task.model, card, optimizer, strategy, None, bank)
            hooks = _hooks(task, PhotoFeeds(task, strategy), saver, NO_LOG, StopRequest())
            judgement = Judgement(0.0, 0.0, {})
            quiet = dataclasses.replace(hooks, judge=lambda _: judgement, epoch_done=lambda *_: None, logged=keep)
            trainer = Trainer(task.model, optimizer, strategy, _plan(task), Progress(), quiet)
            trainer.fit(StopRequest(), Clock(None, 0.0))
    finally:
        loop._LOG_EVERY_STEPS = before
    return seen


def parity(folder: Path, *names: str) -> dict[str, Losses]:
    """Take the steps of these trainings through XLA."""
    return {name: losses_of(dataclasses.replace(training_of(name, folder), device="xla")) for name in names}


def whole(folder: Path) -> dict[str, Any]:
    """Train by the command, with dropout and a ragged last batch; once to the end, once killed and gone on with."""
    from tests.xla.counters import counts

    config = dataclasses.replace(
        base_config(folder),
        jsonl_file=_once(folder / "ragged", _write_ragged) / "multimodal_dataset.jsonl",
        device="xla",
        dropout=0.2,
        ema_decay=0.9,
        epochs=3,
        learning_rate=2e-3,
        gradient_checkpointing=True,
    )
    to_end, killed = (dataclasses.replace(config, checkpoint_dir=folder / name) for name in ("to_end", "killed"))
    seen: list[tuple[int, ...]] = []
    with _after_each_step(lambda step: seen.append((step, *counts()))):
        train_on_tpu(to_end)
    with _after_each_step(lambda step: signal.raise_signal(signal.SIGTERM) if step == 5 else None):
        stopped = train_on_tpu(killed)
    train_on_tpu(dataclasses.replace(killed, resume="auto"))
    on_cpu = dataclasses.replace(config, device="cpu", epochs=1, checkpoint_dir=folder / "on_cpu")
    train(on_cpu)
    return {
        "steps": seen,
        "stopped": stopped.summary(),
        "differing": _differing(folder / "to_end" / "last_model.pth", folder / "killed" / "last_model.pth"),
        "history": [(folder / name / "history.csv").read_text().count("\n") for name in ("to_end", "killed")],
        "logits": {
            name: {device: _logits(folder / name / "best_model.pth", device) for device in ("cpu", "xla")}
            for name in ("to_end", "on_cpu")
        },
    }


def small_scene(_: Path) -> dict[str, Any]:
    """Take the steps of the small network."""
    return small.through_xla()


def store(folder: Path) -> dict[str, Any]:
    """Train from the photos' files, and from shards of them in an S3 store on loopback."""
    import s3fs
    from moto.server import ThreadedMotoServer

    config = dataclasses.replace(base_config(folder), device="xla", epochs=1)
    from_files = dataclasses.replace(config, checkpoint_dir=folder / "from_files")
    from_store = dataclasses.replace(
        config, checkpoint_dir=folder / "from_store", jsonl_file=Path("s3://leaves/shards")
    )
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "XDG_CACHE_HOME": str(folder / "cache")}
    try:
        s3fs.S3FileSystem().mkdir("leaves")
        shard(ShardConfig(jsonl_file=config.jsonl_file, output_dir=from_store.jsonl_file))
        train_on_tpu(from_files)
        train_on_tpu(from_store)
    finally:
        server.stop()
    return {"differing": _differing(folder / "from_files" / "last_model.pth", folder / "from_store" / "last_model.pth")}


SCENES: dict[str, Callable[..., Any]] = {"parity": parity, "whole": whole, "small": small_scene, "store": store}


@contextmanager
def _after_each_step(action: Callable[[int], object]) -> Iterator[None]:
    original = Trainer._step

    def step(self: Trainer, *arguments: Any) -> float:
        factor = original(self, *arguments)
        action(self._progress.step)
        return factor

    Trainer._step = step  # type: ignore[method-assign]
    try:
        yield
    finally:
        Trainer._step = original  # type: ignore[method-assign]


def _differing(left: Path, right: Path) -> list[str]:
    """Return the names of the tensors that are not equal to the bit."""
    one, other = load_checkpoint(left).tensors, load_checkpoint(right).tensors
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


def _logits(checkpoint: Path, device: Any) -> list[list[float]]:
    model = load_model(checkpoint, device)
    size = model.image_size_px
    photos = torch.randint(0, 256, (4, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    logits: list[list[float]] = model.predict_batch(photos, ["des taches brunes", None, None, "x"]).tolist()
    return logits


def _write_ragged(folder: Path) -> Path:
    """Write 28 training photos: the last batch of 8 is half padding."""
    return write_leaves(folder, (("train", 7), ("val", 3)))


def _once(path: Path, make: Any) -> Path:
    if not path.exists():
        make(path)
    return path


if __name__ == "__main__":
    found = SCENES[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
    print("answer: " + json.dumps(found))
