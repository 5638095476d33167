"""`plantset train`: prepare, fit, calibrate, report."""

from __future__ import annotations

import dataclasses
import importlib.util
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from plantset import __version__
from plantset.core.classes import class_infos
from plantset.core.errors import ConfigError, DeviceError
from plantset.core.files import sha256_json, write_json
from plantset.core.language import tr
from plantset.core.log import say
from plantset.core.options import command_line, to_json_values, write_resolved
from plantset.data.module import photo_batches
from plantset.data.sampler import EpochSampler
from plantset.evaluation import calibration
from plantset.evaluation.classification import score_macro_f1
from plantset.models.build import count_parameters
from plantset.models.decision import Calibration
from plantset.models.load import LoadedModel, ModelCard, load_model, to_checkpoint
from plantset.models.multimodal import MultimodalModel
from plantset.runtime.checkpoint import load_checkpoint, save_checkpoint
from plantset.runtime.launch import launch
from plantset.runtime.strategy import Strategy
from plantset.training.config import TpuTrainConfig, TrainConfig
from plantset.training.loop import Hooks, Plan, Progress, fit
from plantset.training.optimizer import build_optimizer
from plantset.training.pictures import MAX_TILES, draw_batch, draw_history, write_history
from plantset.training.state import (
    BEST_NAME,
    LAST_NAME,
    load_initial_weights,
    load_weights_of,
    restore_state,
    save_state,
)
from plantset.training.step import term_counts, training_terms, weighted_sum
from plantset.training.task import (
    PhotoFeeds,
    Task,
    build_objective,
    check_numbers,
    labels_of,
    note_encoder,
    prepare_task,
    val_answers,
    val_logits,
    vision_learning_rate_ratio,
)

_WARMUP_RATIO = 0.05


@dataclass(frozen=True)
class TrainReport:
    """What a training left.

    Attributes:
        val_accuracy, val_macro_f1: of best_model.pth on all val photos, photo alone. Val chose the epoch: the honest
            figure is that of the test split.
    """

    best_path: Path
    num_classes: int
    num_train: int
    num_val: int
    kept_epoch: int
    epochs_done: int
    val_accuracy: float
    val_macro_f1: float
    seconds: float

    def summary(self) -> str:
        """Return what was reached, and the next command."""
        minutes = self.seconds / 60
        return tr(
            f"{self.num_classes} classes, {self.num_train} training photos, {self.epochs_done} epochs in {minutes:.1f}"
            f" min; the model of epoch {self.kept_epoch + 1} is kept\n"
            f"val (the selection split, n = {self.num_val}): accuracy {self.val_accuracy:.4f},"
            f" macro-F1 {self.val_macro_f1:.4f}\n"
            f"model: {self.best_path}\n"
            f"next: plantset evaluate --checkpoint {self.best_path} --jsonl-file …",
            f"{self.num_classes} classes, {self.num_train} photos d'entraînement, {self.epochs_done} époques en"
            f" {minutes:.1f} min ; le modèle de l'époque {self.kept_epoch + 1} est gardé\n"
            f"val (le jeu de sélection, n = {self.num_val}) : exactitude {self.val_accuracy:.4f},"
            f" F1 macro {self.val_macro_f1:.4f}\n"
            f"modèle : {self.best_path}\n"
            f"ensuite : plantset evaluate --checkpoint {self.best_path} --jsonl-file …",
        )

    @property
    def exit_code(self) -> int:
        """Return 0: a training that could not be done raises."""
        return 0


def train(config: TrainConfig) -> TrainReport:
    """Train a model; leaves best_model.pth, last_model.pth, history and logs in the checkpoint folder.

    Raises:
        ConfigError, DataError, CheckpointError, DeviceError: what the user can mend.
    """
    check_numbers(config)
    if config.num_threads is not None:
        torch.set_num_threads(config.num_threads)
    with launch(config.device, mixed_precision=config.mixed_precision) as strategy:
        return _train(config, strategy)


