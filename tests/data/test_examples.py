"""Labels, notes and caption targets: what may be an input and what is only ever a target."""

from __future__ import annotations

import dataclasses

import pytest

from plantset.core.records import Record
from plantset.core.vocabulary import PAD_ID, TASKS, Task, Vocabulary
from plantset.data.examples import Examples, NotePolicy, caption_targets, task_texts
from plantset.data.sampler import Key
from tests.fake_leaves import CLASS_IDS, TEXTS, leaf_record

RECORDS = tuple(leaf_record(f"{class_id}_{n}.jpg", class_id, "train") for class_id in CLASS_IDS for n in range(3))
LENGTH = 100
EPOCHS = 60
POLICY = NotePolicy()


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    texts = [said.description for by_language in TEXTS.values() for said in by_language.values()]
    return Vocabulary.train(texts, languages=["fr", "en"], size=400)


def _examples(
    vocabulary: Vocabulary | None, notes: NotePolicy | None = POLICY, records: tuple[Record, ...] = RECORDS
) -> Examples:
    return Examples(records, CLASS_IDS, vocabulary=vocabulary, caption_length=LENGTH, notes=notes, seed=0)


def _drawn(examples: Examples) -> list[tuple[int, str | None, int]]:
    """Return (photo, note, class of the note) for each photo in many epochs."""
    keys = [Key(epoch, index) for epoch in range(EPOCHS) for index in range(len(RECORDS))]
    return [(key.index, *examples.note(key)) for key in keys]


def test_the_label_is_the_position_of_the_class_id_in_the_sorted_list(vocabulary: Vocabulary) -> None:
    assert _examples(vocabulary).labels_N.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_no_note_holds_a_description_or_a_name_of_a_class(vocabulary: Vocabulary) -> None:
    notes = _examples(vocabulary).all_notes
    forbidden = [said.description.lower() for by_language in TEXTS.values() for said in by_language.values()]
    forbidden += ["rouille", "rust", "mildiou", "blight", "oïdium", "mildew", "tomat", "maïs", "maize"]

    assert len(notes) >= 15
    assert not [(note, word) for note in notes for word in forbidden if word in note.lower()]


def test_a_changed_description_changes_no_note(vocabulary: Vocabulary) -> None:
    def with_secret(record: Record) -> Record:
        texts = {lang: dataclasses.replace(said, description="Sésame.") for lang, said in record.texts.items()}
        return dataclasses.replace(record, texts=texts, text="Sésame.")

    changed = _examples(vocabulary, records=tuple(map(with_secret, RECORDS)))

    assert _drawn(changed) == _drawn(_examples(vocabulary))


def test_half_of_the_photos_with_symptoms_get_a_note(vocabulary: Vocabulary) -> None:
    sick = [note for index, note, _ in _drawn(_examples(vocabulary)) if RECORDS[index].class_id != "tomato--healthy"]

    share = sum(note is not None for note in sick) / len(sick)

    assert share == pytest.approx(0.5, abs=0.08)  # 540 draws: more than three standard deviations


def test_a_wrong_note_is_drawn_from_any_class_that_has_notes(vocabulary: Vocabulary) -> None:
    examples = _examples(vocabulary, NotePolicy(note_prob=1.0, wrong_note_prob=0.3))

    labels = [examples.note(Key(epoch, 0))[1] for epoch in range(1000)]

    assert set(labels) == {index for index, name in enumerate(CLASS_IDS) if name != "tomato--healthy"}
    assert sum(label != 0 for label in labels) / 1000 == pytest.approx(0.2, abs=0.04)  # 0.3, a third of them its own


