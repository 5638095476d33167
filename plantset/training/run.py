"""`plantset train`: prepare, fit, calibrate, report."""

from __future__ import annotations

import dataclasses
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from plantset.core.errors import ConfigError
from plantset.core.files import write_json
from plantset.core.language import tr
from plantset.models.load import load_model, to_checkpoint
from plantset.models.multimodal import MultimodalModel
from plantset.runtime.checkpoint import load_checkpoint, save_checkpoint
from plantset.runtime.devices import find_tpu
from plantset.runtime.launch import launch, on_every_chip
from plantset.runtime.strategy import Strategy
from plantset.training.announce import (
    announce,
    draw_first_batch,
    tell_epoch,
    write_photos,
    write_run,
)
from plantset.training.average import WeightAverage
from plantset.training.checks import check_folder, check_numbers, check_share
from plantset.training.compiling import compile_model
from plantset.training.config import TpuTrainConfig, TrainConfig
from plantset.training.dry_run import DryRunReport, first_batches, try_out
from plantset.training.feeds import PhotoFeeds
from plantset.training.judging import build_judge, calibrate, estimate_last_look_s, score_checkpoint
from plantset.training.logs import NO_LOG, RunLog, import_logger, open_log
from plantset.training.loop import Hooks, Plan, Progress, Trainer
from plantset.training.meter import LossDivergedError
from plantset.training.metrics import Judgement
from plantset.training.optimizer import OptimizerSettings, build_optimizer
from plantset.training.pictures import draw_history, write_history
from plantset.training.saving import Saver
from plantset.training.schedule import default_warmup_steps
from plantset.training.state import BEST_NAME, LAST_NAME, load_initial_weights, load_weights_of
from plantset.training.step import term_counts, training_terms, weighted_sum
from plantset.training.stopping import Clock, StopRequest, listening, memory_told, seconds_of
from plantset.training.task import (
    Task,
    build_bank,
    build_card,
    build_objective,
    mixing_policy,
    note_encoder,
    prepare_task,
    stage_of,
    vision_learning_rate_ratio,
    with_towers,
)


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


@dataclass(frozen=True)
class StoppedReport:
    """A training that a signal stopped: nothing is lost, and nothing is calibrated yet."""

    last_path: Path
    epochs_done: int
    steps_done: int
    signal_number: int

    def summary(self) -> str:
        """Return where it stopped and how it goes on."""
        name = (
            signal.Signals(self.signal_number).name
            if self.signal_number
            else tr("another process", "un autre processus")
        )
        return tr(
            f"stopped by {name} after {self.epochs_done} epochs, step {self.steps_done}; the state is saved:"
            f" {self.last_path}\ngo on with the same command and --resume auto",
            f"arrêté par {name} après {self.epochs_done} époques, pas {self.steps_done} ; l'état est enregistré :"
            f" {self.last_path}\nreprenez avec la même commande et --resume auto",
        )

    @property
    def exit_code(self) -> int:
        """Return 128 + the signal, as a shell does."""
        return 128 + (self.signal_number or signal.SIGTERM)


AnyReport = TrainReport | StoppedReport | DryRunReport


def train(config: TrainConfig) -> AnyReport:
    """Train a model; leaves best_model.pth, last_model.pth, history and logs in the checkpoint folder.

    Raises:
        ConfigError, DataError, CheckpointError, DeviceError: what the user can mend.
    """
    return on_every_chip(config.device, partial(_launch_and_train, config))


def _launch_and_train(
    config: TrainConfig, *, tpu_cores: int | None = None, shard_parameters: bool = False
) -> AnyReport:
    started = time.perf_counter()
    check_numbers(config)
    check_folder(config.checkpoint_dir)
    import_logger(config.log_to)
    if config.num_threads is not None:
        torch.set_num_threads(config.num_threads)
    config = with_towers(config)
    opened = launch(
        config.device,
        mixed_precision=config.mixed_precision,
        tpu_cores=tpu_cores,
        shard_parameters=shard_parameters,
    )
    with opened as strategy, memory_told(config):
        check_share(config.batch_size, strategy.num_devices, in_pairs=mixing_policy(config) is not None)
        return _train(config, strategy, started)


def _train(config: TrainConfig, strategy: Strategy, started: float) -> AnyReport:
    task = prepare_task(
        config,
        rank=strategy.rank,
        world_size=strategy.world_size,
        pin_memory=strategy.device.type == "cuda",
    )
    model = task.model
    strategy.prepare(model)
    card = build_card(task)
    if config.init_checkpoint is not None:
        load_initial_weights(model, card, config.init_checkpoint)
    strategy.on_main(lambda: announce(task, strategy))
    feeds = PhotoFeeds(task, strategy)
    optimizer = build_optimizer(
        model,
        OptimizerSettings(
            config.learning_rate,
            vision_learning_rate_ratio(config),
            config.weight_decay,
            config.optimizer,
            config.layer_decay,
        ),
    )
    average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
    bank = build_bank(task)
    saver = Saver(
        config.checkpoint_dir, model, card, optimizer, strategy, average, bank, config.save_every, config.keep_last
    )
    if config.dry_run:
        return try_out(task, optimizer, strategy, _plan(task), _hooks(task, feeds, saver, NO_LOG, StopRequest()))
    feeds.fill()
    if config.compile:
        batches = first_batches(task, strategy, config.accumulate_steps)[0]
        compile_model(model, batches, _hooks(task, feeds, saver, NO_LOG, StopRequest()), strategy)
    progress = Progress() if config.resume is None else saver.resume(config.resume)
    # not before: what only tried, or was refused, must not stand in the place of what made the model
    strategy.on_main(lambda: write_run(task, strategy, card.data))
    strategy.on_main(lambda: draw_first_batch(task))
    with open_log(config, strategy, progress.step) as log, listening() as request:
        hooks = _hooks(task, feeds, saver, log, request)
        trainer = Trainer(model, optimizer, strategy, _plan(task), progress, hooks, average)
        try:
            ending = trainer.fit(request, _clock(task, started))
        except LossDivergedError as error:
            lost = error  # a lambda may not close over the name that `except` deletes
            strategy.on_main(lambda: write_photos(task, progress, lost))
            raise
        if ending == "signal":
            return StoppedReport(
                config.checkpoint_dir / LAST_NAME, progress.epoch, progress.step, request.signal_number
            )
    return _finish(task, feeds, saver, progress, started)


