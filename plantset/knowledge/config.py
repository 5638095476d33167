"""The settings of `plantset map`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from plantset.core.options import option


@dataclass(frozen=True)
class MapConfig:
    """Give every photo of a clean manifest its disease and its texts."""

    dataset_jsonl: Path = option(
        Path("dataset_clean.jsonl"),
        en="the clean manifest, as plantset clean writes it",
        fr="le manifeste propre, tel que plantset clean l'écrit",
    )
    diseases_json: Path | None = option(
        None,
        en="your own descriptions of diseases (a list, or name -> fields; French or English); "
        "without it the built-in catalogue alone serves",
        fr="vos propres descriptions de maladies (une liste, ou nom -> champs ; français ou anglais) ; "
        "sans lui, le catalogue intégré suffit",
    )
    output_file: Path = option(
        Path("multimodal_dataset.jsonl"),
        en="where to write the manifest with texts",
        fr="où écrire le manifeste avec les textes",
    )
    language: Literal["fr", "en"] = option(
        "fr",
        en="language of the texts that a model learns to write; change it for an English model",
        fr="langue des textes qu'un modèle apprend à écrire ; à changer pour un modèle anglais",
    )
    crop: str | None = option(
        None,
        en="the crop of labels that name none, for a folder of a single crop: --crop tomato",
        fr="la culture des étiquettes qui n'en nomment pas, pour un dossier d'une seule culture : --crop tomate",
    )
    review: Path | None = option(
        None,
        en="a review table that you have filled in; its decisions are applied and kept",
        fr="un tableau de relecture que vous avez rempli ; ses décisions sont appliquées et conservées",
    )
    strict: bool = option(
        False,
        en="stop (exit 2) while any label is without a disease; the review table is still written",
        fr="s'arrêter (code 2) tant qu'une étiquette reste sans maladie ; le tableau de relecture est écrit quand même",
    )
    keep_unmatched: bool = option(
        True,
        en="keep photos whose label has no disease, as a class without text",
        fr="garder les photos dont l'étiquette n'a pas de maladie, comme une classe sans texte",
    )
    photo_texts: Path | None = option(
        None,
        en='one text per photo instead of per class: a JSONL of {"source_path", "texts": {"fr", "en"}}',
        fr='un texte par photo au lieu d\'un par classe : un JSONL de {"source_path", "texts": {"fr", "en"}}',
    )
