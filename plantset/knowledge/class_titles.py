"""What people call a class: its crop and its disease in one language."""

from __future__ import annotations

from plantset.core.classes import ClassInfo
from plantset.knowledge.catalogue import load_catalogue


def names_of(info: ClassInfo, language: str) -> tuple[str | None, str | None]:
    """Return (crop, disease) in the language where the catalogue knows them, else as the manifest has them."""
    disease = load_catalogue().get(info.class_id)
    return (
        crop_name(info.crop, language) if info.crop else info.crop,
        disease.name.get(language, info.disease) if disease is not None else info.disease,
    )


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
