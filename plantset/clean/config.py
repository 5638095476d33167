"""The flags of `plantset clean`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from plantset.core.options import option


@dataclass(frozen=True)
class CleanConfig:
    """Turn a messy photo folder into a clean manifest."""

    data_dir: Path | None = option(
        None,
        en="folder of photos: <class>/…, or train/<class>/… with val/ and test/; never written to. "
        "May be left out with --labels-csv (then: the table's own folder)",
        fr="dossier des photos : <classe>/…, ou train/<classe>/… avec val/ et test/ ; jamais modifié. "
        "Facultatif avec --labels-csv (alors : le dossier du tableau)",
    )
    min_size: int = option(
        256,
        en="smallest short side in pixels; smaller photos are rejected. Lower it for thumbnails (96 still works)",
        fr="plus petit côté minimal en pixels ; les photos plus petites sont rejetées. Baissez-le pour des vignettes"
        " (96 convient encore)",
    )
    target_size: int = option(
        512,
        en="longer side in pixels of the written images; smaller photos are never enlarged. "
        "Raise it if you train above 448 px",
        fr="grand côté en pixels des images écrites ; les photos plus petites ne sont jamais agrandies. "
        "Augmentez-le si vous entraînez au-delà de 448 px",
    )
    output_file: Path = option(
        Path("dataset_clean.jsonl"),
        en="manifest to write; .meta.json and .rejected.jsonl go beside it",
        fr="manifeste à écrire ; .meta.json et .rejected.jsonl sont placés à côté",
    )
    images_dir: Path | None = option(
        None,
        en="folder of the cleaned images (default: <output file>_images)",
        fr="dossier des images nettoyées (par défaut : <fichier de sortie>_images)",
    )
    labels_csv: Path | None = option(
        None,
        en="a table of photos and labels, in place of class folders; paths are relative to its folder or --data-dir",
        fr="un tableau de photos et d'étiquettes, au lieu de dossiers par classe ; chemins relatifs à son dossier "
        "ou à --data-dir",
    )
    image_column: str = option("path", en="column of the photo's path", fr="colonne du chemin de la photo")
    label_column: str = option("label", en="column of the class", fr="colonne de la classe")
    group_column: str | None = option(
        None,
        en="column that is equal for photos of one leaf or copies of one photo; they stay in one split",
        fr="colonne égale pour les photos d'une même feuille ou les copies d'une photo ; elles restent ensemble",
    )
    split_column: str | None = option(
        None,
        en="column with train, val or test; empty cells are assigned",
        fr="colonne avec train, val ou test ; les cellules vides sont réparties",
    )
    style_column: str | None = option(
        None, en="column kept as the record's style (lab, field)", fr="colonne gardée comme style (lab, field)"
    )
    source_column: str | None = option(
        None, en="column kept as the record's collection", fr="colonne gardée comme collection d'origine"
    )
    val_ratio: float = option(
        0.15,
        en="share of each class's photos for validation where no split is given (whole groups)",
        fr="part des photos de chaque classe pour la validation quand aucun partage n'est donné (groupes entiers)",
    )
    test_ratio: float = option(
        0.0,
        en="share of each class's photos for the final test; 0 makes none",
        fr="part des photos de chaque classe pour le test final ; 0 n'en fait pas",
    )
    seed: int = option(0, en="seed of the split", fr="graine du partage")
    num_workers: int | None = option(
        None,
        en="worker processes (default: one per core); 0 works in the main process; the result is the same",
        fr="processus de travail (par défaut : un par cœur) ; 0 travaille dans le processus principal ; même résultat",
    )
    engine: Literal["local", "daft"] = option(
        "local",
        en="what runs the work: processes of this machine, or Daft; the result is the same",
        fr="ce qui exécute le travail : des processus de cette machine, ou Daft ; même résultat",
    )
    daft_address: str | None = option(
        None,
        en="with --engine daft: address of a Ray cluster, such as ray://head:10001 (default: this machine)",
        fr="avec --engine daft : adresse d'une grappe Ray, comme ray://tete:10001 (par défaut : cette machine)",
    )
    fix_leaks: bool = option(
        False,
        en="when copies of one photo stand in two splits, move them to one: test wins over val over train",
        fr="quand des copies d'une photo sont dans deux partages, les réunir : test l'emporte sur val, puis train",
    )
    new_splits: bool = option(
        False,
        en="draw the splits afresh; by default photos of an earlier manifest at --output-file keep theirs",
        fr="refaire les partages ; par défaut les photos d'un manifeste précédent à --output-file gardent le leur",
    )
    embeddings: bool = option(
        False,
        en="also find crops and other shots of one leaf, by a network's features checked geometrically, and mark "
        "photos that show no plant (about 0.1 s of CPU a photo, once)",
        fr="trouver aussi les recadrages et autres prises d'une même feuille, par un réseau puis vérification "
        "géométrique, et signaler les photos sans plante (environ 0,1 s de processeur par photo, une fois)",
    )
    drop_duplicates: bool = option(
        False,
        en="reject near copies but for the best of each; by default they stay, in one split",
        fr="rejeter les quasi-copies sauf la meilleure ; par défaut elles restent, dans un seul partage",
    )
    keep_time: bool = option(
        False,
        en="keep the time of capture in the manifest (taken_at); by default nothing of EXIF is kept",
        fr="garder l'heure de prise de vue dans le manifeste (taken_at) ; par défaut rien de l'EXIF n'est gardé",
    )
    min_group_count: int = option(
        1,
        en="classes with fewer groups (different leaves) than this are left out and counted; 10 gives usable scores",
        fr="les classes qui ont moins de groupes (feuilles différentes) sont laissées de côté et comptées ; "
        "10 donne des scores utilisables",
    )
    exclude_labels: tuple[str, ...] = option(
        (),
        en="labels to leave out, as patterns: 'ambiguous|*' 'unknown'",
        fr="étiquettes à laisser de côté, par motifs : 'ambiguous|*' 'inconnu'",
    )
    corrections: tuple[Path, ...] = option(
        (),
        en="what a person decided: CSV files that the page of `plantset review` exports, in the order they were made; "
        "give them each time, for the photos themselves are never changed",
        fr="ce qu'une personne a décidé : fichiers CSV exportés par la page de `plantset review`, dans leur ordre ; à "
        "redonner chaque fois, car les photos elles-mêmes ne sont jamais modifiées",
    )
    reject: tuple[str, ...] = option(
        (),
        en="checks whose photos are left out, in place of only being marked: blurred,too-dark; with --embeddings also "
        "not-a-leaf",
        fr="contrôles dont les photos sont écartées, au lieu d'être seulement signalées : blurred,too-dark ; avec "
        "--embeddings aussi not-a-leaf",
    )
    dark_level: float = option(
        70.0,
        en="too-dark: the 99th percentile of grey (0..255) lies below",
        fr="too-dark : le 99e centile du gris (0 à 255) est inférieur",
    )
    light_level: float = option(
        215.0,
        en="too-light: the 5th percentile of grey (0..255) lies above",
        fr="too-light : le 5e centile du gris (0 à 255) est supérieur",
    )
    low_contrast_range: float = option(
        20.0,
        en="low-contrast: the 5th and 95th percentiles of grey are closer",
        fr="low-contrast : les 5e et 95e centiles du gris sont plus proches",
    )
    uniform_std: float = option(
        4.0,
        en="uniform: the standard deviation of grey is smaller",
        fr="uniform : l'écart type du gris est plus petit",
    )
    blurred_variance: float = option(
        15.0,
        en="blurred: the variance of the Laplacian of the sharpest ninth of the photo is smaller",
        fr="blurred : la variance du laplacien du neuvième le plus net de la photo est plus petite",
    )
    extreme_aspect_ratio: float = option(
        3.0,
        en="extreme-aspect: the longer side is more than this many times the shorter",
        fr="extreme-aspect : le grand côté fait plus de ce nombre de fois le petit",
    )
    grey_chroma: float = option(
        10.0,
        en="grey-scale: red, green and blue differ by less in 99 % of the pixels",
        fr="grey-scale : le rouge, le vert et le bleu diffèrent de moins dans 99 % des pixels",
    )
    audit: bool = option(
        True,
        en="measure what a model could cheat with (border pixels, mean colour, file size) for the report; "
        "--no-audit saves its seconds",
        fr="mesurer avec quoi un modèle pourrait tricher (pixels du bord, couleur moyenne, poids du fichier) pour le "
        "rapport ; --no-audit épargne ces secondes",
    )
