"""Texts that describe one photo rather than its class, joined on the photo's source path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from plantset.core.errors import DataError
from plantset.core.files import read_json_lines
from plantset.core.language import tr
from plantset.core.records import Record


def read_photo_texts(path: Path) -> dict[str, dict[str, str]]:
    """Return source path -> language -> text.

    Raises:
        DataError: a line lacks `source_path` or `texts`; line named.
    """
    found: dict[str, dict[str, str]] = {}
    for number, row in read_json_lines(path):
        source, texts = row.get("source_path"), row.get("texts")
        is_texts = isinstance(texts, dict) and all(isinstance(text, str) for text in texts.values())
        if not isinstance(source, str) or not is_texts:
            raise DataError(
                tr(
                    f"{path} line {number}: needs 'source_path' and 'texts'",
                    f"{path} ligne {number} : il faut « source_path » et « texts »",
                ),
                '{"source_path": "tomato/a.jpg", "texts": {"fr": "…", "en": "…"}}',
            )
        found[source] = dict(row["texts"])
    return found


def apply_photo_text(record: Record, photo_texts: dict[str, dict[str, str]]) -> Record:
    """Return the record with its own photo's texts as descriptions; unchanged where the photo has none."""
    own = photo_texts.get(record.source_path or "")
    if not own:
        return record
    texts = dict(record.texts)
    source = dict(record.text_source)
    for language, text in own.items():
        said = texts.get(language)
        if said is not None and text:
            texts[language] = replace(said, description=text)
            source[f"{language}.description"] = "photo"
    chosen = own.get(record.language)
    return replace(record, texts=texts, text_source=source, text=chosen or record.text)
