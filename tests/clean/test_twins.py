"""Which class names are proposed as one class, and which never."""

from __future__ import annotations

import pytest

from plantset.clean.twins import class_twins


@pytest.mark.parametrize(
    "names",
    [
        ("Anthracnose", "Antracnose"),
        ("late_blight", "lateblight"),
        ("Early Blight", "early-blight"),
        ("Leaf miner", "Leaf miners"),
        ("Leaf gall fly", "Leaf gall flies"),
        ("Grasshoper", "Grasshopper"),
        ("Gray leaf spot", "Grey leaf spot"),
        ("Orange haunglongbing", "Orange huanglongbing"),
        ("Phytophthora rot", "Phytoptora rot"),
        ("Tomato healthy", "Tomato healty"),
        ("rouille sèche", "rouille seche"),
        ("Tomato Early blihgt", "Tomato Early blight"),
    ],
)
def test_two_spellings_of_one_class_are_twins(names: tuple[str, str]) -> None:
    assert class_twins(names) == (tuple(sorted(names)),)


@pytest.mark.parametrize(
    "names",
    [
        ("Early blight", "Late blight"),
        ("Leaf spot", "Leaf rot"),
        ("Brown rust", "Crown rust"),
        ("Potato healthy", "Tomato healthy"),
        ("Apple healthy", "Maple healthy"),
        ("Pea healthy", "Peach healthy"),
        ("Variety 12", "Variety 13"),
        ("Plot 1 2", "Plot 12"),
        ("Bacterial spot", "Bacterial speck"),
        ("healthy", "unhealthy"),
        ("Mosaic", "Mosaic virus"),
        ("Tobamoviruses", "Tospoviruses"),
        ("Magnesium deficiency", "Manganese deficiency"),
        ("Potato virus X", "Potato virus Y"),
        ("N", "Ni"),
        ("+", "-"),
    ],
)
def test_two_classes_with_similar_names_are_no_twins(names: tuple[str, str]) -> None:
    assert class_twins(names) == ()


def test_three_spellings_are_one_family() -> None:
    assert class_twins(["Antracnose", "Anthracnose", "ANTHRACNOSE", "Rust"]) == (
        ("ANTHRACNOSE", "Anthracnose", "Antracnose"),
    )
