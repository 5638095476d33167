"""The contact sheet: one photo of each class with its name, to see at a glance what the demo draws."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL_PX, CAPTION_PX, GAP_PX, COLUMNS = 188, 20, 4, 7


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One cell: a photo, its leaf mask and what to write below."""

    photo: Path
    leaf_mask: Path
    caption: str


def write_contact_sheet(path: Path, thumbnails: Sequence[Thumbnail]) -> None:
    """Write a JPEG of all cells, seven in a row."""
    rows = -(-len(thumbnails) // COLUMNS)
    step_x, step_y = CELL_PX + GAP_PX, CELL_PX + CAPTION_PX + GAP_PX
    sheet = Image.new("RGB", (COLUMNS * step_x + GAP_PX, rows * step_y + GAP_PX), (250, 250, 247))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for index, thumbnail in enumerate(thumbnails):
        x, y = GAP_PX + index % COLUMNS * step_x, GAP_PX + index // COLUMNS * step_y
        sheet.paste(Image.fromarray(_square(thumbnail)), (x, y))
        pen.text((x + CELL_PX / 2, y + CELL_PX + 3), thumbnail.caption, (50, 50, 46), font, anchor="mt")
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=82, optimize=True)
    path.write_bytes(buffer.getvalue())


def _square(thumbnail: Thumbnail) -> NDArray[np.uint8]:
    """Cut a square around the leaf, with a little ground, and resize it to the cell."""
    pixels = simplejpeg.decode_jpeg(thumbnail.photo.read_bytes())
    mask = cv2.imdecode(np.frombuffer(thumbnail.leaf_mask.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    height, width = mask.shape
    x, y, w, h = cv2.boundingRect(mask)
    side = min(height, width, int(max(w, h) * 1.16))
    left = min(max(0, x + w // 2 - side // 2), width - side)
    top = min(max(0, y + h // 2 - side // 2), height - side)
    window = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    shrink = cv2.INTER_AREA if side > CELL_PX else cv2.INTER_CUBIC
    cell: NDArray[np.uint8] = cv2.resize(window, (CELL_PX, CELL_PX), interpolation=shrink).astype(np.uint8)
    return cell
