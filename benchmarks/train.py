"""What training costs beside the model itself, and beside other trainers. `make bench-train`.

Four tables: (a) a step of the loop over the bare forward, backward and optimizer of the same model on the same
in-memory batches; (b) photos a second of an epoch against timm's loader and loop, Hugging Face's Trainer and fastai,
same backbone, files, batch, cores, classification only; (c) an epoch from the feature cache over one from photos, the
tower frozen; (d) from the start of the process to its first step. Each contender runs in a process of its own; its
second epoch is timed, in wall seconds and in CPU seconds (which other work on the machine hardly changes).

Run: python benchmarks/train.py [--peers-python PYTHON] [--backbones resnet18,…] [--photos N]. Peers that PYTHON does
not have (accelerate, fastai) are left out and named.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CLASSES = ("apple--scab", "grape--black-rot", "maize--rust", "tomato--late-blight")
EPOCHS, BATCH, SIDE_PX = 3, 16, 224
PEERS = ("timm", "trainer", "fastai")
Timer = list[tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--backbones", default="resnet18,tf_efficientnet_lite0")
    parser.add_argument("--photos", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--run", nargs=3, metavar=("NAME", "BACKBONE", "DIR"))
    asked = parser.parse_args()
    if asked.run:
        name, backbone, folder = asked.run
        print(
            json.dumps({**CONTENDERS, "versions": versions}[name](backbone, Path(folder), asked.threads, asked.workers))
        )
        return
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        write_photos(folder, asked.photos)
        print(run_apart("versions", "", folder, asked)["versions"])
        print(f"{asked.photos} drawn photos of 512 × 384, {SIDE_PX} px, batch {BATCH}, {asked.threads} threads,"
              f" {asked.workers} workers; epochs 2 to {EPOCHS}, the fastest")  # fmt: skip
        for backbone in asked.backbones.split(","):
            compare(backbone, folder, asked)


def compare(backbone: str, folder: Path, asked: argparse.Namespace) -> None:
    """Print the four tables of one backbone."""
    found = {name: run_apart(name, backbone, folder, asked) for name in CONTENDERS}
    photos = asked.photos
    print(f"\n{backbone:<34}{'wall s/epoch':>14}{'CPU s/epoch':>14}{'photos/s':>10}{'CPU ratio':>11}")
    rows = {
        "(a) bare step, in memory": ("bare", "bare"),
        "(a) our loop, in memory": ("loop", "bare"),
        "(b) ours, from photos": ("ours", None),
        "(b) timm loader and loop": ("timm", None),
        "(b) Hugging Face Trainer": ("trainer", None),
        "(b) fastai": ("fastai", None),
        "(c) tower frozen, from photos": ("frozen", None),
        "(c) tower frozen, from the cache": ("cached", "frozen"),
    }
    peers = [found[name]["cpu"] for name in PEERS if "cpu" in found[name]]
    for title, (name, base) in rows.items():
        row = found[name]
        if "cpu" not in row:
            print(f"{title:<34}{row['missing']}")
            continue
        floor = found[base]["cpu"] if base else min(peers, default=float("nan"))
        ratio = "" if name == "frozen" else f"{row['cpu'] / floor:>11.3f}"
        print(f"{title:<34}{row['wall']:>14.2f}{row['cpu']:>14.2f}{photos / row['wall']:>10.1f}{ratio}")
    if peers:
        print(f"goal (a) at most 1.03: {found['loop']['cpu'] / found['bare']['cpu']:.3f};"
              f" goal (b) at least 0.97 of the best peer's rate: {min(peers) / found['ours']['cpu']:.2f};"
              f" goal (c) at least 20: {found['frozen']['cpu'] / found['cached']['cpu']:.1f}")  # fmt: skip
    print(f"(d) start of the process to its first step: {found['ours']['first_step']:.1f} s, of which imports"
          f" {found['ours']['imports']:.1f} s")  # fmt: skip


def run_apart(name: str, backbone: str, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run one contender in a process of its own."""
    python = asked.peers_python if name in (*PEERS, "versions") else sys.executable
    command = [python, __file__, "--threads", str(asked.threads), "--workers", str(asked.workers)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(asked.threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, "--run", name, backbone, str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        return {"missing": f"left out: {' '.join(last)}"}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def write_photos(folder: Path, count: int) -> None:
    """Write smooth random leaves in train/<class>/ and val/<class>/, and their manifest."""
    rng = np.random.default_rng(0)
    lines = []
    for split, number in (("train", count), ("val", 16)):
        for index in range(number):
            label = CLASSES[index % len(CLASSES)]
            path = folder / split / label / f"{index:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = rng.integers(0, 255, (24, 32, 3)).astype(np.uint8)
            cv2.imwrite(str(path), cv2.resize(coarse, (512, 384), interpolation=cv2.INTER_CUBIC))
            lines.append({"image_path": path.relative_to(folder).as_posix(), "label": label, "split": split})
    text = "".join(json.dumps({**line, "text": "", "class_id": line["label"]}) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text)


def versions(_backbone: str, _folder: Path, _threads: int, _workers: int) -> dict[str, str]:
    names = ("torch", "timm", "transformers", "accelerate", "fastai")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"versions": ", ".join(found)}


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def fastest(marks: Timer) -> dict[str, float]:
    """Return wall and CPU seconds of the fastest epoch after the first; `marks` alternate start and end."""
    epochs = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(marks[::2], marks[1::2], strict=True)][1:]
    return {"wall": min(wall for wall, _ in epochs), "cpu": min(cpu for _, cpu in epochs)}


