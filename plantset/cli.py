"""The command `plantset`: verb -> config and "module:function", both imported when the verb is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from plantset.core.errors import ConfigError, PlantsetError
from plantset.core.language import LANGUAGES, set_message_language, tr
from plantset.core.options import parse_options

EXIT_OK, EXIT_MISTAKE, EXIT_SOME_FAILED = 0, 2, 3


class Report(Protocol):
    """What every verb returns: a frozen dataclass that can say itself in the user's language."""

    def summary(self) -> str:
        """Return what a person wants to know, a few lines."""

    @property
    def exit_code(self) -> int:
        """Return 0 when all went well, 3 when some inputs failed and the rest was done."""


@dataclass(frozen=True)
class Verb:
    """One command: where its config and its function live, and what a person wants who types it."""

    config: str
    function: str
    en: str
    fr: str


VERBS: dict[str, Verb] = {
    "run": Verb(
        "plantset.road.config:RunConfig",
        "plantset.road.run:run",
        "the whole road in one command: photos (and a JSON) to an evaluated model",
        "toute la route en une commande : des photos (et un JSON) à un modèle évalué",
    ),
    "clean": Verb(
        "plantset.clean.config:CleanConfig",
        "plantset.clean.run:clean",
        "turn a messy photo folder into a clean manifest",
        "faire d'un dossier de photos en désordre un manifeste propre",
    ),
    "map": Verb(
        "plantset.knowledge.config:MapConfig",
        "plantset.knowledge.run:map_texts",
        "give every photo its disease and its texts",
        "donner à chaque photo sa maladie et ses textes",
    ),
    "train": Verb(
        "plantset.training.config:TrainConfig",
        "plantset.training.run:train",
        "train the model",
        "entraîner le modèle",
    ),
    "evaluate": Verb(
        "plantset.evaluation.config:EvaluateConfig",
        "plantset.evaluation.run:evaluate",
        "measure a trained model honestly",
        "mesurer honnêtement un modèle entraîné",
    ),
    "infer": Verb(
        "plantset.inference.config:InferConfig",
        "plantset.inference.run:infer",
        "ask the model about a photo or a folder",
        "interroger le modèle sur une photo ou un dossier",
    ),
    "scale-tpu": Verb(
        "plantset.training.config:TpuTrainConfig",
        "plantset.training.run:train_on_tpu",
        "train on a TPU",
        "entraîner sur TPU",
    ),
    "demo": Verb(
        "plantset.demo.config:DemoConfig",
        "plantset.demo.run:demo",
        "see everything work on made-up leaves, without photos of your own",
        "tout voir fonctionner sur des feuilles simulées, sans photos à soi",
    ),
    "demo-data": Verb(
        "plantset.demo.config:DemoDataConfig",
        "plantset.demo.data:make_demo_data",
        "draw the made-up leaves only",
        "dessiner seulement les feuilles simulées",
    ),
}

WANTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("See it work", "Voir comment ça marche", ("demo", "demo-data")),
    ("Do it all at once", "Tout faire d'un coup", ("run",)),
    ("Prepare the data", "Préparer les données", ("clean", "map")),
    ("Train", "Entraîner", ("train", "scale-tpu")),
    ("Judge and use", "Juger et utiliser", ("evaluate", "infer")),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 done, 2 the user's mistake, 3 some inputs failed."""
    try:
        words = _take_language(list(sys.argv[1:] if arguments is None else arguments))
        return _dispatch(words)
    except PlantsetError as error:
        print(tr("error: ", "erreur : ") + error.problem, file=sys.stderr)
        print(tr("fix:   ", "remède : ") + error.fix, file=sys.stderr)
        return EXIT_MISTAKE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `plantset … | head` closed the pipe
        return EXIT_OK


def run_verb(name: str, arguments: Sequence[str], *, program: str) -> int:
    """Parse the flags of one verb, run it, print its report and return its exit status."""
    verb = VERBS[name]
    config = parse_options(load_object(verb.config), arguments, program=program)
    function: Callable[[Any], Report] = load_object(verb.function)
    report = function(config)
    print(report.summary())
    return report.exit_code


def script_main(verb: str) -> int:
    """Run one of the eight scripts of `script_plantset/`: the same verb under its file's name."""
    return main(["--script", verb, *sys.argv[1:]])


def load_object(address: str) -> Any:
    """Import `module:name` and return the object."""
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["--script"]:
        return run_verb(words[1], words[2:], program=f"python {os.path.basename(sys.argv[0])}")
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return EXIT_OK
    if words[0] == "--version":
        from plantset import __version__

        print(f"plantset {__version__}")
        return EXIT_OK
    name, *rest = words
    if name not in VERBS:
        raise _unknown_verb(name)
    return run_verb(name, _positional(name, rest), program=f"plantset {name}")


def _positional(verb: str, rest: list[str]) -> list[str]:
    """`plantset run PHOTOS` reads better than `plantset run --photos PHOTOS`; both work."""
    if verb == "run" and rest and not rest[0].startswith("-"):
        return ["--photos", *rest]
    return rest


def _overview() -> str:
    lines = [
        tr(
            "plantset VERB [flags]   (plantset VERB --help teaches each)",
            "plantset VERBE [options]   (plantset VERBE --help explique chacun)",
        )
    ]
    for want_en, want_fr, names in WANTS:
        lines += ["", tr(want_en, want_fr)]
        lines += [f"  {name:<10} {tr(VERBS[name].en, VERBS[name].fr)}" for name in names]
    lines += ["", tr("Messages: --lang fr|en. Version: --version.", "Messages : --lang fr|en. Version : --version.")]
    return "\n".join(lines)


def _unknown_verb(name: str) -> ConfigError:
    import difflib

    near = difflib.get_close_matches(name, VERBS, n=1)
    return ConfigError(
        tr(f"unknown verb {name}", f"verbe inconnu : {name}"),
        tr(f"did you mean plantset {near[0]}?", f"vouliez-vous dire plantset {near[0]} ?")
        if near
        else tr(f"verbs: {', '.join(VERBS)}", f"verbes : {', '.join(VERBS)}"),
    )


def _take_language(words: list[str]) -> list[str]:
    """Take `--lang fr` out of the words, wherever it stands, and obey it."""
    for index, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag != "--lang":
            continue
        width = 1 if equals else 2
        chosen = value if equals else "".join(words[index + 1 : index + 2])
        if chosen not in LANGUAGES:
            raise ConfigError(
                tr(f"--lang is '{chosen}'", f"--lang vaut « {chosen} »"), f"--lang {' | --lang '.join(LANGUAGES)}"
            )
        language = LANGUAGES[LANGUAGES.index(chosen)]
        set_message_language(language)
        os.environ["PLANTSET_LANG"] = language  # worker processes speak it too
        return words[:index] + words[index + width :]
    return words
