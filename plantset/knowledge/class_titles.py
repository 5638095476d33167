"""What people call a class: its crop and its disease in one language."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from plantset.core.classes import ClassInfo
from plantset.knowledge.catalogue import load_catalogue
from plantset.knowledge.schema import Catalogue

USER_PREFIX = "user--"  # of a class that was matched to no disease: the catalogue has none of these


def with_names(infos: Iterable[ClassInfo], catalogue: Catalogue) -> tuple[ClassInfo, ...]:
    """Return the classes with what the catalogue calls them in every language, and the sources of its texts.

    They travel in the checkpoint: an answer then needs no catalogue, whose files take half a second to read. A class
    that the catalogue does not have keeps what it came with.
    """
    named = []
    for info in infos:
        crop = catalogue.crops.get(info.crop) if info.crop else None
        disease = catalogue.get(info.class_id)
        found = dataclasses.replace(info, crop_names=dict(crop.name)) if crop is not None else info
        if disease is not None:
            found = dataclasses.replace(found, disease_names=dict(disease.name), sources=disease.sources)
        named.append(found)
    return tuple(named)


def names_of(info: ClassInfo, language: str) -> tuple[str | None, str | None]:
    """Return (crop, disease) in the language where the class or the built-in catalogue knows them, else as it has them.

    A class of a checkpoint carries its names (`with_names`); one straight from a manifest does not.
    """
    crop, disease = info.crop, info.disease
    if info.crop_names:
        crop = info.crop_names.get(language, crop)
    elif crop is not None:
        crop = crop_name(crop, language)
    if info.disease_names:
        disease = info.disease_names.get(language, disease)
    elif not info.class_id.startswith(USER_PREFIX):
        known = load_catalogue().get(info.class_id)
        disease = known.name.get(language, disease) if known is not None else disease
    return crop, disease


def crop_name(crop: str, language: str) -> str:
    """Return a crop in the language where the catalogue knows it, else as the manifest has it."""
    known = load_catalogue().crops.get(crop)
    return crop if known is None else known.name.get(language, crop)


def title_of(info: ClassInfo, language: str) -> str:
    """Return "crop · disease" in the language, or what the user's folder is called."""
    crop, disease = names_of(info, language)
    if disease is None:
        return info.label
    return f"{crop} · {disease}" if crop else disease
