"""One evaluation of a model in memory: the split is asked about under every condition, then everything is scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plantset import __version__
from plantset.core.classes import ClassInfo, class_infos
from plantset.core.errors import DataError
from plantset.core.language import message_language, tr
from plantset.core.records import Record
from plantset.evaluation.calibration import score_calibration
from plantset.evaluation.captions import (
    CaptionScores,
    DescribedPhotos,
    choose_described,
    find_references,
    read_reference_texts,
    score_captions,
    to_rows,
)
from plantset.evaluation.classification import Truth, count_confusions, score_classification
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.confusion_photos import show_confusions
from plantset.evaluation.intervals import index_groups
from plantset.evaluation.modality import score_modality
from plantset.evaluation.output import Evaluation
from plantset.evaluation.predict import (
    CaptionPlan,
    EvaluatedModel,
    PhotoSource,
    SplitPredictions,
    no_notes,
    plan_notes,
    predict_split,
)
from plantset.evaluation.probes import (
    BOOTSTRAP_STREAM,
    CAPTION_STREAM,
    ORDER_STREAM,
    choose_compared,
    content_language,
    judge_masked_leaves,
    judge_naming,
    judge_retrieval,
    judge_robustness,
    judge_shortcuts,
    seeded,
    tta_gain,
)
from plantset.evaluation.results import METRICS_SCHEMA_VERSION, SPLIT_NAMES, EvaluationResults, GroupCheck
from plantset.evaluation.rows import PredictionRows
from plantset.evaluation.sets import score_selective, score_sets
from plantset.evaluation.strangers import judge_unknown
from plantset.knowledge.class_titles import title_of
from plantset.models.decision import probabilities


def evaluate_model(
    model: EvaluatedModel, records: Sequence[Record], images_dir: Path, config: EvaluateConfig
) -> Evaluation:
    """Measure a model in memory; nothing is written.

    Args:
        records: the whole manifest: the split to score, and the training texts that the baselines use.
        config: its paths are not read, except `reference_texts`, `masks_dir` and `unknown_dir`.

    Raises:
        DataError: no photo of the split is of a class that the model knows; a photo cannot be read.
    """
    scored, unlearned = _choose_records(records, model.class_names, config)
    infos = known_classes(model, records)
    truth = _make_truth(scored, records, infos)
    source = PhotoSource(images_dir, config.batch_size, config.num_workers, config.tta)
    language = content_language(config, model)
    notes = plan_notes(scored, language, config.seed) if model.takes_notes else no_notes(len(scored))
    references = _references(model, scored, config)
    plan = dataclasses.replace(
        _plan_captions(references, config, language), compared=choose_compared(model, scored, config)
    )
    predictions = predict_split(model, scored, truth.labels_N, notes, plan, source, seeded(config, ORDER_STREAM))
    probs_NC = probabilities(predictions.logits_NC, model.calibration.temperature)
    captions, caption_rows = _judge_captions(model, scored, records, references, probs_NC, predictions, config)
    results = _score(model, scored, records, unlearned, infos, truth, predictions, captions, source, config)
    return Evaluation(
        results=results,
        prediction_rows=PredictionRows(scored, predictions, notes, model.class_names, model.calibration, caption_rows),
        confusion_counts_CC=count_confusions(probs_NC.argmax(axis=1), truth.labels_N, len(model.class_names)),
        class_names=model.class_names,
        crops=truth.crops,
        titles={info.class_id: title_of(info, message_language()) for info in infos},
        confusion_photos=show_confusions(
            results.classification.confusions, scored, probs_NC, model.class_names, source
        ),
    )


def _score(
    model: EvaluatedModel,
    scored: Sequence[Record],
    records: Sequence[Record],
    unlearned: Sequence[Record],
    infos: Sequence[ClassInfo],
    truth: Truth,
    predictions: SplitPredictions,
    captions: CaptionScores | None,
    source: PhotoSource,
    config: EvaluateConfig,
) -> EvaluationResults:
    calibration, labels, groups, count = model.calibration, truth.labels_N, truth.group_index_N, config.bootstrap_count
    probs_NC = probabilities(predictions.logits_NC, calibration.temperature)

    def rng() -> np.random.Generator:
        return seeded(config, BOOTSTRAP_STREAM)  # from the start each time: equal answers get equal intervals

    return EvaluationResults(
        schema_version=METRICS_SCHEMA_VERSION,
        plantset_version=__version__,
        split=config.split,
        split_name=SPLIT_NAMES[config.split],
        checkpoint=None,
        checkpoint_sha256=None,
        language=content_language(config, model),
        seed=config.seed,
        bootstrap_count=count,
        temperature=calibration.temperature,
        num_photos_scored=len(scored),
        num_photos_of_unknown_class=len(unlearned),
        groups=_check_groups(scored, records),
        classification=score_classification(probs_NC, truth, bootstrap_count=count, rng=rng()),
        modality=score_modality(predictions.predicted, labels, groups, bootstrap_count=count, rng=rng()),
        calibration_before=score_calibration(
            predictions.logits_NC, labels, 1.0, groups, bootstrap_count=count, rng=rng()
        ),
        calibration=score_calibration(
            predictions.logits_NC, labels, calibration.temperature, groups, bootstrap_count=count, rng=rng()
        ),
        sets=score_sets(probs_NC, labels, groups, calibration, bootstrap_count=count, rng=rng()),
        selective=score_selective(probs_NC, labels, groups, calibration, bootstrap_count=count, rng=rng()),
        unknown=judge_unknown(
            model,
            predictions.familiarity_N,
            groups,
            unlearned,
            frozenset(crop for crop in truth.crops if crop),
            source,
            strangers_dir=config.unknown_dir,
            bootstrap_count=count,
            rng=rng(),
        ),
        tta_gain=tta_gain(predictions, truth, config) if config.tta else None,
        robustness=judge_robustness(model, scored, truth, source, config) if config.robustness else (),
        shortcuts=judge_shortcuts(model, scored, records, truth, predictions, source, config),
        background=judge_masked_leaves(model, scored, truth, predictions, source, config) if config.masks_dir else None,
        retrieval=judge_retrieval(model, scored, truth, predictions, config),
        captions=captions,
        naming=judge_naming(model, scored, infos, truth, predictions, config),
    )


def known_classes(model: EvaluatedModel, records: Sequence[Record]) -> tuple[ClassInfo, ...]:
    """Return what is known of each class of the model, in index order: by the manifest where it has the class."""
    here = {info.class_id: info for info in class_infos(records)}
    return tuple(here.get(info.class_id, info) for info in model.classes)


def _choose_records(
    records: Sequence[Record], class_names: tuple[str, ...], config: EvaluateConfig
) -> tuple[list[Record], list[Record]]:
    """Return the photos of the split whose class the model knows, and those of other classes."""
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
    return scored, [record for record in of_split if record.class_id not in known]


def _make_truth(scored: Sequence[Record], records: Sequence[Record], infos: Sequence[ClassInfo]) -> Truth:
    index = {info.class_id: position for position, info in enumerate(infos)}
    crops: dict[str, set[str | None]] = {}
    for record in records:
        crops.setdefault(record.class_id, set()).add(record.crop)
    only_crop = {info.class_id: info.crop for info in infos}
    only_crop |= {class_id: next(iter(found)) if len(found) == 1 else None for class_id, found in crops.items()}
    return Truth(
        labels_N=np.array([index[record.class_id] for record in scored], dtype=np.int64),
        group_index_N=index_groups([record.group for record in scored]),
        class_names=tuple(index),
        crops=tuple(only_crop[class_id] for class_id in index),
        styles=tuple(record.style for record in scored),
        sources=tuple(record.source for record in scored),
    )


def _check_groups(scored: Sequence[Record], records: Sequence[Record]) -> GroupCheck:
    trained = {record.group for record in records if record.split == "train" and record.group}
    without = sum(record.group is None for record in scored)
    seen = sum(record.group in trained for record in scored)
    disjoint = False if seen else (None if without else True)
    return GroupCheck(disjoint, without, seen)


def _references(
    model: EvaluatedModel, scored: Sequence[Record], config: EvaluateConfig
) -> list[tuple[str, ...]] | None:
    """Return the reference texts of each photo; None when no description is asked for or possible."""
    if not model.languages or config.caption_count == 0:
        return None
    given = read_reference_texts(config.reference_texts) if config.reference_texts else None
    return find_references(scored, content_language(config, model), given)


def _plan_captions(references: list[tuple[str, ...]] | None, config: EvaluateConfig, language: str) -> CaptionPlan:
    if references is None:
        return CaptionPlan(language, {})
    chosen = choose_described(references, config.caption_count, seeded(config, CAPTION_STREAM))
    return CaptionPlan(language, {index: references[index][0] for index in chosen})


def _judge_captions(
    model: EvaluatedModel,
    scored: Sequence[Record],
    records: Sequence[Record],
    references: list[tuple[str, ...]] | None,
    probs_NC: NDArray[np.float64],
    predictions: SplitPredictions,
    config: EvaluateConfig,
) -> tuple[CaptionScores | None, dict[str, dict[str, Any]]]:
    """Score the descriptions that were written; (None, {}) when there are none."""
    likelihood = predictions.captions.likelihood
    if references is None or likelihood is None:
        return None, {}
    chosen = sorted(predictions.captions.generated)
    answers = probs_NC.argmax(axis=1)
    described = DescribedPhotos(
        records=tuple(scored[index] for index in chosen),
        references=tuple(references[index] for index in chosen),
        generated=tuple(predictions.captions.generated[index] for index in chosen),
        predicted=tuple(model.class_names[answers[index]] for index in chosen),
        likelihood=likelihood,
    )
    training = [record for record in records if record.split == "train"]
    scores = score_captions(
        described,
        training,
        language=content_language(config, model),
        num_with_reference=sum(map(bool, references)),
        rng=seeded(config, CAPTION_STREAM),
    )
    return scores, to_rows(described)
