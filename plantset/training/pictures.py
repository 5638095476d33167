"""What people look at: the first batch as the model sees it, and the curves of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from plantset.core.files import atomic_path, write_bytes, write_text
from plantset.core.language import tr
from plantset.core.photo import encode_jpeg
from plantset.data.geometry import Pixels

_TILE_PX = 160
MAX_TILES = 25
_CAPTION_PX = 22


def draw_batch(views: Sequence[Pixels], labels: Sequence[str], path: Path) -> None:
    """Write a mosaic of augmented photos with their classes: what training really sees."""
    shown = min(len(views), MAX_TILES)
    columns = math.ceil(math.sqrt(shown))
    rows = math.ceil(shown / columns)
    height = _TILE_PX + _CAPTION_PX
    sheet = np.full((rows * height, columns * _TILE_PX, 3), 255, dtype=np.uint8)
    for position in range(shown):
        top, left = position // columns * height, position % columns * _TILE_PX
        tile = cv2.resize(views[position], (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_AREA)
        sheet[top : top + _TILE_PX, left : left + _TILE_PX] = tile
        _write(sheet, labels[position], top + _TILE_PX + 15, left + 3)
    write_bytes(path, encode_jpeg(sheet))


def draw_history(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Write the curves of loss and of the selection score, one point an epoch."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    loss_axes, score_axes = figure.subplots(1, 2)
    epochs = [row["epoch"] + 1 for row in history]
    for name in sorted({key for row in history for key in row if key.startswith("loss")}):
        title = tr("total", "total") if name == "loss" else name.removeprefix("loss/")
        values = [row.get(name, math.nan) for row in history]
        loss_axes.plot(epochs, values, label=title, linewidth=2.2 if name == "loss" else 1.2)
    loss_axes.set(title=tr("Training losses", "Pertes d'entraînement"), xlabel=tr("epoch", "époque"))
    loss_axes.legend(fontsize="small")
    for name, title in (("macro_f1", tr("macro-F1", "F1 macro")), ("accuracy", tr("accuracy", "exactitude"))):
        score_axes.plot(epochs, [row[name] for row in history], label=title, marker="o", markersize=3)
    score_axes.set(
        title=tr("Selection half of val, photo only", "Moitié de sélection de val, photo seule"),
        xlabel=tr("epoch", "époque"),
        ylim=(0, 1),
    )
    score_axes.legend(fontsize="small", loc="lower right")
    for axes in (loss_axes, score_axes):
        axes.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def write_history(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Write one CSV line an epoch."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    lines = [",".join(columns)]
    lines += [",".join(f"{row[name]:.6g}" if name in row else "" for name in columns) for row in history]
    write_text(path, "\n".join(lines) + "\n")


def _write(sheet: NDArray[np.uint8], text: str, bottom: int, left: int) -> None:
    shown = text if len(text) <= 24 else text[:23] + "~"
    cv2.putText(sheet, shown, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (40, 40, 40), 1, cv2.LINE_AA)
