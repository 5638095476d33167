"""What the codes of issues, reasons and cues are called in the language of messages."""

from __future__ import annotations

from plantset.clean.cues import Cue
from plantset.core.language import tr


def issue_title(code: str) -> str:
    """Return the name of a check or of a reason to refuse; a code that has no name yet is its own."""
    titles = {
        "augmented": tr("turned or mirrored by a program", "tournées ou retournées par un programme"),
        "blurred": tr("blurred", "floues"),
        "border": tr("with a frame", "avec un cadre"),
        "broken-link": tr("links that lead nowhere", "liens qui ne mènent nulle part"),
        "corrected": tr("rejected in a review", "écartées à la relecture"),
        "corrupt": tr("damaged", "endommagés"),
        "decoder-crash": tr("crashed the decoder", "ont fait planter le décodeur"),
        "empty": tr("empty", "vides"),
        "end-marker-repaired": tr("missing end marker, repaired", "marque de fin absente, réparée"),
        "exact-copy": tr("exact copies", "copies exactes"),
        "excluded-label": tr("labels that you left out", "étiquettes que vous avez écartées"),
        "extension-mismatch": tr("wrong file extension", "extension de fichier fausse"),
        "extreme-aspect": tr("extremely long or wide", "très allongées"),
        "extreme-shape": tr("strips, not photos", "bandes, pas des photos"),
        "folder-link": tr("links to folders", "liens vers des dossiers"),
        "git-lfs-pointer": tr("git LFS pointers, not photos", "pointeurs git LFS, pas des photos"),
        "grey-scale": tr("without colour", "sans couleur"),
        "html-page": tr("web pages, not photos", "pages web, pas des photos"),
        "icc-unreadable": tr("unreadable colour profile", "profil de couleur illisible"),
        "label-conflict": tr("copies under two labels", "copies sous deux étiquettes"),
        "low-contrast": tr("low contrast", "peu contrastées"),
        "missing-file": tr("missing files", "fichiers absents"),
        "near-copy": tr("near copies", "quasi-copies"),
        "no-label": tr("outside any class folder", "hors de tout dossier de classe"),
        "not-a-leaf": tr("showing no plant", "sans plante"),
        "not-an-image": tr("not images", "pas des images"),
        "outside-source": tr("path outside the folder", "chemin hors du dossier"),
        "suspected-damage": tr("perhaps damaged", "peut-être endommagées"),
        "text-overlay": tr("screenshot or text over the photo", "capture d'écran ou texte sur la photo"),
        "too-dark": tr("too dark", "trop sombres"),
        "too-few-groups": tr("class with too few leaves", "classe avec trop peu de feuilles"),
        "too-light": tr("too light", "trop claires"),
        "too-many-bytes": tr("files too large", "fichiers trop gros"),
        "too-many-pixels": tr("too many pixels", "trop de pixels"),
        "too-small": tr("too small", "trop petites"),
        "trailing-data": tr("data after the end of the image", "données après la fin de l'image"),
        "truncated": tr("cut short", "tronqués"),
        "two-labels": tr("two labels in the table", "deux étiquettes dans le tableau"),
        "uniform": tr("almost one colour", "presque unies"),
        "unreadable": tr("unreadable files", "fichiers illisibles"),
        "unsupported-format": tr("unsupported format", "format non pris en charge"),
    }
    return titles.get(code, code)


def cue_title(cue: Cue) -> str:
    """Return what a cue is, as the subject of a sentence."""
    return {
        "border": tr("8 pixels on the border", "8 pixels du bord"),
        "colour": tr("the mean colour", "la couleur moyenne"),
        "file": tr("the file's size and dimensions", "le poids et les dimensions du fichier"),
    }[cue]
