"""The settings of `plantset train`, each defined once; a class a section of `--help`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from plantset.core.options import Section, option
from plantset.training.config_learning import LossOptions, StepOptions, StopOptions, ViewOptions
from plantset.training.config_model import FrozenOptions, ModelOptions

LogTo = Literal["tensorboard", "wandb", "mlflow"]


@dataclass(frozen=True)
class DataOptions:
    """What is trained on, and where the result goes."""

    section: ClassVar[Section] = Section("data", "données")

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
    language: Literal["fr", "en"] = option(
        "fr",
        en="language in which the model describes by default",
        fr="langue dans laquelle le modèle décrit par défaut",
    )
    checkpoint_dir: Path = option(
        Path("checkpoints"), en="where the checkpoints go", fr="où vont les points de contrôle"
    )


@dataclass(frozen=True)
class MachineOptions:
    """Where and how it is computed."""

    section: ClassVar[Section] = Section("machine", "machine")

    device: Literal["auto", "cpu", "cuda", "tpu", "xla"] = option(
        "auto",
        en="where to train: tpu needs a TPU's chips, xla computes a TPU's programs on this CPU",
        fr="où entraîner : tpu demande les puces d'un TPU, xla calcule les programmes d'un TPU sur ce processeur",
    )
    num_workers: int = option(
        2,
        en="processes that decode photos; 0 decodes in this one",
        fr="processus qui décodent les photos ; 0 décode dans celui-ci",
    )
    num_threads: int | None = option(
        None,
        en="CPU threads of torch (default: torch's own choice)",
        fr="fils d'exécution de torch (défaut : le choix de torch)",
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
    seed: int = option(0, en="of everything random", fr="graine de tout ce qui est aléatoire")
    dry_run: bool = option(
        False,
        en="take two steps, say what memory and time the whole would take, and leave nothing trained",
        fr="faire deux pas, dire la mémoire et le temps que prendrait le tout, et ne rien entraîner",
    )


@dataclass(frozen=True)
class SavingOptions:
    """What is kept on the way, and what it starts from."""

    section: ClassVar[Section] = Section("saving, going on, logs", "enregistrer, reprendre, journaux")

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
    save_steps: int = option(
        500,
        en="save the state inside an epoch, too, every so many steps (0: after epochs alone)",
        fr="enregistrer aussi l'état au milieu d'une époque, tous les tant de pas (0 : seulement après les époques)",
    )
    save_every: int = option(
        0,
        en="also keep the state of every Nth epoch as epoch_NNN.pth (0: only best and last)",
        fr="garder aussi l'état toutes les N époques, epoch_NNN.pth (0 : seulement best et last)",
    )
    keep_last: int = option(
        0,
        en="of the states of --save-every keep only the newest so many (0: all)",
        fr="des états de --save-every, ne garder que les plus récents (0 : tous)",
    )
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


@dataclass(frozen=True)
class TrainConfig(
    SavingOptions,
    MachineOptions,
    StopOptions,
    ViewOptions,
    LossOptions,
    StepOptions,
    FrozenOptions,
    ModelOptions,
    DataOptions,
):
    """Train a model on a multimodal manifest; leaves best_model.pth and last_model.pth in the checkpoint folder.

    The sections stand in reverse: a dataclass takes its fields from the last of its bases first.
    """


@dataclass(frozen=True)
class TpuTrainConfig(TrainConfig):
    """Train on a TPU: the flags of `plantset train` and the number of cores."""

    section: ClassVar[Section] = Section("TPU", "TPU")

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
