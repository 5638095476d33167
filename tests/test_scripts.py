"""The eight scripts, as people start them: inside their folder, by path, as modules, and imported both ways."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "script_plantset"
COMMANDS = ["data_cleaner", "text_mapper", "train", "evaluate", "infer", "scaler_tpu"]
PAGES = ["model_builder", "dataset_loader"]
NAMES = {
    "data_cleaner": {"clean": "plantset.clean.run", "CleanConfig": "plantset.clean.config"},
    "text_mapper": {"map_texts": "plantset.knowledge.run", "MapConfig": "plantset.knowledge.config"},
    "train": {"train": "plantset.training.run", "TrainConfig": "plantset.training.config"},
    "evaluate": {"evaluate": "plantset.evaluation.run", "EvaluateConfig": "plantset.evaluation.config"},
    "infer": {"infer": "plantset.inference.run", "InferConfig": "plantset.inference.config"},
    "scaler_tpu": {"train_on_tpu": "plantset.training.run", "TpuTrainConfig": "plantset.training.config"},
    "model_builder": {"create_multimodal_model": "plantset.models.build"},
    "dataset_loader": {"create_data_module": "plantset.data.module"},
}
HEAVY = ["torch", "numpy", "cv2", "sklearn", "PIL", "timm", "transformers", "tyro"]


def python(*words: str, folder: Path, language: str = "en") -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**environment, "PLANTSET_LANG": language, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("script", COMMANDS + PAGES)
def test_a_script_runs_from_inside_its_folder(script: str) -> None:
    result = python(f"{script}.py", "--help", folder=FOLDER)

    assert (result.returncode, result.stderr) == (0, "")
    assert f"{script}.py" in result.stdout or f"from {script} import" in result.stdout


@pytest.mark.parametrize("script", COMMANDS + PAGES)
def test_a_script_runs_by_path_from_anywhere(script: str, tmp_path: Path) -> None:
    result = python(str(FOLDER / f"{script}.py"), "--help", folder=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) > 5


@pytest.mark.parametrize("script", COMMANDS + PAGES)
def test_a_script_runs_as_a_module(script: str) -> None:
    result = python("-m", f"script_plantset.{script}", "--help", folder=ROOT)

    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) > 5


@pytest.mark.parametrize("script", NAMES)
def test_a_script_imports_both_ways_and_gives_the_librarys_own_objects(script: str) -> None:
    checks = [
        f"from {script} import {name} as inside; from script_plantset.{script} import {name} as outside; "
        f"import {module}; assert inside is outside is {module}.{name}"
        for name, module in NAMES[script].items()
    ]

    result = python(
        "-c", f"import sys; sys.path.append({str(ROOT)!r})\n" + "\n".join(checks) + "\nprint('same')", folder=FOLDER
    )

    assert result.stdout == "same\n", result.stderr


@pytest.mark.parametrize("script", COMMANDS)
def test_help_imports_nothing_heavy(script: str) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{script}.py', '--help']\n"
        "try:\n"
        f"    runpy.run_path('{script}.py', run_name='__main__')\n"
        "except SystemExit as stopped:\n"
        f"    print('heavy:', [name for name in {HEAVY} if name in sys.modules], 'code:', stopped.code)\n"
    )

    result = python("-c", code, folder=FOLDER)

    assert result.stdout.splitlines()[-1] == "heavy: [] code: 0", result.stderr


@pytest.mark.parametrize("script", NAMES)
def test_importing_a_script_imports_nothing_heavy(script: str) -> None:
    code = f"import {script}, sys; print([name for name in {HEAVY} if name in sys.modules])"

    result = python("-c", code, folder=FOLDER)

    assert result.stdout == "[]\n", result.stderr


@pytest.mark.parametrize(
    ("language", "problem", "fix"),
    [("en", "error: unknown flag --langage", "did you mean --language?"), ("fr", "erreur : ", "vouliez-vous dire")],
)
@pytest.mark.parametrize("script", ["text_mapper", "train", "scaler_tpu"])
def test_a_mistyped_flag_is_answered_in_the_users_language(script: str, language: str, problem: str, fix: str) -> None:
    result = python(f"{script}.py", "--langage", "fr", folder=FOLDER, language=language)

    assert result.returncode == 2
    assert problem in result.stderr
    assert fix in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("script", COMMANDS)
def test_a_script_started_without_what_it_needs_says_so_and_exits_2(script: str) -> None:
    result = python(f"{script}.py", folder=FOLDER)

    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert "fix:   " in result.stderr


@pytest.mark.parametrize("script", PAGES)
def test_a_script_to_import_shows_an_example_in_french(script: str) -> None:
    result = python(f"{script}.py", folder=FOLDER, language="fr")

    assert result.returncode == 0
    assert f"from {script} import create_" in result.stdout
    assert "à importer" in result.stdout


@pytest.mark.parametrize("script", PAGES)
def test_a_script_to_import_refuses_flags(script: str) -> None:
    result = python(f"{script}.py", "--epochs", "3", folder=FOLDER)

    assert result.returncode == 2
    assert "takes no flags" in result.stderr


def test_the_script_evaluate_does_not_hide_a_package_of_that_name(tmp_path: Path) -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['train.py', '--help']\n"
        f"sys.path[0] = {str(FOLDER)!r}\n"
        "try:\n"
        f"    runpy.run_path({str(FOLDER / 'train.py')!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    import importlib.util\n"
        "    print('found:', importlib.util.find_spec('evaluate'))\n"
    )

    result = python("-c", code, folder=tmp_path)

    assert result.stdout.splitlines()[-1] == "found: None", result.stderr


def test_a_spawned_worker_can_start_the_script_again(tmp_path: Path) -> None:
    """Spawn imports the main file by its path in every worker, under another name: it must do nothing then."""
    code = (
        "import runpy, sys\n"
        f"names = runpy.run_path({str(FOLDER / 'train.py')!r}, run_name='__mp_main__')\n"
        "print('torch' in sys.modules, names['__all__'])\n"
    )

    result = python("-c", code, folder=tmp_path)

    assert result.stdout == "False ['TrainConfig', 'train', 'train_model']\n", result.stderr