def _hooks(task: Task, feeds: PhotoFeeds, saver: Saver, log: RunLog, request: StopRequest) -> Hooks:
    objective, encode_notes = build_objective(task, saver.bank), note_encoder(task)
    score = build_judge(task, feeds, saver.strategy, request)

    def judge(model: MultimodalModel) -> Judgement:
        with saver.averaged():
            return score(model)

    def begin_epoch(epoch: int, seen: int) -> None:
        task.model.train_parts(stage_of(task.config, epoch).trains)
        if saver.bank is not None:
            saver.bank.begin_epoch(epoch, seen)

    def epoch_done(progress: Progress, is_kept: bool) -> None:
        saver.save_epoch(progress, is_kept=is_kept)
        saver.strategy.on_main(lambda: tell_epoch(progress, task.config, log, is_kept=is_kept))

    return Hooks(
        loader=feeds.train,
        begin_epoch=begin_epoch,
        counts=lambda model, batch: term_counts(model, batch, objective),
        terms=lambda model, batch: training_terms(model, batch, objective, encode_notes),
        weigh=lambda terms, counts: weighted_sum(terms, counts, objective.weights),
        judge=judge,
        epoch_done=epoch_done,
        save=saver.save,
        logged=lambda step, values: log.add(values, step),
    )


def _plan(task: Task) -> Plan:
    config, num_photos = task.config, len(task.data.split("train"))
    plan = Plan(
        epochs=config.epochs,
        num_photos=num_photos,
        batches_per_epoch=-(-num_photos // config.batch_size),
        warmup_steps=0,
        gradient_clip=config.gradient_clip,
        early_stopping=config.early_stopping,
        accumulate_steps=config.accumulate_steps,
        max_steps=config.max_steps,
        save_steps=config.save_steps,
        schedule=config.schedule,
        num_judged=len(task.val_records),
    )
    if config.warmup_steps is not None:
        return dataclasses.replace(plan, warmup_steps=config.warmup_steps)
    return dataclasses.replace(plan, warmup_steps=default_warmup_steps(config.schedule, plan.total_steps))


def _clock(task: Task, started: float) -> Clock:
    """Return the time that is left for steps; the last look at val, from the photos themselves, is set aside."""
    limit_s = seconds_of(task.config.max_time)
    return Clock(limit_s, started, 0.0 if limit_s is None else estimate_last_look_s(task))


def train_on_tpu(config: TpuTrainConfig) -> AnyReport:
    """Train on a TPU: the same path as `train`, through XLA; without a chip the same programs on this CPU.

    Raises:
        DeviceError: no TPU runtime is installed, or another number of cores is there.
        ConfigError: another device is asked for.
    """
    device = config.device if config.device in ("tpu", "xla") else find_tpu()
    if config.device in ("cpu", "cuda"):
        raise ConfigError(
            tr(
                f"scale-tpu trains on TPU cores, and --device is {config.device}",
                f"scale-tpu entraîne sur des cœurs TPU, et --device vaut {config.device}",
            ),
            tr("use plantset train with the same flags", "utilisez plantset train avec les mêmes options"),
        )
    training = partial(
        _launch_and_train,
        dataclasses.replace(config, device=device),
        tpu_cores=config.tpu_cores,
        shard_parameters=config.shard_parameters,
    )
    return on_every_chip(device, training)


def train_model(*, use_mixed_precision: bool = False, **settings: Any) -> AnyReport:
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


def _finish(task: Task, feeds: PhotoFeeds, saver: Saver, progress: Progress, started: float) -> TrainReport:
    """Calibrate the best epoch, write it for good, and score it as a new process would."""
    folder, strategy = task.config.checkpoint_dir, saver.strategy
    best_path = folder / BEST_NAME
    if progress.kept_epoch < 0:
        raise ConfigError(
            tr("the time was up before the first epoch began", "le temps était écoulé avant la première époque"),
            tr(
                "give a longer --max-time; --dry-run estimates it",
                "donnez un --max-time plus long ; --dry-run l'estime",
            ),
        )
    load_weights_of(task.model, load_checkpoint(best_path))
    calibrated = dataclasses.replace(saver.card, calibration=calibrate(task, feeds, strategy))
    strategy.on_main(lambda: save_checkpoint(best_path, to_checkpoint(task.model, calibrated)))
    strategy.on_main(lambda: write_history(progress.history, folder / "history.csv"))  # a kill may have left it short
    strategy.on_main(lambda: draw_history(progress.history, folder / "history.png"))
    accuracy, macro_f1 = score_checkpoint(load_model(best_path, task.config.device), task)
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