def _train(config: TrainConfig, strategy: Strategy) -> TrainReport:
    started = time.perf_counter()
    task = prepare_task(config, rank=strategy.rank, world_size=strategy.world_size)
    model = task.model
    strategy.prepare(model)
    card = _card(task)
    if config.init_checkpoint is not None:
        load_initial_weights(model, card, config.init_checkpoint)
    strategy.on_main(lambda: _announce(task, strategy))
    strategy.on_main(lambda: _draw_first_batch(task))
    feeds = PhotoFeeds(task, strategy)
    plan = _plan(config, len(feeds.train(0)), len(task.selection))
    optimizer = build_optimizer(
        model,
        learning_rate=config.learning_rate,
        vision_ratio=vision_learning_rate_ratio(config),
        weight_decay=config.weight_decay,
    )
    progress = _resume(config, model, card, optimizer, strategy)
    objective, encode_notes = build_objective(task), note_encoder(task)
    with _open_log(config, strategy) as writer:
        hooks = Hooks(
            counts=lambda model, batch: term_counts(model, batch, objective),
            terms=lambda model, batch: training_terms(model, batch, objective, encode_notes),
            weigh=lambda terms, counts: weighted_sum(terms, counts, objective.weights),
            judge=_judge(task, feeds, strategy),
            epoch_done=_epoch_done(task, card, optimizer, strategy, writer),
            logged=lambda step, values: _log(writer, values, step),
        )
        fit(model, optimizer, strategy, plan, progress, feeds.train, hooks)
    return _finish(task, feeds, strategy, card, progress, started)


def train_on_tpu(config: TpuTrainConfig) -> TrainReport:
    """Train on a TPU: the same path as `train`, on TPU cores.

    Raises:
        DeviceError: no TPU runtime is installed, or none of its strategies exists yet in this version.
    """
    installed = [name for name in ("torch_tpu", "torch_xla") if importlib.util.find_spec(name) is not None]
    if not installed:
        raise DeviceError(
            tr(
                f"no TPU runtime is installed, so {config.tpu_cores} TPU cores cannot be used",
                f"aucun environnement TPU n'est installé : {config.tpu_cores} cœurs TPU ne peuvent pas être utilisés",
            ),
            tr(
                "on a Cloud TPU VM: pip install torch-tpu (or torch_xla[tpu] with torch 2.9); "
                "without a TPU: plantset train with the same flags",
                "sur une VM Cloud TPU : pip install torch-tpu (ou torch_xla[tpu] avec torch 2.9) ; "
                "sans TPU : plantset train avec les mêmes options",
            ),
        )
    raise DeviceError(
        tr(
            f"{installed[0]} is installed, but this version of plantset does not train on TPU cores yet",
            f"{installed[0]} est installé, mais cette version de plantset n'entraîne pas encore sur TPU",
        ),
        tr("use plantset train with the same flags", "utilisez plantset train avec les mêmes options"),
    )


def train_model(*, use_mixed_precision: bool = False, **settings: Any) -> TrainReport:
    """Train from Python: every flag of `plantset train` by its name, `jsonl_file=` required.

    Args:
        use_mixed_precision: the flag `mixed_precision`.
        settings: fields of `TrainConfig`, such as class_weights, warmup_steps, learning_rate.

    Raises:
        ConfigError: a name that is no setting.
    """
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ConfigError(
            tr(f"unknown setting: {', '.join(unknown)}", f"réglage inconnu : {', '.join(unknown)}"),
            tr(f"known: {', '.join(sorted(known))}", f"connus : {', '.join(sorted(known))}"),
        )
    paths = {name for name in known if name.endswith(("_dir", "_file", "_checkpoint", "_weights"))} - {"class_weights"}
    values: dict[str, Any] = {name: Path(v) if name in paths and v is not None else v for name, v in settings.items()}
    values.setdefault("mixed_precision", use_mixed_precision)
    return train(TrainConfig(**values))


def _card(task: Task) -> ModelCard:
    hashes = sorted(f"{r.split}|{r.class_id}|{r.sha256 or r.image_path}" for r in task.data.records)
    return ModelCard(
        classes=class_infos(task.data.records),
        language=task.config.language,
        vocabulary=task.data.vocabulary if task.model.captioner is not None else None,
        calibration=Calibration(),
        training=to_json_values(task.config),
        data={
            "fingerprint": sha256_json(hashes),
            "num_train": len(task.data.split("train")),
            "num_val": len(task.val_records),
        },
    )


