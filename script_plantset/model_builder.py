"""Builds the vision-language model: `create_multimodal_model`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    # not this folder: here, a file named evaluate.py would hide the package of that name
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from plantset.cli import lazy_names, script_page

if TYPE_CHECKING:
    from plantset.models.build import create_multimodal_model as create_multimodal_model

__all__ = ["create_multimodal_model"]

__getattr__ = lazy_names(
    __name__,
    {
        "create_multimodal_model": "plantset.models.build:create_multimodal_model",
    },
)

if __name__ == "__main__":
    sys.exit(
        script_page(
            en="""model_builder offers create_multimodal_model, to import:

    from model_builder import create_multimodal_model

    model = create_multimodal_model(
        num_classes=133,
        vision_backbone="resnet50",                 # any timm model
        text_model="microsoft/DialoGPT-medium",     # any Hugging Face encoder or decoder
    )

Without a network: vision_backbone="timm-packaged:tf_efficientnet_lite0",
text_model="packaged:multilingual-e5-small". All arguments: help(create_multimodal_model).
To train it: python train.py --help""",
            fr="""model_builder offre create_multimodal_model, à importer :

    from model_builder import create_multimodal_model

    model = create_multimodal_model(
        num_classes=133,
        vision_backbone="resnet50",                 # tout modèle timm
        text_model="microsoft/DialoGPT-medium",     # tout encodeur ou décodeur Hugging Face
    )

Sans réseau : vision_backbone="timm-packaged:tf_efficientnet_lite0",
text_model="packaged:multilingual-e5-small". Tous les arguments : help(create_multimodal_model).
Pour l'entraîner : python train.py --help""",
        )
    )
