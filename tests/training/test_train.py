"""Training end to end on tiny leaves: it learns, resumes bit for bit, and every setting acts."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from plantset.core.errors import CheckpointError, ConfigError, DataError, DeviceError
from plantset.data.feature_files import FeatureFile
from plantset.models.load import load_model
from plantset.runtime import devices
from plantset.runtime.checkpoint import load_checkpoint
from plantset.runtime.local import LocalStrategy
from plantset.training import announce as announce_module
from plantset.training import run as run_module
from plantset.training.config import TpuTrainConfig, TrainConfig
from plantset.training.dry_run import DryRunReport
from plantset.training.feeds import PhotoFeeds
from plantset.training.judging import calibrate
from plantset.training.meter import LossDivergedError
from plantset.training.run import TrainReport, train, train_model, train_on_tpu
from plantset.training.stopping import memory_told, seconds_of
from plantset.training.task import labels_of, prepare_task, val_answers
from tests.fake_leaves import CLASS_IDS, write_leaves
from tests.training.conftest import Configure


@pytest.fixture(scope="module")
def trained(base_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, TrainReport]:
    """Eight epochs on the cached tokens of a frozen tower."""
    folder = tmp_path_factory.mktemp("trained") / "checkpoints"
    config = dataclasses.replace(base_config, checkpoint_dir=folder, epochs=8, freeze_vision=True, save_every=3)
    return config, train(config)


def test_a_tiny_training_beats_chance_on_photos_it_did_not_see(trained: tuple[TrainConfig, TrainReport]) -> None:
    _, report = trained

    assert report.val_accuracy >= 0.5  # chance is 0.25: 8 of 16 by chance happens once in 50 times
    assert (report.num_classes, report.num_train, report.num_val, report.epochs_done) == (4, 32, 16, 8)


def test_the_reported_scores_are_those_of_the_written_file(trained: tuple[TrainConfig, TrainReport]) -> None:
    config, report = trained
    module = run_module.prepare_task(config).data
    batches = list(module.val_dataloader())
    model = load_model(report.best_path)

    logits = torch.cat([model.predict_batch(b.pixels_BHWC)[b.weights_B > 0] for b in batches])

    labels = torch.cat([b.labels_B[b.weights_B > 0] for b in batches])
    assert float((logits.argmax(dim=1) == labels).float().mean()) == pytest.approx(report.val_accuracy)


def test_the_final_model_is_calibrated_on_the_other_half_of_val(trained: tuple[TrainConfig, TrainReport]) -> None:
    calibration = load_model(trained[1].best_path).calibration

    assert calibration.num_photos == 8
    assert calibration.temperature != 1.0


def test_the_model_describes_in_the_asked_language_by_default(trained: tuple[TrainConfig, TrainReport]) -> None:
    model = load_model(trained[1].best_path)

    assert (model.language, model.languages) == ("fr", ("en", "fr"))
    assert model.class_names == CLASS_IDS


def test_best_last_and_every_third_state_are_left(trained: tuple[TrainConfig, TrainReport]) -> None:
    written = {path.name for path in trained[0].checkpoint_dir.glob("*.pth")}

    assert written == {"best_model.pth", "last_model.pth", "epoch_003.pth", "epoch_006.pth"}


def test_the_history_has_a_line_an_epoch_and_a_picture(trained: tuple[TrainConfig, TrainReport]) -> None:
    folder = trained[0].checkpoint_dir
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [int(row["epoch"]) for row in rows] == list(range(8))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert cv2.imread(str(folder / "history.png")).shape[1] > 500


def test_the_mosaic_shows_the_first_photos_as_tiles(trained: tuple[TrainConfig, TrainReport]) -> None:
    mosaic = cv2.imread(str(trained[0].checkpoint_dir / "train_batch.jpg"))

    assert mosaic.shape == (5 * 182, 5 * 160, 3)  # 25 tiles of 160 px with their captions


def test_run_json_tells_what_is_needed_to_do_it_again(trained: tuple[TrainConfig, TrainReport]) -> None:
    run = json.loads((trained[0].checkpoint_dir / "run.json").read_text(encoding="utf-8"))

    assert "--epochs 8" in run["command"]
    assert (run["torch"], run["precision"]) == (torch.__version__, "fp32")
    assert 0 < run["trainable_parameters"] < run["parameters"]
    assert run["config"]["seed"] == run["seed"] == 0
    assert run["versions"]["timm"] == metadata.version("timm")
    assert len(run["data"]["fingerprint"]) == 64
    assert (run["world_size"], run["num_threads"]) == (1, 1)


def test_tensorboard_has_a_log(trained: tuple[TrainConfig, TrainReport]) -> None:
    assert list((trained[0].checkpoint_dir / "logs").glob("events.out.tfevents.*"))


def test_a_cached_tower_and_the_tower_itself_see_val_alike(trained: tuple[TrainConfig, TrainReport]) -> None:
    config, report = trained
    task = run_module.prepare_task(config)
    run_module.load_weights_of(task.model, load_checkpoint(report.best_path))
    strategy = LocalStrategy(torch.device("cpu"))

    cached = val_answers(task.model, run_module.PhotoFeeds(task, strategy).val(), strategy)[0]

    fresh = val_answers(task.model, task.data.val_dataloader(), strategy)[0]
    np.testing.assert_allclose(cached, fresh, atol=5e-3)  # features are kept in fp16


def _tensors(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(folder / name).tensors)


def _assert_same_run(resumed: Path, whole: Path) -> None:
    for name in ("last_model.pth", "best_model.pth"):
        left, right = _tensors(resumed, name), _tensors(whole, name)
        assert left.keys() == right.keys()
        assert [key for key in left if not torch.equal(left[key], right[key])] == []


class _Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("frozen", "done"), [({}, 1), ({"freeze_stages": 1, "dropout": 0.2}, 2)], ids=["photos", "cache"]
)
def test_a_run_stopped_between_epochs_and_resumed_equals_the_run_never_stopped(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: dict[str, Any], done: int
) -> None:
    train(configure(epochs=3, checkpoint_dir=tmp_path / "whole", **frozen))
    config = configure(epochs=3, checkpoint_dir=tmp_path / "stopped", **frozen)
    calls = iter(range(99))

    def kill(history: Any, path: Path) -> None:
        if next(calls) == done - 1:
            raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(announce_module, "write_history", kill)
        with pytest.raises(_Killed):
            train(config)
    torch.rand(17)  # the new process has drawn other numbers meanwhile

    train(dataclasses.replace(config, resume="auto"))

    _assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def _command(config: TrainConfig) -> list[str]:
    """Return the command line of `plantset train` for the settings that differ from the defaults."""
    flags: list[str] = []
    defaults = TrainConfig(jsonl_file=config.jsonl_file)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        flag = "--" + field.name.replace("_", "-")
        if field.name != "jsonl_file" and value == getattr(defaults, field.name):
            continue
        if isinstance(value, bool):
            flags.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            flags += [flag, str(value)]
    return [sys.executable, "-m", "plantset", "train", *flags]


def test_a_run_killed_inside_an_epoch_and_resumed_equals_the_run_never_killed(
    configure: Configure, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 4, "dropout": 0.2, "save_steps": 1}
    train(configure(checkpoint_dir=tmp_path / "whole", **settings))
    config = configure(checkpoint_dir=tmp_path / "killed", **settings)
    process = subprocess.Popen(_command(config), stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (config.checkpoint_dir / "last_model.pth").exists():
        assert process.poll() is None, "it ended before it saved"
        time.sleep(0.01)

    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    train(dataclasses.replace(config, resume="auto"))

    _assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_auto_resume_without_a_state_starts_anew(configure: Configure) -> None:
    assert train(configure(epochs=1, resume="auto")).epochs_done == 1


def test_resuming_with_another_learning_rate_is_refused_by_name(trained: tuple[TrainConfig, TrainReport]) -> None:
    config = dataclasses.replace(trained[0], learning_rate=1e-4, resume="auto")

    with pytest.raises(CheckpointError, match="learning_rate"):
        train(config)


def test_resuming_from_the_best_model_names_the_last(trained: tuple[TrainConfig, TrainReport]) -> None:
    config, report = trained

    with pytest.raises(CheckpointError) as refused:
        train(dataclasses.replace(config, resume=str(report.best_path)))

    assert "last_model.pth" in refused.value.fix


def test_a_start_from_an_earlier_model_keeps_the_rows_of_the_classes_they_share(
    trained: tuple[TrainConfig, TrainReport], configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = (CLASS_IDS[0], CLASS_IDS[2])
    manifest = write_leaves(tmp_path / "two", classes=kept)
    config = configure(
        jsonl_file=manifest, epochs=1, learning_rate=1e-12, freeze_vision=True, init_checkpoint=trained[1].best_path
    )

    train(config)

    earlier = _tensors(trained[0].checkpoint_dir, "best_model.pth")["model.classifier.linear.weight"]
    now = _tensors(config.checkpoint_dir, "best_model.pth")["model.classifier.linear.weight"]
    torch.testing.assert_close(now, earlier[[0, 2]], rtol=0, atol=1e-6)
    assert CLASS_IDS[1] in capsys.readouterr().err


def test_a_start_from_a_model_with_fewer_classes_adds_the_others(
    configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_leaves(tmp_path / "three", classes=CLASS_IDS[:3])
    first = train(configure(jsonl_file=manifest, epochs=1, checkpoint_dir=tmp_path / "first"))

    report = train(configure(epochs=1, init_checkpoint=first.best_path))

    assert load_model(report.best_path).class_names == CLASS_IDS
    assert CLASS_IDS[3] in capsys.readouterr().err


def test_a_start_from_an_earlier_model_reads_notes_with_its_text_tower(
    trained: tuple[TrainConfig, TrainReport], configure: Configure
) -> None:
    config = configure(epochs=1, seed=5, freeze_vision=True, init_checkpoint=trained[1].best_path)

    train(config)

    earlier, now = (_tensors(folder, "best_model.pth") for folder in (trained[0].checkpoint_dir, config.checkpoint_dir))
    names = [name for name in earlier if name.startswith("text.")]
    assert names
    assert all(torch.equal(earlier[name], now[name]) for name in names)


def test_early_stopping_ends_a_run_that_does_not_get_better(configure: Configure) -> None:
    report = train(configure(epochs=9, learning_rate=1e-12, freeze_vision=True, early_stopping=2))

    assert report.epochs_done == 3


def test_a_loss_that_explodes_ends_the_run_with_what_to_change(configure: Configure) -> None:
    with pytest.raises(DataError, match="step") as stopped:
        train(configure(learning_rate=1e30, gradient_clip=0.0, warmup_steps=0))

    assert "--learning-rate" in stopped.value.fix


def test_a_contradicting_number_of_classes_lists_the_classes(configure: Configure) -> None:
    with pytest.raises(ConfigError) as refused:
        train(configure(num_classes=133))

    assert all(name in refused.value.problem for name in CLASS_IDS)


def test_one_class_is_refused_by_name(configure: Configure, tmp_path: Path) -> None:
    manifest = write_leaves(tmp_path / "one", classes=CLASS_IDS[:1])

    with pytest.raises(DataError, match=CLASS_IDS[0]):
        train(configure(jsonl_file=manifest))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("warmup_steps", -1),
        ("weight_decay", -0.1),
        ("label_smoothing", 1.0),
        ("caption_weight", -1.0),
        ("num_threads", 0),
        ("seed", -1),
    ],
)
def test_a_number_out_of_range_is_refused_by_its_flag(configure: Configure, setting: str, value: float) -> None:
    with pytest.raises(ConfigError) as refused:
        train(configure(**{setting: value}))

    assert f"--{setting.replace('_', '-')}" in refused.value.problem


def _settings(config: TrainConfig) -> dict[str, Any]:
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name != "mixed_precision"
    }


def _objective_of(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:
    """Train one epoch through `train_model` and return the objective that its steps minimised."""
    seen: list[Any] = []
    original = run_module.training_terms

    def spy(model: Any, batch: Any, objective: Any, encode: Any) -> Any:
        seen.append(objective)
        return original(model, batch, objective, encode)

    with monkeypatch.context() as patched:
        patched.setattr(run_module, "training_terms", spy)
        train_model(**settings)
    return seen[0]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, of which the first has a third of the photos."""
    folder = tmp_path_factory.mktemp("uneven")
    manifest = write_leaves(folder, (("train", 6), ("val", 2)), classes=CLASS_IDS[:2])
    lines = manifest.read_text(encoding="utf-8").splitlines()
    few = [line for line in lines if f"{CLASS_IDS[0]}_train_" not in line or f'{CLASS_IDS[0]}_train_0"' in line]
    manifest.write_text("\n".join(few) + "\n", encoding="utf-8")
    return manifest


