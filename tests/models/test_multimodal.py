"""The whole model: what may and may not influence an answer, and what learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from plantset.core.errors import ConfigError
from plantset.core.vocabulary import END_ID
from plantset.models.build import create_multimodal_model
from plantset.models.multimodal import MultimodalModel, NoteStates
from plantset.models.objectives import contrastive_loss, matching_loss

SIZE_PX, CLASSES, WORDS = 32, 3, 40
NOTES = ("Les feuilles portent des taches brunes.", None, "A white downy growth.")


def _build(text_model: str, backbone: str = "test_resnet", **overrides: object) -> MultimodalModel:
    torch.manual_seed(0)
    settings: dict[str, object] = {
        "vision_dim": 24,
        "text_dim": 20,
        "fusion_dim": 16,
        "num_attention_heads": 4,
        "pretrained": False,
        "image_size": 2 * SIZE_PX,
        "vocabulary_size": WORDS,
        "dropout": 0.0,
    }
    return create_multimodal_model(CLASSES, backbone, text_model, **{**settings, **overrides})  # type: ignore[arg-type]


def _photos(count: int = 3) -> torch.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, size=(count, 2 * SIZE_PX, 2 * SIZE_PX, 3), dtype=np.uint8)
    return torch.from_numpy(pixels)


@pytest.fixture(scope="module")
def model(tiny_bert: str) -> MultimodalModel:
    return _build(tiny_bert).eval()


@torch.no_grad()
def _logits(model: MultimodalModel, photos: torch.Tensor, notes: tuple[str | None, ...] | None) -> torch.Tensor:
    note = model.encode_notes(notes) if notes is not None else None
    return model(model.encode_photos(photos), note).logits_BC


def test_an_empty_note_is_no_note(model: MultimodalModel) -> None:
    photos = _photos()

    logits = _logits(model, photos, ("", NOTES[0], "   "))

    alone = _logits(model, photos, None)
    torch.testing.assert_close(logits[[0, 2]], alone[[0, 2]], rtol=1e-5, atol=1e-6)
    assert (logits[1] - alone[1]).abs().max() > 1e-4


def test_a_longer_padding_of_the_notes_changes_no_logit(model: MultimodalModel) -> None:
    photos = _photos()
    note = model.encode_notes(NOTES)
    assert note is not None
    room = torch.zeros(3, 20, note.states_BTC.shape[2])
    longer = NoteStates(
        torch.cat([note.states_BTC, room], dim=1), torch.cat([note.mask_BT, torch.zeros(3, 20).bool()], 1)
    )

    with torch.no_grad():
        image = model.encode_photos(photos)
        torch.testing.assert_close(model(image, longer).logits_BC, model(image, note).logits_BC, rtol=1e-5, atol=1e-6)


def test_a_photos_answer_does_not_depend_on_its_neighbours(model: MultimodalModel) -> None:
    photos = _photos()

    together = _logits(model, photos, NOTES)

    torch.testing.assert_close(_logits(model, photos[:1], NOTES[:1]), together[:1], rtol=1e-4, atol=1e-5)


def test_the_order_of_a_batch_does_not_matter(model: MultimodalModel) -> None:
    photos, order = _photos(), [2, 0, 1]

    shuffled = _logits(model, photos[order], tuple(NOTES[i] for i in order))

    torch.testing.assert_close(shuffled, _logits(model, photos, NOTES)[order], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_note_changes_neither_what_the_captioner_sees_nor_what_is_compared_with_descriptions(
    model: MultimodalModel,
) -> None:
    image = model.encode_photos(_photos())

    noted, alone = model(image, model.encode_notes(NOTES)), model(image, None)

    assert torch.equal(model.caption_context(noted), model.caption_context(alone))
    assert torch.equal(noted.global_BG, alone.global_BG)


@torch.no_grad()
def test_where_a_token_stands_matters(model: MultimodalModel) -> None:
    image = model.encode_photos(_photos())
    assert image.grid == (2, 2)
    mirrored = image._replace(tokens_BNC=image.tokens_BNC[:, [1, 0, 3, 2]])

    assert (model(mirrored, None).image_BND[:, [1, 0, 3, 2]] - model(image, None).image_BND).abs().max() > 1e-2


def test_the_no_photo_vector_does_not_drown_the_other_gradients(tiny_bert: str) -> None:
    model = _build(tiny_bert)

    model(None, model.encode_notes(NOTES), batch_size=3).logits_BC.square().sum().backward()

    lone, other = model.no_image_global.grad, model.no_image.grad
    assert lone is not None
    assert other is not None
    assert lone.norm() < other.norm()


@torch.no_grad()
def test_the_note_alone_can_be_asked(model: MultimodalModel) -> None:
    note = model.encode_notes(("taches brunes", "white growth"))

    logits = model(None, note, batch_size=2).logits_BC

    assert logits.shape == (2, CLASSES)
    assert not torch.equal(logits[0], logits[1])


def _all_losses(model: MultimodalModel) -> torch.Tensor:
    photos, labels, ones = _photos(), torch.arange(3), torch.ones(3)
    note = model.encode_notes(NOTES)
    output = model(model.encode_photos(photos), note)
    alone = model(None, note, batch_size=3)
    assert model.description is not None
    assert model.captioner is not None
    assert model.text is not None
    bank = torch.randn(4, model.text.width)
    captions = torch.tensor([[2, 3, 9, 8, END_ID]] * 3)
    losses = [
        nn.functional.cross_entropy(output.logits_BC, labels),
        nn.functional.cross_entropy(alone.logits_BC, labels),
        contrastive_loss(model.description(output.global_BG, bank), labels, torch.tensor([0, 1, 2, 2]), ones).mean,
        matching_loss(model.match_logits(output), labels == 0, ones).mean,
        model.captioner.loss(captions, model.caption_context(output)).mean,
    ]
    return torch.stack(losses).sum()


def _nudged(model: MultimodalModel) -> MultimodalModel:
    """Move every weight a little: a fresh ResNet's last norms are zero and let no gradient through on step one."""
    with torch.no_grad():
        for parameter in model.vision.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return model


