"""Makes the train, val and test loaders of a manifest: `create_data_module`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # not this folder: here, a file named evaluate.py would hide the package of that name
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from plantset.cli import lazy_names, script_page

if TYPE_CHECKING:
    from plantset.data.module import create_data_module as create_data_module

__all__ = ["create_data_module"]

__getattr__ = lazy_names(
    __name__,
    {
        "create_data_module": "plantset.data.module:create_data_module",
    },
)

if __name__ == "__main__":
    sys.exit(
        script_page(
            en="""dataset_loader offers create_data_module, to import:

    from dataset_loader import create_data_module

    data_module = create_data_module(
        jsonl_file="multimodal_dataset.jsonl",
        root_dir="dataset_clean_images",
        batch_size=32,
        image_size=224,
        text_length=64,
        augment=True,
    )

All arguments: help(create_data_module). The manifest comes from: python text_mapper.py --help""",
            fr="""dataset_loader offre create_data_module, à importer :

    from dataset_loader import create_data_module

    data_module = create_data_module(
        jsonl_file="multimodal_dataset.jsonl",
        root_dir="dataset_clean_images",
        batch_size=32,
        image_size=224,
        text_length=64,
        augment=True,
    )

Tous les arguments : help(create_data_module). Le manifeste vient de : python text_mapper.py --help""",
        )
    )
