"""What people call a class: its crop and its disease in one language."""

from __future__ import annotations

from plantset.core.classes import ClassInfo
from plantset.knowledge.catalogue import load_catalogue


def names_of(info: ClassInfo, language: str) -> tuple[str | None, str | None]:
    """Return (crop, disease) in the language where the catalogue knows them, else as the manifest has them."""
    catalogue = load_catalogue()
    crop, disease = catalogue.crops.get(info.crop or ""), catalogue.get(info.class_id)
    return (
        crop.name.get(language, info.crop) if crop is not None else info.crop,
        disease.name.get(language, info.disease) if disease is not None else info.disease,
    )


def title_of(info: ClassInfo, language: str) -> str:
    """Return "crop · disease" in the language, or what the user's folder is called."""
    crop, disease = names_of(info, language)
    if disease is None:
        return info.label
    return f"{crop} · {disease}" if crop else disease
