from __future__ import annotations

import json
import math
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import sacrebleu

from plantset.evaluation.generation import (
    distinct_ngrams,
    mean_rouge,
    normalize_text,
    repeat_share,
    score_likelihood,
    score_texts,
    unicode_words,
)

FRENCH = "L’été, des taches brunes âgées s’étendent à « cœur » de la feuille."


def test_decomposed_accents_score_as_composed_ones() -> None:
    decomposed = unicodedata.normalize("NFD", FRENCH)

    scores = score_texts([decomposed], [[FRENCH]])

    assert scores.bleu == pytest.approx(100.0)
    assert scores.chrf == pytest.approx(100.0)


def test_both_apostrophes_score_alike() -> None:
    scores = score_texts([FRENCH.replace("’", "'")], [[FRENCH]])

    assert scores.bleu == pytest.approx(100.0)
    assert scores.rouge_l == pytest.approx(1.0)


def test_a_lost_accent_costs() -> None:
    scores = score_texts([FRENCH.replace("é", "e")], [[FRENCH]])

    assert scores.rouge1 < 0.8


def test_french_words_are_whole() -> None:
    assert unicode_words("L’été âgée à  « cœur » : 3 taches") == ["l", "été", "âgée", "à", "cœur", "3", "taches"]


def test_normal_text_keeps_case_and_accents() -> None:
    assert normalize_text("  Été\n d’Eté ") == "Été d'Eté"


def test_rouge_is_the_one_worked_out_by_hand() -> None:
    """Candidate: la feuille âgée; reference: la feuille est âgée. 3 words of 3 and 4; pairs 1 of 2 and 3; LCS 3."""
    scores = mean_rouge(["la feuille âgée"], [["la feuille est âgée"]])

    assert scores["rouge1"] == pytest.approx(2 * 1 * 0.75 / 1.75)
    assert scores["rouge2"] == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert scores["rougeL"] == pytest.approx(2 * 1 * 0.75 / 1.75)


def test_rouge_takes_the_best_of_several_references() -> None:
    scores = mean_rouge(["taches brunes"], [["rouille orange", "taches brunes"]])

    assert scores["rouge1"] == 1.0


def test_bleu_and_chrf_equal_sacrebleus_own() -> None:
    texts = ["Des taches brunes sur la feuille.", "Une poudre blanche couvre le limbe."]
    references = ["Des taches brunes et rondes sur la feuille.", "Un duvet blanc couvre le limbe entier."]

    scores = score_texts(texts, [[reference] for reference in references])

    assert scores.bleu == pytest.approx(sacrebleu.corpus_bleu(texts, [references], tokenize="intl").score)
    assert scores.chrf == pytest.approx(sacrebleu.corpus_chrf(texts, [references], word_order=2).score)


def test_bleu_and_chrf_equal_the_sacrebleu_command(tmp_path: Path) -> None:
    texts = ["Des taches brunes, « âgées », sur la feuille…", "Une poudre blanche couvre le limbe."]
    references = ["Des taches brunes et rondes sur la feuille…", "Un duvet blanc couvre le limbe entier."]
    for name, lines in (("texts", texts), ("references", references)):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    said = subprocess.run(
        [
            sys.executable, "-m", "sacrebleu", "references", "-i", "texts", "-m", "bleu", "chrf", "--tokenize", "intl",
            "--chrf-word-order", "2", "--format", "json", "--width", "6",
        ],
        cwd=tmp_path, check=True, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip

    theirs = {row["name"]: row["score"] for row in json.loads(said.stdout)}
    ours = score_texts(texts, [[reference] for reference in references])
    assert ours.bleu == pytest.approx(theirs["BLEU"], abs=1e-5)
    assert ours.chrf == pytest.approx(theirs["chrF2++"], abs=1e-5)


def test_signatures_say_how_the_numbers_were_made() -> None:
    scores = score_texts([FRENCH], [[FRENCH]])

    assert "tok:intl" in scores.bleu_signature
    assert "nw:2" in scores.chrf_signature


def test_photos_may_have_different_numbers_of_references() -> None:
    texts = ["taches brunes sur la feuille", "poudre blanche sur le limbe"]
    scores = score_texts(texts, [["rien de tel", texts[0]], [texts[1]]])

    assert scores.bleu == pytest.approx(100.0)
    assert scores.rouge_l == pytest.approx(1.0)


def test_an_empty_description_scores_zero() -> None:
    scores = score_texts([""], [[FRENCH]])

    assert scores.bleu == scores.chrf == scores.rouge1 == scores.distinct_1 == scores.mean_words == 0.0


@pytest.mark.parametrize("references", [[], [[]], [["a"], ["b"]]])
def test_a_text_without_reference_is_refused(references: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="references"):
        score_texts(["a"], references)


def test_perplexity_is_that_of_all_tokens_together() -> None:
    """Ten tokens at ln 2 each: perplexity 2; 20 bytes: half a bit per byte."""
    scores = score_likelihood(10 * math.log(2), 10, 20)

    assert scores.perplexity == pytest.approx(2.0)
    assert scores.bits_per_byte == pytest.approx(0.5)


def test_no_token_has_no_perplexity() -> None:
    with pytest.raises(ValueError, match="0 tokens"):
        score_likelihood(0.0, 0, 10)


def test_distinct_counts_each_word_pair_once() -> None:
    words = [["a", "b", "a", "b"]]

    assert distinct_ngrams(words, 1) == 2 / 4
    assert distinct_ngrams(words, 2) == 2 / 3


def test_texts_given_twice_are_repeats() -> None:
    assert repeat_share(["a", "a", "b", "c"]) == 0.5
