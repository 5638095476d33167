from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from plantset.core.errors import ConfigError, DataError
from plantset.core.language import set_message_language
from plantset.core.records import Record, find_images_dir, read_records
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.measure import evaluate_model
from plantset.evaluation.output import Evaluation
from plantset.evaluation.predict import plan_notes
from plantset.evaluation.run import evaluate
from plantset.evaluation.unknown import fit_unknown_rule
from plantset.models.decision import Calibration

from .conftest import COLOURS, ColourModel


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    set_message_language("en")
    yield
    set_message_language(None)


@pytest.fixture
def use_model(monkeypatch: pytest.MonkeyPatch) -> ColourModel:
    model = ColourModel()
    monkeypatch.setattr("plantset.evaluation.run.load_model", lambda *_: model)
    return model


def measure(
    config: EvaluateConfig, model: ColourModel | None = None, records: list[Record] | None = None
) -> Evaluation:
    rows = records if records is not None else read_records(config.jsonl_file)
    return evaluate_model(model or ColourModel(), rows, find_images_dir(config.jsonl_file, rows, None), config)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_fifteen_of_sixteen_colours_are_named(colour_config: EvaluateConfig) -> None:
    results = measure(colour_config).results

    assert results.num_photos_scored == 16
    assert results.classification.accuracy.value == pytest.approx(15 / 16)
    assert results.classification.crop_accuracy is not None
    assert results.classification.crop_accuracy.value == 1.0
    assert results.groups.leaf_disjoint is True


def test_a_shuffled_photo_costs_a_model_that_looks(colour_config: EvaluateConfig) -> None:
    modality = measure(colour_config, ColourModel(note_weight=0.0)).results.modality

    assert modality is not None
    accuracy = {row.condition: row.accuracy.value for row in modality.conditions}
    assert accuracy["shuffled_image"] < 0.2
    assert not modality.leak


def test_a_model_that_believes_the_note_is_caught(colour_config: EvaluateConfig) -> None:
    modality = measure(colour_config, ColourModel(note_weight=50.0)).results.modality

    assert modality is not None
    accuracy = {row.condition: row.accuracy.value for row in modality.conditions}
    assert accuracy["wrong_note"] < 0.2
    assert modality.leak
    assert modality.wrong_note_flips is not None
    assert modality.wrong_note_flips > 0.8


def test_a_model_that_takes_no_notes_is_scored_on_photos_alone(colour_config: EvaluateConfig) -> None:
    results = measure(colour_config, ColourModel(takes_notes=False)).results

    assert results.modality is None
    assert results.classification.num_photos == 16


def test_a_model_without_captioner_writes_no_captions(colour_config: EvaluateConfig) -> None:
    assert measure(colour_config, ColourModel(languages=())).results.captions is None


def test_descriptions_stand_beside_their_baselines(colour_config: EvaluateConfig) -> None:
    captions = measure(dataclasses.replace(colour_config, caption_count=None)).results.captions

    assert captions is not None
    assert captions.num_photos == 16
    assert captions.model.chrf == pytest.approx(captions.class_text.chrf)
    assert captions.model.chrf > captions.most_frequent.chrf
    assert captions.shuffled_photos is not None
    assert captions.model.chrf > captions.shuffled_photos.chrf
    assert captions.likelihood.perplexity == pytest.approx(2.0)


def test_the_answers_do_not_depend_on_the_batch_size(colour_config: EvaluateConfig) -> None:
    small = measure(dataclasses.replace(colour_config, batch_size=3))
    large = measure(dataclasses.replace(colour_config, batch_size=16))

    assert small.results.classification == large.results.classification
    assert [row["probability"] for row in small.prediction_rows] == [
        row["probability"] for row in large.prediction_rows
    ]


def test_the_same_answers_have_the_same_interval_everywhere(colour_config: EvaluateConfig) -> None:
    results = measure(colour_config).results

    assert results.modality is not None
    assert results.modality.conditions[0].accuracy == results.classification.accuracy
    assert results.modality.conditions[0].macro_f1 == results.classification.macro_f1


