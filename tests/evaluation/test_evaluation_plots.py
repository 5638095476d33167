from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from plantset.evaluation.plots import order_by_crop, plot_confusions


def size_of(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        return image.size


def test_classes_stand_by_crop_and_those_of_no_crop_last() -> None:
    names = ["any--aphids", "maize--rust", "tomato--late-blight", "potato--late-blight"]

    assert order_by_crop(names, [None, "maize", "tomato", "potato"]) == [1, 3, 2, 0]


def test_the_matrix_of_133_classes_leaves_room_for_every_name() -> None:
    names = [f"crop-{index // 12:02}--disease-{index:03}" for index in range(133)]
    counts = np.eye(133, dtype=np.int64) * 5

    width, height = size_of(plot_confusions(counts, names, [name[:7] for name in names])[0])

    assert width > 133 * 14  # 14 px a row hold a 6.5 pt letter at 110 dpi
    assert height > 133 * 14


def test_classes_that_nobody_saw_or_said_take_no_room() -> None:
    names = [f"c{index:03}" for index in range(133)]
    counts = np.zeros((133, 133), dtype=np.int64)
    counts[0, 1] = counts[1, 1] = 3

    assert max(size_of(plot_confusions(counts, names, [None] * 133)[0])) < 1200


@pytest.mark.parametrize("crops", [["a"], [None]])
def test_one_class_can_be_drawn(crops: list[str | None]) -> None:
    assert plot_confusions(np.array([[4]]), ["a--rust"], crops)[0].startswith(b"\x89PNG")


def test_the_same_counts_give_the_same_picture() -> None:
    counts = np.array([[4, 1], [0, 3]])

    assert plot_confusions(counts, ["a", "b"], [None, None]) == plot_confusions(counts, ["a", "b"], [None, None])


def test_the_matrix_as_svg_keeps_its_names_as_text() -> None:
    names = [f"crop · disease {index:03}" for index in range(133)]

    svg = plot_confusions(np.eye(133, dtype=np.int64), names, [None] * 133)[1].decode("utf-8")

    assert svg.count("crop · disease 132") >= 2  # on both sides
