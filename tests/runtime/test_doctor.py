"""`plantset doctor`: what is there, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from plantset.cli import main
from plantset.core.language import set_message_language
from plantset.runtime import doctor as doctor_module
from plantset.runtime.chips import count_tpu_chips
from plantset.runtime.config import DoctorConfig
from plantset.runtime.doctor import DoctorReport, Finding, doctor


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    set_message_language("en")
    yield
    set_message_language(None)


def _installed(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Make packages look installed in these versions; None: not at all."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name not in versions:
            return real(name)
        found = versions[name]
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)


def _about(report: DoctorReport, word: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.about == word]


def _write_pci(folder: Path, *devices: tuple[str, str]) -> Path:
    for number, (vendor, device) in enumerate(devices):
        place = folder / f"0000:00:{number:02x}.0"
        place.mkdir(parents=True)
        (place / "vendor").write_text(f"{vendor}\n")
        (place / "device").write_text(f"{device}\n")
    return folder


def test_a_whole_machine_has_nothing_to_mend() -> None:
    report = doctor(DoctorConfig())

    assert report.exit_code == 0
    assert [finding for finding in report.findings if finding.is_needed and finding.fix] == []
    assert "--device auto trains on:" in report.summary()


def test_a_package_that_is_missing_and_one_that_is_too_old_are_named_with_their_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _installed(monkeypatch, timm=None, numpy="1.26.4")

    report = doctor(DoctorConfig())

    found = {finding.said: finding.fix for finding in _about(report, "packages")[1:]}
    assert found == {
        "numpy 1.26.4 does not fit >=2.0": "pip install 'numpy>=2.0'",
        "timm is missing": "pip install 'timm>=1.0.15'",
    }
    assert report.exit_code == 2


def test_an_optional_part_that_is_missing_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, **{"pi-heif": None})

    report = doctor(DoctorConfig())

    assert ("heif: pi-heif is missing", "pip install 'pi-heif>=1.0'") in [
        (finding.said, finding.fix) for finding in _about(report, "extras")
    ]
    assert report.exit_code == 0


def test_chips_are_counted_by_generation_and_other_cards_are_not(tmp_path: Path) -> None:
    bus = _write_pci(tmp_path, ("0x1ae0", "0x0063"), ("0x1ae0", "0x0063"), ("0x1ae0", "0x0042"), ("0x10de", "0x0063"))

    assert count_tpu_chips(bus) == {"v5e": 2}


def test_a_machine_without_a_pci_bus_has_no_chip(tmp_path: Path) -> None:
    assert count_tpu_chips(tmp_path / "none") == {}


def test_chips_without_a_runtime_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, torch_xla=None, torch_tpu=None)
    monkeypatch.setattr(doctor_module, "count_tpu_chips", lambda: {"v4": 4})

    (tpu,) = _about(doctor(DoctorConfig()), "tpu")

    assert "4 × TPU v4 (32 GiB each), --tpu-cores 8" in tpu.said  # two cores a chip
    assert "no TPU runtime" in tpu.said
    assert tpu.fix is not None
    assert "pip install 'plantset[tpu]'" in tpu.fix


def test_a_host_of_a_slice_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, torch_xla=None, torch_tpu="0.2.0", torch="2.14.1")
    monkeypatch.setattr(doctor_module, "count_tpu_chips", lambda: {"v5e": 4})
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "one,two")
    monkeypatch.setenv("TPU_WORKER_ID", "1")

    (tpu,) = _about(doctor(DoctorConfig()), "tpu")

    assert "--tpu-cores 4, host 1 of 2; torch_tpu 0.2.0" in tpu.said


def test_a_tpu_runtime_beside_the_wrong_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, torch_xla="2.9.0", torch_tpu="0.2.0", torch="2.14.1")

    unfit = [finding for finding in _about(doctor(DoctorConfig()), "tpu") if finding.fix]

    assert [finding.fix for finding in unfit] == ["pip uninstall torch_xla"]
    assert "torch==2.9.*" in unfit[0].said


def test_the_command_writes_what_it_found_and_answers_in_french(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--output", str(tmp_path / "machine.json"), "--lang", "fr"]) == 0

    assert "appareil" in capsys.readouterr().out
    written = json.loads((tmp_path / "machine.json").read_text(encoding="utf-8"))
    assert {"system", "packages", "processor", "gpu", "tpu", "disk", "device"} <= {line["about"] for line in written}
