"""`plantset demo-data`: leaves, masks, per-photo texts and the disease JSON, delivered as messy as real life."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from plantset.core.errors import ConfigError
from plantset.core.files import write_bytes, write_json_lines
from plantset.core.language import tr
from plantset.core.log import progress
from plantset.core.options import write_resolved
from plantset.demo.config import DemoDataConfig
from plantset.demo.diseases import CLASSES
from plantset.demo.drawing import LeafJob, draw_leaf
from plantset.demo.mess import Mess, make_mess
from plantset.demo.sheet import Thumbnail, write_contact_sheet

_CONFIG_NAME = "demo_data.config.json"
_STAGING_NAME = ".demo_data.partial"
_OURS = ("leaves", "leaves_masks", "maladies_enrichies.json", "photo_texts.jsonl", "contact_sheet.jpg")
_SPLIT_STREAM, _NUMBER_STREAM, _MESS_STREAM = 11, 12, 13
_LEAST_SIZE_PX = 96
_DECOMPOSED_FOLDER = "Manguier oïdium"


@dataclass(frozen=True)
class DemoDataReport:
    """What was drawn, and what `clean` should make of it.

    Attributes:
        photos: drawn photos, with masks and texts. files: all files under leaves/, the mess included.
        mess: what was added and changed.
        photos_per_second: drawing alone, all processes together.
    """

    run_dir: Path
    classes: int
    leaves: int
    photos: int
    files: int
    mess: Mess
    photos_per_second: float

    @property
    def expected_rejected(self) -> int:
        """Files that `clean --min-size` of the photos' short side must refuse."""
        return self.mess.exact_copies + self.mess.broken + self.mess.too_small

    @property
    def expected_kept(self) -> int:
        """Files that `clean` must keep."""
        return self.files - self.expected_rejected

    def summary(self) -> str:
        """Return what was drawn and where, in the message language."""
        mess = self.mess
        return tr(
            f"{self.photos} photos of {self.leaves} leaves in {self.classes} classes "
            f"({self.photos_per_second:.0f} photos/s) in {self.run_dir / 'leaves'}\n"
            f"and the mess of real life: {mess.exact_copies} copies, {mess.broken} broken, {mess.too_small} too small, "
            f"{mess.augmented} augmented, {mess.turned} turned by EXIF, {mess.two_labels} under two labels\n"
            f"to look at: {self.run_dir / 'contact_sheet.jpg'}",
            f"{self.photos} photos de {self.leaves} feuilles en {self.classes} classes "
            f"({self.photos_per_second:.0f} photos/s) dans {self.run_dir / 'leaves'}\n"
            f"et le désordre de la vraie vie : {mess.exact_copies} copies, {mess.broken} abîmées, "
            f"{mess.too_small} trop petites, {mess.augmented} augmentées, {mess.turned} tournées par EXIF, "
            f"{mess.two_labels} sous deux étiquettes\n"
            f"à regarder : {self.run_dir / 'contact_sheet.jpg'}",
        )

    @property
    def exit_code(self) -> int:
        """Always 0: a drawing either succeeds or raises."""
        return 0


def make_demo_data(config: DemoDataConfig) -> DemoDataReport:
    """Draw the demo's data into `run_dir`; the same seed gives the same bytes with any number of workers.

    Raises:
        ConfigError: a value out of range, or `run_dir` holds files of these names that this verb did not write.
    """
    _check(config)
    jobs = leaf_jobs(config)
    with _staging(config.run_dir) as folder:
        started = time.perf_counter()
        rows = [row for leaf_rows in _draw_all(jobs, folder, config) for row in leaf_rows]
        elapsed_s = time.perf_counter() - started
        write_contact_sheet(folder / "contact_sheet.jpg", _thumbnails(folder, rows))
        photos = [folder / "leaves" / row["source_path"] for row in rows]
        mess = make_mess(photos, np.random.default_rng([config.seed, _MESS_STREAM]))
        write_json_lines(folder / "photo_texts.jsonl", rows)
        diseases = resources.files("plantset.demo").joinpath("maladies_enrichies.json").read_bytes()
        write_bytes(folder / "maladies_enrichies.json", diseases)
    write_resolved(config.run_dir / _CONFIG_NAME, config)
    return DemoDataReport(
        run_dir=config.run_dir,
        classes=len(CLASSES),
        leaves=len(jobs),
        photos=len(rows),
        files=len(rows) + mess.added,
        mess=mess,
        photos_per_second=len(rows) / elapsed_s,
    )


