"""The flags of `plantset shard`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plantset.core.options import option


@dataclass(frozen=True)
class ShardConfig:
    """Put a manifest and its photos into a few large Parquet files; a second run writes only what is missing."""

    jsonl_file: Path = option(
        Path("multimodal_dataset.jsonl"),
        en="the manifest that `plantset map` wrote",
        fr="le manifeste écrit par `plantset map`",
    )
    output_dir: Path = option(
        Path("shards"),
        en="folder of the shards, which `--jsonl-file` of train and evaluate then takes; s3:// and gs:// too",
        fr="dossier des fichiers, que prend ensuite `--jsonl-file` de train et evaluate ; s3:// et gs:// aussi",
    )
    root_dir: Path | None = option(
        None,
        en="folder of the images; by default the one that the manifest names",
        fr="dossier des images ; par défaut celui que nomme le manifeste",
    )
    shard_mb: int = option(
        256,
        en="size of a file, in MB: a store likes a few hundred, and a stopped run loses at most one",
        fr="taille d'un fichier, en Mo : quelques centaines vont bien à un stockage, et un arrêt en perd un au plus",
    )