def test_the_same_seed_gives_the_same_results(colour_config: EvaluateConfig) -> None:
    assert measure(colour_config).results == measure(colour_config).results


def test_photos_of_classes_that_the_model_never_learnt_are_left_out_and_counted(colour_config: EvaluateConfig) -> None:
    model = ColourModel(class_names=tuple(sorted(set(COLOURS) - {"maize--rust"})))

    results = measure(colour_config, model).results

    assert (results.num_photos_scored, results.num_photos_of_unknown_class) == (12, 4)


def test_a_model_that_knows_none_of_the_classes_is_refused(colour_config: EvaluateConfig) -> None:
    records = [
        dataclasses.replace(row, class_id=f"user--{row.label}") for row in read_records(colour_config.jsonl_file)
    ]

    with pytest.raises(DataError, match="none of the 16"):
        measure(colour_config, records=records)


def test_a_leaf_that_training_saw_is_reported(colour_config: EvaluateConfig) -> None:
    records = read_records(colour_config.jsonl_file)
    trained = next(row for row in records if row.split == "train")
    first = next(index for index, row in enumerate(records) if row.split == "val")
    records[first] = dataclasses.replace(records[first], group=trained.group)

    groups = measure(colour_config, records=records).results.groups

    assert groups.leaf_disjoint is False
    assert groups.num_photos_seen_in_training == 1


def test_nobody_knows_whether_photos_without_groups_are_leaf_disjoint(colour_config: EvaluateConfig) -> None:
    records = [dataclasses.replace(row, group=None) for row in read_records(colour_config.jsonl_file)]

    results = measure(colour_config, records=records).results

    assert results.groups.leaf_disjoint is None
    assert results.classification.num_groups == 16


def test_a_wrong_note_is_of_another_class_and_says_something_else(colour_config: EvaluateConfig) -> None:
    records = read_records(colour_config.jsonl_file)

    plan = plan_notes(records, "fr", seed=0)

    assert all(right is not None and wrong is not None for right, wrong in zip(plan.right, plan.wrong, strict=True))
    assert all(right != wrong for right, wrong in zip(plan.right, plan.wrong, strict=True))


def test_every_file_is_written(colour_config: EvaluateConfig, use_model: ColourModel) -> None:
    evaluate(colour_config)

    assert sorted(path.name for path in colour_config.output_dir.iterdir()) == [
        "class_f1.png",
        "confusion_matrix.csv",
        "confusion_matrix.png",
        "confusion_matrix.svg",
        "evaluate_config.json",
        "metrics.json",
        "predictions.jsonl",
        "reliability.png",
        "report.html",
        "risk_coverage.png",
    ]


