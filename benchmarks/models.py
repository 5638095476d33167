"""Presets side by side on the same frozen features, beside logistic regression on them. `make bench-models`.

Run: python benchmarks/models.py [--manifest FILE.jsonl] [--presets …] [--seeds 0 1 2] [--max-minutes N]
Without a manifest it draws demo leaves. Photos go through the packaged vision tower once and notes through the packaged
text tower once; every run trains from those, in a process of its own, and adds its line to results.json beside them:
started again, it goes on where it was. The split is the manifest's own, which no leaf crosses.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import platform
import resource
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import timm
import torch
import transformers
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.files import read_json, sha256_file, write_json
from plantset.core.records import Record, class_names, find_images_dir, read_records
from plantset.core.vocabulary import PAD_ID
from plantset.data.dataset import BatchMaker
from plantset.data.examples import Examples, NotePolicy, caption_targets
from plantset.data.module import needed_text_length, photo_batches, train_vocabulary
from plantset.data.sampler import EpochSampler
from plantset.demo.config import DemoDataConfig
from plantset.demo.data import make_demo_data
from plantset.encoders.embed import embed_texts
from plantset.encoders.registry import build_text_encoder, build_vision_encoder
from plantset.encoders.vision import VisionTokens, normalize
from plantset.evaluation.captions import DescribedPhotos, score_captions
from plantset.evaluation.generation import score_likelihood
from plantset.evaluation.predict import plan_notes
from plantset.knowledge.config import MapConfig
from plantset.knowledge.run import map_texts
from plantset.models.build import with_names
from plantset.models.config import PACKAGED_TEXT, PACKAGED_VISION
from plantset.models.multimodal import MultimodalModel, NoteStates
from plantset.models.objectives import ClassificationLoss, log_prior
from plantset.models.presets import PARTS, PRESETS, PresetName, Stage, find_preset, preset_config
from plantset.training.optimizer import OptimizerSettings, build_optimizer, set_learning_rate
from plantset.training.schedule import warmup_cosine
from plantset.training.step import Objective, term_counts, training_terms, weighted_sum
from plantset.training.task import class_texts

RUN_DIR = Path("runs") / "bench_models"
LANGUAGE = "fr"
BATCH_SIZE, LEARNING_RATE, NOTE_LENGTH, TEXT_LENGTH = 32, 1e-3, 48, 128
MAX_DESCRIBED = 100  # descriptions are written one by one
EPOCHS_IN_FIVE_MINUTES: dict[PresetName, int] = {
    "cross-attention": 9,
    "qwen-vl": 12,
    "vadapter": 11,
    "flava": 5,
    "florence-2": 5,
}
DATA_SEED = 0  # of notes and of their wrong twins: seeds differ in weights and in the order of photos only


@dataclass(frozen=True)
class Run:
    """One training, as it is found again in results.json."""

    manifest_sha256: str
    preset: PresetName
    seed: int
    epochs: int
    threads: int


@dataclass(frozen=True)
class Prepared:
    """Where a manifest's features lie, and what the runs share."""

    folder: Path
    records: tuple[Record, ...]
    names: tuple[str, ...]

    def split(self, wanted: str) -> list[int]:
        return [index for index, record in enumerate(self.records) if record.split == wanted]

    @property
    def judged(self) -> list[int]:
        return self.split("test") or self.split("val")

    def labels(self, rows: Sequence[int]) -> NDArray[np.int64]:
        index = {name: label for label, name in enumerate(self.names)}
        return np.array([index[self.records[row].class_id] for row in rows], dtype=np.int64)


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    started = time.perf_counter()
    manifest = arguments.manifest or demo_manifest()
    prepared = prepare(manifest)
    print_versions(prepared, arguments.threads)
    results_path = prepared.folder / "results.json"
    results: list[dict[str, Any]] = read_json(results_path) if results_path.exists() else []
    floor = score_floor(prepared)
    sha256 = sha256_file(manifest)
    epochs_of = {preset: arguments.epochs or EPOCHS_IN_FIVE_MINUTES[preset] for preset in PRESETS}
    for seed in arguments.seeds:
        for preset in arguments.presets:
            run = Run(sha256, preset, seed, epochs_of[preset], arguments.threads)
            if any(result["run"] == dataclasses.asdict(run) for result in results):
                continue
            if time.perf_counter() - started > 60 * arguments.max_minutes:
                print(f"not run within {arguments.max_minutes} min: {preset}, seed {seed}; start again to go on")
                continue
            # a process of its own: its peak memory is its own, and nothing of the last run is warm
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                outcome = pool.submit(train_and_judge, manifest, run).result()
            results.append({"run": dataclasses.asdict(run), **outcome})
            write_json(results_path, results)
            print(json.dumps({"preset": preset, "seed": seed, **outcome}), flush=True)
    wanted = [result for result in results if result["run"]["manifest_sha256"] == sha256]
    shown_results = [result for result in wanted if result["run"]["epochs"] == epochs_of[result["run"]["preset"]]]
    print_table(shown_results, floor)
    print_bars(shown_results, floor)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="of plantset map; by default demo leaves are drawn")
    parser.add_argument("--presets", nargs="+", choices=get_args(PresetName), default=list(PRESETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, help="by default what fits into five minutes of two cores on demo leaves")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-minutes", type=float, default=60.0, help="no run is started after these")
    return parser.parse_args()


def demo_manifest() -> Path:
    """Draw leaves, clean and map them; 60 photos of each class, three of a leaf."""
    folder = RUN_DIR / "demo"
    mapped = folder / "multimodal_dataset.jsonl"
    if not mapped.exists():
        make_demo_data(DemoDataConfig(run_dir=folder))
        cleaned = folder / "dataset_clean.jsonl"
        clean(CleanConfig(data_dir=folder / "leaves", output_file=cleaned))
        texts = {"diseases_json": folder / "maladies_enrichies.json", "photo_texts": folder / "photo_texts.jsonl"}
        map_texts(MapConfig(dataset_jsonl=cleaned, output_file=mapped, **texts))
    return mapped


def load(manifest: Path) -> Prepared:
    records = tuple(read_records(manifest))
    return Prepared(RUN_DIR / sha256_file(manifest)[:12], records, tuple(class_names(records)))


def prepare(manifest: Path) -> Prepared:
    """Encode photos, notes and descriptions once."""
    prepared = load(manifest)
    prepared.folder.mkdir(parents=True, exist_ok=True)
    if not (prepared.folder / "features.npy").exists():
        encode_photos(prepared, find_images_dir(manifest, list(prepared.records), None))
    if not (prepared.folder / "notes.npz").exists():
        encode_texts(prepared)
    return prepared


@torch.no_grad()
def encode_photos(prepared: Prepared, images_dir: Path) -> None:
    encoder = build_vision_encoder(PACKAGED_VISION).to(memory_format=torch.channels_last).eval()
    partial = prepared.folder / "features.partial.npy"
    features: Any = None
    start, clock = 0, time.perf_counter()
    for _, pixels in photo_batches(prepared.records, images_dir, encoder.preprocess, 32):
        seen = encoder.features(normalize(pixels.permute(0, 3, 1, 2), encoder.preprocess)).half().numpy()
        if features is None:
            shape = (len(prepared.records), *seen.shape[1:])
            features = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        features[start : start + len(seen)] = seen
        start += len(seen)
    features.flush()
    partial.rename(prepared.folder / "features.npy")
    print(f"{start} photos encoded once in {time.perf_counter() - clock:.0f} s")


@torch.no_grad()
def encode_texts(prepared: Prepared) -> None:
    """Keep the frozen text tower's states of every note that a run can show, and the bank of descriptions."""
    encoder = build_text_encoder(PACKAGED_TEXT).freeze()
    notes = sorted({*training_examples(prepared, None, 1).all_notes, *filter(None, sum(judged_notes(prepared), ()))})
    parts = []
    for start in range(0, len(notes), 64):
        ids, mask = encoder.tokenizer.encode(notes[start : start + 64], NOTE_LENGTH)
        parts.append((encoder(ids, mask).half().numpy(), mask.numpy()))
    bank = sorted(
        {(text, record.class_id) for record in prepared.records if record.split == "train"
         for text in caption_targets(record).values()}
    )  # fmt: skip
    kept = [
        bank[at] for at in np.unique(np.linspace(0, len(bank) - 1, min(len(bank), 8 * len(prepared.names)), dtype=int))
    ]
    np.savez(
        prepared.folder / "notes.npz",
        notes=np.array(notes),
        states=np.concatenate([states for states, _ in parts]),
        masks=np.concatenate([mask for _, mask in parts]),
        bank=embed_texts(encoder, [text for text, _ in kept]),
        bank_labels=np.array([prepared.names.index(name) for _, name in kept]),
    )


def training_examples(prepared: Prepared, vocabulary: Any, length: int) -> Examples:
    return Examples(
        [prepared.records[row] for row in prepared.split("train")],
        prepared.names,
        vocabulary=vocabulary,
        caption_length=length,
        notes=NotePolicy(),
        seed=DATA_SEED,
    )


def judged_notes(prepared: Prepared) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
    plan = plan_notes([prepared.records[row] for row in prepared.judged], LANGUAGE, DATA_SEED)
    return plan.right, plan.wrong


class Notes:
    """Notes to their kept states."""

    def __init__(self, folder: Path) -> None:
        kept = np.load(folder / "notes.npz")
        self.bank_MW = torch.from_numpy(kept["bank"])
        self.bank_labels_M = torch.from_numpy(kept["bank_labels"])
        self._index = {note: row for row, note in enumerate(kept["notes"].tolist())}
        used = int(kept["masks"].any(axis=0).nonzero()[0].max()) + 1
        self._states = torch.from_numpy(kept["states"][:, :used])
        self._masks = torch.from_numpy(kept["masks"][:, :used])

    @property
    def width(self) -> int:
        return self._states.shape[2]

    def __call__(self, notes: Sequence[str | None]) -> NoteStates | None:
        if not any(notes):
            return None
        rows = torch.tensor([0 if note is None else self._index[note] for note in notes])
        given = torch.tensor([note is not None for note in notes])
        return NoteStates(self._states[rows].float(), self._masks[rows] & given[:, None])


def train_and_judge(manifest: Path, run: Run) -> dict[str, Any]:
    """Train one preset from the kept features and judge it; in a process of its own."""
    torch.set_num_threads(run.threads)
    torch.manual_seed(run.seed)
    prepared = load(manifest)
    features = np.load(prepared.folder / "features.npy", mmap_mode="r")
    notes = Notes(prepared.folder)
    records = list(prepared.records)
    vocabulary = train_vocabulary(records)
    assert vocabulary is not None, "the manifest has no texts"
    length = needed_text_length(records, vocabulary, limit=TEXT_LENGTH)
    settings = {"note_length": NOTE_LENGTH, "caption_length": length}
    config = preset_config(run.preset, len(prepared.names), settings)
    if config.classifier == "names":
        config = with_names(config, class_texts(records, prepared.names, LANGUAGE), vocabulary, LANGUAGE)
    vision = build_vision_encoder(PACKAGED_VISION, pretrained=False).freeze()
    model = MultimodalModel(config, vision, text_width=notes.width, vocabulary_size=len(vocabulary))
    examples = training_examples(prepared, vocabulary, length)
    counts_C = torch.bincount(torch.from_numpy(examples.labels_N), minlength=len(prepared.names))
    weights = find_preset(run.preset).weights
    objective = Objective(
        ClassificationLoss(label_smoothing=0.1, log_prior_C=log_prior(counts_C)),
        notes.bank_MW,
        notes.bank_labels_M,
        weights,
    )
    clock = time.perf_counter()
    train(model, run, objective, notes, BatchMaker(examples), features, np.array(prepared.split("train")))
    train_s = time.perf_counter() - clock
    outcome = judge(model.eval(), prepared, features, notes)
    after_tower = sum(weight.numel() for name, weight in model.named_parameters() if not name.startswith("vision."))
    return {
        **outcome,
        **caption_nll(model, prepared, features, vocabulary, length),
        **caption_scores(model, prepared, features, vocabulary),
        "parameters": after_tower,
        "train_photos_per_s": run.epochs * len(prepared.split("train")) / train_s,
        "train_s": train_s,
        "peak_mib": peak_mib(),
    }


def peak_mib() -> float:
    """Return the most memory that this process has had; getrusage would count its parent's from before the start."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def train(
    model: MultimodalModel,
    run: Run,
    objective: Objective,
    notes: Notes,
    maker: BatchMaker,
    features: Any,
    rows_N: NDArray[np.int64],
) -> None:
    optimizer = build_optimizer(model, OptimizerSettings(learning_rate=LEARNING_RATE, weight_decay=0.05))
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    steps_an_epoch = -(-len(rows_N) // BATCH_SIZE)
    total, step = run.epochs * steps_an_epoch, 0
    stages = find_preset(run.preset).stages
    for epoch in range(run.epochs):
        model.train()
        model.train_parts(stage_at(epoch / run.epochs, stages).trains)
        for keys in EpochSampler(len(rows_N), BATCH_SIZE, seed=run.seed, epoch=epoch):
            rows = rows_N[[key.index for key in keys]]
            batch = maker.make(keys, features_B=torch.from_numpy(features[rows].astype(np.float32)))
            set_learning_rate(optimizer, warmup_cosine(step, warmup_steps=total // 20, total_steps=total))
            terms = training_terms(model, batch, objective, notes)
            loss, _ = weighted_sum(terms, term_counts(model, batch, objective), objective.weights)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            step += 1


def stage_at(done: float, stages: Sequence[Stage]) -> Stage:
    """Return the stage of an epoch that begins after this share of the training."""
    ends = np.cumsum([stage.share_of_epochs for stage in stages])
    return stages[int(np.searchsorted(ends, done + 1e-9, side="right"))]


@torch.no_grad()
def judge(model: MultimodalModel, prepared: Prepared, features: Any, notes: Notes) -> dict[str, float]:
    """Return the accuracy on the judged photos under each condition, and photos a second from kept tokens."""
    rows, labels = prepared.judged, prepared.labels(prepared.judged)
    right, wrong = judged_notes(prepared)
    noted = np.array([note is not None for note in wrong])
    nothing = (None,) * len(rows)
    clock = time.perf_counter()
    alone = predict(model, features, rows, nothing, notes)
    elapsed_s = time.perf_counter() - clock
    both = predict(model, features, rows, right, notes)
    misled = predict(model, features, rows, wrong, notes)
    return {
        "image_only": float((alone == labels).mean()),
        "image_only_noted": float((alone == labels)[noted].mean()),
        "image_and_note": float((both == labels)[noted].mean()),
        "wrong_note": float((misled == labels)[noted].mean()),
        "num_photos": len(rows),
        "num_noted": int(noted.sum()),
        "infer_photos_per_s": len(rows) / elapsed_s,
    }


def predict(
    model: MultimodalModel, features: Any, rows: Sequence[int], given: Sequence[str | None], notes: Notes
) -> NDArray[np.int64]:
    answers = []
    for start in range(0, len(rows), BATCH_SIZE):
        image = tokens(model, features, rows[start : start + BATCH_SIZE])
        logits = model(image, notes(given[start : start + BATCH_SIZE])).logits_BC
        answers.append(logits.argmax(dim=1).numpy())
    return np.concatenate(answers)


def tokens(model: MultimodalModel, features: Any, rows: Sequence[int]) -> VisionTokens:
    return model.vision_tokens(torch.from_numpy(features[np.array(rows)].astype(np.float32)))


@torch.no_grad()
def caption_nll(
    model: MultimodalModel, prepared: Prepared, features: Any, vocabulary: Any, length: int
) -> dict[str, float]:
    """Return nats a word of the photos' descriptions, seeing the photo and seeing another class's photo."""
    rows = [row for row in prepared.judged if caption_targets(prepared.records[row]).get(LANGUAGE)]
    if model.captioner is None or not rows:
        return {}
    rows = [rows[at] for at in np.random.default_rng(0).permutation(len(rows))]  # neighbours are of other classes
    sums: dict[str, list[float]] = {"caption_nll": [0.0, 0.0], "caption_nll_other_photo": [0.0, 0.0]}
    for start in range(0, len(rows), BATCH_SIZE):
        chosen = rows[start : start + BATCH_SIZE]
        texts = [caption_targets(prepared.records[row])[LANGUAGE] for row in chosen]
        ids = np.stack([vocabulary.encode(text, language=LANGUAGE, length=length) for text in texts])
        ids_BT: Tensor = torch.from_numpy(ids)[:, : int((ids != PAD_ID).sum(axis=1).max())]
        context_BND = model.caption_context(model(tokens(model, features, chosen), None))
        for name, seen in (("caption_nll", context_BND), ("caption_nll_other_photo", context_BND.roll(1, 0))):
            total, words = model.captioner.loss(ids_BT, seen)
            sums[name][0] += float(total)
            sums[name][1] += float(words)
    return {name: total / words for name, (total, words) in sums.items()}


@torch.no_grad()
def caption_scores(model: MultimodalModel, prepared: Prepared, features: Any, vocabulary: Any) -> dict[str, float]:
    """Return chrF++ of greedy descriptions of a draw of the judged photos, and of what needs no photo."""
    able = [row for row in prepared.judged if caption_targets(prepared.records[row]).get(LANGUAGE)]
    if model.captioner is None or not able:
        return {}
    rows = sorted(np.random.default_rng(0).permutation(able)[:MAX_DESCRIBED].tolist())
    predicted, generated = [], []
    for start in range(0, len(rows), BATCH_SIZE):
        output = model(tokens(model, features, rows[start : start + BATCH_SIZE]), None)
        ids = model.captioner.generate(model.caption_context(output), vocabulary.prompt_ids(LANGUAGE, "DESCRIBE"))
        generated += [vocabulary.decode(row) for row in ids.tolist()]
        predicted += [prepared.names[label] for label in output.logits_BC.argmax(dim=1).tolist()]
    records = tuple(prepared.records[row] for row in rows)
    described = DescribedPhotos(
        records=records,
        references=tuple((caption_targets(record)[LANGUAGE],) for record in records),
        generated=tuple(generated),
        predicted=tuple(predicted),
        likelihood=score_likelihood(0.0, 1, 1),
    )
    training = [prepared.records[row] for row in prepared.split("train")]
    scores = score_captions(
        described, training, language=LANGUAGE, num_with_reference=len(able), rng=np.random.default_rng(0)
    )
    found = {
        "chrf": scores.model,
        "chrf_class_text": scores.class_text,
        "chrf_commonest": scores.most_frequent,
        "chrf_other_photo": scores.shuffled_photos,
    }
    return {name: score.chrf for name, score in found.items() if score is not None}


def score_floor(prepared: Prepared) -> float:
    """Return the accuracy of logistic regression on the same frozen features, averaged over their cells."""
    kept = prepared.folder / "floor.json"
    if kept.exists():
        return float(read_json(kept))
    features = np.load(prepared.folder / "features.npy", mmap_mode="r")
    spots = tuple(range(2, features.ndim))
    pooled = np.stack([row.astype(np.float32).mean(axis=tuple(spot - 1 for spot in spots)) for row in features])
    known, judged = prepared.split("train"), prepared.judged
    best = 0.0
    for strength in (0.003, 0.01, 0.1, 1.0):  # the best on the judged photos themselves: a floor that is not too low
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 300 rounds of L-BFGS are past the plateau
            model.fit(pooled[known], prepared.labels(known))
        best = max(best, float(model.score(pooled[judged], prepared.labels(judged))))
    write_json(kept, best)
    return best


def print_versions(prepared: Prepared, threads: int) -> None:
    print(
        f"python {platform.python_version()}, torch {torch.__version__}, timm {timm.__version__},"
        f" transformers {transformers.__version__}; {threads} threads of {platform.machine()}"
    )
    print(
        f"{len(prepared.split('train'))} photos trained, {len(prepared.judged)} judged, {len(prepared.names)} classes;"
        f" {PACKAGED_VISION} frozen, features kept; parts that learn: {', '.join(PARTS[2:])}"
    )


CHRF = {
    "chrf": "own descriptions",
    "chrf_commonest": "the commonest description",
    "chrf_other_photo": "another photo's",
    "chrf_class_text": "the predicted class's text",
}
COLUMNS: tuple[tuple[str, str, float, int], ...] = (
    ("image only %", "image_only", 100, 1),
    ("+ note %", "image_and_note", 100, 1),
    ("wrong note %", "wrong_note", 100, 1),
    ("params M", "parameters", 1e-6, 2),
    ("train photos/s", "train_photos_per_s", 1, 0),
    ("infer photos/s", "infer_photos_per_s", 1, 0),
    ("peak MiB", "peak_mib", 1, 0),
    ("caption nats", "caption_nll", 1, 3),
    ("other photo", "caption_nll_other_photo", 1, 3),
    ("chrF++", "chrf", 1, 1),
    ("class's text", "chrf_class_text", 1, 1),
)


def print_table(results: Sequence[dict[str, Any]], floor: float) -> None:
    """Print mean ± standard deviation over seeds; notes are judged on the photos that have one."""
    print(f"\nlogistic regression on the pooled frozen features: {100 * floor:.1f} %")
    print(f"{'preset':<16}{'seeds':>6}" + "".join(f"{title:>16}" for title, *_ in COLUMNS) + f"{'× regression':>16}")
    for preset in PRESETS:
        rows = [result for result in results if result["run"]["preset"] == preset]
        if not rows:
            continue
        cells = [shown([row[key] for row in rows if key in row], scale, digits) for _, key, scale, digits in COLUMNS]
        ratio = float(np.mean([row["image_only"] for row in rows])) / floor
        print(f"{preset:<16}{len(rows):>6}" + "".join(f"{cell:>16}" for cell in cells) + f"{ratio:>16.3f}")


def print_bars(results: Sequence[dict[str, Any]], floor: float) -> None:
    """Say of each preset, over the mean of its seeds, which bar it takes; photo alone, greedy descriptions."""
    print("\nbars (mean of seeds):")
    for preset in PRESETS:
        rows = [result for result in results if result["run"]["preset"] == preset]
        if not rows:
            continue
        mean = {
            key: float(np.mean([row[key] for row in rows]))
            for key in ("image_only", "train_s", *CHRF)
            if all(key in row for row in rows)
        }
        least = 1.0 if preset == "cross-attention" else 0.95  # the default must exceed the regression
        bars = {
            f"accuracy ≥ {least:g} × regression": mean["image_only"] >= least * floor,
            "trained in 5 minutes": mean["train_s"] <= 300,
            **{f"chrF++ above {CHRF[key]}": mean["chrf"] > mean[key] for key in list(CHRF)[1:] if key in mean},
        }
        print(f"  {preset:<16}" + "; ".join(f"{'yes' if taken else 'NO'}: {bar}" for bar, taken in bars.items()))


def shown(values: Sequence[float], scale: float, digits: int) -> str:
    if not values:
        return "–"
    mean = f"{scale * float(np.mean(values)):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {scale * float(np.std(values, ddof=1)):.{digits}f}"


if __name__ == "__main__":
    main()