def _announce(task: Task, strategy: Strategy) -> None:
    """Say what is about to be trained, and keep what is needed to do it again."""
    total, trainable = count_parameters(task.model)
    config = task.config
    say(
        tr(
            f"{task.data.num_classes} classes, {len(task.data.split('train'))} training photos, "
            f"{total / 1e6:.1f} M parameters of which {trainable / 1e6:.1f} M learn, "
            f"{strategy.device} {strategy.precision}",
            f"{task.data.num_classes} classes, {len(task.data.split('train'))} photos d'entraînement, "
            f"{total / 1e6:.1f} M paramètres dont {trainable / 1e6:.1f} M apprennent, "
            f"{strategy.device} {strategy.precision}",
        )
    )
    if config.mixed_precision and strategy.precision == "fp32":
        say(
            tr(
                "note: this device has no fast 16-bit arithmetic; training stays in fp32",
                "note : cet appareil n'a pas de calcul 16 bits rapide ; l'entraînement reste en fp32",
            )
        )
    write_resolved(config.checkpoint_dir / "train_config.json", config)
    write_json(
        config.checkpoint_dir / "run.json",
        {
            "command": command_line("train", config),
            "plantset": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": str(strategy.device),
            "precision": strategy.precision,
            "parameters": total,
            "trainable_parameters": trainable,
            "data": dict(_card(task).data),
        },
    )


def _draw_first_batch(task: Task) -> None:
    """Draw the photos that the first steps of the first epoch see, in their order and as augmented there."""
    records = task.data.split("train")
    reader = task.data.reader(records, augment=True)
    sampler = EpochSampler(len(records), min(MAX_TILES, len(records)), seed=task.config.seed)
    keys = next(iter(sampler))
    views = [reader.read(key) for key in keys]
    draw_batch(views, [records[key.index].class_id for key in keys], task.config.checkpoint_dir / "train_batch.jpg")


def _plan(config: TrainConfig, steps_per_epoch: int, selection_photos: int) -> Plan:
    warmup = config.warmup_steps
    return Plan(
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        warmup_steps=round(_WARMUP_RATIO * config.epochs * steps_per_epoch) if warmup is None else warmup,
        gradient_clip=config.gradient_clip,
        early_stopping=config.early_stopping,
        selection_photos=selection_photos,
    )


def _resume(
    config: TrainConfig,
    model: MultimodalModel,
    card: ModelCard,
    optimizer: torch.optim.Optimizer,
    strategy: Strategy,
) -> Progress:
    if config.resume is None:
        return Progress()
    path = config.checkpoint_dir / LAST_NAME if config.resume == "auto" else Path(config.resume)
    if config.resume == "auto" and not path.exists():
        return Progress()  # the first start of a job that is always started with --resume auto
    progress = restore_state(path, model, card, optimizer, strategy)
    strategy.on_main(lambda: _bring_best(path.parent / BEST_NAME, config.checkpoint_dir / BEST_NAME))
    say(tr(f"going on after epoch {progress.epoch}", f"reprise après l'époque {progress.epoch}"))
    return progress


def _bring_best(earlier: Path, path: Path) -> None:
    """Take the kept model along when a run goes on in another folder: a later epoch need not replace it."""
    if path.resolve() != earlier.resolve():
        save_checkpoint(path, load_checkpoint(earlier))


def _judge(
    task: Task, feeds: PhotoFeeds, strategy: Strategy
) -> Callable[[MultimodalModel], tuple[float, dict[str, float]]]:
    selection = np.array(task.selection)
    labels = labels_of(task, task.val_records)[selection]

    def judge(model: MultimodalModel) -> tuple[float, dict[str, float]]:
        logits = val_logits(model, feeds.val(), strategy)[selection]
        accuracy, macro_f1 = _scores(logits, labels)
        return macro_f1, {"accuracy": accuracy, "macro_f1": macro_f1}

    return judge


def _epoch_done(
    task: Task, card: ModelCard, optimizer: torch.optim.Optimizer, strategy: Strategy, writer: SummaryWriter | None
) -> Callable[[Progress, bool], None]:
    folder, config = task.config.checkpoint_dir, task.config

    def epoch_done(progress: Progress, is_kept: bool) -> None:
        state = strategy.state()
        strategy.on_main(lambda: write(progress, is_kept, state))

    def write(progress: Progress, is_kept: bool, state: Mapping[str, Tensor]) -> None:
        if is_kept:
            save_checkpoint(folder / BEST_NAME, to_checkpoint(task.model, card))
        save_state(folder / LAST_NAME, task.model, card, optimizer, state, progress)
        if config.save_every and progress.epoch % config.save_every == 0:
            save_state(folder / f"epoch_{progress.epoch:03d}.pth", task.model, card, optimizer, state, progress)
        write_history(progress.history, folder / "history.csv")
        row = progress.history[-1]
        _log(writer, {f"epoch/{name}": value for name, value in row.items()}, progress.step)
        say(_epoch_line(row, config.epochs, is_kept))

    return epoch_done


