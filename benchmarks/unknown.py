"""Which score tells photos of none of the learned classes? Six of them on one trained model, by kind of photo.

    python benchmarks/unknown.py real_run [--photos FOLDER] [--hold-out CROP_OR_CLASS …]

`real_run` is what `make real` leaves. Reference photos are the selection half of val, known photos are the calibration
half: the test split stays closed. With --hold-out a model of the same road learns without these crops and classes
(its tower frozen, three epochs: minutes), and their val photos are two kinds more.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from plantset.core.photo import PhotoError, decode_photo
from plantset.core.records import ManifestMeta, Record, class_names, find_images_dir, read_records, write_manifest
from plantset.data.geometry import fit_photo
from plantset.data.module import split_val_in_two
from plantset.evaluation.intervals import index_groups
from plantset.evaluation.predict import PhotoAnswers, PhotoSource, answer_records, answer_views
from plantset.evaluation.unknown import (
    draw_non_photos,
    fit_unknown_rule,
    mahalanobis,
    max_softmax,
    nearest_mean,
    nearest_neighbour,
    score_unknown,
)
from plantset.models.decision import UnknownRule, energy
from plantset.models.load import LoadedModel, load_model
from plantset.training.config import TrainConfig
from plantset.training.run import train

DRAWN_COUNT, RESAMPLES = 24, 300
RULE = "energy + class mean"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--photos", type=Path, help="a folder of photos of no class, as a kind of its own")
    parser.add_argument("--hold-out", nargs="+", default=[], metavar="CROP_OR_CLASS")
    asked = parser.parse_args()
    torch.set_num_threads(2)
    manifest = asked.run_dir / "multimodal_dataset.jsonl"
    records = read_records(manifest)
    images_dir = find_images_dir(manifest, records, None)
    source = PhotoSource(images_dir, 32, 0)
    held_out = [record for record in records if {record.crop, record.class_id} & set(asked.hold_out)]
    known = [record for record in records if not {record.crop, record.class_id} & set(asked.hold_out)]
    checkpoints = train_without(asked.run_dir, known, images_dir) if held_out else asked.run_dir / "checkpoints"
    model = load_model(checkpoints / "best_model.pth")
    kinds = {kind: answer_views(model, views, source) for kind, views in _strange(model, asked.photos).items()}
    crops = {record.crop for record in known}
    for kind, chosen in (
        ("other class", [record for record in held_out if record.split == "val" and record.crop in crops]),
        ("other crop", [record for record in held_out if record.split == "val" and record.crop not in crops]),
    ):
        if chosen:
            kinds[kind] = answer_records(model, chosen, source)
    compare(model, [record for record in known if record.split == "val"], kinds, source)


def train_without(run_dir: Path, known: Sequence[Record], images_dir: Path) -> Path:
    """Train on these records; return the folder of checkpoints. What is there already goes on, or is kept."""
    rest = sha256("\n".join(class_names(known)).encode()).hexdigest()[:8]
    manifest = run_dir / f"without_others_{rest}" / "known.jsonl"
    manifest.parent.mkdir(exist_ok=True)
    write_manifest(manifest, known, ManifestMeta(str(images_dir.resolve()), class_names(known), seed=0, command=""))
    config = TrainConfig(
        jsonl_file=manifest, checkpoint_dir=manifest.parent / "checkpoints", freeze_vision=True, epochs=3, resume="auto"
    )
    train(config)
    return config.checkpoint_dir


def compare(model: LoadedModel, val: Sequence[Record], kinds: dict[str, PhotoAnswers], source: PhotoSource) -> None:
    """Print a row for each kind of photo."""
    selection, calibration = split_val_in_two(val, seed=0)
    reference = answer_records(model, [val[at] for at in selection], source)
    labels = np.array([model.class_names.index(val[at].class_id) for at in selection])
    known = answer_records(model, [val[at] for at in calibration], source)
    groups = index_groups([val[at].group for at in calibration])
    rule = fit_unknown_rule(reference.features_NF, labels, (known.logits_NC, known.features_NF), known_error=0.05)
    known_scores = _scores(reference, labels, known, rule)
    print(f"plantset; torch {torch.__version__}; reference n = {len(selection)}, known n = {len(calibration)}")
    print(f"{'kind':16}{'n':>5}  " + "".join(f"{name:>32}" for name in known_scores) + f"{'the rule refuses':>32}")
    for kind, answers in kinds.items():
        cells, refused = [], ""
        for name, strange in _scores(reference, labels, answers, rule).items():
            rng = np.random.default_rng(0)
            score = score_unknown(
                kind,
                known_scores[name],
                groups,
                strange,
                np.arange(len(strange)),
                threshold=rule.threshold if rule is not None and name == RULE else None,
                bootstrap_count=RESAMPLES,
                rng=rng,
            )
            if name == RULE:
                refused = f"{score.refused:>32.0%}"
            low, high = score.auroc.low or score.auroc.value, score.auroc.high or score.auroc.value
            cells.append(f"{score.auroc.value:.3f} [{low:.3f}, {high:.3f}] FPR {score.fpr_at_95.value:.2f}")
        print(f"{kind:16}{len(answers.logits_NC):>5}  " + "".join(f"{cell:>32}" for cell in cells) + refused)


def _scores(
    reference: PhotoAnswers, labels: NDArray[np.int64], asked: PhotoAnswers, rule: UnknownRule | None
) -> dict[str, NDArray[np.float64]]:
    assert rule is not None
    return {
        "max softmax": max_softmax(asked.logits_NC),
        "energy": energy(asked.logits_NC),
        "nearest neighbour": nearest_neighbour(reference.features_NF, asked.features_NF),
        "Mahalanobis": mahalanobis(reference.features_NF, labels, asked.features_NF),
        "nearest class mean": nearest_mean(reference.features_NF, labels, asked.features_NF),
        RULE: rule.familiarity(asked.logits_NC, asked.features_NF),
    }


def _strange(model: LoadedModel, others: Path | None) -> dict[str, NDArray[np.uint8]]:
    kinds = draw_non_photos(model.image_size_px, DRAWN_COUNT, np.random.default_rng(0))
    views = []
    for path in sorted(others.rglob("*")) if others is not None else []:
        try:
            views.append(fit_photo(decode_photo(path).pixels, model.preprocess))
        except (PhotoError, IsADirectoryError):
            continue  # a folder of odd files holds some that are no photos
    return {**kinds, "other photos": np.stack(views)} if views else kinds


if __name__ == "__main__":
    main()
