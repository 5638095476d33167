"""The settings of `plantset train`, each defined once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from plantset.core.options import option
from plantset.data.choices import Augment, CacheDtype, Sampling
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

OptimizerName = Literal["adamw", "sgd", "lion", "nadamw"]
ScheduleName = Literal["cosine", "constant", "one-cycle"]
Metric = Literal["macro-f1", "accuracy", "balanced-accuracy", "top5-accuracy", "nll"]
LogTo = Literal["tensorboard", "wandb", "mlflow"]


@dataclass(frozen=True)
class TrainConfig:
    """Train a model on a multimodal manifest; leaves best_model.pth and last_model.pth in the checkpoint folder."""

    jsonl_file: Path = option(
        en="the manifest that `plantset map` wrote, or the folder that `plantset shard` wrote (here, s3://, gs://)",
        fr="le manifeste écrit par `plantset map`, ou le dossier écrit par `plantset shard` (ici, s3://, gs://)",
    )
    root_dir: Path | None = option(
        None,
        en="folder of the images; by default the one that the manifest names",
        fr="dossier des images ; par défaut celui que nomme le manifeste",
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
        en="a check: training stops if the manifest has another number of classes",
        fr="une vérification : l'entraînement s'arrête si le manifeste a un autre nombre de classes",
    )
    checkpoint_dir: Path = option(
        Path("checkpoints"), en="where the checkpoints go", fr="où vont les points de contrôle"
    )
    preset: PresetName = option(
        "cross-attention",
        en="which parts the model is made of, which losses, what learns when (`plantset models` shows them)",
        fr="de quelles parties le modèle est fait, quelles pertes, ce qui apprend quand (voir `plantset models`)",
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
    text_model: str = option(
        PACKAGED_TEXT,
        en="any Hugging Face encoder or decoder (bert-base-uncased, microsoft/DialoGPT-medium, a local folder…),"
        " packaged:multilingual-e5-small, packaged:smollm2-135m, or none for a model without notes",
        fr="n'importe quel encodeur ou décodeur Hugging Face (bert-base-uncased, microsoft/DialoGPT-medium, un dossier"
        " local…), packaged:multilingual-e5-small, packaged:smollm2-135m, ou none pour un modèle sans notes",
    )
    pretrained: bool = option(
        True,
        en="start from pretrained towers; --no-pretrained starts from random weights",
        fr="partir de tours pré-entraînées ; --no-pretrained part de poids aléatoires",
    )
    vision_weights: Path | None = option(
        None,
        en="a local file of weights for the vision backbone (.safetensors, .pth)",
        fr="un fichier local de poids pour le réseau de vision (.safetensors, .pth)",
    )
    epochs: int = option(10, en="passes over the training photos", fr="passages sur les photos d'entraînement")
    batch_size: int = option(
        32,
        en="photos in a batch, of all processes together: two that torchrun starts take half of it each",
        fr="photos par lot, pour tous les processus ensemble : deux que lance torchrun en prennent chacun la moitié",
    )
    accumulate_steps: int = option(
        1,
        en="batches whose gradients add up to one step: 2 with half the --batch-size learns the same with less memory",
        fr="lots dont les gradients forment un seul pas : 2 avec un --batch-size moitié apprend la même chose avec"
        " moins de mémoire",
    )
    learning_rate: float = option(
        1e-3,
        en="of the new parts, at the end of warm-up; usual: 1e-5 to 1e-3",
        fr="des parties neuves, à la fin de l'échauffement ; usuel : 1e-5 à 1e-3",
    )
    vision_learning_rate_ratio: float | None = option(
        None,
        en="the vision tower's learning rate as a share of --learning-rate (default: 0.5 for the packaged backbone,"
        " 0.1 for all others)",
        fr="taux d'apprentissage de la tour de vision, en part de --learning-rate (défaut : 0,5 pour le réseau fourni,"
        " 0,1 pour les autres)",
    )
    optimizer: OptimizerName = option(
        "adamw",
        en="adamw, sgd (Nesterov momentum 0.9; wants 10 to 100 times adamw's learning rate), lion (a third to a tenth"
        " of it), or nadamw",
        fr="adamw, sgd (élan de Nesterov 0,9 ; veut 10 à 100 fois le taux d'adamw), lion (un tiers à un dixième), ou"
        " nadamw",
    )
    schedule: ScheduleName = option(
        "cosine",
        en="the learning rate after warm-up: half a cosine to 0, constant, or one-cycle (rises for 30 % of the steps"
        " unless --warmup-steps is given)",
        fr="le taux d'apprentissage après l'échauffement : un demi-cosinus jusqu'à 0, constant, ou one-cycle (monte"
        " pendant 30 % des pas sauf --warmup-steps)",
    )
    layer_decay: float = option(
        1.0,
        en="each layer of the vision tower learns at this share of the rate of the layer above it; usual for"
        " transformers: 0.65 to 0.8 (1: all alike)",
        fr="chaque couche de la tour de vision apprend à cette part du taux de la couche au-dessus ; usuel pour les"
        " transformeurs : 0,65 à 0,8 (1 : toutes pareilles)",
    )
    weight_decay: float = option(
        0.05,
        en="decoupled weight decay, never on norms, biases and positions",
        fr="décroissance des poids, jamais sur normalisations, biais et positions",
    )
    warmup_steps: int | None = option(
        None,
        en="steps of rising learning rate; by default 5 % of all steps",
        fr="pas d'échauffement du taux d'apprentissage ; par défaut 5 % des pas",
    )
    label_smoothing: float = option(
        0.1,
        en="share of the target spread over all classes (0: none)",
        fr="part de la cible répartie sur toutes les classes (0 : aucune)",
    )
    class_weights: bool = option(
        False,
        en="weigh rare classes up in the loss (scikit-learn's balanced weights)",
        fr="peser davantage les classes rares dans la perte (poids équilibrés de scikit-learn)",
    )
    logit_adjustment: float | None = option(
        None,
        en="how strongly rare classes are favoured in training through the logarithm of their share (default: 1, or 0"
        " with --class-weights: both together overdo it)",
        fr="à quel point les classes rares sont favorisées à l'entraînement par le logarithme de leur part (défaut : 1,"
        " ou 0 avec --class-weights : les deux ensemble, c'est trop)",
    )
    focal_gamma: float = option(
        0.0,
        en="focus on photos that are still wrong: each loss times (1 - p)^gamma, p its class's probability (focal loss;"
        " 0: none; usual: 2)",
        fr="insister sur les photos encore fausses : chaque perte fois (1 - p)^gamma, p la probabilité de sa classe"
        " (perte focale ; 0 : aucune ; usuel : 2)",
    )
    sampling: Sampling = option(
        "natural",
        en="how often classes are drawn: as they are, by the square root of their size, or all alike",
        fr="fréquence de tirage des classes : telles quelles, selon la racine carrée de leur taille, ou à égalité",
    )
    augment: Augment = option(
        "light",
        en="what differs in the views that training sees: none, light (crop, orientation, a little light), or strong"
        " (also blur, fewer pixels, grain, JPEG, small rotations, exposure); never the hue: disease is colour",
        fr="ce qui varie dans les vues que voit l'entraînement : none (rien), light (cadrage, orientation, un peu de"
        " lumière), ou strong (en plus flou, moins de pixels, grain, JPEG, petites rotations, exposition) ; jamais la"
        " teinte : la maladie est couleur",
    )
    augment_prob: float = option(
        0.25,
        en="with --augment strong, how often each of these spoils a view",
        fr="avec --augment strong, à quelle fréquence chacun de ces défauts touche une vue",
    )
    augment_strength: float = option(
        1.0,
        en="with --augment strong, how far they go at most (1: blur of 1.6 % of the side, a fifth of the pixels of a"
        " side, JPEG quality 15)",
        fr="avec --augment strong, jusqu'où ils vont au plus (1 : flou de 1,6 % du côté, un cinquième des pixels d'un"
        " côté, qualité JPEG 15)",
    )
    mixup: float = option(
        0.0,
        en="mix pairs of training photos (or of their cached features) and their classes, by shares drawn from"
        " Beta(A, A); usual: 0.2 (0: none)",
        fr="mélanger des paires de photos d'entraînement (ou de leurs traits en cache) et leurs classes, selon des"
        " parts tirées de Bêta(A, A) ; usuel : 0,2 (0 : aucun)",
    )
    cutmix: float = option(
        0.0,
        en="exchange a box between pairs of training photos, its area drawn from Beta(A, A); usual: 1 (0: none)",
        fr="échanger un rectangle entre paires de photos d'entraînement, d'aire tirée de Bêta(A, A) ; usuel : 1"
        " (0 : aucun)",
    )
    mix_prob: float = option(
        0.5,
        en="share of the pairs that --mixup and --cutmix mix; a mixture teaches the class alone, no note and no"
        " description",
        fr="part des paires que --mixup et --cutmix mélangent ; un mélange n'apprend que la classe, ni note ni"
        " description",
    )
    gradient_clip: float = option(
        1.0, en="largest global gradient norm (0: no clipping)", fr="plus grande norme du gradient (0 : sans limite)"
    )
    ema_decay: float = option(
        0.0,
        en="keep an exponential moving average of the weights, judged and saved in their place (0: none; usual: 0.999)",
        fr="garder une moyenne mobile exponentielle des poids, jugée et enregistrée à leur place (0 : aucune ;"
        " usuel : 0,999)",
    )
    mixed_precision: bool = option(
        False,
        en="compute in the 16-bit format that the device does well",
        fr="calculer dans le format 16 bits que l'appareil fait bien",
    )
    compile: bool = option(
        False,
        en="compile what learns with torch.compile: the gain is measured and said; minutes on a CPU, worth it for long"
        " runs",
        fr="compiler ce qui apprend avec torch.compile : le gain est mesuré et dit ; des minutes sur un processeur,"
        " utile pour les longs entraînements",
    )
    gradient_checkpointing: bool = option(
        False,
        en="less memory for about a third more time",
        fr="moins de mémoire pour environ un tiers de temps en plus",
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
    unfreeze_after: int | None = option(
        None,
        en="let the towers rest for this many epochs while the new parts learn, then train all that is not frozen"
        " (default: the preset's schedule)",
        fr="laisser les tours au repos pendant tant d'époques, le temps que les parties neuves apprennent, puis"
        " entraîner tout ce qui n'est pas gelé (défaut : le calendrier du préréglage)",
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
        fr="ce que le dossier du cache peut prendre au plus, en Go : les traits plus utilisés depuis longtemps sont"
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
    image_size: int | None = option(
        None,
        en="side of the square input in pixels; by default what the weights were trained with",
        fr="côté de l'entrée carrée en pixels ; par défaut celui de l'entraînement des poids",
    )
    text_length: int = option(128, en="tokens of a description", fr="jetons d'une description")
    note_length: int = option(48, en="tokens of a grower's note", fr="jetons de la note du cultivateur")
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
    caption_weight: float | None = option(
        None,
        en="weight of the description loss beside the classification loss; 0 builds no captioner (default: the"
        " preset's, 0.25)",
        fr="poids de la perte de description à côté de celle de classification ; 0 ne construit pas de rédacteur"
        " (défaut : celui du préréglage, 0,25)",
    )
    contrastive_weight: float | None = option(
        None,
        en="weight of the photo–description loss (default: the preset's, 0.2)",
        fr="poids de la perte photo–description (défaut : celui du préréglage, 0,2)",
    )
    matching_weight: float | None = option(
        None,
        en="weight of the “this note fits this photo” loss (default: the preset's, 0.05)",
        fr="poids de la perte « cette note va avec cette photo » (défaut : celui du préréglage, 0,05)",
    )
    language: Literal["fr", "en"] = option(
        "fr",
        en="language in which the model describes by default",
        fr="langue dans laquelle le modèle décrit par défaut",
    )
    text_pooling: TextPooling | None = option(
        None,
        en="how a note's tokens become one vector (default: the preset's, mean)",
        fr="comment les jetons d'une note deviennent un vecteur (défaut : celui du préréglage, mean)",
    )
    num_workers: int = option(
        2,
        en="processes that decode photos; 0 decodes in this one",
        fr="processus qui décodent les photos ; 0 décode dans celui-ci",
    )
    device: Literal["auto", "cpu", "cuda", "tpu", "xla"] = option(
        "auto",
        en="where to train: tpu needs a TPU's chips, xla computes a TPU's programs on this CPU",
        fr="où entraîner : tpu demande les puces d'un TPU, xla calcule les programmes d'un TPU sur ce processeur",
    )
    num_threads: int | None = option(
        None,
        en="CPU threads of torch (default: torch's own choice)",
        fr="fils d'exécution de torch (défaut : le choix de torch)",
    )
    seed: int = option(0, en="of everything random", fr="graine de tout ce qui est aléatoire")
    log_dir: Path | None = option(
        None,
        en="TensorBoard logs; by default logs/ in the checkpoint folder",
        fr="journaux TensorBoard ; par défaut logs/ dans le dossier des points de contrôle",
    )
    log_to: LogTo = option(
        "tensorboard",
        en="where else the numbers go: wandb (WANDB_MODE=offline needs no account) or mlflow (mlflow.db in the"
        " checkpoint folder, or MLFLOW_TRACKING_URI), once you have installed it; TensorBoard is always written",
        fr="où vont aussi les nombres : wandb (WANDB_MODE=offline se passe de compte) ou mlflow (mlflow.db dans le"
        " dossier des points de contrôle, ou MLFLOW_TRACKING_URI), une fois installé ; TensorBoard est toujours écrit",
    )
    resume: str | None = option(
        None,
        en="go on from a last_model.pth, or `auto` for the one in the checkpoint folder when there is one",
        fr="reprendre depuis un last_model.pth, ou `auto` pour celui du dossier des points de contrôle s'il existe",
    )
    init_checkpoint: Path | None = option(
        None,
        en="start from an earlier model's weights; classes are matched by their class_id",
        fr="partir des poids d'un modèle antérieur ; les classes sont appariées par leur class_id",
    )
    save_every: int = option(
        0,
        en="also keep the state of every Nth epoch as epoch_NNN.pth (0: only best and last)",
        fr="garder aussi l'état toutes les N époques, epoch_NNN.pth (0 : seulement best et last)",
    )
    dry_run: bool = option(
        False,
        en="take two steps, say what memory and time the whole would take, and leave nothing trained",
        fr="faire deux pas, dire la mémoire et le temps que prendrait le tout, et ne rien entraîner",
    )
    keep_last: int = option(
        0,
        en="of the states of --save-every keep only the newest so many (0: all)",
        fr="des états de --save-every, ne garder que les plus récents (0 : tous)",
    )
    save_steps: int = option(
        500,
        en="save the state inside an epoch, too, every so many steps (0: after epochs alone)",
        fr="enregistrer aussi l'état au milieu d'une époque, tous les tant de pas (0 : seulement après les époques)",
    )
    max_steps: int = option(
        0,
        en="stop after this many steps; the learning rate comes down by then (0: all epochs)",
        fr="arrêter après tant de pas ; le taux d'apprentissage redescend d'ici là (0 : toutes les époques)",
    )
    max_time: str | None = option(
        None,
        en="stop in time: 30m, 2h, 1h30m; the learning rate comes down by then",
        fr="arrêter à temps : 30m, 2h, 1h30m ; le taux d'apprentissage redescend d'ici là",
    )
    early_stopping: int = option(
        0,
        en="stop after this many epochs without a better --metric on the selection half of val (0: never)",
        fr="arrêter après tant d'époques sans meilleure --metric sur la moitié de sélection de val (0 : jamais)",
    )
    metric: Metric = option(
        "macro-f1",
        en="what the kept epoch and --early-stopping go by, on the selection half of val, photo alone; epochs within"
        " one standard error of the best count as equal, and the latest of them is kept",
        fr="ce qui choisit l'époque gardée et décide de --early-stopping, sur la moitié de sélection de val, photo"
        " seule ; des époques à moins d'une erreur type de la meilleure se valent, et la dernière d'entre elles est"
        " gardée",
    )


@dataclass(frozen=True)
class TpuTrainConfig(TrainConfig):
    """Train on a TPU: the flags of `plantset train` and the number of cores."""

    tpu_cores: int = option(
        8,
        en="TPU cores to use: all that are there, else training stops and says how many there are (a v4 or v5p chip has"
        " two)",
        fr="cœurs TPU à utiliser : tous ceux qu'il y a, sinon l'entraînement s'arrête et dit combien il y en a (une"
        " puce v4 ou v5p en a deux)",
    )
    shard_parameters: bool = option(
        False,
        en="cut the parameters over the devices as well, for a model too large to hold on each",
        fr="répartir aussi les paramètres sur les appareils, pour un modèle trop grand pour tenir sur chacun",
    )
