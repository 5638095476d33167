"""The words agree with the masks."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

from plantset.core.files import read_json
from plantset.demo.diseases import CLASSES
from plantset.demo.wording import count_words, read_masks, share_words
from tests.demo.conftest import Drawing

COUNTED = {demo_class.disease_id for demo_class in CLASSES if demo_class.en.many}


def test_the_share_in_words_is_the_masks_share_in_both_languages(drawing: Drawing) -> None:
    for row in drawing.rows:
        if row["disease_id"].endswith("--healthy"):
            continue
        told = re.search(r"(?:about|less than) (\d+)%", row["texts"]["en"], re.I)
        assert told is not None, row["texts"]["en"]
        told_fr = re.search(r"(?:environ|moins de) (\d+) %", row["texts"]["fr"], re.I)
        assert told_fr is not None, row["texts"]["fr"]

        assert told[1] == told_fr[1]
        assert float(told[1]) == pytest.approx(100 * row["share"], abs=2.51)


def test_the_count_in_words_is_the_number_of_lesions_in_the_mask(drawing: Drawing) -> None:
    for row in drawing.rows:
        if row["disease_id"] not in COUNTED:
            continue
        leaf, lesion = drawing.mask(row, "leaf_mask"), drawing.mask(row, "lesion_mask")
        found = read_masks(leaf.astype(np.uint8) * 255, lesion.astype(np.uint8) * 255, "spread").count

        expected = "one" if found == 1 else count_words(found, "en")
        assert f"{expected} " in row["texts"]["en"]


def test_three_drawn_discs_are_three_lesions_of_their_size() -> None:
    leaf, lesion = np.full((200, 200), 255, np.uint8), np.zeros((200, 200), np.uint8)
    for x in (40, 100, 160):
        cv2.circle(lesion, (x, 100), 10, 255, -1)

    findings = read_masks(leaf, lesion, "spread")

    assert (findings.count, findings.size) == (3, "medium")  # 20 px across on a leaf of 200 × 200
    assert findings.share == pytest.approx(3 * np.pi * 100 / 40_000, rel=0.05)


def test_crumbs_beside_a_large_lesion_are_not_counted() -> None:
    leaf, lesion = np.full((200, 200), 255, np.uint8), np.zeros((200, 200), np.uint8)
    cv2.circle(lesion, (100, 100), 30, 255, -1)
    lesion[10:13, 10:13] = 255

    assert read_masks(leaf, lesion, "spread").count == 1


@pytest.mark.parametrize(
    ("share", "words"), [(0.004, "less than 1%"), (0.034, "about 3%"), (0.131, "about 15%"), (0.62, "about 60%")]
)
def test_a_share_is_told_as_finely_as_an_eye_can_judge(share: float, words: str) -> None:
    assert share_words(share, "en") == words


@pytest.mark.parametrize(("count", "words"), [(7, "7"), (23, "environ 25"), (78, "environ 80"), (140, "plus de 100")])
def test_a_count_is_told_as_finely_as_a_person_would(count: int, words: str) -> None:
    assert count_words(count, "fr") == words


def test_photos_of_one_class_are_not_described_alike(drawing: Drawing) -> None:
    texts = [row["texts"]["fr"] for row in drawing.rows if row["disease_id"] == "tomato--early-blight"]

    assert len(set(texts)) > len(texts) / 2


def test_no_photo_text_names_its_disease(drawing: Drawing) -> None:
    """A description says what is seen; names would make captions a label in words."""
    names = re.compile(r"blight|mildiou|rust\b|rouille|anthracnos|virus|septori|mildew|oïdium|alternari|fumagine", re.I)

    assert not [row["texts"] for row in drawing.rows if names.search(" ".join(row["texts"].values()))]


def test_the_disease_json_is_messy_but_json(drawing: Drawing) -> None:
    diseases = read_json(drawing.folder / "maladies_enrichies.json")

    spellings = {key for entry in diseases.values() for key in entry}
    assert {"symptômes", "symptoms", "symptomes", "Symptômes"} <= spellings
    assert {"agent_causal", "Agent causal"} <= spellings
    values = [value for entry in diseases.values() for value in entry.values()]
    assert {None, "", "None", "Non spécifié"} <= {value for value in values if not isinstance(value, list)}
