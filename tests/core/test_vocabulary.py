"""The captioner's vocabulary: rows of ids and back."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from plantset.core.vocabulary import (
    END_ID,
    PAD_ID,
    TASKS,
    CaptionVocabulary,
    LanguageModelVocabulary,
    Vocabulary,
    vocabulary_from_json,
)

TEXTS = ("Des taches brunes sur la feuille.", "Brown spots on the leaf.", "« Rouille » orangée…")
VOCABULARY = Vocabulary.train(TEXTS, languages=["fr", "en"], size=400)


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=30))
def test_any_text_comes_back_composed_and_stripped(text: str) -> None:
    row = VOCABULARY.encode(text, language="fr", length=400)

    assert VOCABULARY.decode(row) == unicodedata.normalize("NFC", text).strip()


def test_a_row_is_prompt_text_end_and_padding() -> None:
    row = VOCABULARY.encode("taches", language="en", length=20).tolist()

    end = row.index(END_ID)
    assert row[:2] == VOCABULARY.prompt_ids("en")
    assert VOCABULARY.decode(row[2:end]) == "taches"
    assert set(row[end + 1 :]) == {PAD_ID}
    assert len(row) == 20


def test_a_text_that_is_too_long_is_cut_and_has_no_end() -> None:
    row = VOCABULARY.encode(" ".join(TEXTS), language="fr", length=6).tolist()

    assert len(row) == 6
    assert END_ID not in row
    assert PAD_ID not in row


def test_composed_and_decomposed_accents_are_the_same_ids() -> None:
    text = "orangée"

    rows = [VOCABULARY.encode(unicodedata.normalize(form, text), language="fr", length=20) for form in ("NFC", "NFD")]

    assert rows[0].tolist() == rows[1].tolist()


def test_the_same_texts_in_another_order_give_the_same_ids() -> None:
    again = Vocabulary.train(reversed(TEXTS), languages=["en", "fr", "fr"], size=400)

    assert again.to_json() == VOCABULARY.to_json()


def test_a_vocabulary_comes_back_from_json() -> None:
    restored = Vocabulary.from_json(VOCABULARY.to_json())

    assert len(restored) == len(VOCABULARY)
    assert restored.languages == ("en", "fr")
    assert (
        restored.encode(TEXTS[0], language="fr", length=30).tolist()
        == VOCABULARY.encode(TEXTS[0], language="fr", length=30).tolist()
    )


def test_a_vocabulary_is_no_larger_than_asked() -> None:
    words = [f"mot{number} mot{number}" for number in range(500)]

    assert len(Vocabulary.train(words, languages=["fr"], size=300)) == 300


def test_an_unknown_language_has_no_prompt() -> None:
    with pytest.raises(KeyError):
        VOCABULARY.prompt_ids("de")


def test_a_row_begins_with_the_task_that_is_asked() -> None:
    rows = {
        task: VOCABULARY.encode("taches", language="fr", length=20, task=task).tolist() for task in VOCABULARY.tasks
    }

    assert len({row[0] for row in rows.values()}) == len(TASKS) == 4
    assert len({tuple(row[1:]) for row in rows.values()}) == 1


def test_a_vocabulary_from_before_the_tasks_knows_one() -> None:
    old = Vocabulary.from_json(VOCABULARY.to_json().replace("<TREATMENT>", "<else>").replace("<SYMPTOMS>", "<other>"))

    assert old.tasks == ("DESCRIBE", "CLASSIFY")
    with pytest.raises(KeyError):
        old.prompt_ids("fr", "TREATMENT")


def _language_model() -> LanguageModelVocabulary:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<unk>", "<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return LanguageModelVocabulary(tokenizer, end_id=2, languages=["fr", "en", "fr"])


LANGUAGE_MODEL = _language_model()


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=30))
def test_any_text_comes_back_from_a_language_models_words(text: str) -> None:
    row = LANGUAGE_MODEL.encode(text, language="fr", length=400)

    assert LANGUAGE_MODEL.decode(row) == unicodedata.normalize("NFC", text).strip()


def test_a_row_in_a_language_models_words_has_the_same_frame() -> None:
    row = LANGUAGE_MODEL.encode("taches", language="en", length=20, task="SYMPTOMS").tolist()

    assert row[:2] == [2 + 2, 2 + 4]  # behind padding and end: four tasks, then en, fr
    end = row.index(END_ID)
    assert all(token >= 2 + 6 + 3 for token in row[2:end])  # no <s> or </s> of the tokenizer's own template
    assert set(row[end + 1 :]) == {PAD_ID}
    assert LANGUAGE_MODEL.count("taches") == end + 1


@pytest.mark.parametrize("vocabulary", [VOCABULARY, LANGUAGE_MODEL], ids=["own", "language model"])
def test_either_vocabulary_comes_back_from_the_same_json_reader(vocabulary: CaptionVocabulary) -> None:
    restored = vocabulary_from_json(vocabulary.to_json())

    assert type(restored) is type(vocabulary)
    assert (len(restored), restored.languages, restored.tasks) == (len(vocabulary), ("en", "fr"), TASKS)
    assert (
        restored.encode(TEXTS[2], language="fr", length=30).tolist()
        == vocabulary.encode(TEXTS[2], language="fr", length=30).tolist()
    )
