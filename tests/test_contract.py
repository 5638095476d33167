"""The page that users of `script_plantset` know: its commands and snippets, word for word, in the order of the page.

What is replaced: paths, the number of classes (what the data has), 100 epochs by 1, and the hub's models by small ones
of the same name: a folder `microsoft/DialoGPT-…` where the scripts run, and a cache of timm weights drawn at random.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plantset.core.records import read_meta, read_records
from tests.tiny_models import save_tiny_gpt2

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = {
    "clean": r"""python data_cleaner.py \
    --data-dir /path/to/dataset \
    --min-size 256 \
    --target-size 512 \
    --output-file dataset_clean.jsonl
""",
    "map": r"""python text_mapper.py \
    --diseases-json /path/to/maladies_enrichies.json \
    --dataset-jsonl dataset_clean.jsonl \
    --output-file multimodal_dataset.jsonl \
    --language fr
""",
    "train": r"""python train.py \
    --jsonl-file multimodal_dataset.jsonl \
    --root-dir /path/to/images \
    --num-classes 133 \
    --vision-backbone resnet50 \
    --text-model microsoft/DialoGPT-medium \
    --epochs 100 \
    --batch-size 32 \
    --mixed-precision \
    --checkpoint-dir checkpoints
""",
    "evaluate": r"""python evaluate.py \
    --checkpoint checkpoints/best_model.pth \
    --jsonl-file multimodal_dataset.jsonl \
    --root-dir /path/to/images \
    --num-classes 133 \
    --output-dir evaluation_results
""",
    "infer": r"""python infer.py \
    --checkpoint checkpoints/best_model.pth \
    --num-classes 133 \
    --image /path/to/image.jpg \
    --text "Description optionnelle" \
    --top-k 5 \
    --generate-description
""",
}
TPU = r"""python scaler_tpu.py \
    --jsonl-file multimodal_dataset.jsonl \
    --root-dir /path/to/images \
    --num-classes 133 \
    --tpu-cores 8 \
    --epochs 100 \
    --batch-size 32 \
    --mixed-precision
"""
MODEL_SNIPPET = """from model_builder import create_multimodal_model

model = create_multimodal_model(
    num_classes=133,
    vision_backbone="efficientnet_b4",
    text_model="microsoft/DialoGPT-large",
    vision_dim=768,
    text_dim=768,
    fusion_dim=512,
    num_attention_heads=12,
    num_attention_layers=4
)
"""
LOADER_SNIPPET = """from dataset_loader import create_data_module

data_module = create_data_module(
    jsonl_file="multimodal_dataset.jsonl",
    root_dir="/path/to/images",
    batch_size=64,
    image_size=384,
    text_length=256,
    augment=True
)
"""
TIMM_WEIGHTS = {"resnet50": "timm/resnet50.a1_in1k", "efficientnet_b4": "timm/efficientnet_b4.ra2_in1k"}
KEPT_CLASSES = 4
LANGUAGE_OF_THE_PAGE = "fr"


class Workplace:
    """A copy of `script_plantset/` where the page's commands run, as its users run them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "script_plantset"
        self.data = folder / "data"
        self.cache = folder / "hub"
        self.results: dict[str, subprocess.CompletedProcess[str]] = {}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={
                **os.environ,
                "HF_HUB_CACHE": str(self.cache),
                "HF_HUB_OFFLINE": "1",
                "PLANTSET_LANG": LANGUAGE_OF_THE_PAGE,
                "PYTHONIOENCODING": "utf-8",
                "OMP_NUM_THREADS": "1",
            },
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=900,
        )

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        program, *words = shlex.split(self.replaced(command).replace("\\\n", " "))
        assert program == "python"
        return self.run(*words)

    def replaced(self, text: str) -> str:
        meta = read_meta(self.folder / "multimodal_dataset.jsonl")
        photo = next((self.folder / "dataset_clean_images").rglob("*.jpg"), None)
        for theirs, ours in (
            ("/path/to/dataset", str(self.data / "leaves")),
            ("/path/to/maladies_enrichies.json", str(self.data / "maladies_enrichies.json")),
            ("/path/to/images", str(self.folder / "dataset_clean_images")),
            ("/path/to/image.jpg", shlex.quote(str(photo))),
            ("--num-classes 133", f"--num-classes {len(meta.classes)}" if meta else "--num-classes 133"),
            ("--epochs 100", "--epochs 1"),
        ):
            text = text.replace(theirs, ours)
        return text


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("contract"))
    shutil.copytree(ROOT / "script_plantset", place.folder, ignore=shutil.ignore_patterns("__pycache__"))
    drawn = place.run(
        "-m", "plantset", "demo-data", "--run-dir", str(place.data), "--photos-per-class", "8", "--workers", "1"
    )
    assert drawn.returncode == 0, drawn.stderr
    _keep_some_classes(place.data / "leaves")
    for size in ("medium", "large"):
        save_tiny_gpt2(place.folder / "microsoft" / f"DialoGPT-{size}")
    for name, repository in TIMM_WEIGHTS.items():
        _save_random_weights(name, place.cache / f"models--{repository.replace('/', '--')}")
    return place


