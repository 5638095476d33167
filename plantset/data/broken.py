"""`--skip-broken`: every photo is decoded once before anything else, and those that cannot be are left out, by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from plantset.core.errors import DataError
from plantset.core.files import write_json_lines
from plantset.core.language import tr
from plantset.core.log import progress, say
from plantset.core.records import Record
from plantset.data.dataset import start_worker
from plantset.data.photos import Photos, find_broken, photos_of

SKIPPED_NAME = "skipped_photos.jsonl"
_CHUNK = 64


def skip_broken(records: Sequence[Record], folder: Path, report_dir: Path, *, num_workers: int) -> list[Record]:
    """Return the records whose photos can be decoded; say how many are not, and write which and why.

    What is left is a list like any other: the order of an epoch, resuming and scores are functions of it.

    Args:
        folder: of the photos.
        report_dir: where `skipped_photos.jsonl` is written if any is left out.

    Raises:
        DataError: no photo is left, or a store does not answer.
    """
    loader: DataLoader[Any] = DataLoader(
        _Decoded(photos_of(records, folder)),
        batch_size=_CHUNK,
        collate_fn=list,
        num_workers=num_workers,
        multiprocessing_context="spawn" if num_workers else None,
        worker_init_fn=start_worker,
        generator=torch.Generator(),  # of its own: torch's random numbers are those of the training
    )
    found = [why for chunk in progress(loader, title=tr("checking", "vérification"), unit="batch") for why in chunk]
    broken = [(record, why) for record, why in zip(records, found, strict=True) if why is not None]
    if len(broken) == len(records):
        raise DataError(
            tr(f"none of {len(records)} photos can be read: {found[0]}",
               f"aucune des {len(records)} photos ne peut être lue : {found[0]}"),
            tr("check --root-dir", "vérifiez --root-dir"),
        )  # fmt: skip
    if broken:
        rows = [{"image_path": record.image_path, "split": record.split, "problem": why} for record, why in broken]
        write_json_lines(report_dir / SKIPPED_NAME, rows)
        say(tr(f"{len(broken)} of {len(records)} photos are broken and left out: {report_dir / SKIPPED_NAME}",
               f"{len(broken)} photos sur {len(records)} sont abîmées et laissées de côté :"
               f" {report_dir / SKIPPED_NAME}"))  # fmt: skip
    return [record for record, why in zip(records, found, strict=True) if why is None]


class _Decoded(Dataset[str | None]):
    """Place of a photo -> why it cannot be decoded."""

    def __init__(self, photos: Photos) -> None:
        self._photos = photos

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, at: int) -> str | None:
        return find_broken(self._photos, at)
