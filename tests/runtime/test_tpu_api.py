"""What is asked of `torch_tpu` without a chip to run it on: each call fits the signatures of the released package.

`torch_tpu_api.json` holds those that are used, as read from the sources of torch_tpu 0.2.0; where the package is
installed, they are compared with it.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
API: dict[str, Any] = json.loads(Path(__file__).with_name("torch_tpu_api.json").read_text(encoding="utf-8"))
FUNCTIONS: dict[str, dict[str, list[str]]] = API["functions"]


def _calls(module: str, *beginnings: str) -> list[tuple[str, ast.Call]]:
    """Return (name behind one of these beginnings, call) of each call in a module of the runtime."""
    tree = ast.parse((ROOT / "plantset" / "runtime" / f"{module}.py").read_text(encoding="utf-8"))
    calls = [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        (name.removeprefix(beginning), call)
        for name, call in calls
        for beginning in beginnings
        if name.startswith(beginning)
    ]


CALLS = _calls("tpu", "tpu.") + _calls("local", "torch.get_device_module(self.device).")


def test_something_is_asked() -> None:
    assert {name for name, _ in CALLS} == {
        "device_count",
        "distributed.set_tpu_launch_env",
        "get_rng_state",
        "set_rng_state",
    }


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_a_call_fits_the_recorded_signature(name: str, call: ast.Call) -> None:
    known = FUNCTIONS[f"torch.tpu.{name}"]

    assert len(call.args) <= len(known["positional"])
    assert {keyword.arg for keyword in call.keywords} <= {*known["positional"], *known["keyword_only"]}


def test_the_backend_of_several_processes_is_the_packages_own() -> None:
    from plantset.runtime.distributed import _BACKENDS

    assert _BACKENDS["tpu"] in API["backends"]


@pytest.mark.skipif(importlib.util.find_spec("torch_tpu") is None, reason="torch_tpu is not installed: TPU VMs alone")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_recorded_signature_is_the_installed_packages(name: str) -> None:
    import torch

    found: Any = torch
    for part in name.split(".")[1:]:
        found = getattr(found, part)

    parameters = inspect.signature(found).parameters.values()
    assert [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY] == FUNCTIONS[name]["positional"]
