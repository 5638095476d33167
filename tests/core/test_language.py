"""The language of messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plantset.core.language import message_language, set_message_language, tr


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("PLANTSET_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    set_message_language(None)
    yield
    set_message_language(None)


@pytest.mark.parametrize(
    ("variable", "value", "language"),
    [
        ("PLANTSET_LANG", "fr", "fr"),
        ("LANG", "fr_FR.UTF-8", "fr"),
        ("LC_ALL", "fr_CA", "fr"),
        ("LANG", "en_GB.UTF-8", "en"),
        ("LANG", "de_DE.UTF-8", "en"),
        ("LANG", "C", "en"),
    ],
)
def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, language: str) -> None:
    monkeypatch.setenv(variable, value)

    assert message_language() == language


def test_the_projects_own_variable_wins_over_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    monkeypatch.setenv("PLANTSET_LANG", "en")

    assert tr("leaf", "feuille") == "leaf"


def test_a_choice_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTSET_LANG", "en")

    set_message_language("fr")

    assert tr("leaf", "feuille") == "feuille"