# ---- ours


def ours_config(backbone: str, folder: Path, threads: int, workers: int, **changes: object) -> Any:
    from plantset.training.config import TrainConfig

    config = TrainConfig(
        jsonl_file=folder / "manifest.jsonl",
        root_dir=folder,
        checkpoint_dir=folder / f"checkpoints_{backbone}",
        vision_backbone=backbone,
        text_model="none",
        pretrained=False,
        fusion="none",
        captioner="none",
        caption_weight=0.0,
        contrastive_weight=0.0,
        matching_weight=0.0,
        epochs=EPOCHS,
        batch_size=BATCH,
        image_size=SIDE_PX,
        num_workers=workers,
        num_threads=threads,
        device="cpu",
        cache_views=1,
    )
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def fit_ours(config: Any, *, in_memory: bool = False, from_photos: bool = False) -> dict[str, float]:
    """Train with the loop itself, without judging and saving; return the fastest epoch."""
    import torch

    from plantset.runtime.launch import launch
    from plantset.training.feeds import PhotoFeeds
    from plantset.training.loop import Hooks, Plan, Progress, Trainer
    from plantset.training.metrics import Judgement
    from plantset.training.optimizer import OptimizerSettings, build_optimizer
    from plantset.training.step import term_counts, training_terms, weighted_sum
    from plantset.training.stopping import Clock, StopRequest
    from plantset.training.task import build_bank, build_objective, note_encoder, prepare_task

    imported = time.perf_counter()
    torch.set_num_threads(config.num_threads)
    marks: Timer = []
    first: list[float] = []
    with launch("cpu", mixed_precision=False) as strategy:
        task = prepare_task(config)
        model = task.model
        strategy.prepare(model)
        feeds = PhotoFeeds(task, strategy)
        objective, encode_notes = build_objective(task, build_bank(task)), note_encoder(task)
        load: Callable[[int, int], Any] = feeds.train
        if from_photos:
            load = lambda epoch, start: task.data.train_dataloader(epoch=epoch, start=start)  # noqa: E731
        if in_memory:
            held = list(feeds.train(0))
            load = lambda _epoch, _start: held  # noqa: E731

        def terms(model: Any, batch: Any) -> Any:
            found = training_terms(model, batch, objective, encode_notes)
            first.append(time.perf_counter()) if not first else None
            return found

        def judge(_model: object) -> Judgement:
            marks.append(now())
            return Judgement(0.0, 0.0, {})

        hooks = Hooks(
            loader=load,
            begin_epoch=lambda _epoch, _seen: marks.append(now()),
            counts=lambda model, batch: term_counts(model, batch, objective),
            terms=terms,
            weigh=lambda terms, counts: weighted_sum(terms, counts, objective.weights),
            judge=judge,
            epoch_done=lambda _progress, _kept: None,
            save=lambda _progress: None,
            logged=lambda _step, _values: None,
        )
        photos = len(task.data.split("train"))
        plan = Plan(config.epochs, photos, -(-photos // BATCH), 2, config.gradient_clip, 0)
        optimizer = build_optimizer(model, OptimizerSettings(1e-3, weight_decay=0.05))
        Trainer(model, optimizer, strategy, plan, Progress(), hooks).fit(StopRequest(), Clock(None, 0.0))
    return {**fastest(marks), "first_step": first[0] - STARTED, "imports": imported - STARTED}


def run_ours(backbone: str, folder: Path, threads: int, workers: int) -> dict[str, float]:
    return fit_ours(ours_config(backbone, folder, threads, workers))


def run_loop(backbone: str, folder: Path, threads: int, workers: int) -> dict[str, float]:
    return fit_ours(ours_config(backbone, folder, threads, workers), in_memory=True)


def run_frozen(backbone: str, folder: Path, threads: int, workers: int) -> dict[str, float]:
    return fit_ours(ours_config(backbone, folder, threads, workers, freeze_vision=True), from_photos=True)


def run_cached(backbone: str, folder: Path, threads: int, workers: int) -> dict[str, float]:
    return fit_ours(ours_config(backbone, folder, threads, workers, freeze_vision=True))


def run_bare(backbone: str, folder: Path, threads: int, workers: int) -> dict[str, float]:
    """The same model's forward, cross-entropy, backward, clipping and AdamW, and nothing else."""
    import torch

    from plantset.training.task import prepare_task

    torch.set_num_threads(threads)
    config = ours_config(backbone, folder, threads, workers)
    task = prepare_task(config)
    model = task.model.train()
    batches = [(batch.pixels_BHWC, batch.labels_B) for batch in task.data.train_dataloader(epoch=0)]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-3, weight_decay=0.05)
    marks: Timer = []
    for _ in range(EPOCHS):
        marks.append(now())
        for pixels, labels in batches:
            logits = model(model.encode_photos(pixels, None), None).logits_BC
            loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learning, config.gradient_clip)
            optimizer.step()
        marks.append(now())
    return fastest(marks)


