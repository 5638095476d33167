"""The settings of `plantset map` and `plantset catalogue`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    language: str = option(
        "fr",
        en="language of the texts that a model learns to write: fr, en, or another that your texts have; where a class "
        "has none in it, French is used, else English, and the record says so",
        fr="langue des textes qu'un modèle apprend à écrire : fr, en ou une autre de vos textes ; si une classe n'en a "
        "pas, le français sert, sinon l'anglais, et l'enregistrement le dit",
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
    embeddings: bool = option(
        False,
        en="for labels that no rule can read (other languages), propose candidates by meaning in the review table; "
        "needs the packaged e5, 20 to 50 s of CPU",
        fr="pour les étiquettes qu'aucune règle ne sait lire (autres langues), proposer des candidats par le sens dans "
        "le tableau de relecture ; demande le paquet e5, 20 à 50 s de processeur",
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
    catalogue: Path | None = option(
        None,
        en="a folder of your own catalogue files (CROP.yaml, as the built-in ones), laid over the built-in catalogue",
        fr="un dossier de vos propres fichiers de catalogue (CULTURE.yaml, comme les fichiers fournis), "
        "ajoutés au catalogue intégré",
    )
    catalogue_override: bool = option(
        False,
        en="where your catalogue and the built-in one differ, yours is right; otherwise that is an error",
        fr="là où votre catalogue et celui fourni diffèrent, le vôtre l'emporte ; sinon c'est une erreur",
    )
    note_crop: bool = option(
        False,
        en="let notes name the crop (never the disease); without it crop names are masked too",
        fr="laisser les notes nommer la culture (jamais la maladie) ; sans cela, elle est masquée aussi",
    )


@dataclass(frozen=True)
class CatalogueConfig:
    """Show, search, check or export the catalogue."""

    request: tuple[str, ...] = option(
        (),
        en="show ID…, search WORDS…, check [FILES or FOLDERS], or export [CROPS]",
        fr="show IDENTIFIANT…, search MOTS…, check [FICHIERS ou DOSSIERS] ou export [CULTURES]",
    )
    language: str | None = option(
        None,
        en="of a sheet: fr, en or another that your catalogue has; that of messages unless given",
        fr="langue d'une fiche : fr, en ou une autre de votre catalogue ; à défaut, celle des messages",
    )
    output_file: Path = option(
        Path("catalogue.csv"),
        en="where export writes: .csv, .json or .yaml",
        fr="où export écrit : .csv, .json ou .yaml",
    )
    catalogue: Path | None = option(
        None,
        en="a folder of your own catalogue files (CROP.yaml, as the built-in ones), laid over the built-in catalogue",
        fr="un dossier de vos propres fichiers de catalogue (CULTURE.yaml, comme les fichiers fournis), "
        "ajoutés au catalogue intégré",
    )
    catalogue_override: bool = option(
        False,
        en="where your catalogue and the built-in one differ, yours is right; otherwise that is an error",
        fr="là où votre catalogue et celui fourni diffèrent, le vôtre l'emporte ; sinon c'est une erreur",
    )