def test_a_notes_class_is_the_one_whose_pool_it_is_from(vocabulary: Vocabulary) -> None:
    examples = _examples(vocabulary)
    pools = {
        label: {note for index, note, about in _drawn(examples) if about == label and index // 3 == label}
        for label in range(len(CLASS_IDS))
    }

    wrong = [(note, about) for index, note, about in _drawn(examples) if note is not None and index // 3 != about]

    assert wrong
    assert all(note in pools[about] for note, about in wrong)


def test_every_note_that_is_drawn_is_among_all_notes(vocabulary: Vocabulary) -> None:
    examples = _examples(vocabulary)

    assert {note for _, note, _ in _drawn(examples)} - {None} <= set(examples.all_notes)


def test_a_photo_without_a_note_has_no_class_of_a_note(vocabulary: Vocabulary) -> None:
    assert {label for _, note, label in _drawn(_examples(vocabulary)) if note is None} == {-1}


def test_without_a_policy_no_photo_has_a_note(vocabulary: Vocabulary) -> None:
    assert {(note, label) for _, note, label in _drawn(_examples(vocabulary, None))} == {(None, -1)}


def test_the_same_photo_gets_the_same_note_in_the_same_epoch_and_others_later(vocabulary: Vocabulary) -> None:
    first, second = _examples(vocabulary), _examples(vocabulary)

    assert _drawn(first) == _drawn(second)
    assert len({first.note(Key(epoch, 0)) for epoch in range(EPOCHS)}) > 3


def _asked(vocabulary: Vocabulary, epochs: int = EPOCHS) -> list[tuple[Task, str, str]]:
    """Return (task, language, text) of the first photo's caption in many epochs."""
    prompts = {
        tuple(vocabulary.prompt_ids(language, task)): (task, language) for task in TASKS for language in ("en", "fr")
    }
    rows = [_examples(vocabulary).caption(Key(epoch, 0)).tolist() for epoch in range(epochs)]
    return [(*prompts[tuple(row[:2])], vocabulary.decode(row)) for row in rows]


def test_a_caption_answers_what_its_prompt_asks(vocabulary: Vocabulary) -> None:
    said = {language: TEXTS[CLASS_IDS[0]][language] for language in ("fr", "en")}

    asked = set(_asked(vocabulary))

    expected = {("DESCRIBE", language, text.description) for language, text in said.items()}
    expected |= {("SYMPTOMS", language, " ".join(text.symptoms)) for language, text in said.items() if text.symptoms}
    expected |= {
        ("TREATMENT", language, " ".join(text.management)) for language, text in said.items() if text.management
    }
    assert {triple for triple in asked if triple[0] != "CLASSIFY"} == expected


def test_the_answer_to_classify_is_disease_and_crop_in_the_language_of_the_prompt(vocabulary: Vocabulary) -> None:
    record = dataclasses.replace(RECORDS[0], disease_id="tomato--late-blight")

    texts = task_texts(record)

    assert texts["CLASSIFY", "en"] == "late blight of tomato"
    assert texts["CLASSIFY", "fr"] == "mildiou de la tomate"


def test_a_class_that_the_catalogue_lacks_has_the_users_name_in_the_users_language() -> None:
    record = Record("a.jpg", "x", "train", disease="tache noire", class_id="user--x", language="fr")

    assert task_texts(record) == {("CLASSIFY", "fr"): "tache noire"}


def test_seven_in_ten_captions_are_descriptions(vocabulary: Vocabulary) -> None:
    tasks = [task for task, _, _ in _asked(vocabulary, 600)]

    assert 0.63 < tasks.count("DESCRIBE") / len(tasks) < 0.77


def test_a_task_that_is_not_asked_is_never_drawn(vocabulary: Vocabulary) -> None:
    examples = Examples(
        RECORDS, CLASS_IDS, vocabulary=vocabulary, caption_length=LENGTH, notes=None, seed=0, tasks=("SYMPTOMS",)
    )

    firsts = {int(examples.caption(Key(epoch, 0))[0]) for epoch in range(EPOCHS)}

    assert firsts == {vocabulary.prompt_ids("fr", "SYMPTOMS")[0]}


def test_a_photo_without_a_text_has_a_caption_of_padding(vocabulary: Vocabulary) -> None:
    bare = Record("a.jpg", "x", "train", class_id=CLASS_IDS[0])

    assert set(_examples(vocabulary, records=(bare,)).caption(Key(0, 0)).tolist()) == {PAD_ID}


def test_a_minimal_record_trains_without_notes(vocabulary: Vocabulary) -> None:
    bare = Record("a.jpg", "x", "train", text="Une feuille.", class_id=CLASS_IDS[0])

    assert _examples(vocabulary, records=(bare,)).all_notes == []


def test_the_records_own_text_is_the_target_in_its_language() -> None:
    record = dataclasses.replace(RECORDS[0], text="Trois taches au bord.", language="fr")

    assert caption_targets(record) == {"fr": "Trois taches au bord.", "en": TEXTS[CLASS_IDS[0]]["en"].description}
