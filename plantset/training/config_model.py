"""The flags of `plantset train` that shape the model and what of it learns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from plantset.core.options import Section, option
from plantset.data.choices import CacheDtype
from plantset.models.config import (
    PACKAGED_TEXT,
    PACKAGED_VISION,
    CaptionerName,
    ClassifierName,
    ConnectorName,
    FusionName,
    TextPooling,
)
from plantset.models.presets import PresetName


@dataclass(frozen=True)
class ModelOptions:
    """Which parts the model is made of."""

    section: ClassVar[Section] = Section("model", "modèle")

    preset: PresetName = option(
        "cross-attention",
        en="which parts the model is made of, which losses, what learns when (`plantset models` shows them)",
        fr="de quelles parties le modèle est fait, quelles pertes, ce qui apprend quand (voir `plantset models`)",
    )
    base: str | None = option(
        None,
        en="a released vision-language checkpoint whose towers are taken, by its Hugging Face name or its folder: CLIP,"
        " SigLIP 2, DINOv2, DINOv3, FLAVA, Florence-2 (docs/released.md)",
        fr="un modèle vision-langage publié dont les tours sont prises, par son nom Hugging Face ou son dossier : CLIP,"
        " SigLIP 2, DINOv2, DINOv3, FLAVA, Florence-2 (docs/released.fr.md)",
    )
    vision_backbone: str = option(
        PACKAGED_VISION,
        en="any timm model (resnet50, efficientnet_b4, vit_base_patch16_224…), or timm-packaged:tf_efficientnet_lite0,"
        " whose weights need no download",
        fr="n'importe quel modèle timm (resnet50, efficientnet_b4, vit_base_patch16_224…), ou"
        " timm-packaged:tf_efficientnet_lite0, dont les poids n'ont pas à être téléchargés",
    )
    vision_weights: Path | None = option(
        None,
        en="a local file of weights for the vision backbone (.safetensors, .pth)",
        fr="un fichier local de poids pour le réseau de vision (.safetensors, .pth)",
    )
    pretrained: bool = option(
        True,
        en="start from pretrained towers; --no-pretrained starts from random weights",
        fr="partir de tours pré-entraînées ; --no-pretrained part de poids aléatoires",
    )
    text_model: str = option(
        PACKAGED_TEXT,
        en="any Hugging Face encoder or decoder (bert-base-uncased, microsoft/DialoGPT-medium, a local folder…),"
        " packaged:multilingual-e5-small, packaged:smollm2-135m, or none for a model without notes",
        fr="n'importe quel encodeur ou décodeur Hugging Face (bert-base-uncased, microsoft/DialoGPT-medium, un dossier"
        " local…), packaged:multilingual-e5-small, packaged:smollm2-135m, ou none pour un modèle sans notes",
    )
    text_pooling: TextPooling | None = option(
        None,
        en="how a note's tokens become one vector (default: the preset's, mean)",
        fr="comment les jetons d'une note deviennent un vecteur (défaut : celui du préréglage, mean)",
    )
    connector: ConnectorName | None = option(
        None,
        en="from the vision tower's tokens to the image tokens (default: the preset's)",
        fr="des jetons de la tour de vision aux jetons d'image (défaut : celui du préréglage)",
    )
    num_queries: int | None = option(
        None,
        en="image tokens that the connectors resampler and vadapter make (default: the preset's, 16)",
        fr="jetons d'image que font les connecteurs resampler et vadapter (défaut : ceux du préréglage, 16)",
    )
    fusion: FusionName | None = option(
        None,
        en="how photo and note meet: cross-attention, one encoder over both (flava), or not at all (default: the"
        " preset's)",
        fr="comment photo et note se rencontrent : attention croisée, un encodeur sur les deux (flava), ou pas du tout"
        " (défaut : celui du préréglage)",
    )
    classifier: ClassifierName | None = option(
        None,
        en="a linear layer, cosines with a learned temperature, or the likelihood of each class's name (default: the"
        " preset's)",
        fr="une couche linéaire, des cosinus à température apprise, ou la vraisemblance du nom de chaque classe"
        " (défaut : celui du préréglage)",
    )
    hierarchy: bool = option(
        False,
        en="answer the crop first, then the disease given the crop",
        fr="répondre d'abord la culture, puis la maladie sachant la culture",
    )
    captioner: CaptionerName | None = option(
        None,
        en="a decoder of its own; prefix: the decoder-only text model writes, image tokens before its words; or none:"
        " no descriptions (default: the preset's; for qwen-vl and vadapter prefix, where the text model can)",
        fr="un décodeur à lui ; prefix : le modèle de texte, décodeur seul, écrit, jetons d'image devant ses mots ; ou"
        " aucun : pas de descriptions (défaut : celui du préréglage ; pour qwen-vl et vadapter, prefix si le modèle de"
        " texte est un décodeur seul)",
    )
    image_size: int | None = option(
        None,
        en="side of the square input in pixels; by default what the weights were trained with",
        fr="côté de l'entrée carrée en pixels ; par défaut celui de l'entraînement des poids",
    )
    note_length: int = option(48, en="tokens of a grower's note", fr="jetons de la note du cultivateur")
    text_length: int = option(128, en="tokens of a description", fr="jetons d'une description")
    vision_dim: int | None = option(
        None,
        en="width after the vision tower (default: the preset's)",
        fr="largeur après la tour de vision (défaut : celle du préréglage)",
    )
    text_dim: int | None = option(
        None,
        en="width after the text tower (default: the preset's)",
        fr="largeur après la tour de texte (défaut : celle du préréglage)",
    )
    fusion_dim: int | None = option(
        None,
        en="width in which photo and note meet (default: the preset's)",
        fr="largeur où photo et note se rencontrent (défaut : celle du préréglage)",
    )
    num_attention_heads: int | None = option(
        None,
        en="heads of each attention (default: the preset's, 8)",
        fr="têtes de chaque attention (défaut : celles du préréglage, 8)",
    )
    num_attention_layers: int | None = option(
        None, en="fusion layers (default: the preset's, 2)", fr="couches de fusion (défaut : celles du préréglage, 2)"
    )
    dropout: float | None = option(
        None,
        en="in fusion, captioner and classifier (default: the preset's)",
        fr="dans la fusion, le rédacteur et le classifieur (défaut : celui du préréglage)",
    )


@dataclass(frozen=True)
class FrozenOptions:
    """What stays as it is, and the cache of its output."""

    section: ClassVar[Section] = Section(
        "what stays as it is, and the cache of its output", "ce qui reste tel quel, et le cache de sa sortie"
    )

    freeze_vision: bool = option(
        False,
        en="keep the whole vision tower as it is; its tokens are then computed once and cached",
        fr="garder toute la tour de vision telle quelle ; ses jetons sont alors calculés une fois et gardés",
    )
    freeze_stages: int | None = option(
        None,
        en="keep only the first stages of the vision tower as they are; their output is cached likewise (default: 3"
        " for the packaged backbone, so that a laptop trains in minutes; 0 for all others)",
        fr="garder telles quelles seulement les premières étapes de la tour de vision ; leur sortie est gardée aussi"
        " (défaut : 3 pour le réseau fourni, pour qu'un portable entraîne en quelques minutes ; 0 pour les autres)",
    )
    freeze_text: bool = option(
        True,
        en="keep the text tower as it is; --no-freeze-text trains it too",
        fr="garder la tour de texte telle quelle ; --no-freeze-text l'entraîne aussi",
    )
    text_lora_rank: int = option(
        0,
        en="adapters of this rank learn beside the text tower's frozen attention (LoRA; 0: none; usual: 8; needs the"
        " extra `lora`)",
        fr="des adaptateurs de ce rang apprennent à côté de l'attention gelée de la tour de texte (LoRA ; 0 : aucun ;"
        " usuel : 8 ; demande l'extra `lora`)",
    )
    unfreeze_after: int | None = option(
        None,
        en="let the towers rest for this many epochs while the new parts learn, then train all that is not frozen"
        " (default: the preset's schedule)",
        fr="laisser les tours au repos pendant tant d'époques, le temps que les parties neuves apprennent, puis"
        " entraîner tout ce qui n'est pas gelé (défaut : le calendrier du préréglage)",
    )
    cache_views: int = option(
        4,
        en="random views of each photo in the cache; more is better and takes more disk",
        fr="vues aléatoires de chaque photo dans le cache ; plus il y en a, mieux c'est, et plus il faut de disque",
    )
    cache_dir: Path | None = option(
        None,
        en="where the cache lies; by default in the checkpoint folder",
        fr="où est le cache ; par défaut dans le dossier des points de contrôle",
    )
    cache_gb: float | None = option(
        None,
        en="what the cache folder may take at most, in GB: features long unused are removed, and what cannot fit is"
        " refused before anything is computed (default: what the disk has room for)",
        fr="ce que le dossier du cache peut prendre au plus, en Go : les traits inutilisés depuis longtemps sont"
        " supprimés, et ce qui ne peut tenir est refusé avant tout calcul (défaut : la place qu'a le disque)",
    )
    cache_dtype: CacheDtype = option(
        "fp16",
        en="format of the cached features: fp16 takes half the disk, fp32 rounds nothing",
        fr="format des traits en cache : fp16 prend moitié moins de disque, fp32 n'arrondit rien",
    )
    check_cache: bool = option(
        False,
        en="compare the checksum of every cached feature before training; each is compared when it is read in any case",
        fr="comparer la somme de contrôle de chaque trait en cache avant l'entraînement ; chacune est de toute façon"
        " comparée à la lecture",
    )