@pytest.fixture(scope="module")
def pipeline(workplace: Workplace) -> Workplace:
    """Run the page's commands in the page's order; each result is looked at by its own test."""
    for stage, command in PIPELINE.items():
        workplace.results[stage] = workplace.type(command)
    return workplace


@pytest.mark.slow
@pytest.mark.parametrize("stage", PIPELINE)
def test_a_command_of_the_page_runs_as_it_stands(pipeline: Workplace, stage: str) -> None:
    result = pipeline.results[stage]

    assert result.returncode == 0, result.stderr[-3000:]
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "dataset_clean.jsonl",
        "dataset_clean.meta.json",
        "multimodal_dataset.jsonl",
        "checkpoints/best_model.pth",
        "checkpoints/last_model.pth",
        "evaluation_results/metrics.json",
        "evaluation_results/predictions.jsonl",
        "evaluation_results/report.html",
    ],
)
def test_the_page_leaves_its_files_in_the_current_folder(pipeline: Workplace, path: str) -> None:
    assert (pipeline.folder / path).stat().st_size > 0


@pytest.mark.slow
def test_the_flags_of_the_page_act(pipeline: Workplace) -> None:
    records = read_records(pipeline.folder / "multimodal_dataset.jsonl")

    assert {record.language for record in records} == {"fr"}
    assert min(min(record.original_size or (0, 0)) for record in records) >= 256
    assert max(max(record.size or (0, 0)) for record in records) <= 512


@pytest.mark.slow
def test_the_model_of_the_page_is_the_one_that_was_trained(pipeline: Workplace) -> None:
    [trained] = pipeline.folder.glob("checkpoints/*config*.json")
    config: dict[str, Any] = json.loads(trained.read_text(encoding="utf-8"))

    assert config["vision_backbone"] == "resnet50"
    assert config["text_model"] == "microsoft/DialoGPT-medium"
    assert config["mixed_precision"] is True


@pytest.mark.slow
def test_the_answer_names_classes_with_probabilities(pipeline: Workplace) -> None:
    answer = pipeline.results["infer"].stdout

    assert "%" in answer
    assert len(answer.splitlines()) >= KEPT_CLASSES


@pytest.mark.slow
def test_the_wrong_number_of_classes_is_an_error_that_lists_them(pipeline: Workplace) -> None:
    classes = read_meta(pipeline.folder / "multimodal_dataset.jsonl")
    assert classes is not None

    result = pipeline.run(
        "evaluate.py", "--checkpoint", "checkpoints/best_model.pth", "--jsonl-file", "multimodal_dataset.jsonl",
        "--num-classes", "133",
    )  # fmt: skip

    assert result.returncode == 2
    assert all(name in result.stderr for name in classes.classes)


@pytest.mark.slow
def test_without_a_tpu_the_tpu_command_says_what_to_do_and_exits_2(pipeline: Workplace) -> None:
    result = pipeline.type(TPU)

    assert result.returncode == 2
    assert result.stderr.startswith("erreur : ")
    assert "TPU" in result.stderr


@pytest.mark.slow
def test_the_model_of_the_page_builds_with_12_heads_in_512(workplace: Workplace) -> None:
    check = "print('heads', model.config.num_attention_heads, 'width', model.config.fusion_dim)"

    result = workplace.run("-c", MODEL_SNIPPET + check)

    assert result.stdout.endswith("heads 12 width 512\n"), result.stderr[-3000:]


@pytest.mark.slow
def test_the_loader_of_the_page_gives_batches_of_its_size(pipeline: Workplace) -> None:
    check = (
        "if __name__ == '__main__':\n"  # its workers import this file again
        "    batch = next(iter(data_module.val_dataloader()))\n"
        "    print(tuple(batch.pixels_BHWC.shape), batch.caption_ids_BT.shape[1])\n"
    )
    script = pipeline.folder / "loader_snippet.py"
    script.write_text(pipeline.replaced(LOADER_SNIPPET) + check, encoding="utf-8")

    result = pipeline.run(script.name)

    assert result.stdout == "(64, 384, 384, 3) 256\n", result.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("text", [*PIPELINE.values(), TPU, MODEL_SNIPPET, LOADER_SNIPPET])
def test_the_scripts_own_page_still_shows_the_command(text: str) -> None:
    page = (ROOT / "script_plantset" / "README.md").read_text(encoding="utf-8")

    assert text.replace("/path/to/images", "dataset_clean_images") in page


def _keep_some_classes(leaves: Path) -> None:
    """Training a whole resnet50 on a processor takes its time: keep the classes that stand first."""
    names = sorted({folder.name for folder in leaves.glob("*/*") if folder.is_dir()})
    both = [name for name in names if (leaves / "train" / name).is_dir() and (leaves / "val" / name).is_dir()]
    for folder in leaves.glob("*/*"):
        if folder.is_dir() and folder.name not in both[:KEPT_CLASSES]:
            shutil.rmtree(folder)


def _save_random_weights(name: str, folder: Path) -> None:
    import timm
    from safetensors.torch import save_file

    snapshot = folder / "snapshots" / "0000"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(snapshot.name, encoding="utf-8")
    state = timm.create_model(name, pretrained=False).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, snapshot / "model.safetensors")
