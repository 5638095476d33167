"""The flags of `plantset review`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plantset.core.options import option


@dataclass(frozen=True)
class ReviewConfig:
    """Make a page on which a person keeps, relabels or rejects the doubtful photos, for `clean --corrections`."""

    predictions: tuple[Path, ...] = option(
        en="the predictions.jsonl of `plantset evaluate`, or the JSON lines of `plantset infer` on photos of the "
        "manifest; several for several splits (each evaluate --split in an --output-dir of its own)",
        fr="le predictions.jsonl de `plantset evaluate`, ou les lignes JSON de `plantset infer` sur des photos du "
        "manifeste ; plusieurs pour plusieurs lots (chaque evaluate --split dans son propre --output-dir)",
    )
    jsonl_file: Path | None = option(
        None,
        en="the manifest of those photos: what `plantset map` wrote (default: the one that was evaluated)",
        fr="le manifeste de ces photos : ce que `plantset map` a écrit (sinon : celui qui a été évalué)",
    )
    root_dir: Path | None = option(
        None,
        en="folder of the cleaned photos; give it when they were moved (default: what the manifest's sidecar says)",
        fr="dossier des photos nettoyées ; à donner si elles ont été déplacées (sinon : celui noté à côté du "
        "manifeste)",
        alias="--images-dir",
    )
    output: Path = option(Path("review.html"), en="the page to write", fr="la page à écrire")
    limit: int = option(
        200,
        en="photos on the page, the most doubtful first; 200 make about 3 MB",
        fr="photos sur la page, les plus douteuses d'abord ; 200 font environ 3 Mo",
    )