# ---- the others


def timm_loader(folder: Path, workers: int) -> Any:
    from timm.data import create_dataset, create_loader

    dataset = create_dataset("", root=str(folder), split="train", is_training=True, batch_size=BATCH)
    return create_loader(
        dataset, (3, SIDE_PX, SIDE_PX), BATCH, is_training=True, num_workers=workers, use_prefetcher=False,
        persistent_workers=workers > 0, scale=(0.35, 1.0), hflip=0.5, vflip=0.5, color_jitter=None,
        device="cpu",
    )  # fmt: skip


def run_timm(backbone: str, folder: Path, threads: int, workers: int) -> dict[str, float]:
    """The loader, optimizer, loss and loop of timm's train script."""
    import timm
    import torch
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.utils import AverageMeter

    torch.set_num_threads(threads)
    model = timm.create_model(backbone, num_classes=len(CLASSES)).train()
    loader, loss_of = timm_loader(folder, workers), LabelSmoothingCrossEntropy(0.1)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05)
    marks: Timer = []
    for _ in range(EPOCHS):
        marks.append(now())
        losses = AverageMeter()
        for pixels, labels in loader:
            loss = loss_of(model(pixels), labels)
            losses.update(loss.item(), len(pixels))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        marks.append(now())
    return fastest(marks)


def run_trainer(backbone: str, folder: Path, threads: int, workers: int) -> dict[str, float]:
    """Hugging Face Trainer with torchvision's usual transforms and its own defaults."""
    import timm
    import torch
    from torchvision import transforms
    from torchvision.datasets import ImageFolder
    from transformers import Trainer, TrainerCallback, TrainingArguments

    torch.set_num_threads(threads)
    usual = transforms.Compose([
        transforms.RandomResizedCrop(SIDE_PX, (0.35, 1.0)), transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    marks: Timer = []

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = timm.create_model(backbone, num_classes=len(CLASSES))

        def forward(self, pixel_values: Any, labels: Any) -> dict[str, Any]:
            logits = self.net(pixel_values)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1), "logits": logits}

    class Marks(TrainerCallback):
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            marks.append(now())

        on_epoch_end = on_epoch_begin

    def collate(items: list[Any]) -> dict[str, Any]:
        return {"pixel_values": torch.stack([x for x, _ in items]), "labels": torch.tensor([y for _, y in items])}

    arguments = TrainingArguments(
        output_dir=str(folder / "hf"), per_device_train_batch_size=BATCH, num_train_epochs=EPOCHS, learning_rate=1e-3,
        weight_decay=0.05, use_cpu=True, dataloader_num_workers=workers, report_to="none", save_strategy="no",
        disable_tqdm=True, logging_steps=20, remove_unused_columns=False, dataloader_pin_memory=False,
    )  # fmt: skip
    data = ImageFolder(str(folder / "train"), usual)
    Trainer(Model(), arguments, train_dataset=data, data_collator=collate, callbacks=[Marks()]).train()
    return fastest(marks)


def run_fastai(backbone: str, folder: Path, threads: int, workers: int) -> dict[str, float]:
    """A fastai Learner with its own data block."""
    import timm
    import torch
    from fastai.vision.all import (
        Callback,
        ImageDataLoaders,
        LabelSmoothingCrossEntropy,
        Learner,
        Normalize,
        RandomResizedCrop,
        imagenet_stats,
    )

    torch.set_num_threads(threads)
    marks: Timer = []

    class Marks(Callback):  # type: ignore[misc]
        def before_train(self) -> None:
            marks.append(now())

        after_train = before_train

    loaders = ImageDataLoaders.from_folder(
        folder, train="train", valid="val", bs=BATCH, num_workers=workers, device=torch.device("cpu"),
        item_tfms=RandomResizedCrop(SIDE_PX, min_scale=0.35), batch_tfms=[Normalize.from_stats(*imagenet_stats)],
    )  # fmt: skip
    model = timm.create_model(backbone, num_classes=len(CLASSES))
    learner = Learner(loaders, model, loss_func=LabelSmoothingCrossEntropy(0.1), cbs=[Marks()])
    with learner.no_bar(), learner.no_logging():
        learner.fit(EPOCHS, 1e-3, wd=0.05)
    return fastest(marks)


CONTENDERS = {
    "bare": run_bare,
    "loop": run_loop,
    "ours": run_ours,
    "timm": run_timm,
    "trainer": run_trainer,
    "fastai": run_fastai,
    "frozen": run_frozen,
    "cached": run_cached,
}
STARTED = time.perf_counter()

if __name__ == "__main__":
    main()
