"""`plantset models`: what there is to choose from, and what it weighs and costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from plantset.core.bounds import check_at_least
from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.models.build import towers_of
from plantset.models.config import PACKAGED_VISION, ModelsConfig
from plantset.models.footprint import Footprint, measure_footprint
from plantset.models.presets import PARTS, PRESETS, ObjectiveWeights, Part, PresetName, Stage, find_preset
from plantset.runtime.chips import find_generation
from plantset.runtime.devices import device_memory, find_device

_MAX_SIZED = 20  # backbones whose parameters are counted: a second or two
_MAX_NAMED = 200


@dataclass(frozen=True, slots=True)
class Backbone:
    """A vision backbone.

    Attributes:
        parameters: None where there were too many backbones to count.
        has_weights: whether pretrained weights are known.
    """

    name: str
    parameters: int | None
    has_weights: bool


@dataclass(frozen=True, slots=True)
class ModelsReport:
    """What was asked for.

    Attributes:
        footprints: preset -> what it weighs and costs; empty when backbones were searched.
        device_bytes: memory of the device, None where it cannot be told.
        num_backbones: that match the search, of which `backbones` are the first.
    """

    config: ModelsConfig
    footprints: dict[PresetName, Footprint]
    device_name: str
    device_bytes: int | None
    backbones: tuple[Backbone, ...]
    num_backbones: int

    @property
    def exit_code(self) -> int:
        """Return 0."""
        return 0

    def summary(self) -> str:
        """Return the tables as text."""
        if self.config.search is not None:
            return _backbone_page(self)
        if self.config.preset is not None:
            return _preset_page(self, self.config.preset)
        return _overview(self)


def models(config: ModelsConfig) -> ModelsReport:
    """List backbones, or measure one preset or all.

    Raises:
        ConfigError: an unknown tower, no backbone of that name, or a number out of range.
        DeviceError: the device is not there.
    """
    check_at_least([("--batch-size", config.batch_size, 1), ("--freeze-stages", config.freeze_stages, 0)])
    vision_backbone, text_model = towers_of(config.base, config.vision_backbone, config.text_model)
    config = dataclasses.replace(config, vision_backbone=vision_backbone, text_model=text_model)
    device_name, device_bytes = _device_of(config)
    footprints: dict[PresetName, Footprint] = {}
    backbones: tuple[Backbone, ...] = ()
    count = 0
    if config.search is not None:
        backbones, count = _find_backbones(config.search)
    else:
        wanted: Sequence[PresetName] = PRESETS if config.preset is None else (config.preset,)
        footprints = {preset: measure_footprint(config, preset) for preset in wanted}
    return ModelsReport(config, footprints, device_name, device_bytes, backbones, count)


def _device_of(config: ModelsConfig) -> tuple[str, int | None]:
    """Return the name and the memory of the device that the config names, or of a chip that is only asked about."""
    if config.device in ("auto", "cpu", "cuda"):
        device = find_device(config.device)
        return device.type, device_memory(device)
    chip = find_generation(config.device.removeprefix("tpu-"))
    return tr(f"a TPU {chip.name} chip", f"une puce TPU {chip.name}"), chip.memory_bytes


def _find_backbones(word: str) -> tuple[tuple[Backbone, ...], int]:
    import timm

    names = timm.list_models(f"*{word}*")
    with_weights = {name.partition(".")[0] for name in timm.list_models(f"*{word}*", pretrained=True)}
    if word in PACKAGED_VISION:
        names.insert(0, PACKAGED_VISION)
        with_weights.add(PACKAGED_VISION)
    if not names:
        raise ConfigError(
            tr(f"no vision backbone has “{word}” in its name", f"aucun réseau de vision n'a « {word} » dans son nom"),
            tr(
                "try a shorter word: resnet, efficientnet, convnext, vit, swin, dinov2, siglip",
                "essayez un mot plus court : resnet, efficientnet, convnext, vit, swin, dinov2, siglip",
            ),
        )
    sized = len(names) <= _MAX_SIZED
    found = [Backbone(name, _size_of(name) if sized else None, name in with_weights) for name in names[:_MAX_NAMED]]
    return tuple(found), len(names)


def _size_of(name: str) -> int:
    import timm
    import torch

    with torch.device("meta"):
        model = timm.create_model(name.removeprefix("timm-packaged:"), pretrained=False, num_classes=0)
    return sum(weight.numel() for weight in model.parameters())


def _backbone_page(report: ModelsReport) -> str:
    if report.num_backbones > _MAX_SIZED:
        names = [backbone.name for backbone in report.backbones]
        more = report.num_backbones - len(names)
        rest = [tr(f"… and {more} more: give a longer word", f"… et {more} de plus : donnez un mot plus long")]
        return "\n".join([*names, *(rest if more else [])])
    header = (tr("vision backbone", "réseau de vision"), tr("parameters", "paramètres"), tr("weights", "poids"))
    rows = [
        (backbone.name, _count(backbone.parameters or 0), tr("yes", "oui") if backbone.has_weights else "–")
        for backbone in report.backbones
    ]
    return _table(header, rows)


def _overview(report: ModelsReport) -> str:
    header = (
        tr("preset", "préréglage"),
        tr("connector", "connecteur"),
        "fusion",
        tr("classifier", "classifieur"),
        tr("image tokens", "jetons d'image"),
        tr("parameters", "paramètres"),
        tr("trainable", "entraînables"),
        tr("GFLOP a photo", "GFLOP par photo"),
        tr("training memory", "mémoire d'entraînement"),
    )
    rows = [
        (
            preset,
            found.config.connector,
            found.config.fusion,
            found.config.classifier,
            str(found.image_tokens),
            *map(_count, found.total_parameters),
            _decimal(found.flops / 1e9, 2),
            _memory(found.training_bytes),
        )
        for preset, found in report.footprints.items()
    ]
    hint = tr(
        "part by part: plantset models --preset NAME; vision backbones: plantset models WORD (resnet, vit, convnext…)",
        "partie par partie : plantset models --preset NOM ; réseaux de vision : plantset models MOT (resnet, vit,"
        " convnext…)",
    )
    return "\n".join([_measured_with(report), "", _table(header, rows), "", *_notes(report), hint])


def _preset_page(report: ModelsReport, name: PresetName) -> str:
    preset, found = find_preset(name), report.footprints[name]
    config = found.config
    header = (tr("part", "partie"), "", tr("parameters", "paramètres"), tr("trainable", "entraînables"))
    what: dict[Part, str] = {
        "vision": report.config.vision_backbone,
        "text": report.config.text_model,
        "connector": tr(
            f"{config.connector}, {found.image_tokens} image tokens",
            f"{config.connector}, {found.image_tokens} jetons d'image",
        ),
        "fusion": config.fusion,
        "heads": tr(f"classifier {config.classifier}", f"classifieur {config.classifier}"),
        "captioner": config.captioner,
    }
    rows = [(part, what[part], *map(_count, found.parameters[part])) for part in PARTS]
    rows.append((tr("together", "ensemble"), "", *map(_count, found.total_parameters)))
    vision, others = (found.part_flops[part] / 1e9 for part in ("vision", "others"))
    lines = [
        f"{name}{f' ({preset.paper})' if preset.paper else ''}",
        _measured_with(report),
        "",
        _table(header, rows),
        "",
        tr("losses: ", "pertes : ") + _weights(preset.weights),
        tr("stages: ", "étapes : ") + "; ".join(map(_stage, preset.stages)),
        tr(
            f"one photo: {_decimal(vision, 2)} GFLOP in the tower, {_decimal(others, 2)} after it",
            f"une photo : {_decimal(vision, 2)} GFLOP dans la tour, {_decimal(others, 2)} ensuite",
        ),
        tr("training memory: ", "mémoire d'entraînement : ") + _memory(found.training_bytes),
    ]
    return "\n".join([*lines, *_notes(report)])


def _measured_with(report: ModelsReport) -> str:
    config = report.config
    return tr(
        f"{config.vision_backbone}, {config.text_model}, {config.num_classes} classes,"
        f" batches of {config.batch_size} photos, float32",
        f"{config.vision_backbone}, {config.text_model}, {config.num_classes} classes,"
        f" lots de {config.batch_size} photos, float32",
    )


def _notes(report: ModelsReport) -> list[str]:
    lines = [
        tr(
            "memory: weights, gradients, AdamW and kept activations; temporary buffers come on top",
            "mémoire : poids, gradients, AdamW et activations gardées ; s'y ajoutent des tampons passagers",
        )
    ]
    if report.device_bytes is not None:
        there = _memory(report.device_bytes)
        lines.append(tr(f"{report.device_name} has {there}", f"{report.device_name} dispose de {there}"))
        largest = max(found.training_bytes for found in report.footprints.values())
        if largest <= report.device_bytes:
            share = f"{100 * largest / report.device_bytes:.0f}"
            lines.append(tr(f"it fits: {share} % of that", f"cela tient : {share} % de cela"))
        else:
            lines.append(
                tr(
                    "too much: give a smaller --batch-size, --gradient-checkpointing or --freeze-vision",
                    "c'est trop : réduisez --batch-size, ou donnez --gradient-checkpointing ou --freeze-vision",
                )
            )
    return lines


def _stage(stage: Stage) -> str:
    trained = ", ".join(part for part in PARTS if part in stage.trains)
    return f"{stage.name} {100 * stage.share_of_epochs:.0f} % ({trained})"


def _weights(weights: ObjectiveWeights) -> str:
    named = {name: getattr(weights, name) for name in ObjectiveWeights.__slots__}
    return ", ".join(f"{name} {_decimal(weight)}" for name, weight in named.items() if weight > 0)


def _decimal(value: float, digits: int | None = None) -> str:
    text = f"{value:g}" if digits is None else f"{value:.{digits}f}"
    return tr(text, text.replace(".", ","))


def _count(number: int) -> str:
    return _decimal(number / 1e6, 2) + " M"


def _memory(num_bytes: int) -> str:
    return _decimal(num_bytes / 2**30, 2) + tr(" GiB", " Gio")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out columns: names on the left, numbers on the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    numeric = [all(row[column][:1].isdigit() for row in rows) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, numeric, strict=True)
        return "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells).rstrip()

    return "\n".join([line(header), *map(line, rows)])