def test_metrics_name_the_selection_split_and_the_checkpoint(
    colour_config: EvaluateConfig, use_model: ColourModel
) -> None:
    evaluate(colour_config)

    metrics = json.loads((colour_config.output_dir / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["schema_version"] == 2
    assert metrics["split_name"] == "selection split"
    assert metrics["checkpoint_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert metrics["classification"]["accuracy"]["value"] == pytest.approx(15 / 16)


def test_predictions_agree_with_the_metrics(colour_config: EvaluateConfig, use_model: ColourModel) -> None:
    evaluate(colour_config)

    rows = read_lines(colour_config.output_dir / "predictions.jsonl")
    assert np.mean([row["correct"] for row in rows]) == pytest.approx(15 / 16)
    assert [row["image_path"] for row in rows if not row["correct"]] == ["tomato--late-blight/leaf3_0.png"]
    assert all(sum(item["probability"] for item in row["top5"]) == pytest.approx(1.0) for row in rows)
    assert {"note_only", "shuffled_image"} <= set(rows[0]["conditions"])


def test_the_checkpoint_is_only_read(colour_config: EvaluateConfig, use_model: ColourModel) -> None:
    before = (colour_config.checkpoint.read_bytes(), colour_config.checkpoint.stat().st_mtime_ns)

    evaluate(colour_config)

    assert (colour_config.checkpoint.read_bytes(), colour_config.checkpoint.stat().st_mtime_ns) == before


def test_each_opening_of_the_test_split_is_logged(colour_config: EvaluateConfig, use_model: ColourModel) -> None:
    config = dataclasses.replace(colour_config, split="test")

    evaluate(config)
    evaluate(config)

    openings = read_lines(config.checkpoint.parent / "test_openings.jsonl")
    assert len(openings) == 2
    assert openings[0]["num_photos"] == 8
    assert openings[0]["opened_at"].endswith("+00:00")
    assert len(openings[0]["checkpoint_sha256"]) == 64


def test_the_selection_split_is_not_logged(colour_config: EvaluateConfig, use_model: ColourModel) -> None:
    evaluate(colour_config)

    assert not (colour_config.checkpoint.parent / "test_openings.jsonl").exists()


def test_a_wrong_number_of_classes_lists_them(colour_config: EvaluateConfig, use_model: ColourModel) -> None:
    with pytest.raises(ConfigError, match=r"133.*tomato--late-blight"):
        evaluate(dataclasses.replace(colour_config, num_classes=133))


@pytest.mark.parametrize("setting", [{"batch_size": 0}, {"caption_count": -1}, {"bootstrap_count": -1}])
def test_a_number_out_of_range_is_named(
    colour_config: EvaluateConfig, use_model: ColourModel, setting: dict[str, int]
) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting)).replace("_", "-")):
        evaluate(dataclasses.replace(colour_config, **setting))  # type: ignore[arg-type]


def test_an_empty_split_names_those_that_have_photos(colour_config: EvaluateConfig) -> None:
    records = [row for row in read_records(colour_config.jsonl_file) if row.split != "val"]

    with pytest.raises(DataError, match="train 24, test 8"):
        measure(colour_config, records=records)


def test_the_summary_says_the_verdict_and_where_the_report_is(
    colour_config: EvaluateConfig, use_model: ColourModel
) -> None:
    summary = evaluate(colour_config).summary()

    assert "93.8%" in summary
    assert "selection split" in summary
    assert summary.endswith("report.html")


def test_photos_without_plant_and_of_unlearned_classes_are_each_a_row(colour_config: EvaluateConfig) -> None:
    model = ColourModel(class_names=tuple(sorted(set(COLOURS) - {"maize--rust"})))

    unknown = {row.kind: row for row in measure(colour_config, model).results.unknown}

    assert unknown["other crops"].num_photos == 4
    assert {"black", "noise"} < set(unknown)
    assert unknown["black"].refused is None  # this model carries no rule


def test_a_model_with_a_rule_calls_black_photos_unknown(colour_config: EvaluateConfig) -> None:
    labels = np.arange(64) % len(COLOURS)
    shades = np.array([COLOURS[name] for name in sorted(COLOURS)], dtype=np.float64)[labels]
    features = shades + np.random.default_rng(0).normal(scale=4, size=shades.shape)
    logits = 9.0 * np.eye(len(COLOURS))[labels]
    rule = fit_unknown_rule(features, labels, (logits, features), known_error=0.05)
    model = ColourModel(calibration=Calibration(temperature=2.0, unknown=rule))

    evaluation = measure(colour_config, model)

    black = next(row for row in evaluation.results.unknown if row.kind == "black")
    assert black.refused == 1.0
    assert black.auroc.value == 1.0


def test_rows_are_made_when_they_are_asked_for(colour_config: EvaluateConfig) -> None:
    rows = measure(colour_config).prediction_rows

    assert not isinstance(rows, list)
    assert len(list(rows)) == len(list(rows)) == 16


def test_photos_and_descriptions_find_each_other(colour_config: EvaluateConfig) -> None:
    found = measure(colour_config).results.retrieval

    assert found is not None
    assert (found.num_photos, found.num_texts) == (16, 4)
    assert found.photo_to_text[0].recall.value == 15 / 16  # the mislabelled photo finds the text of what it shows
    assert found.text_to_photo[0].recall.value == 1.0