def _without_gradient(model: MultimodalModel) -> set[str]:
    """Name the learning parameters that no loss reaches, words and positions that no caption used excepted."""
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    }


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet"])
def test_every_learning_parameter_gets_a_gradient_when_all_losses_are_on(tiny_bert: str, backbone: str) -> None:
    model = _nudged(_build(tiny_bert, backbone)).train()

    _all_losses(model).backward()

    assert _without_gradient(model) == set()


def test_every_parameter_of_an_unfrozen_text_tower_gets_a_gradient(tiny_bert: str) -> None:
    model = _nudged(_build(tiny_bert, freeze_text=False)).train()

    _all_losses(model).backward()

    # a key's bias moves all scores of a row alike, which softmax does not see: its gradient is rounding or zero
    assert {name for name in _without_gradient(model) if not name.endswith("key.bias")} == set()


def test_no_frozen_parameter_gets_a_gradient(tiny_bert: str) -> None:
    model = _build(tiny_bert, freeze_vision=True).train()

    _all_losses(model).backward()

    towers = [*model.vision.parameters(), *model.text.parameters()]  # type: ignore[union-attr]
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in towers)


@pytest.mark.parametrize("frozen", [{"freeze_vision": True}, {"freeze_stages": 2}], ids=["whole", "two stages"])
def test_frozen_batch_norm_stays_as_it_is_while_the_rest_trains(tiny_bert: str, frozen: dict[str, object]) -> None:
    model = _build(tiny_bert, **frozen)
    modules = [model.vision] if "freeze_vision" in frozen else model.cut.frozen_modules
    before = [tensor.clone() for module in modules for tensor in module.state_dict().values()]
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)

    for _ in range(2):
        model.train()
        _all_losses(model).backward()
        optimizer.step()

    after = [tensor for module in modules for tensor in module.state_dict().values()]
    assert len(before) > 5
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_an_unfrozen_batch_norm_follows_the_photos(tiny_bert: str) -> None:
    model = _build(tiny_bert).train()
    before = {name: tensor.clone() for name, tensor in model.vision.state_dict().items() if "running_mean" in name}

    model.encode_photos(_photos())

    state = model.vision.state_dict()
    assert any(not torch.equal(tensor, state[name]) for name, tensor in before.items())


def test_frozen_and_trained_part_together_are_the_tower(tiny_bert: str) -> None:
    model = _build(tiny_bert, freeze_stages=2).eval()
    photos = _photos()

    with torch.no_grad():
        halves = model.vision_tokens(model.vision_features(photos))
        whole = model.vision(torch.from_numpy(_normalised(model, photos)))

    torch.testing.assert_close(halves.tokens_BNC, whole.tokens_BNC, rtol=1e-5, atol=1e-5)


def _normalised(model: MultimodalModel, photos: torch.Tensor) -> np.ndarray:
    preprocess = model.vision.preprocess
    scaled = (photos.numpy() / 255.0 - np.array(preprocess.mean)) / np.array(preprocess.std)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), dtype=np.float32)


def test_gradient_checkpointing_changes_no_gradient(tiny_bert: str) -> None:
    plain, checkpointed = _build(tiny_bert).train(), _build(tiny_bert, gradient_checkpointing=True).train()

    _all_losses_seeded(plain)
    _all_losses_seeded(checkpointed)

    name = "vision.model.layer1.0.conv1.weight"
    assert checkpointed.vision.model.grad_checkpointing
    torch.testing.assert_close(checkpointed.get_parameter(name).grad, plain.get_parameter(name).grad)


def _all_losses_seeded(model: MultimodalModel) -> None:
    torch.manual_seed(1)
    _all_losses(model).backward()


def test_a_model_without_a_text_tower_answers_and_takes_no_note() -> None:
    model = _build("none").eval()

    assert model.encode_notes(NOTES) is None
    assert _logits(model, _photos(), NOTES).shape == (3, CLASSES)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"num_attention_heads": 17}, "17"),
        ({"vision_dim": 0}, "vision_dim"),
        ({"num_attention_layers": -1}, "num_attention_layers"),
        ({"text_length": 4}, "text_length"),
        ({"dropout": 1.0}, "dropout"),
        ({"preset": "perceiver"}, "perceiver"),
        ({"backbone": "resnet5000"}, "resnet5000"),
    ],
)
def test_what_no_model_can_be_is_refused_by_name(overrides: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _build("none", **overrides)  # type: ignore[arg-type]

    assert named in refused.value.problem


def test_one_class_is_no_classifier() -> None:
    with pytest.raises(ConfigError, match="1"):
        create_multimodal_model(1, "test_resnet", "none", pretrained=False)
