"""Which of the classes a description is about: what its opening sentence calls the disease."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from plantset.core.classes import ClassInfo
from plantset.knowledge.class_titles import names_of

_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
_WORD = re.compile(r"\w+")


def named_classes(text: str, classes: Sequence[ClassInfo], language: str) -> frozenset[str]:
    """Return the ids of the classes that the opening sentence can mean; empty where it names none.

    It names a class whose own description opens with the same words. Where it opens like none, it names those whose
    disease it says, the longest name first ("early leaf spot" is no "leaf spot"), of the crop that it says.
    """
    words = _opening(text)
    if not words:
        return frozenset()
    same = [info for info in classes if language in info.texts and _opening(info.texts[language].description) == words]
    if same:
        return frozenset(info.class_id for info in same)
    said: list[tuple[int, bool, str]] = []
    for info in classes:
        crop, disease = names_of(info, language)
        if disease and f" {_words(disease)} " in f" {words} ":
            said.append((len(_words(disease)), bool(crop) and f" {_words(crop or '')} " in f" {words} ", info.class_id))
    best = max(((length, of_crop) for length, of_crop, _ in said), default=None)
    return frozenset(class_id for length, of_crop, class_id in said if (length, of_crop) == best)


def _opening(text: str) -> str:
    return _words(_SENTENCE_END.split(text.strip(), maxsplit=1)[0])


def _words(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFC", text).lower()))
