"""The frame of every HTML report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from plantset.core.language import set_message_language
from plantset.core.page import Sentence, alarms_first, render_page

TEMPLATE = (
    '{% extends "page.html.j2" %}{% block title %}t{% endblock %}{% block heading %}h{% endblock %}'
    "{% block origin %}o{% endblock %}"
    "{% block content %}{{ tr('Why?', 'Pourquoi ?') }} {{ cell('n', value) }}{% endblock %}"
)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "page_of_a_test.html.j2"
    path.write_text(TEMPLATE, encoding="utf-8")
    return path


def test_a_page_is_in_the_language_of_messages(template: Path) -> None:
    set_message_language("fr")

    page = render_page(template, (), {"value": 1})

    assert '<html lang="fr">' in page
    assert "Pourquoi\u202f?" in page


def test_what_a_user_named_is_escaped(template: Path) -> None:
    page = render_page(template, (), {"value": "<script>"})

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_page_needs_nothing_beside_itself(template: Path) -> None:
    page = render_page(template, (), {"value": 1})

    assert re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:)""", page) == []


def test_a_value_that_is_not_there_is_an_error(template: Path) -> None:
    with pytest.raises(UndefinedError):
        render_page(template, (), {})


def test_alarms_follow_the_first_finding() -> None:
    first, plain, alarm = Sentence("main", "a"), Sentence("plain", "b"), Sentence("alarm", "c")

    assert alarms_first([first, plain, alarm]) == [first, alarm, plain]