def test_class_weights_weigh_the_rare_class_up_and_replace_the_logit_adjustment(
    configure: Configure, uneven: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(jsonl_file=uneven, epochs=1, class_weights=True)

    loss = _objective_of(monkeypatch, **_settings(config)).classification

    assert loss.class_weights_C.tolist() == pytest.approx([8 / 4, 8 / 12])  # 2 and 6 photos of 8
    assert loss.log_prior_C is None


def test_class_weights_change_what_is_learned(configure: Configure, uneven: Path, tmp_path: Path) -> None:
    learned = []
    for weighted in (False, True):
        folder = tmp_path / str(weighted)
        train_model(**_settings(configure(jsonl_file=uneven, epochs=1, class_weights=weighted, checkpoint_dir=folder)))
        learned.append(_tensors(folder, "last_model.pth")["model.classifier.linear.weight"])

    assert not torch.equal(*learned)


def _first_rates(configure: Configure, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> list[float]:
    rates: list[float] = []
    step = LocalStrategy.step

    def spy(strategy: LocalStrategy, optimizer: Any, *arguments: Any) -> None:
        rates.append(max(group["lr"] for group in optimizer.param_groups))
        step(strategy, optimizer, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStrategy, "step", spy)
        train_model(**_settings(configure(learning_rate=1e-3, freeze_vision=True, **settings)))
    return rates


def test_warmup_steps_is_the_number_of_steps_until_the_full_learning_rate(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = _first_rates(configure, monkeypatch, warmup_steps=4)

    assert rates[:5] == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3])


def test_use_mixed_precision_computes_in_bf16_where_the_cpu_has_it(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    dtypes: set[torch.dtype] = set()
    original = run_module.training_terms

    def spy(model: Any, batch: Any, objective: Any, encode: Any) -> Any:
        hook = model.image_connector.to_mid[0].register_forward_hook(lambda _, __, output: dtypes.add(output.dtype))
        terms = original(model, batch, objective, encode)
        hook.remove()
        return terms

    monkeypatch.setattr(run_module, "training_terms", spy)
    config = configure(epochs=1)

    train_model(use_mixed_precision=True, **_settings(config))

    assert dtypes == {torch.bfloat16}
    assert json.loads((config.checkpoint_dir / "run.json").read_text(encoding="utf-8"))["precision"] == "bf16"


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="learnig_rate"):
        train_model(jsonl_file="x.jsonl", learnig_rate=1e-3)


def test_a_photo_cleaned_at_another_size_is_not_read_from_the_old_cache(configure: Configure, tmp_path: Path) -> None:
    manifest = write_leaves(tmp_path / "again", (("train", 2), ("val", 2)))
    config = configure(jsonl_file=manifest, epochs=1, freeze_vision=True, cache_dir=tmp_path / "cache", cache_views=1)
    train(config)
    before = set((tmp_path / "cache").rglob("*.npz"))
    photo = tmp_path / "again" / "images" / f"{CLASS_IDS[0]}_train_0.jpg"
    pixels = cv2.imread(str(photo))
    cv2.imwrite(str(photo), cv2.resize(pixels, (24, 24)))

    train(config)

    (new,) = set((tmp_path / "cache").rglob("*.npz")) - before
    assert list(FeatureFile(new).ids()) == [(hashlib.sha256(photo.read_bytes()).digest(), 0)]  # it alone, its one view


def test_a_tpu_run_without_a_runtime_says_what_to_install(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda _: None)
    config = TpuTrainConfig(**dataclasses.asdict(configure()), tpu_cores=8)

    with pytest.raises(DeviceError) as refused:
        train_on_tpu(config)

    assert "torch_xla" in refused.value.fix


def test_a_tpu_run_on_another_device_is_refused(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "find_tpu", lambda: "xla")
    config = TpuTrainConfig(**dataclasses.asdict(configure(device="cpu")))

    with pytest.raises(ConfigError, match="plantset train"):
        train_on_tpu(config)


def test_a_run_that_goes_on_in_another_folder_takes_its_kept_model_along(configure: Configure, tmp_path: Path) -> None:
    config = configure(epochs=1)
    train(config)
    elsewhere = tmp_path / "elsewhere"

    report = train(
        dataclasses.replace(config, checkpoint_dir=elsewhere, resume=str(config.checkpoint_dir / "last_model.pth"))
    )

    assert report.best_path == elsewhere / "best_model.pth"
    assert report.best_path.is_file()


def _interrupt_and_resume(config: TrainConfig, number: signal.Signals) -> int:
    """Start a run, send it a signal in its second epoch, and go on with it; return the exit code of the first."""
    process = subprocess.Popen(_command(config), stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (config.checkpoint_dir / "last_model.pth").exists():
        assert process.poll() is None, "it ended before it saved"
        time.sleep(0.01)
    process.send_signal(number)
    code = process.wait(timeout=60)
    subprocess.run([*_command(config), "--resume", "auto"], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_run_with_everything_on_that_a_signal_ends_goes_on_to_the_same_bits(
    configure: Configure, tmp_path: Path, number: signal.Signals
) -> None:
    settings: dict[str, Any] = {
        "epochs": 4, "batch_size": 4, "accumulate_steps": 2, "ema_decay": 0.9, "dropout": 0.2, "freeze_stages": 1,
        "early_stopping": 3, "save_steps": 1, "mixup": 0.4, "cutmix": 1.0, "augment": "strong", "metric": "nll",
    }  # fmt: skip
    whole = configure(checkpoint_dir=tmp_path / "whole", **settings)
    subprocess.run(_command(whole), check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    code = _interrupt_and_resume(configure(checkpoint_dir=tmp_path / "stopped", **settings), number)

    assert code == (-number if number == signal.SIGKILL else 128 + number)
    _assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_ctrl_c_in_a_terminal_which_reaches_the_workers_too_still_saves(configure: Configure) -> None:
    config = configure(epochs=4, num_workers=1, save_steps=1)
    process = subprocess.Popen(
        _command(config),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while not (config.checkpoint_dir / "last_model.pth").exists():
        assert process.poll() is None, "it ended before it saved"
        time.sleep(0.01)

    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0].decode()

    assert process.returncode == 130, said
    assert "--resume auto" in said
    assert "Traceback" not in said


def test_resume_auto_passes_over_a_damaged_state_and_says_so(
    configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(epochs=2, save_every=1, keep_last=1)
    train(config)
    last = config.checkpoint_dir / "last_model.pth"
    last.write_bytes(last.read_bytes()[:-100])

    train(dataclasses.replace(config, epochs=2, resume="auto"))

    said = capsys.readouterr().err
    assert "passed over" in said
    assert "epoch_002.pth" in said
    assert [path.name for path in sorted(config.checkpoint_dir.glob("epoch_*"))] == ["epoch_002.pth"]


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("90s", 90), ("2h", 7200)])
def test_a_duration_is_written_as_people_write_it(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "30", "m30"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--max-time"):
        seconds_of(text)


def test_a_diverged_run_names_the_photos_of_its_step(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    original = run_module.weighted_sum
    monkeypatch.setattr(
        run_module, "weighted_sum", lambda *given: (original(*given)[0] * float("nan"), original(*given)[1])
    )
    config = configure(epochs=1)

    with pytest.raises(LossDivergedError):
        train(config)

    photos = json.loads((config.checkpoint_dir / "diverged.json").read_text(encoding="utf-8"))["image_paths"]
    assert len(photos) == config.batch_size


def test_memory_that_runs_out_says_which_setting_to_change(configure: Configure) -> None:
    config = configure(batch_size=8)

    with pytest.raises(ConfigError, match="--batch-size 8") as error, memory_told(config):
        raise torch.OutOfMemoryError

    assert "--batch-size 4 --accumulate-steps 2" in error.value.fix


@pytest.mark.parametrize("frozen", [{}, {"freeze_stages": 1}], ids=["photos", "cache"])
def test_a_dry_run_tells_memory_and_time_and_leaves_nothing_trained(
    configure: Configure, frozen: dict[str, Any]
) -> None:
    config = configure(dry_run=True, epochs=3, **frozen)

    report = train(config)

    assert isinstance(report, DryRunReport)
    assert report.steps == 3 * 4  # 32 photos in batches of 8
    assert report.is_cached == bool(frozen)
    assert min(report.step_s, report.total_s, report.memory_gb) > 0
    assert "--dry-run" in report.summary()
    assert not list(config.checkpoint_dir.glob("*.pth"))
    assert not (config.checkpoint_dir / "feature_cache").exists()


def test_time_that_is_too_short_for_one_step_is_said(configure: Configure) -> None:
    with pytest.raises(ConfigError, match="before the first epoch"):
        train(configure(max_time="0s"))


def test_a_decoding_process_that_the_system_ended_is_said(configure: Configure) -> None:
    config = configure(num_workers=4)

    with pytest.raises(ConfigError, match="/dev/shm") as error, memory_told(config):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    assert "--num-workers 2" in error.value.fix


def test_a_batch_that_cannot_be_halved_is_not_advised_to_be(configure: Configure) -> None:
    with pytest.raises(ConfigError) as error, memory_told(configure(batch_size=3)):
        raise MemoryError

    assert "--batch-size" not in error.value.fix
    assert "--gradient-checkpointing" in error.value.fix


def test_states_that_an_earlier_run_left_do_not_push_out_those_of_this_run(configure: Configure) -> None:
    config = configure(epochs=2, save_every=1, keep_last=1)
    config.checkpoint_dir.mkdir()
    (config.checkpoint_dir / "epoch_048.pth").write_bytes(b"of a longer run")

    train(config)

    assert sorted(path.name for path in config.checkpoint_dir.glob("epoch_*")) == ["epoch_002.pth", "epoch_048.pth"]


def test_a_class_whose_val_photos_all_calibrate_is_no_unknown_one(configure: Configure) -> None:
    task = prepare_task(configure())
    labels = labels_of(task, task.val_records)
    lost = int(labels[0])
    fewer = dataclasses.replace(task, selection=tuple(at for at in task.selection if labels[at] != lost))
    strategy = LocalStrategy(torch.device("cpu"))

    rule = calibrate(fewer, PhotoFeeds(fewer, strategy), strategy).unknown

    assert rule is not None
    assert len(base64.b64decode(rule.means_CF)) == 2 * len(CLASS_IDS) * rule.num_features  # float16
