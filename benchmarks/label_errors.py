"""How many of the likely label errors are label errors? Labels swapped on purpose, beside cleanlab where it is there.

    .venv/bin/python benchmarks/label_errors.py [MANIFEST.jsonl] [--peer PYTHON_WITH_CLEANLAB]

Without a manifest: demo leaves. Probabilities are out of sample: logistic regression on the packaged backbone's
features, five folds, photos of one leaf never on both sides. A share of the leaves gets another class's label: any
class, or one of the same crop (the swap that people make). The regression is trained on the swapped labels, as a
model would be.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.photo import decode_photo
from plantset.core.records import CleanRecord, find_images_dir, read_clean_records, read_records
from plantset.data.geometry import fit_photo
from plantset.demo.data import DemoDataConfig, make_demo_data
from plantset.encoders.embed import embed_photos
from plantset.encoders.registry import build_vision_encoder
from plantset.evaluation.review.label_errors import find_label_errors

BACKBONE, FOLDS, TOP, MAX_PHOTOS, MIN_LEAVES = "timm-packaged:tf_efficientnet_lite0", 5, 5, 1500, 10
CUTS = (10, 20, 50)
CLEANLAB = """
import json, sys, numpy as np, cleanlab
from cleanlab.filter import find_label_issues
data = np.load(sys.argv[1])
found = {by: find_label_issues(data["labels"], data["probs"], filter_by=by, return_indices_ranked_by=rank,
                               n_jobs=1).tolist()
         for by, rank in (("confident_learning", "normalized_margin"), ("prune_by_noise_rate", "self_confidence"),
                                ("low_self_confidence", "self_confidence"))}
