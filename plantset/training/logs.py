"""Where a run's numbers go: TensorBoard always, Weights & Biases or MLflow beside it when asked for.

Both are packages that the user installs; here they are met by their smallest interface.
"""

from __future__ import annotations

import importlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from torch.utils.tensorboard import SummaryWriter

from plantset.core.errors import ConfigError
from plantset.core.files import write_json
from plantset.core.language import tr
from plantset.core.options import to_json_values
from plantset.runtime.strategy import Strategy
from plantset.training.config import LogTo, TrainConfig

_PROJECT = "plantset"
_IDS_NAME = "log_ids.json"
_PACKAGES: dict[LogTo, str] = {"wandb": "wandb", "mlflow": "mlflow"}


class RunLog(Protocol):
    """Something that takes numbers by name."""

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Log what is known at a step."""


class _Logs:
    """All logs of a run; none in a process that does not write."""

    def __init__(self, logs: list[RunLog]) -> None:
        self._logs = logs

    def add(self, values: Mapping[str, float], step: int) -> None:
        for log in self._logs:
            log.add(values, step)


NO_LOG: RunLog = _Logs([])


def import_logger(log_to: LogTo) -> Any:
    """Return the package of a log; None for TensorBoard, which is always there.

    Raises:
        ConfigError: it is not installed.
    """
    if log_to == "tensorboard":
        return None
    package = _PACKAGES[log_to]
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigError(
            tr(
                f"--log-to {log_to} needs the package {package}, which is not installed ({error})",
                f"--log-to {log_to} demande le paquet {package}, qui n'est pas installé ({error})",
            ),
            tr(
                f"pip install {package}, or leave --log-to out: TensorBoard is always written",
                f"pip install {package}, ou ôtez --log-to : TensorBoard est toujours écrit",
            ),
        ) from error


@contextmanager
def open_log(config: TrainConfig, strategy: Strategy, step: int = 0) -> Iterator[RunLog]:
    """Yield the run's logs; a run that goes on goes on in the same ones.

    Args:
        step: from which on it goes on: TensorBoard forgets what a killed run had logged after it.

    Raises:
        ConfigError: the service refuses, which without an account it does.
    """
    if not strategy.is_main:
        yield NO_LOG
        return
    with ExitStack() as opened:
        writer = opened.enter_context(
            SummaryWriter(str(config.log_dir or config.checkpoint_dir / "logs"), purge_step=step + 1 if step else None)
        )
        logs: list[RunLog] = [_TensorBoard(writer)]
        if config.log_to == "wandb":
            logs.append(opened.enter_context(_open_wandb(config)))
        elif config.log_to == "mlflow":
            logs.append(opened.enter_context(_open_mlflow(config)))
        yield _Logs(logs)


class _TensorBoard:
    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def add(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)


class _Wandb:
    def __init__(self, run: Any) -> None:
        self._run = run

    def add(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)


class _Mlflow:
    def __init__(self, client: Any, run_id: str, metric: Any) -> None:
        self._client = client
        self._run_id = run_id
        self._metric = metric

    def add(self, values: Mapping[str, float], step: int) -> None:
        now_ms = int(1000 * time.time())
        metrics = [self._metric(name, float(value), now_ms, step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=metrics)


@contextmanager
def _open_wandb(config: TrainConfig) -> Iterator[RunLog]:
    """Open a run of Weights & Biases; WANDB_MODE=offline keeps it in a folder, without an account."""
    wandb = import_logger("wandb")
    run_id = _known_id(config, "wandb") or uuid.uuid4().hex[:8]
    _remember_id(config, "wandb", run_id)
    try:
        run = wandb.init(
            project=_PROJECT,
            name=config.checkpoint_dir.resolve().name,
            id=run_id,
            resume="allow",
            dir=str(config.checkpoint_dir),
            config=to_json_values(config),
        )
    except wandb.Error as error:
        raise ConfigError(
            tr(f"Weights & Biases refuses: {error}", f"Weights & Biases refuse : {error}"),
            tr(
                "log in (wandb login), or keep the log in a folder: WANDB_MODE=offline",
                "connectez-vous (wandb login), ou gardez le journal dans un dossier : WANDB_MODE=offline",
            ),
        ) from error
    try:
        yield _Wandb(run)
    finally:
        run.finish()


@contextmanager
def _open_mlflow(config: TrainConfig) -> Iterator[RunLog]:
    """Open a run of MLflow: where MLFLOW_TRACKING_URI says, else in mlflow.db in the checkpoint folder.

    SQLite, because MLflow refuses its older store, the folder mlruns/, now unless it is told otherwise.
    """
    mlflow = import_logger("mlflow")
    own_uri = f"sqlite:///{(config.checkpoint_dir / 'mlflow.db').resolve().as_posix()}"
    try:
        client = mlflow.MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or own_uri)
        run_id = _known_id(config, "mlflow") or _new_mlflow_run(mlflow, client, config)
        client.update_run(run_id, status="RUNNING")
    except mlflow.exceptions.MlflowException as error:
        raise ConfigError(
            tr(f"MLflow refuses: {error}", f"MLflow refuse : {error}"),
            tr("check MLFLOW_TRACKING_URI", "vérifiez MLFLOW_TRACKING_URI"),
        ) from error
    _remember_id(config, "mlflow", run_id)
    status = "FAILED"
    try:
        yield _Mlflow(client, run_id, mlflow.entities.Metric)
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status=status)


def _new_mlflow_run(mlflow: Any, client: Any, config: TrainConfig) -> str:
    known = client.get_experiment_by_name(_PROJECT)
    experiment_id = known.experiment_id if known is not None else client.create_experiment(_PROJECT)
    run_id = str(client.create_run(experiment_id, run_name=config.checkpoint_dir.resolve().name).info.run_id)
    settings = to_json_values(config)
    client.log_batch(run_id, params=[mlflow.entities.Param(name, str(value)) for name, value in settings.items()])
    return run_id


def _known_id(config: TrainConfig, log_to: LogTo) -> str | None:
    """Return the id under which a run that goes on was logged before; a run that begins gets a new one."""
    path = config.checkpoint_dir / _IDS_NAME
    return _read_ids(path).get(log_to) if config.resume is not None else None


def _remember_id(config: TrainConfig, log_to: LogTo, run_id: str) -> None:
    path = config.checkpoint_dir / _IDS_NAME
    write_json(path, {**_read_ids(path), log_to: run_id})


def _read_ids(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    ids: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return ids
