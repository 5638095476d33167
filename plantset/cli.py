"""The command `plantset`: verb -> config and "module:function", both imported when the verb is asked for."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from plantset.core.errors import ConfigError, PlantsetError
from plantset.core.flags import suggestion
from plantset.core.language import LANGUAGES, set_message_language, tr
from plantset.core.log import answer
from plantset.core.options import parse_options

EXIT_OK, EXIT_MISTAKE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 0, 2, 3, 130


class Report(Protocol):
    """What every verb returns: a frozen dataclass that can say itself in the user's language."""

    def summary(self) -> str:
        """Return what a person wants to know, a few lines."""

    @property
    def exit_code(self) -> int:
        """Return 0 when all went well, 3 when some inputs failed and the rest was done."""


@dataclass(frozen=True)
class Verb:
    """One command: where its config and its function live, what it does, and the field a bare word stands for."""

    config: str
    function: str
    en: str
    fr: str
    positional: str | None = None


VERBS: dict[str, Verb] = {
    "run": Verb(
        "plantset.road.config:RunConfig",
        "plantset.road.run:run",
        "the whole road in one command: photos (and a JSON) to an evaluated model",
        "toute la route en une commande : des photos (et un JSON) à un modèle évalué",
        positional="photos",
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
    "shard": Verb(
        "plantset.data.config:ShardConfig",
        "plantset.data.shard:shard",
        "put photos by the million into a few large Parquet files",
        "mettre des photos par millions dans quelques gros fichiers Parquet",
    ),
    "catalogue": Verb(
        "plantset.knowledge.config:CatalogueConfig",
        "plantset.knowledge.catalogue_command:catalogue",
        "show, search, check or export what is known of diseases",
        "montrer, chercher, vérifier ou exporter ce qu'on sait des maladies",
        positional="request",
    ),
    "train": Verb(
        "plantset.training.config:TrainConfig",
        "plantset.training.run:train",
        "train the model",
        "entraîner le modèle",
    ),
    "models": Verb(
        "plantset.models.config:ModelsConfig",
        "plantset.models.listing:models",
        "list presets and backbones, and what they weigh and cost",
        "lister préréglages et réseaux, ce qu'ils pèsent et coûtent",
        positional="search",
    ),
    "evaluate": Verb(
        "plantset.evaluation.config:EvaluateConfig",
        "plantset.evaluation.run:evaluate",
        "measure a trained model honestly",
        "mesurer honnêtement un modèle entraîné",
    ),
    "compare": Verb(
        "plantset.evaluation.config:CompareConfig",
        "plantset.evaluation.compare:compare",
        "say whether a second model is better than a first, and on which photos",
        "dire si un second modèle est meilleur qu'un premier, et sur quelles photos",
        positional="runs",
    ),
    "review": Verb(
        "plantset.evaluation.review.config:ReviewConfig",
        "plantset.evaluation.review.run:review",
        "make a page of doubtful photos, to keep, relabel or reject",
        "faire une page des photos douteuses, à garder, renommer ou écarter",
        positional="predictions",
    ),
    "infer": Verb(
        "plantset.inference.config:InferConfig",
        "plantset.inference.run:infer",
        "ask the model about a photo or a folder",
        "interroger le modèle sur une photo ou un dossier",
    ),
    "explain": Verb(
        "plantset.inference.config:ExplainConfig",
        "plantset.inference.contact_sheet:explain",
        "make a page of photos beside what spoke for the answer",
        "faire une page des photos à côté de ce qui a parlé pour la réponse",
        positional="photos",
    ),
    "scale-tpu": Verb(
        "plantset.training.config:TpuTrainConfig",
        "plantset.training.run:train_on_tpu",
        "train on a TPU",
        "entraîner sur TPU",
    ),
    "doctor": Verb(
        "plantset.runtime.config:DoctorConfig",
        "plantset.runtime.doctor:doctor",
        "say what this machine has for Plantset, and what is missing",
        "dire ce que cette machine a pour Plantset, et ce qui manque",
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
    ("See it work", "Voir comment ça marche", ("doctor", "demo", "demo-data")),
    ("Do it all at once", "Tout faire d'un coup", ("run",)),
    ("Prepare the data", "Préparer les données", ("clean", "map", "catalogue", "shard")),
    ("Train", "Entraîner", ("models", "train", "scale-tpu")),
    ("Judge and use", "Juger et utiliser", ("evaluate", "compare", "review", "infer", "explain")),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 done, 2 the user's mistake, 3 some inputs failed."""
    return _guarded(_dispatch, sys.argv[1:] if arguments is None else arguments)


def script_main(verb: str) -> int:
    """Run one of the scripts of `script_plantset/`: the same verb under its file's name."""
    program = f"python {os.path.basename(sys.argv[0])}"
    return _guarded(lambda words: run_verb(verb, words, program=program), sys.argv[1:])


def script_page(en: str, fr: str) -> int:
    """Run a script that has no verb, only names to import: print what it offers."""
    return _guarded(lambda words: _print_page(words, tr(en, fr)), sys.argv[1:])


def run_verb(name: str, arguments: Sequence[str], *, program: str) -> int:
    """Parse the flags of one verb, run it, print its report and return its exit status."""
    verb = VERBS[name]
    config = parse_options(
        load_object(verb.config),
        arguments,
        program=program,
        description=tr(verb.en, verb.fr),
        positional=verb.positional,
    )
    function: Callable[[Any], Report] = load_object(verb.function)
    report = function(config)
    answer(report.summary())
    return report.exit_code


def lazy_names(module: str, addresses: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that imports a name when it is asked for, so that `--help` needs no torch.

    Args:
        addresses: public name -> `module:name`.
    """

    def get(name: str) -> Any:
        if name in addresses:
            return load_object(addresses[name])
        raise AttributeError(f"module '{module}' has no attribute '{name}'")

    return get


def load_object(address: str) -> Any:
    """Import `module:name` and return the object."""
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)


def _guarded(run: Callable[[list[str]], int], arguments: Sequence[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold what the terminal can't show
    try:
        return run(_take_language(list(arguments)))
    except PlantsetError as error:
        print(tr("error: ", "erreur : ") + error.problem, file=sys.stderr)
        print(tr("fix:   ", "remède : ") + error.fix, file=sys.stderr)
        return EXIT_MISTAKE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `plantset … | head` closed the pipe
        return EXIT_OK
    except KeyboardInterrupt:
        print(tr("\nstopped", "\narrêté"), file=sys.stderr)
        return EXIT_INTERRUPTED


def _dispatch(words: list[str]) -> int:
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
    return run_verb(name, rest, program=f"plantset {name}")


def _print_page(words: list[str], page: str) -> int:
    if words and words[0] not in ("-h", "--help"):
        raise ConfigError(
            tr(f"this file takes no flags, got {words[0]}", f"ce fichier ne prend pas d'option, reçu {words[0]}"),
            tr("import it from Python, as shown without flags", "importez-le en Python, comme montré sans option"),
        )
    print(page)
    return EXIT_OK


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
    near = suggestion(name, VERBS)
    return ConfigError(
        tr(f"unknown verb {name}", f"verbe inconnu : {name}"),
        tr(f"did you mean plantset {near}?", f"vouliez-vous dire plantset {near} ?")
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
