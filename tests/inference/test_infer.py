"""`plantset infer`: photos from disk, answers as text, JSON and JSON lines."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from plantset.cli import main
from plantset.core.errors import ConfigError, DataError
from plantset.core.language import set_message_language
from plantset.core.page import percent
from plantset.core.photo import PhotoError
from plantset.inference.answer import CSV_COLUMNS
from plantset.inference.config import InferConfig
from plantset.inference.run import find_photos, infer
from plantset.models.decision import make_unknown_rule
from plantset.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.fake_leaves import CLASS_IDS


@pytest.fixture
def folder(photos_dir: Path, tmp_path: Path) -> Path:
    """Eight photos, of which the second is torn, and a file that is no photo."""
    copied = tmp_path / "photos"
    shutil.copytree(photos_dir, copied)
    (copied / "notes.txt").write_text("no photo")
    torn = sorted(copied.glob("*.jpg"))[1]
    torn.write_bytes(torn.read_bytes()[:300])
    return copied


def test_a_photo_gets_an_answer_and_exit_code_zero(checkpoint: Path, photo: Path) -> None:
    report = infer(InferConfig(checkpoint, photo, device="cpu"))

    assert len(report.answers) == 1
    assert report.exit_code == 0
    assert percent(report.answers[0].prediction.candidates[0].probability) in report.summary()  # type: ignore[union-attr]


def test_a_torn_photo_of_a_folder_gets_an_error_and_the_others_their_answers(checkpoint: Path, folder: Path) -> None:
    report = infer(InferConfig(checkpoint, folder, device="cpu", batch_size=3))

    failed = [answer for answer in report.answers if answer.prediction is None]
    assert len(report.answers) == 8
    assert [answer.path for answer in failed] == [sorted(folder.glob("*.jpg"))[1]]
    assert failed[0].path.name in str(failed[0].error)
    assert report.exit_code == 3


def test_answers_do_not_depend_on_the_batch_size(checkpoint: Path, photos_dir: Path) -> None:
    firsts = [
        [answer.prediction.candidates[0].class_id for answer in infer(config).answers]  # type: ignore[union-attr]
        for config in (InferConfig(checkpoint, photos_dir, device="cpu", batch_size=size) for size in (1, 8))
    ]

    assert firsts[0] == firsts[1]


def test_a_folder_of_torn_photos_alone_gets_errors_alone(checkpoint: Path, folder: Path) -> None:
    for path in folder.glob("*.jpg"):
        path.write_bytes(b"torn")

    report = infer(InferConfig(checkpoint, folder, device="cpu"))

    assert all(answer.error for answer in report.answers)


def test_a_single_torn_photo_is_the_users_error(checkpoint: Path, folder: Path) -> None:
    torn = sorted(folder.glob("*.jpg"))[1]

    with pytest.raises(PhotoError, match=torn.name):
        infer(InferConfig(checkpoint, torn, device="cpu"))


def test_the_command_exits_2_for_a_single_torn_photo_and_names_it(
    checkpoint: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = sorted(folder.glob("*.jpg"))[1]

    code = _exit_code(["infer", "--checkpoint", str(checkpoint), "--image", str(torn), "--device", "cpu"])

    assert code == 2
    assert torn.name in capsys.readouterr().err


def test_the_command_exits_3_when_a_photo_of_a_folder_is_torn(
    checkpoint: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = _exit_code(["infer", "--checkpoint", str(checkpoint), "--image", str(folder), "--device", "cpu"])

    assert code == 3
    assert "erreur" in (shown := capsys.readouterr().out) or "error" in shown


def _exit_code(arguments: list[str]) -> int:
    try:
        return int(main(arguments) or 0)
    except SystemExit as ended:
        return int(ended.code or 0)


_KEYS = {
    "image", "decision", "confidence", "warnings", "candidates", "prediction_set", "familiarity", "description", "card",
    "note", "model", "schema_version", "plantset_version",
}  # fmt: skip


def test_the_json_has_the_documented_keys(checkpoint: Path, photo: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "answers.json"

    infer(
        InferConfig(
            checkpoint, photo, text="la rouille, pustules", generate_description=True, output=output, device="cpu"
        )
    )

    (row,) = json.loads(output.read_text(encoding="utf-8"))
    assert set(row) == _KEYS
    assert row["image"] == photo.as_posix()
    assert set(row["candidates"][0]) == {"class_id", "label", "crop", "disease", "probability"}
    assert set(row["card"]) == {
        "language",
        "description",
        "symptoms",
        "management",
        "source",
        "conditions",
        "confused_with",
        "sources",
    }
    assert set(row["note"]) == {"given", "used", "names_masked", "first_without", "changed_answer"}
    assert set(row["description"]) == {"text", "language", "generated", "contradicts", "names"}
    assert row["description"]["generated"] is True
    assert row["schema_version"] == 5


def test_json_lines_have_a_row_a_photo_and_an_error_row_for_the_torn_one(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "answers.jsonl"

    infer(InferConfig(checkpoint, folder, output=output, device="cpu"))

    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 8
    assert [set(row) for row in rows if "error" in row] == [{"image", "error"}]
    assert all(set(row) == _KEYS for row in rows if "error" not in row)


def test_a_masked_name_is_said(checkpoint: Path, photo: Path) -> None:
    summary = infer(InferConfig(checkpoint, photo, text="la rouille, pustules orange", device="cpu")).summary()

    assert "[...]" in summary
    assert "la rouille, pustules" not in summary


def test_a_model_without_notes_says_that_it_did_not_read_the_note(unsure_checkpoint: Path, photo: Path) -> None:
    with_note, without = (
        infer(InferConfig(unsure_checkpoint, photo, text=text, device="cpu")).summary() for text in ("taches", None)
    )

    assert len(with_note.splitlines()) == len(without.splitlines()) + 1


def test_an_unsure_answer_is_said_before_its_candidates(
    unsure_checkpoint: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTSET_LANG", "en")

    lines = infer(InferConfig(unsure_checkpoint, photo, device="cpu")).summary().splitlines()

    assert lines[0].startswith(f"{photo}: not sure; perhaps ")
    assert lines[1].startswith("  ! too few pixels")
    assert "%" in lines[2]


def test_a_contradicting_number_of_classes_lists_them(checkpoint: Path, photo: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        infer(InferConfig(checkpoint, photo, num_classes=133, device="cpu"))

    assert all(name in refused.value.problem for name in CLASS_IDS)


@pytest.mark.parametrize(("setting", "value"), [("top_k", 0), ("batch_size", 0), ("output", Path("answers.xlsx"))])
def test_a_wrong_setting_is_refused_by_its_flag(checkpoint: Path, photo: Path, setting: str, value: object) -> None:
    with pytest.raises(ConfigError) as refused:
        infer(InferConfig(checkpoint, photo, device="cpu", **{setting: value}))  # type: ignore[arg-type]

    assert f"--{setting.replace('_', '-')}" in refused.value.problem


def test_photos_of_subfolders_are_found_in_order_whatever_the_case_of_their_suffix(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "a/1.png", "a/note.txt", "c.jpeg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()

    assert [path.relative_to(tmp_path).as_posix() for path in find_photos(tmp_path)] == ["a/1.png", "b/2.JPG", "c.jpeg"]


@pytest.mark.parametrize("name", ["gone.jpg", "empty"])
def test_nothing_to_look_at_is_said_with_the_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(DataError, match=name):
        find_photos(tmp_path / name)


def test_a_pattern_names_the_photos_that_fit_it(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/1.txt", "b/2.jpg", "b/c/3.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    one_level, every_level = (
        [path.relative_to(tmp_path).as_posix() for path in find_photos(tmp_path / pattern)]
        for pattern in ("*/*", "**/*.jpg")
    )
    assert one_level == ["a/1.jpg", "b/2.jpg"]
    assert every_level == ["a/1.jpg", "b/2.jpg", "b/c/3.jpg"]


def test_a_pattern_that_names_no_photo_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\*\.jpg"):
        find_photos(tmp_path / "*.jpg")


def test_photos_of_a_pattern_keep_their_folders_among_the_maps(checkpoint: Path, photo: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(photo, tmp_path / folder / "leaf.jpg")

    infer(InferConfig(checkpoint, tmp_path / "*" / "leaf.jpg", explain=tmp_path / "maps", device="cpu"))

    assert sorted(path.relative_to(tmp_path / "maps").as_posix() for path in (tmp_path / "maps").rglob("*.png")) == [
        "a/leaf.jpg.png",
        "b/leaf.jpg.png",
    ]


def test_the_table_has_the_documented_columns_and_a_line_a_photo(
    checkpoint: Path, folder: Path, tmp_path: Path
) -> None:
    infer(InferConfig(checkpoint, folder, output=tmp_path / "answers.csv", device="cpu"))

    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [bool(row["error"]) for row in rows] == [index == 1 for index in range(8)]
    assert rows[1]["class_id"] == ""


def test_the_table_says_what_the_json_says(checkpoint: Path, photo: Path, tmp_path: Path) -> None:
    for name in ("answers.csv", "answers.json"):
        infer(InferConfig(checkpoint, photo, output=tmp_path / name, device="cpu"))

    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    (answer,) = json.loads((tmp_path / "answers.json").read_text(encoding="utf-8"))
    assert float(row["probability"]) == answer["candidates"][0]["probability"]
    assert row["prediction_set"].split("|") == [candidate["class_id"] for candidate in answer["prediction_set"]]
    assert row["model_digest"] == answer["model"]["digest"]


def test_an_answer_names_the_model_that_gave_it(checkpoint: Path, photo: Path, tmp_path: Path) -> None:
    infer(InferConfig(checkpoint, photo, output=tmp_path / "answers.json", device="cpu"))

    (row,) = json.loads((tmp_path / "answers.json").read_text(encoding="utf-8"))
    stored = torch.load(checkpoint, weights_only=True)
    assert row["model"]["digest"] == stored["digest"]
    assert row["model"]["plantset_version"] == json.loads(stored["meta"])["plantset_version"]


def test_ones_own_catalogue_names_ones_own_disease(checkpoint: Path, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tomato.yaml").write_text(
        "diseases:\n  late-blight:\n    fr: brûlure du village\n", encoding="utf-8"
    )
    set_message_language("fr")

    summary = infer(
        InferConfig(checkpoint, photo, device="cpu", language="fr", catalogue=tmp_path / "own", catalogue_override=True)
    ).summary()

    assert "brûlure du village (tomate)  [tomato--late-blight]" in summary


def test_a_wrong_catalogue_is_the_users_mistake(checkpoint: Path, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone"):
        infer(InferConfig(checkpoint, photo, device="cpu", catalogue=tmp_path / "gone"))


def test_a_map_against_a_class_that_is_not_there_lists_the_classes(
    checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        infer(InferConfig(checkpoint, photo, device="cpu", explain=tmp_path, explain_against="maize--nothing"))

    assert CLASS_IDS[0] in refused.value.fix


def test_a_map_against_a_class_needs_a_folder_for_the_maps(checkpoint: Path, photo: Path) -> None:
    with pytest.raises(ConfigError, match="--explain-against"):
        infer(InferConfig(checkpoint, photo, device="cpu", explain_against=CLASS_IDS[1]))


@pytest.fixture
def doubtful(checkpoint: Path, tmp_path: Path) -> Path:
    """The model that always answers, but to which every photo looks strange."""
    stored = load_checkpoint(checkpoint)
    width = stored.tensors["model.classifier.linear.weight"].shape[1]
    rule = make_unknown_rule(
        np.ones((4, width)), np.zeros(width), np.ones(width), threshold=1e9, known_error=0.05, num_photos=9
    )
    meta = {**stored.meta, "calibration": {**stored.meta["calibration"], "unknown": dataclasses.asdict(rule)}}
    save_checkpoint(tmp_path / "doubtful.pth", Checkpoint(meta, stored.tensors))
    return tmp_path / "doubtful.pth"


@pytest.mark.parametrize(
    ("language", "said"), [("en", "unknown: none of the classes it learned"), ("fr", "inconnu : aucune des classes")]
)
def test_an_unknown_photo_is_called_so_in_both_languages(
    doubtful: Path, photo: Path, language: Literal["en", "fr"], said: str
) -> None:
    set_message_language(language)

    summary = infer(InferConfig(doubtful, photo, device="cpu")).summary()

    assert said in summary
    assert "9 times in 10" not in summary
    assert "9 fois sur 10" not in summary


def test_candidates_are_shown_by_name_with_the_class_id_beside(checkpoint: Path, photo: Path) -> None:
    set_message_language("fr")

    summary = infer(InferConfig(checkpoint, photo, device="cpu", language="fr")).summary()

    assert "mildiou (tomate)  [tomato--late-blight]" in summary
    assert "contient la bonne classe 9 fois sur 10" in summary
