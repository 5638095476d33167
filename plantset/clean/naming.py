"""Names of the cleaned images: like the source, portable, and never two alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import sha256

_UNPORTABLE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
_MAX_COMPONENT_BYTES = 200  # file systems allow 255; the rest is for ".jpg", a mark and a temporary suffix


def image_names(source_paths: Sequence[str]) -> list[str]:
    """Return the image path for each source path, in order: `a/b.png` becomes `a/b.png.jpg`.

    Paths that differ only by case or Unicode form would be one file on Windows and macOS: all but the first (in the
    order of the source paths) get a mark made from their own name, so the result doesn't depend on the others' order.
    """
    names = {source: _portable(source) for source in source_paths}
    taken: set[str] = set()
    for source in sorted(names):
        name = names[source] + ".jpg"
        if _folded(name) in taken:
            name = f"{names[source]}~{_mark(source)}.jpg"
        taken.add(_folded(name))
        names[source] = name
    return [names[source] for source in source_paths]


def _portable(source_path: str) -> str:
    return "/".join(_component(part) for part in source_path.split("/"))


def _component(part: str) -> str:
    clean = _UNPORTABLE.sub("_", part)
    if clean != clean.rstrip(". "):
        clean = clean.rstrip(". ") + "_"
    encoded = clean.encode("utf-8")
    if len(encoded) <= _MAX_COMPONENT_BYTES:
        return clean
    return encoded[:_MAX_COMPONENT_BYTES].decode("utf-8", "ignore") + "~" + _mark(part)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _mark(text: str) -> str:
    return sha256(text.encode("utf-8")).hexdigest()[:8]
