"""The command `plantset`: its verbs, its exit statuses and the languages it answers in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plantset import __version__, cli
from plantset.core.errors import DataError
from plantset.core.language import set_message_language
from plantset.core.options import option


@dataclass(frozen=True)
class LookConfig:
    """A verb small enough to see through."""

    photos: Path = option(en="the photos", fr="les photos")
    count: int = option(1, en="how many", fr="combien")


@dataclass(frozen=True)
class LookReport:
    config: LookConfig

    def summary(self) -> str:
        return f"looked at {self.config.count} in {self.config.photos}"

    @property
    def exit_code(self) -> int:
        return 3 if self.config.count == 0 else 0


def look(config: LookConfig) -> LookReport:
    if str(config.photos) == "nowhere":
        raise DataError("no folder nowhere", "make it")
    if str(config.photos) == "impatient":
        raise KeyboardInterrupt
    if str(config.photos) == "bug":
        raise ZeroDivisionError
    return LookReport(config)


@pytest.fixture(autouse=True)
def _a_small_verb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    here = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "look_verb", here)
    monkeypatch.setitem(
        cli.VERBS, "look", cli.Verb("look_verb:LookConfig", "look_verb:look", "look", "regarder", positional="photos")
    )
    monkeypatch.setenv("PLANTSET_LANG", "en")
    yield
    set_message_language(None)


def test_a_report_is_printed_and_its_exit_status_returned(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["look", "--photos", "leaves", "--count", "0"]) == 3
    assert capsys.readouterr().out == "looked at 0 in leaves\n"


@pytest.mark.parametrize(
    "words",
    [["look", "leaves", "--count", "2"], ["look", "--count", "2", "leaves"], ["look", "--photos=leaves", "--count=2"]],
)
def test_a_bare_word_may_stand_anywhere(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 0
    assert capsys.readouterr().out == "looked at 2 in leaves\n"


def test_a_mistake_of_the_user_is_two_lines_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["look", "nowhere"]) == 2
    assert capsys.readouterr().err == "error: no folder nowhere\nfix:   make it\n"


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        cli.main(["look", "bug"])


def test_control_c_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["look", "impatient"]) == 130
    assert "stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--lang", "fr", "look", "nowhere"], ["look", "nowhere", "--lang=fr"], ["look", "--lang", "fr", "nowhere"]],
)
def test_lang_is_obeyed_wherever_it_stands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith("erreur : no folder nowhere\nremède : ")


@pytest.mark.parametrize("words", [["--lang", "de"], ["--lang"], ["look", "--lang="]])
def test_an_unknown_language_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    assert "--lang fr | --lang en" in capsys.readouterr().err


def test_an_unknown_verb_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trian"]) == 2
    assert capsys.readouterr().err == "error: unknown verb trian\nfix:   did you mean plantset train?\n"


@pytest.mark.parametrize("words", [[], ["--help"], ["help"], ["-h"]])
def test_the_bare_command_lists_every_verb(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 0

    page = capsys.readouterr().out
    assert [verb for verb in cli.VERBS if f"\n  {verb} " not in page] == ["look"]


def test_every_verb_of_the_overview_exists() -> None:
    listed = [name for _, _, names in cli.WANTS for name in names]

    assert sorted(listed) == sorted(set(cli.VERBS) - {"look"})


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"plantset {__version__}\n"


@pytest.mark.parametrize("name", [name for name in cli.VERBS if name != "look"])
def test_every_verb_leads_to_a_config_and_a_function(name: str) -> None:
    verb = cli.VERBS[name]
    config: Any = cli.load_object(verb.config)

    assert config.__dataclass_params__.frozen
    assert callable(cli.load_object(verb.function))


def test_a_closed_pipe_is_no_error() -> None:
    reader = subprocess.Popen(
        [sys.executable, "-m", "plantset", "train", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=Path(__file__).resolve().parents[1],
    )
    assert reader.stdout is not None
    assert reader.stderr is not None

    reader.stdout.close()  # as `| head -0` would
    complaint = reader.stderr.read()
    reader.stderr.close()

    assert (reader.wait(), complaint) == (0, b"")
