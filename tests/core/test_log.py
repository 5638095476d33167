"""Who speaks: of several processes that do one work, one."""

from __future__ import annotations

import pytest

from plantset.core import log


@pytest.fixture(autouse=True)
def speaking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that speaks, and does so again after the test."""
    monkeypatch.setattr(log, "_is_muted", False)


def test_a_message_goes_to_standard_error_and_an_answer_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    log.say("reading")
    log.answer("42")

    assert capsys.readouterr() == ("42\n", "reading\n")


def test_a_muted_process_says_and_answers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    log.mute()
    log.say("reading")
    log.answer("42")

    assert log.is_muted()
    assert capsys.readouterr() == ("", "")
