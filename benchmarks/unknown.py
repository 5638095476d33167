"""Which score tells photos of none of the learned classes? Four methods on one trained model, by kind of photo.

    .venv/bin/python benchmarks/unknown.py real_run [FOLDER_OF_OTHER_PHOTOS]

`real_run` is what `make real` leaves. Reference photos are the selection half of val, known photos are the calibration
half: the test split stays closed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from plantset.core.photo import PhotoError, decode_photo
from plantset.core.records import find_images_dir, read_records
from plantset.data.geometry import fit_photo
from plantset.data.module import split_val_in_two
from plantset.evaluation.intervals import index_groups
from plantset.evaluation.predict import PhotoAnswers, PhotoSource, answer_records, answer_views
from plantset.evaluation.unknown import (
    draw_non_photos,
    energy,
    mahalanobis,
    max_softmax,
    nearest_mean,
    nearest_neighbour,
    score_unknown,
)
from plantset.models.load import LoadedModel, load_model

DRAWN_COUNT, RESAMPLES = 24, 300


def main(run_dir: Path, others: Path | None) -> int:
    torch.set_num_threads(2)
    model = load_model(run_dir / "checkpoints" / "best_model.pth")
    manifest = run_dir / "multimodal_dataset.jsonl"
    records = read_records(manifest)
    source = PhotoSource(find_images_dir(manifest, records, None), 32, 0)
    val = [record for record in records if record.split == "val"]
    selection, calibration = split_val_in_two(val, seed=0)
    reference = answer_records(model, [val[at] for at in selection], source)
    labels = np.array([model.class_names.index(val[at].class_id) for at in selection])
    known = answer_records(model, [val[at] for at in calibration], source)
    groups = index_groups([val[at].group for at in calibration])
    kinds = {kind: answer_views(model, views, source) for kind, views in _strange(model, others).items()}
    known_scores = _scores(reference, labels, known)
    print(f"plantset; torch {torch.__version__}; reference n = {len(selection)}, known n = {len(calibration)}")
    print(f"{'kind':16}{'n':>5}  " + "".join(f"{name:>32}" for name in known_scores))
    for kind, answers in kinds.items():
        cells = []
        for name, strange in _scores(reference, labels, answers).items():
            rng = np.random.default_rng(0)
            score = score_unknown(
                kind,
                known_scores[name],
                groups,
                strange,
                np.arange(len(strange)),
                threshold=None,
                bootstrap_count=RESAMPLES,
                rng=rng,
            )
            low, high = score.auroc.low or score.auroc.value, score.auroc.high or score.auroc.value
            cells.append(f"{score.auroc.value:.3f} [{low:.3f}, {high:.3f}] FPR {score.fpr_at_95.value:.2f}")
        print(f"{kind:16}{len(answers.logits_NC):>5}  " + "".join(f"{cell:>32}" for cell in cells))
    return 0


def _scores(reference: PhotoAnswers, labels: NDArray[np.int64], asked: PhotoAnswers) -> dict[str, NDArray[np.float64]]:
    return {
        "max softmax": max_softmax(asked.logits_NC),
        "energy": energy(asked.logits_NC),
        "nearest neighbour": nearest_neighbour(reference.features_NF, asked.features_NF),
        "Mahalanobis": mahalanobis(reference.features_NF, labels, asked.features_NF),
        "nearest class mean": nearest_mean(reference.features_NF, labels, asked.features_NF),
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
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None))
