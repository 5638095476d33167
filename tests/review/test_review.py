"""From predictions to the page: who is on it, in which order, with which words; and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plantset.core.errors import ConfigError, DataError
from plantset.core.language import set_message_language
from plantset.core.records import read_records
from plantset.evaluation.review.config import ReviewConfig
from plantset.evaluation.review.run import review
from tests.review.conftest import Answer, WriteAnswers, write_records

BLIGHT, MILDEW, RUST, HEALTHY = (
    "tomato--late-blight",
    "tomato--powdery-mildew",
    "maize--rust",
    "tomato--healthy",
)


@pytest.fixture
def config(tmp_path: Path, manifest: Path) -> ReviewConfig:
    return ReviewConfig((tmp_path / "predictions.jsonl",), jsonl_file=manifest, output=tmp_path / "review.html")


def shown(page: Path) -> list[str]:
    data = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert data is not None
    return [Path(photo["source_path"]).name for photo in json.loads(data[1])["photos"]]


def mark(manifest: Path, image_path: str, **changes: Any) -> None:
    records = read_records(manifest)
    write_records(manifest, [replace(r, **changes) if r.image_path == image_path else r for r in records])


def test_the_likeliest_error_comes_first_and_the_merely_unsure_last(
    config: ReviewConfig, write_answers: WriteAnswers, answer: Answer
) -> None:
    write_answers(
        answer(f"{RUST}_val_0.jpg", {RUST: 0.5, BLIGHT: 0.4}, "unsure"),
        answer(f"{MILDEW}_val_1.jpg", {HEALTHY: 0.45, MILDEW: 0.4}, "unsure"),
        answer(f"{BLIGHT}_val_2.jpg", {RUST: 0.6, BLIGHT: 0.3}),
        answer(f"{HEALTHY}_val_3.jpg", {BLIGHT: 0.97, HEALTHY: 0.01}),
        answer(f"{RUST}_val_1.jpg", {RUST: 0.7, BLIGHT: 0.2}, "unknown"),
    )

    report = review(config)

    assert shown(config.output) == [
        f"{HEALTHY}_val_3.jpg",
        f"{BLIGHT}_val_2.jpg",
        f"{MILDEW}_val_1.jpg",
        f"{RUST}_val_1.jpg",
        f"{RUST}_val_0.jpg",
    ]
    assert report.doubts == {"label-error": 1, "wrong-sure": 1, "wrong-unsure": 1, "unknown": 1, "unsure": 1}


def test_photos_that_nobody_doubts_are_not_on_the_page(config: ReviewConfig, write_answers: WriteAnswers) -> None:
    write_answers()

    report = review(config)

    assert (report.num_photos, shown(config.output)) == (16, [])


def test_copies_under_two_labels_are_shown_even_where_the_model_is_right(
    config: ReviewConfig, write_answers: WriteAnswers, manifest: Path
) -> None:
    mark(manifest, f"{RUST}_val_0.jpg", issues=("label-conflict",))
    write_answers()

    review(config)

    assert shown(config.output) == [f"{RUST}_val_0.jpg"]


def test_a_photo_that_a_person_has_seen_is_not_shown_again(
    config: ReviewConfig, write_answers: WriteAnswers, answer: Answer, manifest: Path
) -> None:
    mark(manifest, f"{RUST}_val_0.jpg", reviewed="keep")
    write_answers(answer(f"{RUST}_val_0.jpg", {BLIGHT: 0.9}))

    report = review(config)

    assert shown(config.output) == []
    assert report.num_reviewed == 1


def test_limit_keeps_the_most_doubtful_and_says_that_there_are_more(
    config: ReviewConfig, write_answers: WriteAnswers, answer: Answer
) -> None:
    write_answers(answer(f"{RUST}_val_0.jpg", {RUST: 0.5}, "unsure"), answer(f"{HEALTHY}_val_3.jpg", {BLIGHT: 0.97}))

    report = review(replace(config, limit=1))

    assert shown(config.output) == [f"{HEALTHY}_val_3.jpg"]
    assert "--limit 2 shows all" in report.summary()


def test_the_reason_is_said_in_words(config: ReviewConfig, write_answers: WriteAnswers, answer: Answer) -> None:
    write_answers(answer(f"{HEALTHY}_val_3.jpg", {BLIGHT: 0.97, HEALTHY: 0.01}))

    review(config)

    page = config.output.read_text(encoding="utf-8")
    assert "The model gives this label 1%: few labels are believed as little." in page
    assert "The model would answer tomato · late blight without hesitating." in page


def test_the_page_speaks_french(config: ReviewConfig, write_answers: WriteAnswers, answer: Answer) -> None:
    write_answers(answer(f"{HEALTHY}_val_3.jpg", {BLIGHT: 0.97, HEALTHY: 0.01}))
    set_message_language("fr")

    review(config)

    page = config.output.read_text(encoding="utf-8")
    assert '<html lang="fr">' in page
    assert "L&#39;étiquette elle-même est douteuse" in page


def test_the_page_needs_nothing_from_elsewhere(
    config: ReviewConfig, write_answers: WriteAnswers, answer: Answer
) -> None:
    write_answers(answer(f"{HEALTHY}_val_3.jpg", {BLIGHT: 0.97}))

    review(config)

    page = config.output.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"|https?://', page) == []


def test_a_label_cannot_smuggle_in_a_script(
    config: ReviewConfig, write_answers: WriteAnswers, answer: Answer, manifest: Path
) -> None:
    mark(manifest, f"{HEALTHY}_val_3.jpg", label="</script><b>x")
    write_answers(answer(f"{HEALTHY}_val_3.jpg", {BLIGHT: 0.97}))

    review(config)

    assert "</script><b>" not in config.output.read_text(encoding="utf-8")


def test_predictions_of_several_splits_are_put_together(
    config: ReviewConfig, write_answers: WriteAnswers, answer: Answer, tmp_path: Path
) -> None:
    lines = write_answers(answer(f"{HEALTHY}_val_3.jpg", {BLIGHT: 0.97})).read_text(encoding="utf-8").splitlines()
    parts = (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    parts[0].write_text("\n".join(lines[:7]), encoding="utf-8")
    parts[1].write_text("\n".join(lines[7:]), encoding="utf-8")

    assert review(replace(config, predictions=parts)).num_photos == 16


def test_photos_that_were_learned_get_a_warning(
    config: ReviewConfig, write_answers: WriteAnswers, manifest: Path
) -> None:
    mark(manifest, f"{RUST}_val_0.jpg", split="train")
    write_answers()

    assert "learned from the photos of train" in review(config).summary()


def test_the_manifest_is_known_from_the_evaluation(
    config: ReviewConfig, write_answers: WriteAnswers, manifest: Path
) -> None:
    settings = {"jsonl_file": str(manifest), "root_dir": None}
    write_answers().with_name("evaluate_config.json").write_text(json.dumps(settings), encoding="utf-8")

    assert review(replace(config, jsonl_file=None)).num_photos == 16


def test_without_a_manifest_the_flag_is_named(config: ReviewConfig, write_answers: WriteAnswers) -> None:
    write_answers()

    with pytest.raises(ConfigError, match="names the manifest") as caught:
        review(replace(config, jsonl_file=None))

    assert "--jsonl-file" in caught.value.fix


def infer_row(image: Path, probs: dict[str, float], decision: str = "answer") -> dict[str, Any]:
    listed = [{"class_id": name, "label": name, "probability": prob} for name, prob in probs.items()]
    return {"image": str(image), "decision": decision, "candidates": listed}


def write_rows(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_lines_of_infer_on_the_cleaned_photos_are_taken(config: ReviewConfig, manifest: Path) -> None:
    photo = manifest.parent / "images" / f"{RUST}_val_0.jpg"
    write_rows(config.predictions[0], infer_row(photo, {BLIGHT: 0.9}))

    review(config)

    assert shown(config.output) == [photo.name]


def test_lines_of_infer_on_the_source_photos_are_found_by_their_bytes(
    config: ReviewConfig, manifest: Path, tmp_path: Path
) -> None:
    source = tmp_path / "elsewhere.jpg"
    source.write_bytes((manifest.parent / "images" / f"{RUST}_val_0.jpg").read_bytes())
    write_rows(config.predictions[0], infer_row(source, {BLIGHT: 0.9}))

    review(config)

    assert shown(config.output) == [f"{RUST}_val_0.jpg"]


def test_answers_about_other_photos_are_counted_and_the_exit_status_says_so(
    config: ReviewConfig, manifest: Path, tmp_path: Path
) -> None:
    photo = manifest.parent / "images" / f"{RUST}_val_0.jpg"
    odd = {"image": str(tmp_path / "broken.jpg"), "error": "damaged"}
    write_rows(config.predictions[0], infer_row(photo, {BLIGHT: 0.9}), odd)

    report = review(config)

    assert (report.num_left_out, report.exit_code) == (1, 3)


Spoil = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda row: row.update(class_id=BLIGHT), "is called maize--rust in"),
        (lambda row: row.update(image_path="gone.jpg"), "is not in"),
        (lambda row: row.update(decision="perhaps"), "no answer"),
        (lambda row: row.update(top5=[{"class_id": RUST}]), "no answer"),
    ],
)
def test_a_line_that_does_not_fit_is_named(
    config: ReviewConfig, write_answers: WriteAnswers, spoil: Spoil, why: str
) -> None:
    path = write_answers()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    spoil(rows[0])
    write_rows(path, *rows)

    with pytest.raises(DataError) as caught:
        review(config)

    assert "line 1" in caught.value.problem
    assert why in caught.value.problem


def test_one_photo_answered_twice_is_refused(config: ReviewConfig, write_answers: WriteAnswers) -> None:
    path = write_answers()

    with pytest.raises(DataError, match="second answer"):
        review(replace(config, predictions=(path, path)))


def test_a_manifest_without_sources_is_refused(
    config: ReviewConfig, write_answers: WriteAnswers, manifest: Path
) -> None:
    mark(manifest, f"{RUST}_val_0.jpg", source_path=None)
    write_answers()

    with pytest.raises(DataError, match="does not say where"):
        review(config)


def test_a_file_about_nothing_in_the_manifest_is_refused(config: ReviewConfig, tmp_path: Path) -> None:
    write_rows(config.predictions[0], infer_row(tmp_path / "gone.jpg", {BLIGHT: 0.9}))

    with pytest.raises(DataError, match="no line"):
        review(config)


def test_a_photo_that_shows_no_leaf_is_shown_as_one_that_is_unknown(config: ReviewConfig, manifest: Path) -> None:
    photo = manifest.parent / "images" / f"{RUST}_val_0.jpg"
    write_rows(config.predictions[0], infer_row(photo, {RUST: 0.4}, "not a leaf"))

    review(config)

    assert shown(config.output) == [photo.name]
