"""TPU chips by generation, and the number of cores that a person asks for."""

from __future__ import annotations

import pytest

from plantset.core.errors import DeviceError
from plantset.runtime import devices
from plantset.runtime.chips import check_cores, count_cores, find_generation
from plantset.runtime.devices import DeviceName, find_tpu, tpu_runtime


@pytest.mark.parametrize(("chips", "cores"), [({"v4": 4}, 8), ({"v5p": 4}, 8), ({"v5e": 8}, 8), ({"v6e": 8}, 8)])
def test_the_smallest_whole_hosts_have_eight_cores(chips: dict[str, int], cores: int) -> None:
    assert count_cores(chips) == cores  # v4-8, v5p-8, v5litepod-8 and v6e-8


@pytest.mark.parametrize(("name", "gibibytes"), [("v4", 32), ("v5e", 16), ("v5p", 95), ("v6e", 32)])
def test_a_chips_memory_is_what_its_vendor_says(name: str, gibibytes: int) -> None:
    assert find_generation(name).memory_bytes == gibibytes * 2**30


@pytest.mark.parametrize("asked", [None, 8])
def test_what_is_there_may_be_asked_for_or_left_out(asked: int | None) -> None:
    check_cores(asked, 8, "TPU v4")


def test_another_number_of_cores_is_refused_with_the_number_that_is_there() -> None:
    with pytest.raises(DeviceError) as refused:
        check_cores(8, 4, "TPU v5e")

    assert "--tpu-cores 8, but 4 are there (TPU v5e)" in refused.value.problem
    assert refused.value.fix == "give --tpu-cores 4, or leave it out"


def test_a_cpu_can_be_made_as_many_devices_as_are_asked_for() -> None:
    with pytest.raises(DeviceError) as refused:
        check_cores(8, 1, "CPU")

    assert "CPU_NUM_DEVICES=8" in refused.value.fix


def _machine(monkeypatch: pytest.MonkeyPatch, chips: dict[str, int], *installed: str) -> None:
    monkeypatch.setattr(devices, "count_tpu_chips", lambda: chips)
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: name if name in installed else None)


def test_auto_takes_the_chips_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, {"v4": 4}, "torch_xla")

    assert tpu_runtime("auto") == "torch_xla"


def test_auto_passes_over_chips_that_nothing_computes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, {"v4": 4})

    assert tpu_runtime("auto") is None


def test_the_vendors_current_path_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, {"v4": 4}, "torch_xla", "torch_tpu")

    assert tpu_runtime("tpu") == "torch_tpu"


@pytest.mark.parametrize(
    ("chips", "device", "said"),
    [
        ({}, "tpu", "--device xla"),
        ({"v4": 4}, "tpu", "pip install 'plantset[tpu]'"),
        ({}, "xla", "pip install 'plantset[xla]'"),
    ],
)
def test_what_is_missing_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, chips: dict[str, int], device: DeviceName, said: str
) -> None:
    _machine(monkeypatch, chips)

    with pytest.raises(DeviceError) as refused:
        tpu_runtime(device)

    assert said in refused.value.fix


@pytest.mark.parametrize(("chips", "device"), [({"v4": 4}, "tpu"), ({}, "xla")])
def test_a_training_for_a_tpu_takes_the_chips_else_its_programs_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, chips: dict[str, int], device: DeviceName
) -> None:
    _machine(monkeypatch, chips, "torch_xla")

    assert find_tpu() == device
