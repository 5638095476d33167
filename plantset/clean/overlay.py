"""Text that was put on a photo: captions, dates, the bars of a phone's screen."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_CELL_W, _CELL_H = 8, 4  # pixels
_BESIDE = np.ones((1, 3), np.uint8)  # joins cells of a row over a gap of one or two
_STROKE_STEP = 50  # grey levels between a stroke and what is beside it
_BUSY_SHARE = 0.12  # of a cell's pixels, at a stroke's edge
_MIN_CELLS_W, _MIN_CELLS_H, _MAX_CELLS_H = 5, 2, 12
_MIN_ASPECT = 3.0
_MIN_FILL = 0.6
_QUIET_SHARE = 0.02  # of the pixels in the rows above and below a line of text
_MIN_SWINGS_PER_PX = 0.1  # light to dark and back, along a row: a letter has two strokes, a leaf's teeth fewer
_MIN_SWINGS = 9  # along a row: a word has more; the few that a leaf's edge has stay below 7
_MIN_SECOND_SHARE = 0.05  # of the pixels in the second grey level of the line
_MIN_GAP = 70  # grey levels between the two

Grey = NDArray[np.uint8]


def has_text(grey: Grey) -> bool:
    """Return whether a line of text stands on the photo: strokes that alternate along rows, with quiet rows around.

    Measured: flags 0 of 5,454 real photos, on which it was tuned: toothed edges, galls and grain swing up to 7 times
    along such a row, a word more. Of 300 photos each it finds 99 % of captions on a bar, 100 % of phone screens, but
    34 to 39 % of lines written straight on the photo and 14 % of half transparent ones. Made-up text, one typeface.

    Args:
        grey: (H, W), longer side at most 512.
    """
    height, width = grey.shape
    columns, rows = (width - 2) // _CELL_W, height // _CELL_H
    if columns < _MIN_CELLS_W or rows < _MIN_CELLS_H:
        return False
    seen = grey[: rows * _CELL_H, : columns * _CELL_W + 2]  # whole cells: OpenCV averages those five times faster
    steps = cv2.absdiff(seen[:, 2:], seen[:, :-2])
    edges = cv2.threshold(steps, _STROKE_STEP, 255, cv2.THRESH_BINARY)[1]
    density = np.asarray(cv2.resize(edges, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    busy = cv2.threshold(density, _BUSY_SHARE * 255, 1, cv2.THRESH_BINARY)[1]
    joined = cv2.morphologyEx(busy, cv2.MORPH_CLOSE, _BESIDE)
    stats = np.asarray(cv2.connectedComponentsWithStats(joined, connectivity=4)[2][1:], dtype=np.int32)
    wide = stats[stats[:, 2] >= _MIN_CELLS_W].tolist()  # few are left, for which plain numbers are faster
    return any(_is_line(grey, density, box) for *box, area in wide if _shaped_like_line(box, area))


def _shaped_like_line(box: Sequence[int], area: int) -> bool:
    _, _, width, height = box
    return (
        _MIN_CELLS_H <= height <= _MAX_CELLS_H
        and width * _CELL_W >= _MIN_ASPECT * height * _CELL_H
        and area >= _MIN_FILL * width * height
    )


def _is_line(grey: Grey, density: Grey, box: Sequence[int]) -> bool:
    """Look at one candidate; `box` is x, y, width and height in cells."""
    x, y, width, height = box
    columns = slice(x, x + width)
    around = [density[max(0, y - 2) : max(0, y - 1), columns], density[y + height + 1 : y + height + 2, columns]]
    shares = [float(rows.mean()) / 255 for rows in around if rows.size]
    if not shares or max(shares) > _QUIET_SHARE:
        return False
    patch = grey[y * _CELL_H : (y + height) * _CELL_H, x * _CELL_W : (x + width) * _CELL_W]
    swings = _swings_per_px(patch)
    return swings >= max(_MIN_SWINGS_PER_PX, _MIN_SWINGS / patch.shape[1]) and _has_two_levels(patch)


def _swings_per_px(patch: Grey) -> float:
    """Count the changes from getting lighter to getting darker and back, in the middle rows, per pixel of width."""
    rows = patch[len(patch) // 4 : max(len(patch) // 4 + 1, 3 * len(patch) // 4)].astype(np.int16)
    change = rows[:, 2:] - rows[:, :-2]
    changes = 0
    for row in change:
        strong = row[np.abs(row) > _STROKE_STEP] > 0
        changes += int(np.count_nonzero(strong[1:] != strong[:-1]))
    return changes / float(len(rows) * patch.shape[1])


def _has_two_levels(patch: Grey) -> bool:
    """Return whether a second grey level, far from the commonest, holds a share of the pixels."""
    shares = np.convolve(np.bincount(patch.ravel(), minlength=256) / patch.size, np.ones(31), "same")
    first = int(shares.argmax())
    shares[max(0, first - 60) : first + 61] = 0
    second = int(shares.argmax())
    return bool(shares[second] >= _MIN_SECOND_SHARE) and abs(second - first) >= _MIN_GAP
