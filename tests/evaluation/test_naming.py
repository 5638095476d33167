from __future__ import annotations

import numpy as np
import pytest

from plantset.core.classes import ClassInfo
from plantset.core.records import Texts
from plantset.evaluation.naming import NamingScores, score_naming
from plantset.knowledge.naming import named_classes


def info(class_id: str, disease: str, description: str) -> ClassInfo:
    return ClassInfo(
        class_id, class_id, crop=class_id.split("--")[0], disease=disease, texts={"fr": Texts(description=description)}
    )


CLASSES = (
    info("maize--rust", "rouille commune", "Rouille commune du maïs. De petites pustules."),
    info("tomato--early-blight", "alternariose", "Alternariose de la tomate. Des taches à anneaux."),
    info("tomato--late-blight", "mildiou", "Mildiou de la tomate. De grandes plaques."),
)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Mildiou de la tomate. Des mots de la machine.", {"tomato--late-blight"}),
        ("MILDIOU DE LA TOMATE", {"tomato--late-blight"}),
        ("Alternariose du poivron. Des taches.", {"tomato--early-blight"}),
        ("Des taches rondes. Mildiou de la tomate.", set()),
        ("", set()),
    ],
)
def test_the_opening_sentence_names_the_class(text: str, named: set[str]) -> None:
    assert named_classes(text, CLASSES, "fr") == named


def test_a_longer_name_is_not_taken_for_the_shorter_one_in_it() -> None:
    classes = (info("x--rust", "rouille", "Rouille de x."), info("y--red-rust", "rouille rouge", "Rouille rouge de y."))

    assert named_classes("Rouille rouge du manguier. Des taches.", classes, "fr") == {"y--red-rust"}


def test_classes_that_open_alike_are_all_meant() -> None:
    classes = (info("a--x", "oïdium", "Un voile blanc. Puis."), info("b--y", "autre", "Un voile blanc. Enfin."))

    assert named_classes("Un voile blanc. Rien d'autre.", classes, "fr") == {"a--x", "b--y"}


def score(named: list[set[str]], answered: list[str]) -> NamingScores:
    return score_naming(
        [frozenset(ids) for ids in named],
        ["tomato--late-blight"] * 4,
        answered,
        CLASSES,
        np.arange(4),
        bootstrap_count=50,
        rng=np.random.default_rng(0),
    )


def test_shares_are_over_all_described_photos() -> None:
    """Four photos of late blight: named right, as the other tomato disease, as maize, and not at all."""
    scores = score(
        [{"tomato--late-blight"}, {"tomato--early-blight"}, {"maize--rust"}, set()],
        ["tomato--late-blight", "tomato--late-blight", "tomato--early-blight", "maize--rust"],
    )

    assert scores.num_naming == 3
    assert scores.class_right.value == 0.25
    assert scores.crop_right.value == 0.5
    assert scores.contradicts.value == 0.5
    assert scores.contradicts_crop.value == 0.25


def test_a_text_that_follows_a_wrong_answer_is_wrong_but_contradicts_nothing() -> None:
    scores = score([{"maize--rust"}] * 4, ["maize--rust"] * 4)

    assert scores.class_right.value == 0.0
    assert scores.contradicts.value == 0.0
