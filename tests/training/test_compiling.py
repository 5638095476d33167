"""--compile: what is compiled computes the same, is measured, and leaves the run as it would have been."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from plantset.core.errors import DeviceError
from plantset.runtime.checkpoint import load_checkpoint
from plantset.runtime.local import LocalStrategy
from plantset.training import compiling
from plantset.training.compiling import CompileReport
from plantset.training.run import train
from tests.training.conftest import Configure

# torch looks at a warning of its own that it means to hide; where warnings are errors, it raises it
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace as torch.compile does, and compute as without: no compiler, the same bits."""
    monkeypatch.setattr(compiling, "_BACKEND", "eager")
    torch._dynamo.reset()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("frozen", [{}, {"freeze_stages": 1}], ids=["photos", "cache"])
def test_a_compiled_run_that_is_resumed_without_it_equals_the_plain_run(
    configure: Configure, tmp_path: Any, capsys: pytest.CaptureFixture[str], frozen: dict[str, Any]
) -> None:
    settings: dict[str, Any] = {"epochs": 2, "dropout": 0.2, "batch_size": 16, **frozen}
    train(configure(checkpoint_dir=tmp_path / "plain", **settings))
    config = configure(checkpoint_dir=tmp_path / "compiled", compile=True, max_steps=0, **settings)

    train(config)

    assert "compiled in" in capsys.readouterr().err
    plain, compiled = (
        dict(load_checkpoint(tmp_path / name / "last_model.pth").tensors) for name in ("plain", "compiled")
    )
    assert plain.keys() == compiled.keys()
    assert [name for name in plain if not torch.equal(plain[name], compiled[name])] == []
    train(dataclasses.replace(config, compile=False, resume="auto"))


def test_the_report_tells_gain_cost_and_breaks() -> None:
    said = CompileReport(0.5, 0.4, 20.0, {"a call to print": 2}).summary()

    assert "1.25 times as fast" in said
    assert "paid after 200 steps" in said
    assert "2 × a call to print" in said


def test_what_never_pays_is_said() -> None:
    assert "∞ steps" in CompileReport(0.4, 0.5, 20.0, {}).summary()


def test_a_machine_that_cannot_compile_says_what_to_install(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(compiling, "_BACKEND", broken)
    torch._dynamo.reset()

    with pytest.raises(DeviceError, match="C\\+\\+ compiler") as refused:
        train(configure(compile=True, epochs=1))

    assert "--compile" in refused.value.fix


def test_a_device_that_compiles_in_any_case_needs_no_compiling(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LocalStrategy.__init__

    def as_xla(self: LocalStrategy, *arguments: Any) -> None:
        original(self, *arguments)
        self.is_compiled = True

    monkeypatch.setattr(LocalStrategy, "__init__", as_xla)

    with pytest.raises(DeviceError, match="leave --compile out"):
        train(configure(compile=True))
