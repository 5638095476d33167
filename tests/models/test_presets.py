"""Every preset: what may and may not influence an answer, what learns, and when."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from plantset.core.classes import ClassInfo
from plantset.core.errors import ConfigError
from plantset.encoders.text import is_adapter
from plantset.models.config import ClassifierName, ModelConfig, TextPooling
from plantset.models.decision import Calibration
from plantset.models.load import ModelCard, load_model, to_checkpoint
from plantset.models.multimodal import ModelOutput, MultimodalModel, NoteStates
from plantset.models.presets import (
    PARTS,
    PRESETS,
    ObjectiveWeights,
    Part,
    PresetName,
    Stage,
    find_preset,
    preset_config,
    preset_weights,
)
from plantset.runtime.checkpoint import save_checkpoint
from tests.models.small import CLASS_NAMES, NOTES, VOCABULARY, ask, build, losses, photos
from tests.tiny_models import SENTENCES

CLASSES = len(CLASS_NAMES)


@pytest.fixture(scope="module", params=PRESETS)
def model(request: pytest.FixtureRequest, tiny_bert: str) -> MultimodalModel:
    return build(tiny_bert, preset=request.param).eval()


@torch.no_grad()
def _logits(model: MultimodalModel, pixels: torch.Tensor, notes: tuple[str | None, ...] | None) -> torch.Tensor:
    return ask(model, pixels, notes).logits_BC


@pytest.mark.parametrize(
    ("count", "notes"),
    [(1, None), (1, ("x",)), (4, NOTES), (4, ("", " ", None, "x")), (2, ("",) * 2)],
    ids=["one photo", "one word", "some notes", "blank notes", "only blank notes"],
)
def test_logits_are_finite_float32_whatever_the_notes(
    model: MultimodalModel, count: int, notes: tuple[str | None, ...] | None
) -> None:
    logits = _logits(model, photos(count), notes)

    assert logits.shape == (count, CLASSES)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_a_blank_note_is_no_note(model: MultimodalModel) -> None:
    logits = _logits(model, photos(), ("", NOTES[0], "  ", None))

    alone = _logits(model, photos(), None)
    torch.testing.assert_close(logits[[0, 2, 3]], alone[[0, 2, 3]], rtol=1e-5, atol=1e-5)
    assert (logits[1] - alone[1]).abs().max() > 1e-4


@torch.no_grad()
def test_longer_padding_of_the_notes_changes_no_logit(model: MultimodalModel) -> None:
    note = model.encode_notes(NOTES)
    assert note is not None
    room = torch.randn(len(NOTES), 20, note.states_BTC.shape[2])
    longer = NoteStates(
        torch.cat([note.states_BTC, room], dim=1), torch.cat([note.mask_BT, room[:, :, 0].isnan()], dim=1)
    )
    image = model.encode_photos(photos())

    torch.testing.assert_close(model(image, longer).logits_BC, model(image, note).logits_BC, rtol=1e-5, atol=1e-5)


def test_a_photos_answer_depends_neither_on_its_neighbours_nor_on_their_order(model: MultimodalModel) -> None:
    order = [2, 0, 3, 1]
    together = _logits(model, photos(), NOTES)

    shuffled = _logits(model, photos()[order], tuple(NOTES[i] for i in order))

    torch.testing.assert_close(shuffled, together[order], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(_logits(model, photos()[:1], NOTES[:1]), together[:1], rtol=1e-4, atol=1e-5)


def test_different_photos_get_different_answers(model: MultimodalModel) -> None:
    logits = _logits(model, photos(), None)

    assert (logits[0] - logits[1]).abs().max() > 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_a_16_bit_answer_is_near_the_32_bit_one(model: MultimodalModel, dtype: torch.dtype) -> None:
    exact = _logits(model, photos(), NOTES)

    with torch.autocast("cpu", dtype=dtype):
        rounded = _logits(model, photos(), NOTES)

    assert rounded.isfinite().all()
    torch.testing.assert_close(rounded.float().softmax(dim=1), exact.softmax(dim=1), rtol=0, atol=0.03)


@torch.no_grad()
def test_a_note_changes_neither_what_the_captioner_sees_nor_what_is_compared_with_descriptions(
    model: MultimodalModel,
) -> None:
    noted, alone = ask(model, photos(), NOTES), ask(model, photos(), None)

    assert torch.equal(model.caption_context(noted), model.caption_context(alone))
    assert torch.equal(noted.global_BG, alone.global_BG)
    assert not torch.equal(noted.fused_BND, alone.fused_BND)


@torch.no_grad()
def test_compiled_without_a_graph_break_it_answers_as_eager(model: MultimodalModel) -> None:
    image, note = model.encode_photos(photos()), model.encode_notes(NOTES)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=False)

    output: ModelOutput = compiled(image, note)

    torch.testing.assert_close(output.logits_BC, model(image, note).logits_BC, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_from_pixels_to_the_loss_of_a_description_there_is_no_graph_break(model: MultimodalModel) -> None:
    assert model.captioner is not None
    rows = [VOCABULARY.encode(text, language="fr", length=32) for text in SENTENCES[:4]]
    ids_BT = torch.stack(list(map(torch.from_numpy, rows)))

    def loss(pixels: torch.Tensor, ids_BT: torch.Tensor) -> torch.Tensor:
        output: ModelOutput = model(model.encode_photos(pixels), None, answer=model.names is None)
        assert model.captioner is not None
        return model.captioner.loss(ids_BT, model.caption_context(output))[0]

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True, dynamic=False)

    torch.testing.assert_close(compiled(photos(), ids_BT), loss(photos(), ids_BT), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("preset", PRESETS)
def test_dropout_is_off_when_asked_and_on_when_trained(tiny_bert: str, preset: PresetName) -> None:
    model = build(tiny_bert, preset=preset, dropout=0.5, freeze_vision=True)

    asked = [_logits(model.eval(), photos(), NOTES) for _ in range(2)]
    trained = [_logits(model.train(), photos(), NOTES) for _ in range(2)]

    assert torch.equal(*asked)
    assert not torch.equal(*trained)


def _build_nudged(tiny_bert: str, preset: PresetName, **overrides: object) -> MultimodalModel:
    """Move the tower's weights a little: a fresh ResNet's last norms are zero and let no gradient through at first."""
    model = build(tiny_bert, preset=preset, **overrides)
    with torch.no_grad():
        for weight in model.vision.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    return model.train()


def _touched(model: MultimodalModel) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.grad is not None and bool(weight.grad.any())}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_gradient_reaches_every_learning_parameter_and_no_frozen_one(tiny_bert: str, preset: PresetName) -> None:
    model = _build_nudged(tiny_bert, preset)
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad}

    torch.stack(list(losses(model).values())).sum().backward()

    assert _touched(model) == learning
    assert {name for name, _ in model.named_parameters() if name.startswith("text.")}.isdisjoint(learning)


STAGES = [(name, stage.name) for name in PRESETS for stage in find_preset(name).stages]


@pytest.mark.parametrize(("preset", "stage_name"), STAGES)
def test_in_a_stage_the_gradient_reaches_its_parts_and_no_other(
    tiny_bert: str, preset: PresetName, stage_name: str
) -> None:
    model = _build_nudged(tiny_bert, preset, freeze_stages=1)
    learnable = {name for name, weight in model.named_parameters() if weight.requires_grad}
    stage = next(stage for stage in find_preset(preset).stages if stage.name == stage_name)

    model.train_parts(stage.trains)
    torch.stack(list(losses(model).values())).sum().backward()

    assert _touched(model) == {name for name in learnable if model.part_of(name) in stage.trains}


@pytest.mark.parametrize("stage", find_preset("qwen-vl").stages, ids=lambda stage: stage.name)
def test_adapters_learn_in_the_stages_that_train_the_text_tower(tiny_bert: str, stage: Stage) -> None:
    model = build(tiny_bert, preset="qwen-vl", text_lora_rank=2)

    model.train_parts(stage.trains)

    learning = {name for name, weight in model.named_parameters() if weight.requires_grad and name.startswith("text.")}
    assert len(learning) == (16 if "text" in stage.trains else 0)
    assert all(map(is_adapter, learning))


def test_a_part_that_rests_is_in_evaluation_mode_and_learns_again_afterwards(tiny_bert: str) -> None:
    model = build(tiny_bert, preset="qwen-vl").train()
    everything: frozenset[Part] = frozenset(PARTS)

    model.train_parts(everything - {"vision"})
    model.train()
    rested = [module.training for module in model.vision.modules()]
    model.train_parts(everything)

    assert not any(rested)
    assert model.fusion.training
    assert model.vision.training
    assert all(weight.requires_grad for weight in model.vision.parameters())


@pytest.mark.parametrize("preset", PRESETS)
def test_the_stages_of_a_preset_share_the_whole_training(preset: PresetName) -> None:
    stages = find_preset(preset).stages

    assert sum(stage.share_of_epochs for stage in stages) == pytest.approx(1.0)
    assert frozenset.union(*(stage.trains for stage in stages)) == frozenset(PARTS)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_saved_model_answers_the_same(tiny_bert: str, preset: PresetName, tmp_path: Path) -> None:
    model = build(tiny_bert, preset=preset, freeze_vision=True, hierarchy=preset != "florence-2").eval()
    classes = tuple(ClassInfo(class_id=name, label=name) for name in CLASS_NAMES)
    card = ModelCard(classes, "fr", VOCABULARY, Calibration(), {}, {})

    save_checkpoint(tmp_path / "model.pth", to_checkpoint(model, card))
    loaded = load_model(tmp_path / "model.pth")

    assert loaded.model.config == model.config
    torch.testing.assert_close(loaded.predict_batch(photos(), NOTES), _logits(model, photos(), NOTES))


def test_the_default_preset_is_the_config_of_older_models_with_evidence_for_the_captioner() -> None:
    assert preset_config("cross-attention", 3, {"dropout": None}) == ModelConfig(3, caption_evidence=True)
    assert preset_weights("cross-attention", {"caption": None, "matching": 0.5}) == ObjectiveWeights(matching=0.5)


@pytest.mark.parametrize(("preset", "classifier"), [("flava", "names"), ("florence-2", "linear")])
def test_a_class_is_learnt_by_its_name_or_by_its_logits(preset: PresetName, classifier: ClassifierName) -> None:
    weights = preset_weights(preset, {}, classifier)

    assert (weights.class_name, weights.classification) == ((1.0, 0.0) if classifier == "names" else (0.0, 1.0))


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"fusion_dim": 8, "num_attention_heads": 9}, "9"),
        ({"num_queries": 0}, "num_queries"),
        ({"connector": "perceiver"}, "connector"),
        ({"fusion": "sum"}, "fusion"),
        ({"preset": "florence-2", "captioner": "none"}, "names"),
        ({"preset": "florence-2", "vocabulary": None}, "names"),
        ({"preset": "florence-2", "hierarchy": True}, "hierarchy"),
        ({"preset": "florence-2", "text_length": 8}, "text_length"),
        ({"classifier": "names", "class_names": ()}, "names"),
        ({"hierarchy": True, "class_names": ()}, "class_names"),
        ({"class_names": ("a", "b")}, "class_names"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused_by_name(overrides: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build("none", **overrides)

    assert named in refused.value.problem


@pytest.mark.parametrize("pooling", ["mean", "last", "attention"])
def test_however_a_note_is_pooled_its_padding_is_not(tiny_bert: str, pooling: TextPooling) -> None:
    model = build(tiny_bert, text_pooling=pooling).eval()
    note = model.encode_notes(NOTES)
    assert note is not None
    image, room = model.encode_photos(photos()), torch.randn(len(NOTES), 9, note.states_BTC.shape[2])
    no_more = torch.zeros(len(NOTES), 9, dtype=torch.bool)
    longer = NoteStates(torch.cat([note.states_BTC, room], dim=1), torch.cat([note.mask_BT, no_more], dim=1))

    logits = model(image, note).logits_BC

    torch.testing.assert_close(model(image, longer).logits_BC, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits[1], model(image, None).logits_BC[1], rtol=1e-4, atol=1e-5)  # photo without a note