def _epoch_line(row: Mapping[str, float], epochs: int, is_kept: bool) -> str:
    line = tr(
        f"epoch {row['epoch'] + 1:.0f}/{epochs}  loss {row['loss']:.3f}  selection accuracy {row['accuracy']:.4f}"
        f"  macro-F1 {row['macro_f1']:.4f}  {row['photos_per_s']:.0f} photos/s  data wait"
        f" {100 * row['data_wait_ratio']:.0f} %",
        f"époque {row['epoch'] + 1:.0f}/{epochs}  perte {row['loss']:.3f}  sélection : exactitude"
        f" {row['accuracy']:.4f}  F1 macro {row['macro_f1']:.4f}  {row['photos_per_s']:.0f} photos/s  attente des"
        f" données {100 * row['data_wait_ratio']:.0f} %",
    )
    return line + (tr("  kept", "  gardée") if is_kept else "")


def _finish(
    task: Task, feeds: PhotoFeeds, strategy: Strategy, card: ModelCard, progress: Progress, started: float
) -> TrainReport:
    """Calibrate the best epoch, write it for good, and score it as a new process would."""
    folder = task.config.checkpoint_dir
    best_path = folder / BEST_NAME
    load_weights_of(task.model, load_checkpoint(best_path))
    calibrated = dataclasses.replace(card, calibration=_calibrate(task, feeds, strategy))
    strategy.on_main(lambda: save_checkpoint(best_path, to_checkpoint(task.model, calibrated)))
    strategy.on_main(lambda: draw_history(progress.history, folder / "history.png"))
    accuracy, macro_f1 = _score_checkpoint(load_model(best_path, task.config.device), task)
    report = TrainReport(
        best_path=best_path,
        num_classes=task.data.num_classes,
        num_train=len(task.data.split("train")),
        num_val=len(task.val_records),
        kept_epoch=progress.kept_epoch,
        epochs_done=progress.epoch,
        val_accuracy=accuracy,
        val_macro_f1=macro_f1,
        seconds=time.perf_counter() - started,
    )
    written = {**dataclasses.asdict(report), "best_path": str(best_path)}
    strategy.on_main(lambda: write_json(folder / "train_report.json", written))
    return report


def _calibrate(task: Task, feeds: PhotoFeeds, strategy: Strategy) -> Calibration:
    """Fit temperature, thresholds and sets on the half of val that chose nothing; see `evaluation.calibration.fit`."""
    logits, features = val_answers(task.model, feeds.val(), strategy)
    return calibration.fit(
        logits,
        features,
        labels_of(task, task.val_records),
        selection=np.array(task.selection),
        calibration=np.array(task.calibration),
    )


def _score_checkpoint(model: LoadedModel, task: Task) -> tuple[float, float]:
    """Return accuracy and macro-F1 of the written file on all val photos, read from disk again."""
    batches = photo_batches(
        task.val_records, task.data.images_dir, model.preprocess, task.config.batch_size, task.config.num_workers
    )
    logits = np.concatenate([model.predict_batch(pixels).numpy() for _, pixels in batches])
    return _scores(logits, labels_of(task, task.val_records))


def _scores(logits_NC: NDArray[np.float32], labels_N: NDArray[np.int64]) -> tuple[float, float]:
    predicted = logits_NC.argmax(axis=1)
    each = np.arange(len(labels_N))
    estimate = score_macro_f1(predicted, labels_N, each, bootstrap_count=0, rng=np.random.default_rng(0))
    return float((predicted == labels_N).mean()), estimate.value


@contextmanager
def _open_log(config: TrainConfig, strategy: Strategy) -> Iterator[SummaryWriter | None]:
    """Yield TensorBoard's writer, and None where another process writes."""
    if not strategy.is_main:
        yield None
        return
    with SummaryWriter(str(config.log_dir or config.checkpoint_dir / "logs")) as writer:
        yield writer


def _log(writer: SummaryWriter | None, values: Mapping[str, float], step: int) -> None:
    if writer is None:
        return
    for name, value in values.items():
        writer.add_scalar(name, value, step)
