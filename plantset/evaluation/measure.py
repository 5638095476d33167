"""One evaluation of a model in memory: the split is asked about under every condition, then everything is scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plantset import __version__
from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.core.records import Record
from plantset.evaluation.calibration import score_calibration
from plantset.evaluation.captions import (
    CaptionScores,
    choose_described,
    find_references,
    read_reference_texts,
    score_captions,
    to_rows,
)
from plantset.evaluation.classification import TOP_K, Truth, count_confusions, score_classification
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.intervals import index_groups
from plantset.evaluation.modality import NOT_RUN, score_modality
from plantset.evaluation.output import Evaluation
from plantset.evaluation.predict import (
    EvaluatedModel,
    NotePlan,
    PhotoSource,
    SplitPredictions,
    describe_photos,
    no_notes,
    plan_notes,
    predict_split,
)
from plantset.evaluation.results import METRICS_SCHEMA_VERSION, SPLIT_NAMES, EvaluationResults, GroupCheck
from plantset.models.decision import probabilities

_ORDER_STREAM, _BOOTSTRAP_STREAM, _CAPTION_STREAM = 9_101, 9_102, 9_103


def evaluate_model(
    model: EvaluatedModel, records: Sequence[Record], images_dir: Path, config: EvaluateConfig
) -> Evaluation:
    """Measure a model in memory; nothing is written.

    Args:
        records: the whole manifest: the split to score, and the training texts that the baselines use.
        config: its paths are not read, except `reference_texts`.

    Raises:
        DataError: no photo of the split is of a class that the model knows; a photo cannot be read.
    """
    scored, num_unknown = _choose_records(records, model.class_names, config)
    truth = _make_truth(scored, records, model.class_names)
    language = _language(config, model)
    source = PhotoSource(images_dir, config.batch_size, config.num_workers)
    notes = plan_notes(scored, language, config.seed) if model.takes_notes else no_notes(len(scored))
    predictions = predict_split(model, scored, truth.labels_N, notes, source, _rng(config, _ORDER_STREAM))
    probs_NC = probabilities(predictions.logits_NC, model.temperature)
    captions, caption_rows = _judge_captions(model, scored, records, probs_NC, source, config)
    results = EvaluationResults(
        schema_version=METRICS_SCHEMA_VERSION,
        plantset_version=__version__,
        split=config.split,
        split_name=SPLIT_NAMES[config.split],
        checkpoint=None,
        checkpoint_sha256=None,
        language=language,
        seed=config.seed,
        bootstrap_count=config.bootstrap_count,
        temperature=model.temperature,
        num_photos_scored=len(scored),
        num_photos_of_unknown_class=num_unknown,
        groups=_check_groups(scored, records),
        classification=score_classification(
            probs_NC, truth, bootstrap_count=config.bootstrap_count, rng=_rng(config, _BOOTSTRAP_STREAM)
        ),
        modality=score_modality(
            predictions.predicted,
            truth.labels_N,
            truth.group_index_N,
            bootstrap_count=config.bootstrap_count,
            rng=_rng(config, _BOOTSTRAP_STREAM),  # from the start again: equal answers get equal intervals
        ),
        calibration_before=score_calibration(predictions.logits_NC, truth.labels_N, 1.0),
        calibration=score_calibration(predictions.logits_NC, truth.labels_N, model.temperature),
        captions=captions,
    )
    return Evaluation(
        results=results,
        prediction_rows=_prediction_rows(scored, probs_NC, predictions, notes, model.class_names, caption_rows),
        confusion_counts_CC=count_confusions(probs_NC.argmax(axis=1), truth.labels_N, len(model.class_names)),
        class_names=model.class_names,
        crops=truth.crops,
    )


def _choose_records(
    records: Sequence[Record], class_names: tuple[str, ...], config: EvaluateConfig
) -> tuple[list[Record], int]:
    """Return the photos of the split whose class the model knows, and how many were left out."""
    of_split = [record for record in records if record.split == config.split]
    known = set(class_names)
    scored = [record for record in of_split if record.class_id in known]
    if not of_split:
        counts = {name: sum(record.split == name for record in records) for name in SPLIT_NAMES}
        has = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
        raise DataError(
            tr(
                f"{config.jsonl_file} has no {config.split} photo",
                f"{config.jsonl_file} n'a aucune photo {config.split}",
            ),
            tr(f"choose another --split; it has: {has}", f"choisissez un autre --split ; il a : {has}"),
        )
    if not scored:
        first = of_split[0].class_id
        raise DataError(
            tr(
                f"the model knows the class of none of the {len(of_split)} photos; the first is {first}",
                f"le modèle ne connaît la classe d'aucune des {len(of_split)} photos ; la première : {first}",
            ),
            tr(f"the model knows: {', '.join(class_names)}", f"le modèle connaît : {', '.join(class_names)}"),
        )
    return scored, len(of_split) - len(scored)


def _make_truth(scored: Sequence[Record], records: Sequence[Record], class_names: tuple[str, ...]) -> Truth:
    index = {class_id: position for position, class_id in enumerate(class_names)}
    crops: dict[str, set[str | None]] = {}
    for record in records:
        crops.setdefault(record.class_id, set()).add(record.crop)
    only_crop = {class_id: next(iter(found)) for class_id, found in crops.items() if len(found) == 1}
    return Truth(
        labels_N=np.array([index[record.class_id] for record in scored], dtype=np.int64),
        group_index_N=index_groups([record.group for record in scored]),
        class_names=class_names,
        crops=tuple(only_crop.get(class_id) for class_id in class_names),
        styles=tuple(record.style for record in scored),
        sources=tuple(record.source for record in scored),
    )


def _check_groups(scored: Sequence[Record], records: Sequence[Record]) -> GroupCheck:
    trained = {record.group for record in records if record.split == "train" and record.group}
    without = sum(record.group is None for record in scored)
    seen = sum(record.group in trained for record in scored)
    disjoint = False if seen else (None if without else True)
    return GroupCheck(disjoint, without, seen)


def _judge_captions(
    model: EvaluatedModel,
    scored: Sequence[Record],
    records: Sequence[Record],
    probs_NC: NDArray[np.float64],
    source: PhotoSource,
    config: EvaluateConfig,
) -> tuple[CaptionScores | None, dict[str, dict[str, Any]]]:
    """Describe some of the photos and score the texts; (None, {}) when none is asked for or possible."""
    language = _language(config, model)
    if not model.languages or config.caption_count == 0:
        return None, {}
    given = read_reference_texts(config.reference_texts) if config.reference_texts else None
    references = find_references(scored, language, given)
    rng = _rng(config, _CAPTION_STREAM)
    chosen = choose_described(references, config.caption_count, rng)
    if not chosen:
        return None, {}
    answers = probs_NC.argmax(axis=1)
    described = describe_photos(
        model,
        [scored[index] for index in chosen],
        [references[index] for index in chosen],
        [model.class_names[answers[index]] for index in chosen],
        language=language,
        source=source,
    )
    training = [record for record in records if record.split == "train"] or records
    scores = score_captions(
        described, training, language=language, num_with_reference=sum(map(bool, references)), rng=rng
    )
    return scores, to_rows(described)


def _prediction_rows(
    scored: Sequence[Record],
    probs_NC: NDArray[np.float64],
    predictions: SplitPredictions,
    notes: NotePlan,
    class_names: tuple[str, ...],
    caption_rows: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return one JSON object per photo: the answer from the photo alone, then what each other condition changed."""
    top_NK = np.argsort(-probs_NC, axis=1, kind="stable")[:, :TOP_K]
    rows = []
    for at, record in enumerate(scored):
        best = int(top_NK[at, 0])
        conditions = {
            condition: class_names[answers[at]] if answers[at] != NOT_RUN else None
            for condition, answers in predictions.predicted.items()
        }
        rows.append(
            {
                "image_path": record.image_path,
                "label": record.label,
                "class_id": record.class_id,
                "predicted": class_names[best],
                "probability": float(probs_NC[at, best]),
                "correct": class_names[best] == record.class_id,
                "top5": [{"class_id": class_names[k], "probability": float(probs_NC[at, k])} for k in top_NK[at]],
                "split": record.split,
                "group": record.group,
                "note": notes.right[at],
                "wrong_note": notes.wrong[at],
                "conditions": conditions,
                "caption": caption_rows.get(record.image_path),
            }
        )
    return rows


def _language(config: EvaluateConfig, model: EvaluatedModel) -> Literal["fr", "en"]:
    language = config.language or model.language
    return "en" if language == "en" else "fr"


def _rng(config: EvaluateConfig, stream: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, stream])
