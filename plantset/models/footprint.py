"""What a model weighs and costs, measured on tensors without memory: nothing is computed, nothing is loaded.

Dimensions: B photos, T tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from plantset.encoders.language import causal_mask
from plantset.encoders.registry import build_text_encoder, build_vision_encoder
from plantset.models.build import assemble
from plantset.models.caption_choice import choose_captioner
from plantset.models.checks import check_adapters, check_model_config, check_parts
from plantset.models.config import NO_TEXT_MODEL, ModelConfig, ModelsConfig, usual_frozen_stages
from plantset.models.multimodal import ModelOutput, MultimodalModel, NoteStates
from plantset.models.presets import PARTS, Part, PresetName, preset_config

_VOCABULARY_SIZE = 4096  # the largest that training makes
_PROMPTS = 6  # four tasks, two languages
_CAPTION_STRIDE = 4  # training asks every fourth photo for its description
_BYTES = 4  # of a number in float32
_ADAMW_STATES = 2


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model weighs and costs.

    Attributes:
        config: of its parts.
        image_tokens: that fusion and captioner see, of one photo.
        parameters: part -> (all, trainable).
        part_flops: part -> floating-point operations to answer one photo alone; a multiply-add counts two.
        training_bytes: weights, gradients, AdamW's two moments and kept activations of one float32 step.
    """

    config: ModelConfig
    image_tokens: int
    parameters: Mapping[Part, tuple[int, int]]
    part_flops: Mapping[str, int]
    training_bytes: int

    @property
    def total_parameters(self) -> tuple[int, int]:
        """Return (all, trainable)."""
        counts = self.parameters.values()
        return sum(total for total, _ in counts), sum(trainable for _, trainable in counts)

    @property
    def flops(self) -> int:
        """Return the floating-point operations of one photo's answer."""
        return sum(self.part_flops.values())


def measure_footprint(config: ModelsConfig, preset: PresetName) -> Footprint:
    """Measure a preset with the towers, input and batch that the config names.

    Raises:
        ConfigError: unknown towers, or numbers that do not fit together.
    """
    captioner = choose_captioner(preset, None, config.text_model)
    model_config = _with_typical_names(preset_config(preset, config.num_classes, {"captioner": captioner}))
    if captioner == "prefix":
        model_config = dataclasses.replace(model_config, caption_prompts=_PROMPTS)
    check_model_config(model_config)
    check_parts(model_config, _VOCABULARY_SIZE)
    takes_notes = config.text_model != NO_TEXT_MODEL
    check_adapters(config.text_lora_rank, has_text=takes_notes, freeze_text=config.freeze_text)
    asked = config.freeze_stages
    with torch.device("meta"):
        vision = build_vision_encoder(config.vision_backbone, pretrained=False, image_size_px=config.image_size)
        writes = captioner == "prefix"
        text = build_text_encoder(config.text_model, pretrained=False, writes=writes) if takes_notes else None
        model = assemble(
            model_config,
            vision,
            text,
            vocabulary_size=1 if writes else _VOCABULARY_SIZE,  # the words of a text model are its own
            freeze_vision=config.freeze_vision,
            freeze_stages=usual_frozen_stages(config.vision_backbone) if asked is None else asked,
            freeze_text=config.freeze_text,
            text_lora_rank=config.text_lora_rank,
        )
        output, flops = _count_flops(model)
        kept_bytes = _activation_bytes(model, config.batch_size)
    parameters = _count_by_part(model)
    total, trainable = (sum(counts) for counts in zip(*parameters.values(), strict=True))
    weights_bytes = _BYTES * (total + (1 + _ADAMW_STATES) * trainable)
    return Footprint(model_config, output.image_BND.shape[1], parameters, flops, weights_bytes + kept_bytes)


def _with_typical_names(config: ModelConfig) -> ModelConfig:
    if config.classifier != "names":
        return config
    # prompt, a crop that all share, two words of its own, the end: the ids do not matter, the tree's size does
    names = tuple((2, 3, 4, label, label, 1) for label in range(5, 5 + config.num_classes))
    return dataclasses.replace(config, class_name_ids=names)


def _count_by_part(model: MultimodalModel) -> dict[Part, tuple[int, int]]:
    counts: dict[Part, tuple[int, int]] = dict.fromkeys(PARTS, (0, 0))
    for name, weight in model.named_parameters():
        total, trainable = counts[model.part_of(name)]
        counts[model.part_of(name)] = total + weight.numel(), trainable + weight.numel() * weight.requires_grad
    return counts


def _photos(model: MultimodalModel, count: int) -> Tensor:
    size = model.vision.preprocess.image_size_px
    return torch.zeros(count, size, size, 3, dtype=torch.uint8)


def _count_flops(model: MultimodalModel) -> tuple[ModelOutput, dict[str, int]]:
    """Return the answer to one photo and the operations of the vision tower and of all that follows."""
    model.eval()
    with FlopCounterMode(display=False) as counter:
        image = model.encode_photos(_photos(model, 1))
        tower = counter.get_total_flops()
        output: ModelOutput = model(image, None)
    return output, {"vision": tower, "others": counter.get_total_flops() - tower}


def _activation_bytes(model: MultimodalModel, batch_size: int) -> int:
    """Return the bytes that a forward pass keeps for its backward pass, each storage counted once."""
    kept: dict[int, Tensor] = {}
    weights = {weight.untyped_storage()._cdata for weight in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # held, so that no storage's address is used twice
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _training_pass(model, batch_size)
    return sum(tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in weights)


def _training_pass(model: MultimodalModel, batch_size: int) -> None:
    image = model.encode_photos(_photos(model, batch_size))
    output: ModelOutput = model(image, _note_states(model, batch_size), answer=model.names is None)
    if model.captioner is not None:
        seen_BND = model.caption_context(output, slice(None, None, _CAPTION_STRIDE))
        ids_BT = torch.zeros(seen_BND.shape[0], model.config.caption_length, dtype=torch.int64)
        model.captioner.loss(ids_BT, seen_BND)


def _note_states(model: MultimodalModel, batch_size: int) -> NoteStates | None:
    if model.text is None:
        return None
    ids_BT = torch.zeros(batch_size, model.config.note_length, dtype=torch.int64)
    # A mask of texts would be read, and has no values; a causal model reads the one that it makes of none, too.
    causal = {"attention_mask": causal_mask(ids_BT.shape[1], ids_BT.device)} if model.text.causal else {}
    states_BTC: Tensor = model.text.model(input_ids=ids_BT, **causal).last_hidden_state
    return NoteStates(states_BTC, torch.ones_like(ids_BT, dtype=torch.bool))
