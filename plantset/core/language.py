"""The language of messages: English or French, chosen once, read everywhere."""

from __future__ import annotations

import locale
import os
from contextvars import ContextVar
from typing import Literal, get_args

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_current: ContextVar[Language | None] = ContextVar("message_language", default=None)


def tr(en: str, fr: str) -> str:
    """Return the message in the language of messages: `tr("no photo", "aucune photo")`."""
    return fr if message_language() == "fr" else en


def message_language() -> Language:
    """Return what `set_message_language` chose, else PLANTSET_LANG, else the locale's language, else English."""
    chosen = _current.get()
    if chosen is not None:
        return chosen
    asked = os.environ.get("PLANTSET_LANG") or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES")
    asked = asked or os.environ.get("LANG") or locale.getlocale()[0] or "en"
    return "fr" if asked.lower().startswith("fr") else "en"


def set_message_language(language: Language | None) -> None:
    """Choose the language of messages for this context; `None` goes back to the environment's."""
    _current.set(language)