def _check(config: DemoDataConfig) -> None:
    bounds: tuple[tuple[str, float, float, float], ...] = (
        ("photos-per-class", config.photos_per_class, 2, 100_000),
        ("photos-per-leaf", config.photos_per_leaf, 1, config.photos_per_class // 2),
        ("size-px", config.size_px, _LEAST_SIZE_PX, 614),  # the ground's tiles are 768 px, the long side 1.25 short
        ("val-ratio", config.val_ratio, 0.01, 0.99),
        ("workers", config.workers, 0, 1024),
        ("seed", config.seed, 0, 2**63 - 1),
    )
    for flag, value, low, high in bounds:
        if not low <= value <= high:
            raise ConfigError(
                tr(f"--{flag} is {value}", f"--{flag} vaut {value}"),
                tr(f"give a value from {low} to {high}", f"donnez une valeur de {low} à {high}"),
            )


def leaf_jobs(config: DemoDataConfig) -> list[LeafJob]:
    """Return the leaves to draw; a leaf's number is unique and tells nothing of its class."""
    per_class = -(-config.photos_per_class // config.photos_per_leaf)
    numbers = np.random.default_rng([config.seed, _NUMBER_STREAM]).permutation(len(CLASSES) * per_class) + 1
    num_val = min(per_class - 1, max(1, round(config.val_ratio * per_class)))
    jobs = []
    for class_index, demo_class in enumerate(CLASSES):
        order = np.random.default_rng([config.seed, _SPLIT_STREAM, class_index]).permutation(per_class)
        val = set(order[:num_val].tolist())
        for leaf_index in range(per_class):
            split: Literal["train", "val"] = "val" if leaf_index in val else "train"
            left = config.photos_per_class - leaf_index * config.photos_per_leaf
            job = LeafJob(
                class_index=class_index,
                leaf_index=leaf_index,
                leaf_number=int(numbers[class_index * per_class + leaf_index]),
                split=split,
                folder=_folder_as_typed(demo_class.folder, split),
                num_photos=min(config.photos_per_leaf, left),
                first_photo=class_index * config.photos_per_class + leaf_index * config.photos_per_leaf,
                seed=config.seed,
                size_px=config.size_px,
            )
            jobs.append(job)
    return jobs


def make_folders(jobs: list[LeafJob], folder: Path) -> None:
    """Make the folders that the jobs write into."""
    for split, name in {(job.split, job.folder) for job in jobs}:
        for root in ("leaves", "leaves_masks"):
            (folder / root / split / name).mkdir(parents=True, exist_ok=True)


def _folder_as_typed(folder: str, split: str) -> str:
    """Return one name of val/ with its accents decomposed, as old macOS does: the same name, other bytes."""
    return unicodedata.normalize("NFD", folder) if split == "val" and folder == _DECOMPOSED_FOLDER else folder


def _draw_all(jobs: list[LeafJob], folder: Path, config: DemoDataConfig) -> Iterator[list[dict[str, Any]]]:
    make_folders(jobs, folder)
    title = tr("drawing leaves", "dessin des feuilles")
    unit = tr("leaf", "feuille")
    tasks = [(job, folder) for job in jobs]
    workers = min(config.workers or _usable_cores(), len(jobs))
    if workers == 1:
        yield from progress((draw_leaf(*task) for task in tasks), title=title, total=len(jobs), unit=unit)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_use_one_thread) as pool:
        drawn = pool.imap(_draw_task, tasks, chunksize=8)
        yield from progress(drawn, title=title, total=len(jobs), unit=unit)


def _draw_task(task: tuple[LeafJob, Path]) -> list[dict[str, Any]]:
    return draw_leaf(*task)


def _use_one_thread() -> None:
    """Each process has a core of its own; more threads would only take turns."""
    cv2.setNumThreads(1)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _thumbnails(folder: Path, rows: list[dict[str, Any]]) -> list[Thumbnail]:
    """Choose, for each class, the photo whose diseased share is the class's 60th percentile: plain, not extreme."""
    chosen = []
    for demo_class in CLASSES:
        mine = sorted((row for row in rows if row["disease_id"] == demo_class.disease_id), key=lambda row: row["share"])
        row = mine[int(0.6 * len(mine))]
        crop, _, disease = demo_class.disease_id.replace("-", " ").partition("  ")
        chosen.append(
            Thumbnail(folder / "leaves" / row["source_path"], folder / row["leaf_mask"], f"{crop}: {disease}")
        )
    return chosen


@contextmanager
def _staging(run_dir: Path) -> Iterator[Path]:
    """Yield a folder beside the results; only when all is drawn does it replace what an earlier run left."""
    taken = [name for name in _OURS if (run_dir / name).exists()]
    if taken and not (run_dir / _CONFIG_NAME).exists():
        raise ConfigError(
            tr(
                f"{run_dir} already holds {', '.join(taken)}, not made by this command",
                f"{run_dir} contient déjà {', '.join(taken)}, que cette commande n'a pas faits",
            ),
            tr("choose another folder: --run-dir", "choisissez un autre dossier : --run-dir"),
        )
    folder = run_dir / _STAGING_NAME
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
        for name in _OURS:
            if (run_dir / name).is_dir():
                shutil.rmtree(run_dir / name)
            (folder / name).replace(run_dir / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