def test_a_model_that_compares_no_texts_is_not_asked_to(colour_config: EvaluateConfig) -> None:
    assert measure(colour_config, ColourModel(compares_texts=False)).results.retrieval is None


def test_photos_of_other_crops_are_told_from_other_diseases(colour_config: EvaluateConfig) -> None:
    model = ColourModel(class_names=("tomato--healthy", "tomato--late-blight"))

    kinds = {row.kind: row.num_photos for row in measure(colour_config, model).results.unknown}

    assert (kinds["unlearned classes"], kinds["other crops"]) == (4, 4)


def test_given_photos_of_none_of_the_classes_are_a_kind(colour_config: EvaluateConfig, tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(np.full((40, 40, 3), 30 * number, np.uint8)).save(tmp_path / f"{number}.png")

    config = dataclasses.replace(colour_config, unknown_dir=tmp_path)

    kinds = {row.kind: row.num_photos for row in measure(config).results.unknown}
    assert kinds["given photos"] == 3


def test_a_folder_of_unknown_photos_without_a_photo_is_named(colour_config: EvaluateConfig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(DataError, match="--unknown-dir"):
        measure(dataclasses.replace(colour_config, unknown_dir=tmp_path / "empty"))


def test_descriptions_are_made_from_the_tokens_of_the_answer(colour_config: EvaluateConfig) -> None:
    encoded: list[int] = []

    class Counting(ColourModel):
        def encode_photos(self, pixels_BHWC: Tensor) -> Tensor:
            encoded.append(len(pixels_BHWC))
            return super().encode_photos(pixels_BHWC)

    with_captions = measure(dataclasses.replace(colour_config, caption_count=None), Counting())
    seen_with, encoded[:] = sum(encoded), []
    measure(dataclasses.replace(colour_config, caption_count=0), Counting())

    assert with_captions.results.captions is not None
    assert seen_with == sum(encoded)


def test_test_time_augmentation_is_scored_against_one_view(colour_config: EvaluateConfig) -> None:
    gain = measure(dataclasses.replace(colour_config, tta=True)).results.tta_gain

    assert gain is not None
    assert gain.value == 0.0  # a mean colour does not change with a flip


def test_robustness_is_measured_only_when_asked_for(colour_config: EvaluateConfig) -> None:
    asked = measure(dataclasses.replace(colour_config, robustness=True)).results.robustness

    assert measure(colour_config).results.robustness == ()
    assert {row.kind for row in asked} == {"blur", "jpeg", "dark", "bright", "crop", "small", "rotation"}
    assert all(row.num_photos == 16 for row in asked)
    assert next(row for row in asked if (row.kind, row.severity) == ("dark", 3)).loss.value < -0.2


def test_the_report_shows_names_with_ids_and_the_photos_of_confusions(
    colour_config: EvaluateConfig, use_model: ColourModel
) -> None:
    set_message_language("fr")

    evaluate(colour_config)

    page = (colour_config.output_dir / "report.html").read_text(encoding="utf-8")
    assert 'tomate · mildiou <small class="soft">tomato--late-blight</small>' in page
    assert 'alt="tomato--late-blight/leaf3_0.png"' in page
    assert "data:image/jpeg;base64," in page


def test_a_manifest_of_some_of_the_classes_is_scored_by_what_the_model_knows_of_all(
    colour_config: EvaluateConfig,
) -> None:
    records = [row for row in read_records(colour_config.jsonl_file) if row.class_id == "tomato--late-blight"]
    model = ColourModel(note_weight=0.0)

    evaluation = measure(colour_config, model, records=[dataclasses.replace(row, split="val") for row in records])

    assert evaluation.crops == tuple(name.partition("--")[0] for name in model.class_names)
    assert evaluation.results.captions is not None
    assert evaluation.results.captions.class_text is None  # no training text to look up
