from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plantset.core.errors import DataError
from plantset.core.records import Record, Texts
from plantset.evaluation.captions import (
    CaptionScores,
    DescribedPhotos,
    caption_text,
    choose_described,
    find_references,
    most_common_text,
    read_reference_texts,
    score_captions,
)
from plantset.evaluation.generation import score_likelihood

RUST = Record("rust.jpg", "rust", "val", text="des pustules orange sous la feuille", class_id="a--rust")
BLIGHT = Record("blight.jpg", "blight", "val", text="des taches brunes au bord du limbe", class_id="b--blight")


def describe(generated: tuple[str, ...], predicted: tuple[str, ...] = ("a--rust", "b--blight")) -> CaptionScores:
    described = DescribedPhotos(
        records=(RUST, BLIGHT),
        references=((RUST.text,), (BLIGHT.text,)),
        generated=generated,
        predicted=predicted,
        likelihood=score_likelihood(1.0, 2, 3),
    )
    training = [replace(RUST, split="train"), replace(RUST, split="train"), replace(BLIGHT, split="train")]
    return score_captions(described, training, language="fr", num_with_reference=2, rng=np.random.default_rng(0))


def test_looking_up_the_class_is_perfect_when_every_class_has_one_text() -> None:
    scores = describe(("x", "y"))

    assert scores.class_text.bleu == pytest.approx(100.0)
    assert scores.model.chrf < 5


def test_looking_up_a_wrong_class_is_not() -> None:
    scores = describe(("x", "y"), predicted=("b--blight", "a--rust"))

    assert scores.class_text.bleu < 10


def test_the_most_frequent_text_is_right_for_its_own_photos() -> None:
    scores = describe(("x", "y"))

    assert scores.most_frequent.rouge1 == pytest.approx((1 + 2 / 13) / 2)  # "des" alone is shared by 6 and 7 words


def test_captions_of_another_photo_score_lower_than_their_own() -> None:
    scores = describe((RUST.text, BLIGHT.text))

    assert scores.model.bleu == pytest.approx(100.0)
    assert scores.shuffled_photos is not None
    assert scores.shuffled_photos.bleu < 10


def test_equal_texts_are_chosen_by_alphabet_so_that_runs_agree() -> None:
    assert most_common_text(["b", "a", "b", "a", "c"]) == "a"


def test_the_text_of_another_language_is_found_in_the_texts() -> None:
    record = replace(RUST, texts={"en": Texts(description="orange pustules")})

    assert caption_text(record, "en") == "orange pustules"
    assert caption_text(record, "fr") == RUST.text


def test_all_photos_with_a_reference_are_described_when_no_count_is_given() -> None:
    assert choose_described([("a",), (), ("b",)], None, np.random.default_rng(0)) == [0, 2]


def test_the_described_photos_are_a_sample_of_those_with_a_reference() -> None:
    references = [("a",) if index % 2 else () for index in range(100)]

    chosen = choose_described(references, 10, np.random.default_rng(0))

    assert len(chosen) == 10
    assert all(index % 2 for index in chosen)
    assert chosen == sorted(set(chosen))


def test_reference_texts_replace_the_records_own(tmp_path: Path) -> None:
    path = tmp_path / "references.jsonl"
    path.write_text('{"image_path": "rust.jpg", "references": ["une", "deux"]}\n', encoding="utf-8")

    found = find_references([RUST, BLIGHT], "fr", read_reference_texts(path))

    assert found == [("une", "deux"), ()]


@pytest.mark.parametrize(
    "line",
    ['{"references": ["a"]}', '{"image_path": "a.jpg"}', '{"image_path": "a.jpg", "references": [" "]}'],
)
def test_a_bad_line_of_reference_texts_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "references.jsonl"
    path.write_text('{"image_path": "a.jpg", "references": ["a"]}\n' + line + "\n", encoding="utf-8")

    with pytest.raises(DataError, match=r"references.jsonl line 2|references.jsonl ligne 2"):
        read_reference_texts(path)


def test_reference_texts_of_other_photos_are_an_error() -> None:
    with pytest.raises(DataError, match=r"rust\.jpg"):
        find_references([RUST], "fr", {"elsewhere/rust.jpg": ("a",)})
