"""The flags of `plantset evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from plantset.core.options import option
from plantset.core.records import Split

Device = Literal["auto", "cpu", "cuda"]
ContentLanguage = Literal["fr", "en"]


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure a trained model on one split: scores with intervals, captions, what the photo and the note each add."""

    checkpoint: Path = option(
        en="the trained model, for example checkpoints/best_model.pth; it is read, never written",
        fr="le modèle entraîné, par exemple checkpoints/best_model.pth ; il est lu, jamais modifié",
    )
    jsonl_file: Path = option(
        en="the photos with their classes and texts: what `plantset map` wrote, or the folder of `plantset shard`",
        fr="les photos avec leurs classes et leurs textes : ce que `plantset map` a écrit, ou le dossier de `plantset"
        " shard`",
    )
    root_dir: Path | None = option(
        None,
        en="folder of the cleaned photos; give it when they were moved (default: what the JSONL's sidecar says)",
        fr="dossier des photos nettoyées ; à donner si elles ont été déplacées (sinon : celui noté à côté du JSONL)",
    )
    skip_broken: bool = option(
        False,
        en="decode every photo first, and leave out those that are broken, counted and listed in skipped_photos.jsonl;"
        " otherwise the first broken one stops with its name",
        fr="décoder d'abord chaque photo et laisser de côté les photos abîmées, comptées et listées dans"
        " skipped_photos.jsonl ; sinon, la première photo abîmée arrête tout, avec son nom",
    )
    num_classes: int | None = option(
        None,
        en="a check: the number of classes you expect; an error lists the checkpoint's when they differ",
        fr="un contrôle : le nombre de classes attendu ; s'il diffère, l'erreur liste celles du modèle",
    )
    output_dir: Path = option(
        Path("evaluation_results"),
        en="where metrics.json, predictions.jsonl, the plots and report.html are written",
        fr="où écrire metrics.json, predictions.jsonl, les figures et report.html",
    )
    split: Split = option(
        "val",
        en="which photos: val (the selection split: training chose its model on it), train, "
        "or test (kept for the end: each opening is logged beside the checkpoint)",
        fr="quelles photos : val (le jeu de sélection : l'entraînement y a choisi son modèle), train, "
        "ou test (gardé pour la fin : chaque ouverture est notée à côté du modèle)",
    )
    reference_texts: Path | None = option(
        None,
        en="JSONL of {image_path, references: [...]}: one or more human texts per photo to judge captions against "
        "(default: the text of the photo's record)",
        fr="JSONL de {image_path, references: [...]} : un ou plusieurs textes humains par photo pour juger les "
        "descriptions (sinon : le texte de la photo dans le JSONL)",
    )
    caption_count: int | None = option(
        64,
        en="how many photos get a generated description (slow on a CPU: about a second each); 0 describes no photo, "
        "none means all of them",
        fr="combien de photos reçoivent une description générée (lent sur CPU : environ une seconde chacune) ; "
        "0 n'en décrit aucune, none les décrit toutes",
    )
    language: ContentLanguage | None = option(
        None,
        en="language of notes and generated descriptions (default: the model's own)",
        fr="langue des notes et des descriptions générées (sinon : celle du modèle)",
    )
    tta: bool = option(
        False,
        en="look at each photo four times, flipped, and answer from the mean; the report says what it brings",
        fr="regarder chaque photo quatre fois, retournée, et répondre d'après la moyenne ; le rapport dit ce que cela "
        "apporte",
    )
    robustness: bool = option(
        False,
        en="also spoil photos (blur, JPEG, dark, bright, crop, small, rotation; 3 strengths) and measure what it "
        "costs; at most 256 photos, 22 answers each",
        fr="abîmer aussi les photos (flou, JPEG, sombre, clair, recadrage, petite, rotation ; 3 forces) et mesurer ce "
        "que cela coûte ; au plus 256 photos, 22 réponses chacune",
    )
    masks_dir: Path | None = option(
        None,
        en="masks of the leaves, named after the source photos (a/leaf.jpg: a/leaf.leaf.png): also measure what the "
        "model answers from the background alone",
        fr="masques des feuilles, nommés d'après les photos d'origine (a/feuille.jpg : a/feuille.leaf.png) : mesurer "
        "aussi ce que le modèle répond d'après le fond seul",
    )
    unknown_dir: Path | None = option(
        None,
        en="a folder of photos that show none of the classes: also measure how many of them the model notices",
        fr="un dossier de photos qui ne montrent aucune des classes : mesurer aussi combien le modèle en remarque",
    )
    batch_size: int = option(
        32,
        en="photos at a time; lower it when memory runs out",
        fr="photos à la fois ; à baisser si la mémoire manque",
    )
    num_workers: int = option(
        0,
        en="processes that decode photos; 0 decodes in this one, 2 to 4 help a GPU",
        fr="processus qui décodent les photos ; 0 décode dans celui-ci, 2 à 4 aident un GPU",
    )
    device: Device = option(
        "auto",
        en="where the model runs: auto takes a GPU when there is one",
        fr="où tourne le modèle : auto prend un GPU s'il y en a un",
    )
    bootstrap_count: int = option(
        1000,
        en="resamples of the leaves behind each 95 % interval; 0 gives none, more are smoother",
        fr="rééchantillonnages des feuilles derrière chaque intervalle à 95 % ; 0 : aucun, plus : plus lisse",
    )
    seed: int = option(
        0,
        en="of the notes, the captioned photos and the resamples; the same seed gives the same numbers",
        fr="des notes, des photos décrites et des rééchantillonnages ; même graine, mêmes nombres",
    )


@dataclass(frozen=True)
class CompareConfig:
    """Compare two evaluations on the same photos: is one better beyond chance, and which photos changed?"""

    runs: tuple[Path, ...] = option(
        en="two folders that `plantset evaluate` wrote, or two predictions.jsonl",
        fr="deux dossiers écrits par `plantset evaluate`, ou deux predictions.jsonl",
    )
    output_dir: Path | None = option(
        None,
        en="also write comparison.json and changes.jsonl there",
        fr="y écrire aussi comparison.json et changes.jsonl",
    )
    bootstrap_count: int = option(
        1000,
        en="resamples of the leaves behind each 95 % interval",
        fr="rééchantillonnages des feuilles derrière chaque intervalle à 95 %",
    )
    seed: int = option(0, en="of the resamples", fr="des rééchantillonnages")
