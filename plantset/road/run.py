"""`plantset run`: each stage with its own function and files, so that any of them can be repeated by its own verb."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from plantset.clean.config import CleanConfig
from plantset.clean.run import clean
from plantset.core.files import read_json_lines
from plantset.core.language import tr
from plantset.core.log import say
from plantset.core.options import command_line, write_resolved
from plantset.core.records import SPLITS
from plantset.evaluation.config import EvaluateConfig
from plantset.evaluation.run import evaluate
from plantset.knowledge.config import MapConfig
from plantset.knowledge.run import map_texts
from plantset.road.config import RunConfig
from plantset.training.config import TrainConfig
from plantset.training.run import train


@dataclass(frozen=True)
class RunReport:
    """What the road led to.

    Attributes:
        checkpoint: the trained model.
        reports: the HTML report of each split that was evaluated.
        stage_exit_code: the highest exit code of the stages.
    """

    checkpoint: Path
    reports: tuple[Path, ...]
    stage_exit_code: int

    def summary(self) -> str:
        """Return where the results lie and what to do next."""
        next_command = shlex.join(["plantset", "infer", "--checkpoint", str(self.checkpoint), "--image"])
        return "\n".join(
            [
                *(tr("report: ", "rapport : ") + str(report) for report in self.reports),
                tr("model:  ", "modèle : ") + str(self.checkpoint),
                tr("next:   ", "ensuite : ") + next_command + " PHOTO",
            ]
        )

    @property
    def exit_code(self) -> int:
        """Return 0 when all went well, 3 when a stage left something undone."""
        return self.stage_exit_code


def run(config: RunConfig) -> RunReport:
    """Clean, map, train and evaluate; run again, it takes up what was interrupted.

    Every stage is called, none is skipped: clean and train find their own half-done work.

    Raises:
        PlantsetError: what the stage at hand says; the stages before it have left their files.
    """
    folder = config.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    write_resolved(folder / "run_config.json", config)
    codes = [
        _stage("clean", clean, _clean_config(config)),
        _stage("map", map_texts, _map_config(config)),
        _stage("train", train, _train_config(config)),
    ]
    results: list[Path] = []
    if codes[-1]:  # stopped by a signal: the road goes on from there when it is asked again
        return RunReport(_best(folder), (), codes[-1])
    there = {row["split"] for _, row in read_json_lines(_mapped(folder))}
    for split in (split for split in SPLITS if split in there and split != "train"):
        evaluate_config = EvaluateConfig(
            checkpoint=_best(folder),
            jsonl_file=_mapped(folder),
            output_dir=folder / f"evaluation_{split}",
            split=split,
        )
        codes.append(_stage("evaluate", evaluate, evaluate_config))
        results.append(evaluate_config.output_dir / "report.html")
    return RunReport(_best(folder), tuple(results), max(codes))


class _Report(Protocol):
    def summary(self) -> str: ...

    @property
    def exit_code(self) -> int: ...


class _Verb(Protocol):
    def __call__(self, config: Any, /) -> _Report: ...


def _stage(verb: str, function: _Verb, config: object) -> int:
    say(f"\n$ {command_line(verb, config)}")
    report = function(config)
    say(report.summary())
    return report.exit_code


def _clean_config(config: RunConfig) -> CleanConfig:
    return CleanConfig(
        data_dir=config.photos,
        output_file=config.output_dir / "dataset_clean.jsonl",
        **_given(min_size=config.min_size, test_ratio=config.test_ratio),
    )


def _map_config(config: RunConfig) -> MapConfig:
    return MapConfig(
        diseases_json=config.diseases_json,
        dataset_jsonl=config.output_dir / "dataset_clean.jsonl",
        output_file=_mapped(config.output_dir),
        language=config.language,
    )


def _train_config(config: RunConfig) -> TrainConfig:
    return TrainConfig(
        jsonl_file=_mapped(config.output_dir),
        checkpoint_dir=_best(config.output_dir).parent,
        language=config.language,
        freeze_vision=config.freeze_vision,
        resume="auto",
        **_given(epochs=config.epochs, text_model=config.text_model),
    )


def _given(**values: Any) -> dict[str, Any]:
    """Return the values that were chosen; the others keep the default of their own stage."""
    return {name: value for name, value in values.items() if value is not None}


def _mapped(folder: Path) -> Path:
    return folder / "multimodal_dataset.jsonl"


def _best(folder: Path) -> Path:
    return folder / "checkpoints" / "best_model.pth"
