"""The flags of `plantset train` that say how it learns, from what, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from plantset.core.options import Section, option
from plantset.data.choices import Augment, Sampling

OptimizerName = Literal["adamw", "sgd", "lion", "nadamw"]
ScheduleName = Literal["cosine", "constant", "one-cycle"]
Metric = Literal["macro-f1", "accuracy", "balanced-accuracy", "top5-accuracy", "nll"]


@dataclass(frozen=True)
class StepOptions:
    """How the weights move."""

    section: ClassVar[Section] = Section("steps", "pas")

    epochs: int = option(10, en="passes over the training photos", fr="passages sur les photos d'entraînement")
    batch_size: int = option(
        32,
        en="photos in a batch, of all processes together: two that torchrun starts take half of it each",
        fr="photos par lot, pour tous les processus ensemble : deux que lance torchrun en prennent chacun la moitié",
    )
    accumulate_steps: int = option(
        1,
        en="batches whose gradients add up to one step: 2 with half the --batch-size takes the same step with less"
        " memory (but for BatchNorm that learns, which sees smaller batches)",
        fr="lots dont les gradients forment un seul pas : 2 avec un --batch-size moitié fait le même pas avec moins de"
        " mémoire (sauf une BatchNorm qui apprend, qui voit des lots plus petits)",
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
    layer_decay: float = option(
        1.0,
        en="each layer of the vision tower learns at this share of the rate of the layer above it; usual for"
        " transformers: 0.65 to 0.8 (1: all alike)",
        fr="chaque couche de la tour de vision apprend à cette part du taux de la couche au-dessus ; usuel pour les"
        " transformeurs : 0,65 à 0,8 (1 : toutes pareilles)",
    )
    optimizer: OptimizerName = option(
        "adamw",
        en="adamw, sgd (Nesterov momentum 0.9; wants 10 to 100 times adamw's learning rate), lion (a third to a tenth"
        " of it), or nadamw",
        fr="adamw, sgd (élan de Nesterov 0,9 ; veut 10 à 100 fois le taux d'adamw), lion (un tiers à un dixième), ou"
        " nadamw",
    )
    weight_decay: float = option(
        0.05,
        en="decoupled weight decay, never on norms, biases and positions",
        fr="décroissance des poids, jamais sur normalisations, biais et positions",
    )
    schedule: ScheduleName = option(
        "cosine",
        en="the learning rate after warm-up: half a cosine to 0, constant, or one-cycle (rises for 30 % of the steps"
        " unless --warmup-steps is given)",
        fr="le taux d'apprentissage après l'échauffement : un demi-cosinus jusqu'à 0, constant, ou one-cycle (monte"
        " pendant 30 % des pas, sauf si --warmup-steps est donné)",
    )
    warmup_steps: int | None = option(
        None,
        en="steps of rising learning rate; by default 5 % of all steps",
        fr="pas d'échauffement du taux d'apprentissage ; par défaut 5 % des pas",
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


@dataclass(frozen=True)
class LossOptions:
    """What is minimised, and how rare classes are kept in sight."""

    section: ClassVar[Section] = Section("losses and rare classes", "pertes et classes rares")

    label_smoothing: float | None = option(
        None,
        en="share of the classification target spread over all classes (default: 0.1; a class that is learnt as a text"
        " has none)",
        fr="part de la cible de classification répartie sur toutes les classes (défaut : 0,1 ; une classe apprise comme"
        " un texte n'en a pas)",
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


@dataclass(frozen=True)
class ViewOptions:
    """What differs in the views of a photo."""

    section: ClassVar[Section] = Section("augmentation", "augmentation")

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


@dataclass(frozen=True)
class StopOptions:
    """Which epoch is kept, and when it ends."""

    section: ClassVar[Section] = Section(
        "which epoch is kept, and when it ends", "quelle époque est gardée, et quand cela finit"
    )

    metric: Metric = option(
        "macro-f1",
        en="what the kept epoch and --early-stopping go by, on the selection half of val, photo alone; epochs within"
        " one standard error of the best count as equal, and the latest of them is kept",
        fr="ce qui choisit l'époque gardée et décide de --early-stopping, sur la moitié de sélection de val, photo"
        " seule ; des époques à moins d'une erreur type de la meilleure se valent, et la dernière d'entre elles est"
        " gardée",
    )
    early_stopping: int = option(
        0,
        en="stop after this many epochs without a better --metric on the selection half of val (0: never)",
        fr="arrêter après tant d'époques sans meilleure --metric sur la moitié de sélection de val (0 : jamais)",
    )
    max_steps: int = option(
        0,
        en="stop after this many steps; the learning rate comes down by then (0: all epochs)",
        fr="arrêter après tant de pas ; le taux d'apprentissage redescend d'ici là (0 : toutes les époques)",
    )
    max_time: str | None = option(
        None,
        en="stop in time: 30m, 2h, 1h30m; the learning rate comes down by then, and an epoch that is cut short counts"
        " as one",
        fr="arrêter à temps : 30m, 2h, 1h30m ; le taux d'apprentissage redescend d'ici là, et une époque écourtée"
        " compte pour une",
    )
