"""The price of multimodality: a training step of each preset beside a plain timm classifier of the same backbone.

Run: python benchmarks/price.py [--presets …] [--frozen-stages 0] [--rounds 5] [--batch-size 16]
Both train from the same random photos in memory with AdamW, on one thread, in turns; half of the photos have a note.
What is printed is processor time a step and the median of the ratios of turns that follow each other.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import get_args

import numpy as np
import timm
import torch
from torch import Tensor, nn

from plantset.core.vocabulary import Vocabulary
from plantset.data.batch import Batch
from plantset.encoders.registry import build_vision_encoder
from plantset.encoders.stages import StageCut
from plantset.encoders.vision import normalize
from plantset.models.build import create_multimodal_model
from plantset.models.config import PACKAGED_VISION
from plantset.models.objectives import ClassificationLoss
from plantset.models.presets import PRESETS, PresetName, find_preset
from plantset.training.optimizer import OptimizerSettings, build_optimizer
from plantset.training.step import NoteStatesCache, Objective, term_counts, training_terms, weighted_sum

NUM_CLASSES, STEPS_A_TURN, BANK_TEXTS = 38, 2, 8 * 38
NOTES = (
    "Les feuilles portent des taches brunes à anneaux concentriques.",
    "Un feutrage blanc apparaît à la face inférieure des feuilles.",
    "Des pustules orangées couvrent la feuille.",
    "La feuille jaunit entre les nervures depuis deux semaines.",
)
CLASS_NAMES = tuple(f"crop{label % 9}--disease-{label}" for label in range(NUM_CLASSES))


class PlainClassifier(nn.Module):
    """What a user of timm would train: backbone, mean of the cells, one linear layer."""

    def __init__(self, frozen_stages: int) -> None:
        super().__init__()
        self.vision = build_vision_encoder(PACKAGED_VISION)
        self.vision.to(memory_format=torch.channels_last)
        self.cut = StageCut(self.vision, frozen_stages)
        self.linear = nn.Linear(self.vision.width, NUM_CLASSES)

    def forward(self, pixels_BHWC: Tensor) -> Tensor:
        pixels = normalize(pixels_BHWC.permute(0, 3, 1, 2), self.vision.preprocess)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        seen = self.cut.trained_part(self.cut.frozen_part(pixels))
        logits_BC: Tensor = self.linear(seen.tokens_BNC.mean(dim=1))
        return logits_BC


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=get_args(PresetName), default=list(PRESETS))
    parser.add_argument("--frozen-stages", type=int, default=0, help="of the backbone, in both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    batch = make_batch(arguments.batch_size)
    plain = plain_step(batch, arguments.frozen_stages)
    print(f"torch {torch.__version__}, timm {timm.__version__}; {PACKAGED_VISION}, batches of {arguments.batch_size}")
    print(f"{'preset':<18}{'ms a step':>11}{'plain, ms':>11}{'ratio':>8}{'spread':>14}")
    for preset in arguments.presets:
        own = preset_step(preset, batch, arguments.frozen_stages)
        turns = [(cpu_ms(own), cpu_ms(plain)) for _ in range(arguments.rounds + 1)][1:]  # the first warms both up
        ratios = sorted(mine / theirs for mine, theirs in turns)
        mine, theirs = (statistics.median(values) for values in zip(*turns, strict=True))
        spread = f"{ratios[0]:.2f}–{ratios[-1]:.2f}"
        print(f"{preset:<18}{mine:>11.0f}{theirs:>11.0f}{statistics.median(ratios):>8.2f}{spread:>14}", flush=True)


def cpu_ms(step: Callable[[], None]) -> float:
    started = time.process_time()
    for _ in range(STEPS_A_TURN):
        step()
    return 1000 * (time.process_time() - started) / STEPS_A_TURN


def make_batch(size: int) -> Batch:
    rng = np.random.default_rng(0)
    notes = tuple(NOTES[row // 2 % len(NOTES)] if row % 2 == 0 else None for row in range(size))
    labels_B = torch.from_numpy(rng.integers(0, NUM_CLASSES, size))
    vocabulary = make_vocabulary()
    texts = [vocabulary.encode(NOTES[row % len(NOTES)] * 2, language="fr", length=64) for row in range(size)]
    return Batch(
        indices_B=torch.arange(size),
        pixels_BHWC=torch.from_numpy(rng.integers(0, 256, (size, 224, 224, 3), dtype=np.uint8)),
        features_B=None,
        labels_B=labels_B,
        notes=notes,
        note_labels_B=torch.where(torch.tensor([note is not None for note in notes]), labels_B, -1),
        caption_ids_BT=torch.from_numpy(np.stack(texts)),
        weights_B=torch.ones(size),
    )


def make_vocabulary() -> Vocabulary:
    return Vocabulary.train([*NOTES, *CLASS_NAMES], languages=["fr"], size=400)


def plain_step(batch: Batch, frozen_stages: int) -> Callable[[], None]:
    model = PlainClassifier(frozen_stages).train()
    optimizer = build_optimizer(model, OptimizerSettings(learning_rate=1e-3, vision_ratio=0.5, weight_decay=0.05))
    assert batch.pixels_BHWC is not None
    pixels_BHWC = batch.pixels_BHWC

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(pixels_BHWC), batch.labels_B, label_smoothing=0.1).backward()
        optimizer.step()

    return step


def preset_step(preset: PresetName, batch: Batch, frozen_stages: int) -> Callable[[], None]:
    model = create_multimodal_model(
        NUM_CLASSES, preset=preset, vocabulary=make_vocabulary(), class_names=CLASS_NAMES, text_length=64,
        freeze_stages=frozen_stages,
    ).train()  # fmt: skip
    assert model.text is not None
    notes = NoteStatesCache(model, NOTES)  # as in training, where the frozen text tower reads each note once
    bank_MW = nn.functional.normalize(torch.randn(BANK_TEXTS, model.text.width), dim=1)
    weights = find_preset(preset).weights
    objective = Objective(ClassificationLoss(0.1), bank_MW, torch.arange(BANK_TEXTS) % NUM_CLASSES, weights)
    optimizer = build_optimizer(model, OptimizerSettings(learning_rate=1e-3, vision_ratio=0.5, weight_decay=0.05))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        terms = training_terms(model, batch, objective, notes)
        weighted_sum(terms, term_counts(model, batch, objective), weights)[0].backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
