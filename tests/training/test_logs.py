"""Weights & Biases and MLflow, met by stand-ins that have their interface: what is sent, and what a refusal says."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from plantset.core.errors import ConfigError
from plantset.runtime.local import LocalStrategy
from plantset.training.config import LogTo
from plantset.training.logs import open_log
from plantset.training.run import train
from tests.training.conftest import Configure

STRATEGY = LocalStrategy(torch.device("cpu"))


class _WandbError(Exception):
    pass


class _FakeWandb(SimpleNamespace):
    """wandb's `init`, and a run's `log` and `finish`."""

    def __init__(self, refuses: bool = False) -> None:
        super().__init__(Error=_WandbError, started=[], logged=[], finished=0, refuses=refuses)

    def init(self, **settings: Any) -> _FakeWandb:
        if self.refuses:
            raise _WandbError("no API key configured")
        self.started.append(settings)
        return self

    def log(self, values: dict[str, float], *, step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.finished += 1


class _FakeMlflow(SimpleNamespace):
    """mlflow's module and its client in one."""

    def __init__(self) -> None:
        error = type("MlflowException", (Exception,), {})
        super().__init__(exceptions=SimpleNamespace(MlflowException=error), runs={}, uris=[])
        self.entities = SimpleNamespace(Metric=lambda *fields: fields, Param=lambda key, value: (key, value))

    def MlflowClient(self, tracking_uri: str) -> _FakeMlflow:  # noqa: N802  # mlflow's name
        self.uris.append(tracking_uri)
        return self

    def get_experiment_by_name(self, _: str) -> None:
        return None

    def create_experiment(self, _: str) -> str:
        return "1"

    def create_run(self, _: str, run_name: str) -> Any:
        run_id = f"run{len(self.runs)}"
        self.runs[run_id] = {"name": run_name, "metrics": [], "params": {}}
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        self.runs[run_id]["metrics"] += metrics
        self.runs[run_id]["params"].update(params)

    def update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id]["status"] = status

    def set_terminated(self, run_id: str, status: str) -> None:
        self.runs[run_id]["status"] = status


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> _FakeWandb:
    fake = _FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> _FakeMlflow:
    fake = _FakeMlflow()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    return fake


def test_a_training_sends_its_settings_and_each_epoch_to_wandb(configure: Configure, wandb: _FakeWandb) -> None:
    config = configure(epochs=2, log_to="wandb")

    train(config)

    assert wandb.started[0]["config"]["epochs"] == 2
    epochs = [(step, values["epoch/macro_f1"]) for step, values in wandb.logged if "epoch/macro_f1" in values]
    assert [step for step, _ in epochs] == [4, 8]  # 32 photos in batches of 8
    assert wandb.finished == 1
    assert list((config.checkpoint_dir / "logs").glob("events.out.tfevents.*"))


def test_a_run_that_goes_on_goes_on_in_the_same_wandb_run(configure: Configure, wandb: _FakeWandb) -> None:
    for resume in (None, "auto", None):
        with open_log(configure(log_to="wandb", resume=resume), STRATEGY):
            pass

    first, second, third = (started["id"] for started in wandb.started)
    assert first == second != third
    assert wandb.started[1]["resume"] == "allow"


def test_wandb_without_an_account_says_how_to_do_without(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", _FakeWandb(refuses=True))

    with pytest.raises(ConfigError, match="API key") as refused, open_log(configure(log_to="wandb"), STRATEGY):
        pass

    assert "WANDB_MODE=offline" in refused.value.fix


def test_mlflow_gets_settings_and_numbers_in_a_file_beside_the_checkpoints(
    configure: Configure, mlflow: _FakeMlflow
) -> None:
    config = configure(log_to="mlflow", seed=5)

    with open_log(config, STRATEGY) as log:
        log.add({"loss": 0.5}, 20)

    run = mlflow.runs["run0"]
    assert mlflow.uris == [f"sqlite:///{(config.checkpoint_dir / 'mlflow.db').resolve().as_posix()}"]
    assert [(key, value, step) for key, value, _, step in run["metrics"]] == [("loss", 0.5, 20)]
    assert run["params"]["seed"] == "5"
    assert run["status"] == "FINISHED"


def test_a_training_that_fails_is_marked_so_in_mlflow_and_goes_on_under_its_id(
    configure: Configure, mlflow: _FakeMlflow
) -> None:
    with pytest.raises(ZeroDivisionError), open_log(configure(log_to="mlflow"), STRATEGY):
        1 / 0  # noqa: B018
    assert mlflow.runs["run0"]["status"] == "FAILED"

    with open_log(configure(log_to="mlflow", resume="auto"), STRATEGY) as log:
        log.add({"loss": 1.0}, 1)

    assert list(mlflow.runs) == ["run0"]
    assert mlflow.runs["run0"]["status"] == "FINISHED"


@pytest.mark.parametrize("log_to", ["wandb", "mlflow"])
def test_a_logger_that_is_not_installed_is_named_before_anything_is_trained(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, log_to: LogTo
) -> None:
    monkeypatch.setitem(sys.modules, log_to, None)
    config = configure(log_to=log_to)

    with pytest.raises(ConfigError, match=log_to) as refused:
        train(config)

    assert f"pip install {log_to}" in refused.value.fix
    assert not (config.checkpoint_dir / "train_config.json").exists()
