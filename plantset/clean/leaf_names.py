"""What a file's name says: that it is a copy, one of several views of a leaf, or the next shot of a series."""

from __future__ import annotations

import re

_STEM_NUMBER = re.compile(r"^(?:real|orig|original|aug|augmented)_(\d+)(?:_\d+)?$")
_ITSELF = re.compile(r"^(?:real|orig|original)_\d+$")
_NUMBERED_LEAF = re.compile(r"^(leaf|feuille|plant|plante)[ _-]?(\d+)[ _-]+(?:photo|view|vue|img)[ _-]?\d+$")
_COPY_WORD = "merged|aug|augmented|flip|flipped|rotated"
_COPY_SUFFIX = re.compile(rf"[ _-]+(?:{_COPY_WORD})(?:[ _-]?\d+)?(?: ?\(\d+\))?$")
_NAMED_COPY = re.compile(r"(?:[ _-]+(?:copy|copie)(?:[ _-]?\d+)?(?: ?\(\d+\))?| ?\((?:copy|copie)\))$")
_COPY_PREFIX = re.compile(r"^(?:copy of|copie de|aug_|augmented_)\s*")
_UUID_PREFIX = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}_+")
_SERIES = re.compile(r"^(.*?[^\d])(\d{3,5})$")


def original_name(stem: str) -> str:
    """Return what a file's stem says its original is: `aug_00005_006` and `real_00005_merged` are both `#00005`.

    `leaf0012_photo3` says that it is one of several photos of leaf 12: `leaf#0012`. A stem that says nothing is its
    own original.
    """
    name = _strip(_strip(stem.casefold().strip(), _COPY_SUFFIX, _NAMED_COPY), _COPY_SUFFIX)
    numbered = _STEM_NUMBER.match(name)
    if numbered:
        return f"#{numbered[1]}"
    leaf = _NUMBERED_LEAF.match(name)
    if leaf:
        return f"{leaf[1]}#{leaf[2]}"
    return _COPY_PREFIX.sub("", name) or name


def is_original(stem: str) -> bool:
    """Return whether the stem names a photo as it was taken (`real_00005`), not what was made of one."""
    return bool(_ITSELF.match(stem.casefold().strip()))


def says_copy(stem: str) -> bool:
    """Return whether the name has the word "copy" or "copie".

    Alone it proves nothing: PlantVillage's healthy maize has hundreds of originals called "… copy 2".
    """
    name = stem.casefold().strip()
    return bool(_NAMED_COPY.search(name)) or name.startswith(("copy of", "copie de"))


def place_in_series(stem: str) -> tuple[str, int] | None:
    """Return (series, number) of a name that a camera counted up (`…___RS_HL 1234`, `IMG_1234`), else None."""
    name = _UUID_PREFIX.sub("", _strip(stem.casefold().strip(), _NAMED_COPY))
    match = _SERIES.match(name)
    return (match[1], int(match[2])) if match else None


def _strip(name: str, *suffixes: re.Pattern[str]) -> str:
    while True:
        shorter = name
        for suffix in suffixes:
            shorter = suffix.sub("", shorter)
        if shorter in (name, ""):
            return name
        name = shorter
