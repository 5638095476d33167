"""The whole road on real photos, beside the floor that it has to beat. `make real PHOTOS=dir`.

`dir` holds photos and a manifest.csv with the columns path, canonical, near_dup_group, style and source. Classes
named `ambiguous|…` and classes of fewer than ten leaf groups are left out and counted.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.errors import PlantsetError
from plantset.core.options import command_line, parse_options
from plantset.core.records import Record, find_images_dir, read_records
from plantset.data.module import photo_batches
from plantset.encoders.embed import embed_photos
from plantset.encoders.registry import PACKAGED_VISION, build_vision_encoder
from plantset.evaluation.classification import score_macro_f1
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.intervals import Estimate, index_groups, mean_estimate
from plantset.evaluation.run import evaluate
from plantset.knowledge.config import MapConfig
from plantset.knowledge.run import map_texts
from plantset.training.config import TrainConfig
from plantset.training.run import train

RUN_DIR = Path("real_run")
RECIPE = Path(__file__).parent.parent / "recipes" / "laptop.toml"
NUM_THREADS = 2


def main(photos_dir: Path) -> int:
    torch.set_num_threads(NUM_THREADS)
    started = time.perf_counter()
    cleaned, mapped = RUN_DIR / "dataset_clean.jsonl", RUN_DIR / "multimodal_dataset.jsonl"
    stage("clean", clean, clean_config(photos_dir, cleaned))
    stage("map", map_texts, MapConfig(dataset_jsonl=cleaned, output_file=mapped))
    stage("train", train, train_config(mapped))
    best = RUN_DIR / "checkpoints" / "best_model.pth"
    evaluated = stage(
        "evaluate",
        evaluate,
        EvaluateConfig(
            checkpoint=best, jsonl_file=mapped, split="test", output_dir=RUN_DIR / "evaluation_results", num_workers=0
        ),
    )
    road_s = time.perf_counter() - started
    floor_started = time.perf_counter()
    records = read_records(mapped)
    floor = score_floor(records, find_images_dir(mapped, records, None))
    floor_s = time.perf_counter() - floor_started
    print_table(evaluated.results, floor, road_s, floor_s)
    return 0


def stage(verb: str, function: Callable[[Any], Any], config: Any) -> Any:
    """Print the command, run it, print its report and its time."""
    print(f"\n$ {command_line(verb, config)}", flush=True)
    started = time.perf_counter()
    report = function(config)
    print(report.summary())
    print(f"[{time.perf_counter() - started:.0f} s]", flush=True)
    if verb == "train" and report.exit_code:  # stopped by a signal: an unfinished model must not open the test split
        raise SystemExit(report.exit_code)
    return report


def clean_config(photos_dir: Path, cleaned: Path) -> CleanConfig:
    return CleanConfig(
        labels_csv=photos_dir / "manifest.csv",
        image_column="path",
        label_column="canonical",
        group_column="near_dup_group",
        style_column="style",
        source_column="source",
        min_size=96,
        val_ratio=0.15,
        test_ratio=0.2,
        min_group_count=10,
        exclude_labels=("ambiguous|*",),
        output_file=cleaned,
    )


def train_config(mapped: Path) -> TrainConfig:
    flags = ["--recipe", str(RECIPE), "--jsonl-file", str(mapped), "--checkpoint-dir", str(RUN_DIR / "checkpoints")]
    flags += ["--num-threads", str(NUM_THREADS), "--resume", "auto"]
    return parse_options(TrainConfig, flags, program="plantset train")


def score_floor(records: Sequence[Record], images_dir: Path) -> dict[str, Estimate]:
    """Score scikit-learn's logistic regression on the same backbone's frozen pooled features, on the test photos.

    It trains on train and val together: it chooses nothing on val.
    """
    known = [record for record in records if record.split != "test"]
    test = [record for record in records if record.split == "test"]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 rounds of L-BFGS are past the plateau
        model.fit(embed(known, images_dir), [record.class_id for record in known])
    names = sorted({record.class_id for record in records})
    predicted = np.array([names.index(name) for name in model.predict(embed(test, images_dir))])
    labels = np.array([names.index(record.class_id) for record in test])
    groups = index_groups([record.group for record in test])
    rng = np.random.default_rng(0)
    return {
        "accuracy": mean_estimate((predicted == labels).astype(float), groups, 1000, rng),
        "macro_f1": score_macro_f1(predicted, labels, groups, bootstrap_count=1000, rng=rng),
    }


def embed(records: Sequence[Record], images_dir: Path) -> NDArray[np.float32]:
    encoder = build_vision_encoder(PACKAGED_VISION).to(memory_format=torch.channels_last)
    photos = photo_batches(records, images_dir, encoder.preprocess, 32)
    return embed_photos(encoder, (pixels.permute(0, 3, 1, 2) for _, pixels in photos))


def print_table(results: Any, floor: dict[str, Estimate], road_s: float, floor_s: float) -> None:
    scores, modality = results.classification, results.modality
    rows: list[tuple[str, Estimate, Estimate]] = [
        ("plantset, photo only", scores.accuracy, scores.macro_f1),
        ("logistic regression, same frozen features", floor["accuracy"], floor["macro_f1"]),
    ]
    rows += [(f"plantset, {row.condition}", row.accuracy, row.macro_f1) for row in modality.conditions]
    groups = results.groups
    disjoint = "no leaf of them in training" if groups.leaf_disjoint else f"NOT leaf-disjoint: {groups}"
    print(f"\ntest photos: n = {results.num_photos_scored}, {disjoint}")
    print(f"the plantset rows after the first: on the {modality.num_photos_with_note} photos that have a note")
    print(f"{'':44}{'accuracy [95 %]':>26}{'macro-F1 [95 %]':>26}")
    for name, accuracy, macro_f1 in rows:
        print(f"{name:44}{shown(accuracy):>26}{shown(macro_f1):>26}")
    print(f"clean → evaluate: {road_s / 60:.1f} min on {NUM_THREADS} threads; the floor: {floor_s / 60:.1f} min")


def shown(estimate: Estimate) -> str:
    low, high = estimate.low, estimate.high
    interval = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * estimate.value:.1f} %{interval}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/real.py PHOTOS")
    try:
        sys.exit(main(Path(sys.argv[1])))
    except PlantsetError as error:
        sys.exit(f"error: {error.problem}\nfix:   {error.fix}")