print(json.dumps({"version": cleanlab.__version__, "found": found}))
"""


def main(manifest: Path | None, peer: Path | None) -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        features, labels, crops, leaves = _demo(Path(name)) if manifest is None else _real(manifest)
    print(f"scikit-learn {sklearn.__version__}, torch {torch.__version__}, {BACKBONE}")
    print(f"n = {len(labels)} photos of {len(set(leaves))} leaves, {len(set(labels))} classes")
    header = "".join(f"{f'P@{cut}':>8}" for cut in (*CUTS, "swaps"))
    print(f"{'swapped leaves':26}{'method':44}{'found':>7}{'swapped':>9}{'recall':>8}{'precision':>11}{header}")
    for share in (0.03, 0.08):
        for near in (False, True):
            rng = np.random.default_rng(0)
            given = _swap(labels, crops, leaves, share, rng, near=near)
            title = f"{100 * share:.0f} % {'of one crop' if near else 'any class'}"
            _compare(title, features, given, given != labels, leaves, peer)


def _compare(
    title: str,
    features: NDArray[np.float32],
    given: NDArray[np.str_],
    swapped: NDArray[np.bool_],
    leaves: NDArray[np.int64],
    peer: Path | None,
) -> None:
    names, targets = np.unique(given, return_inverse=True)
    probs = _out_of_sample(features, targets, leaves, len(names))
    top = np.argsort(-probs, axis=1, kind="stable")
    for count in (TOP, len(names)):
        kept = top[:, :count]
        found = find_label_errors(kept, np.take_along_axis(probs, kept, axis=1), targets, len(names))
        _line(title, f"plantset, {count} classes a photo", [doubt.row for doubt in found], swapped)
    own = probs[np.arange(len(targets)), targets]
    wrong = np.flatnonzero(probs.argmax(axis=1) != targets)
    _line(title, "baseline: all mistakes, surest first", wrong[np.argsort(own[wrong])].tolist(), swapped)
    if peer is not None:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "probs.npz"
            np.savez(path, probs=probs, labels=targets)
            answer = json.loads(subprocess.check_output([str(peer), "-c", CLEANLAB, str(path)], text=True))
        for by, rows in answer["found"].items():
            _line(title, f"cleanlab {answer['version']}, {by}", rows, swapped)


def _line(title: str, method: str, rows: Sequence[int], swapped: NDArray[np.bool_]) -> None:
    hits = swapped[list(rows)]
    total = int(swapped.sum())
    cells = "".join(f"{hits[:cut].mean() if len(hits) else 0:8.2f}" for cut in (*CUTS, total))
    precision = hits.mean() if len(hits) else 0.0
    print(f"{title:26}{method:44}{len(hits):>7}{total:>9}{hits.sum() / total:>8.2f}{precision:>11.2f}{cells}")


def _out_of_sample(
    features: NDArray[np.float32], targets: NDArray[np.intp], leaves: NDArray[np.int64], num_classes: int
) -> NDArray[np.float64]:
    probs = np.zeros((len(targets), num_classes))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        for train, held_out in folds.split(features, targets, leaves):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=100, tol=1e-3))
            model.fit(features[train], targets[train])
            probs[np.ix_(held_out, model[-1].classes_)] = model.predict_proba(features[held_out])
    return probs


def _swap(
    labels: NDArray[np.str_],
    crops: NDArray[np.str_],
    leaves: NDArray[np.int64],
    share: float,
    rng: np.random.Generator,
    *,
    near: bool,
) -> NDArray[np.str_]:
    given = labels.copy()
    crop_of = dict(zip(labels.tolist(), crops.tolist(), strict=True))
    names = sorted(set(labels.tolist()))
    everyone = np.unique(leaves)
    for leaf in rng.permutation(everyone)[: round(share * len(everyone))]:
        own = labels[leaves == leaf][0]
        others = [name for name in names if name != own and (not near or crop_of[name] == crop_of[own])]
        if others:
            given[leaves == leaf] = others[int(rng.integers(len(others)))]
    return given


Facts = tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.str_], NDArray[np.int64]]


def _demo(folder: Path) -> Facts:
    report = make_demo_data(DemoDataConfig(run_dir=folder, photos_per_class=42))
    output = folder / "clean.jsonl"
    clean(CleanConfig(data_dir=report.run_dir / "leaves", output_file=output, min_size=64, audit=False))
    records: list[CleanRecord] = read_clean_records(output)
    images = folder / "clean_images"
    labels = [record.label for record in records]
    crops = [label.replace("_", " ").split()[0].lower() for label in labels]
    return _facts([images / record.image_path for record in records], labels, crops, [r.group for r in records])


def _real(manifest: Path) -> Facts:
    records = read_records(manifest)
    images = find_images_dir(manifest, records, None)
    rng = np.random.default_rng(0)
    records = [records[index] for index in rng.permutation(len(records))[:MAX_PHOTOS]]
    common = {
        name
        for name in {record.class_id for record in records}
        if len({record.group for record in records if record.class_id == name}) >= MIN_LEAVES
    }
    records = [record for record in records if record.class_id in common]
    paths = [images / record.image_path for record in records]
    groups = [record.group or record.image_path for record in records]
    return _facts(paths, [record.class_id for record in records], [record.crop or "" for record in records], groups)


def _facts(paths: Sequence[Path], labels: Sequence[str], crops: Sequence[str], groups: Sequence[str]) -> Facts:
    encoder = build_vision_encoder(BACKBONE)
    batches = (
        torch.from_numpy(
            np.stack([fit_photo(decode_photo(path).pixels, encoder.preprocess) for path in paths[start : start + 16]])
        ).permute(0, 3, 1, 2)
        for start in range(0, len(paths), 16)
    )
    leaves = np.unique(np.array(groups), return_inverse=True)[1]
    return embed_photos(encoder, batches), np.array(labels), np.array(crops), leaves


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, nargs="?")
    parser.add_argument("--peer", type=Path, help="a Python that has cleanlab")
    arguments = parser.parse_args()
    main(arguments.manifest, arguments.peer)
