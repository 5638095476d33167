"""The flags of `plantset run`: few, because every stage has its own verb for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from plantset.core.options import option


@dataclass(frozen=True)
class RunConfig:
    """Go the whole road: clean, map, train, evaluate."""

    photos: Path = option(
        en="folder of photos: <class>/…, or train/<class>/… with val/ and test/; never written to",
        fr="dossier des photos : <classe>/…, ou train/<classe>/… avec val/ et test/ ; jamais modifié",
    )
    diseases_json: Path | None = option(
        None,
        en="your texts on the diseases; without it the built-in catalogue serves alone",
        fr="vos textes sur les maladies ; sans eux, le catalogue fourni sert seul",
    )
    output_dir: Path = option(
        Path("plantset_run"),
        en="where the manifests, the images, the checkpoints and the reports go",
        fr="où vont les manifestes, les images, les modèles et les rapports",
    )
    language: Literal["fr", "en"] = option(
        "fr",
        en="language of the texts and of the descriptions that the model learns to write",
        fr="langue des textes et des descriptions que le modèle apprend à écrire",
    )
    min_size: int | None = option(
        None,
        en="smallest short side of a photo in pixels; lower it for thumbnails (default: that of `plantset clean`)",
        fr="plus petit côté minimal d'une photo en pixels ; à baisser pour des vignettes (sinon : celui de"
        " `plantset clean`)",
    )
    test_ratio: float | None = option(
        None,
        en="share of the photos kept for the final test, when the folder has no splits (default: that of"
        " `plantset clean`)",
        fr="part des photos gardée pour le test final, si le dossier n'a pas de partage (sinon : celle de"
        " `plantset clean`)",
    )
    epochs: int | None = option(
        None,
        en="passes over the training photos (default: that of `plantset train`)",
        fr="passages sur les photos d'entraînement (sinon : celui de `plantset train`)",
    )
    text_model: str | None = option(
        None,
        en="text model that reads notes: a Hugging Face name, a folder, or none for a model without notes (default:"
        " that of `plantset train`)",
        fr="modèle de texte qui lit les notes : un nom Hugging Face, un dossier, ou none pour un modèle sans notes"
        " (sinon : celui de `plantset train`)",
    )
    freeze_vision: bool = option(
        False,
        en="keep the whole vision tower as it is: the quickest training, some points less right",
        fr="garder toute la tour de vision telle quelle : l'entraînement le plus rapide, quelques points de moins",
    )
