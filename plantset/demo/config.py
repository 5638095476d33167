"""What can be asked of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from plantset.core.options import option


@dataclass(frozen=True)
class DemoDataConfig:
    """Draw made-up leaf photos with known lesions, as messy as a real folder, and their disease JSON."""

    run_dir: Path = option(
        Path("demo_run"),
        en="folder to write: leaves/, leaves_masks/, maladies_enrichies.json, photo_texts.jsonl, contact_sheet.jpg",
        fr="dossier à écrire : leaves/, leaves_masks/, maladies_enrichies.json, photo_texts.jsonl, contact_sheet.jpg",
    )
    photos_per_class: int = option(
        60,
        en="photos of each class, before copies and broken files are added. Fewer is quicker, more learns better",
        fr="photos par classe, avant l'ajout des copies et des fichiers abîmés. Moins : plus vite ; plus : mieux",
    )
    photos_per_leaf: int = option(
        3,
        en="photos of one and the same leaf, each with its own pose, light and background; a leaf never changes split",
        fr="photos d'une même feuille, chacune avec sa pose, sa lumière et son fond ; une feuille reste dans son lot",
    )
    size_px: int = option(
        256,
        en="short side of the photos, in pixels (96 or more)",
        fr="petit côté des photos, en pixels (96 ou plus)",
    )
    val_ratio: float = option(
        0.25,
        en="share of the leaves of each class that go to val/, between 0 and 1",
        fr="part des feuilles de chaque classe qui vont dans val/, entre 0 et 1",
    )
    seed: int = option(
        0,
        en="the same seed draws the same files, byte for byte, with any number of workers",
        fr="la même graine dessine les mêmes fichiers, octet pour octet, quel que soit le nombre de processus",
    )
    workers: int = option(
        0,
        en="processes that draw; 0 means one per core that this process may use",
        fr="nombre de processus qui dessinent ; 0 signifie un par cœur disponible",
    )


@dataclass(frozen=True)
class DemoConfig:
    """See every stage work: draw leaves, then run clean, map, train, evaluate and infer on them."""

    run_dir: Path = option(
        Path("demo_run"),
        en="folder to write; a former demo in it is replaced",
        fr="dossier à écrire ; une ancienne démonstration y est remplacée",
    )
    photos_per_class: int = option(
        60,
        en="photos drawn of each class. 12 gives a quick look, 60 a model worth reading about",
        fr="photos dessinées par classe. 12 pour un aperçu, 60 pour un modèle qui mérite d'être lu",
    )
    epochs: int = option(
        6,
        en="passes of the training over the photos",
        fr="nombre de passages de l'entraînement sur les photos",
    )
    batch_size: int = option(
        32,
        en="photos per training step",
        fr="photos par pas d'entraînement",
    )
    seed: int = option(
        0,
        en="seed of the leaves and of the training",
        fr="graine des feuilles et de l'entraînement",
    )
    vision_backbone: str = option(
        "timm-packaged:tf_efficientnet_lite0",
        en="image model; the default comes with the installation and needs no network",
        fr="modèle d'image ; celui par défaut vient avec l'installation et se passe de réseau",
    )
    text_model: str | None = option(
        None,
        en="text model; by default packaged:multilingual-e5-small, which needs no network, or none on the systems that"
        " its package does not exist for (it is said)",
        fr="modèle de texte ; par défaut packaged:multilingual-e5-small, qui se passe de réseau, ou none sur les"
        " systèmes pour lesquels son paquet n'existe pas (c'est dit)",
    )
    language: Literal["fr", "en"] = option(
        "fr",
        en="language of the descriptions that the model learns to write",
        fr="langue des descriptions que le modèle apprend à écrire",
    )
