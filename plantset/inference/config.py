"""The settings of `plantset infer`, each defined once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from plantset.core.options import option


@dataclass(frozen=True)
class InferConfig:
    """Ask a trained model about one photo, or about every photo of a folder or pattern."""

    checkpoint: Path = option(en="the best_model.pth of a training", fr="le best_model.pth d'un entraînement")
    image: Path = option(
        en='a photo, a folder of photos, or a pattern in quotes: "field/*.jpg"',
        fr='une photo, un dossier de photos, ou un motif entre guillemets : "champ/*.jpg"',
    )
    num_classes: int | None = option(
        None,
        en="a check: it stops if the model has another number of classes",
        fr="une vérification : il s'arrête si le modèle a un autre nombre de classes",
    )
    text: str | None = option(
        None,
        en="what the grower saw, in their own words; names of diseases in it are masked, as in training",
        fr="ce que le cultivateur a vu, avec ses mots ; les noms de maladies y sont masqués, comme à l'entraînement",
    )
    top_k: int = option(5, en="how many classes to show", fr="nombre de classes à montrer")
    generate_description: bool = option(
        False,
        en="also let the model describe the photo; the text is generated, and marked so",
        fr="laisser aussi le modèle décrire la photo ; le texte est généré, et signalé comme tel",
    )
    language: Literal["fr", "en"] | None = option(
        None,
        en="of descriptions and cards; by default the model's own",
        fr="langue des descriptions et des fiches ; par défaut celle du modèle",
    )
    output: Path | None = option(
        None,
        en="also write the answers: .json (a list), .jsonl (one a line) or .csv (a table); docs/answers.md",
        fr="écrire aussi les réponses : .json (une liste), .jsonl (une par ligne) ou .csv (tableau) ; docs/answers.md",
    )
    explain: Path | None = option(
        None,
        en="a folder: write each photo there with what spoke for its first class laid over it (PNG)",
        fr="un dossier : y écrire chaque photo avec, par-dessus, ce qui a parlé pour sa première classe (PNG)",
    )
    explain_against: str | None = option(
        None,
        en="a class: --explain shows what spoke for the first class rather than for this one",
        fr="une classe : --explain montre ce qui a parlé pour la première classe plutôt que pour celle-ci",
    )
    catalogue: Path | None = option(
        None,
        en="the folder of your own catalogue files that `plantset map` had: names and sources of your diseases",
        fr="le dossier de vos fichiers de catalogue donné à `plantset map` : noms et sources de vos maladies",
    )
    catalogue_override: bool = option(
        False,
        en="where your catalogue and the built-in one differ, yours is right; otherwise that is an error",
        fr="là où votre catalogue et celui fourni diffèrent, le vôtre l'emporte ; sinon c'est une erreur",
    )
    tta: bool = option(
        False,
        en="look at each photo four times, flipped, and answer from the mean: slower, a little steadier",
        fr="regarder chaque photo quatre fois, retournée, et répondre d'après la moyenne : plus lent, plus stable",
    )
    batch_size: int = option(16, en="photos asked at once", fr="photos interrogées à la fois")
    device: Literal["auto", "cpu", "cuda"] = option("auto", en="where the model runs", fr="où tourne le modèle")


@dataclass(frozen=True)
class ExplainConfig:
    """Make a page of photos beside what in them spoke for the model's answer, and of what such a map can't tell."""

    photos: tuple[Path, ...] = option(en="photos, or folders of photos", fr="des photos, ou des dossiers de photos")
    checkpoint: Path = option(en="the best_model.pth of a training", fr="le best_model.pth d'un entraînement")
    output: Path = option(Path("explain.html"), en="the page to write", fr="la page à écrire")
    limit: int = option(
        120,
        en="photos on the page, evenly taken from all; 120 make about 4 MB",
        fr="photos sur la page, prises régulièrement parmi toutes ; 120 font environ 4 Mo",
    )
    batch_size: int = option(8, en="photos explained at once", fr="photos expliquées à la fois")
    device: Literal["auto", "cpu", "cuda"] = option("auto", en="where the model runs", fr="où tourne le modèle")
