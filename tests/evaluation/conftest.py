"""A manifest of plain-coloured photos, one colour a class, and a model that knows colours and a word of each note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from plantset.core.classes import ClassInfo
from plantset.core.preprocess import PreprocessConfig
from plantset.core.records import ManifestMeta, Record, Texts, class_names, write_manifest
from plantset.evaluation.config import EvaluateConfig
from plantset.models.decision import Calibration

COLOURS = {
    "maize--rust": (200, 120, 30),
    "tomato--healthy": (40, 160, 40),
    "tomato--late-blight": (80, 50, 40),
    "tomato--mosaic-virus": (180, 200, 60),
}
SYMPTOMS = {
    "maize--rust": "pustules orange en relief",
    "tomato--healthy": "limbe vert et uniforme",
    "tomato--late-blight": "larges plages sombres et humides",
    "tomato--mosaic-virus": "marbrures jaunes entre les nervures",
}
PREPROCESS = PreprocessConfig(32, 1.0, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class ColourModel:
    """Right as far as colours go; a note's words weigh `note_weight` against them.

    Attributes:
        note_weight: 0 reads no note; above 10 believes the note whatever the photo shows.
    """

    note_weight: float = 2.0
    languages: tuple[str, ...] = ("fr",)
    takes_notes: bool = True
    class_names: tuple[str, ...] = tuple(sorted(COLOURS))
    calibration: Calibration = field(default_factory=lambda: Calibration(temperature=2.0))
    language: str = "fr"
    preprocess: PreprocessConfig = PREPROCESS

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        return tuple(ClassInfo(name, name, crop=name.partition("--")[0]) for name in self.class_names)

    def encode_photos(self, pixels_BHWC: Tensor) -> Tensor:
        return pixels_BHWC.float().mean(dim=(1, 2))[:, None, :]

    def predict_tokens(self, tokens_BKC: Tensor | None, notes: Sequence[str | None] | None) -> Tensor:
        assert tokens_BKC is not None or notes is not None
        size = len(tokens_BKC) if tokens_BKC is not None else len(notes or ())
        logits = torch.zeros(size, len(self.class_names))
        if tokens_BKC is not None:
            colours = torch.tensor([COLOURS[name] for name in self.class_names], dtype=torch.float32)
            logits -= torch.cdist(tokens_BKC[:, 0], colours) / 15
        for row, note in enumerate(notes or ()):
            for column, name in enumerate(self.class_names):
                words = set(SYMPTOMS[name].split()) & set((note or "").lower().split())
                logits[row, column] += self.note_weight * len(words)
        return logits

    def answer_photos(self, tokens_BKC: Tensor) -> tuple[Tensor, Tensor]:
        return self.predict_tokens(tokens_BKC, None), tokens_BKC[:, 0]

    compares_texts: bool = True

    def photo_vectors(self, tokens_BKC: Tensor) -> Tensor:
        return torch.eye(len(self.class_names))[self.predict_tokens(tokens_BKC, None).argmax(dim=1)]

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        places = [[SYMPTOMS[name] in text for name in self.class_names].index(True) for text in texts]
        return torch.eye(len(self.class_names))[places]

    def caption_tokens(self, tokens_BKC: Tensor, language: str) -> list[str]:
        assert language in self.languages
        answers = self.predict_tokens(tokens_BKC, None).argmax(dim=1)
        return [f"La feuille porte des {SYMPTOMS[self.class_names[int(answer)]]}." for answer in answers]

    def caption_nll_tokens(self, tokens_BKC: Tensor, texts: Sequence[str], language: str) -> tuple[float, int, int]:
        assert language in self.languages
        assert len(tokens_BKC) == len(texts)
        tokens = sum(len(text.split()) for text in texts)
        return float(tokens * np.log(2)), tokens, sum(len(text.encode()) for text in texts)


@pytest.fixture(scope="session")
def colour_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six leaves of two photos a class, 3 in train, 2 in val, 1 in test; one val photo is mislabelled."""
    folder = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    records = [
        _write_photo(folder / "images", name, leaf, shot, rng)
        for name in COLOURS
        for leaf in range(6)
        for shot in (0, 1)
    ]
    meta = ManifestMeta(images_dir="images", classes=class_names(records), seed=0, command="test")
    write_manifest(folder / "multimodal_dataset.jsonl", records, meta)
    return folder / "multimodal_dataset.jsonl"


@pytest.fixture(autouse=True)
def note_of_every_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluation is tested with notes that say the symptom as it is: how notes are worded is knowledge's matter."""

    def symptom_notes(record: Record, *, language: str, count: int, seed: int) -> tuple[str, ...]:
        return record.texts[language].symptoms * count if language in record.texts else ()

    monkeypatch.setattr("plantset.evaluation.predict.grower_notes", symptom_notes)


@pytest.fixture
def colour_config(colour_manifest: Path, tmp_path: Path) -> EvaluateConfig:
    checkpoint = tmp_path / "checkpoints" / "best_model.pth"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"weights")
    return EvaluateConfig(
        checkpoint=checkpoint,
        jsonl_file=colour_manifest,
        output_dir=tmp_path / "evaluation_results",
        batch_size=5,
        bootstrap_count=100,
    )


def _write_photo(images_dir: Path, name: str, leaf: int, shot: int, rng: np.random.Generator) -> Record:
    shown = "tomato--healthy" if (name, leaf, shot) == ("tomato--late-blight", 3, 0) else name
    noise = rng.integers(-12, 13, size=(40, 48, 3))
    path = images_dir / name / f"leaf{leaf}_{shot}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.array(COLOURS[shown]) + noise).clip(0, 255).astype(np.uint8)).save(path)
    description = f"La feuille porte des {SYMPTOMS[name]}."
    return Record(
        image_path=path.relative_to(images_dir).as_posix(),
        label=name,
        split="train" if leaf < 3 else "val" if leaf < 5 else "test",
        text=description,
        class_id=name,
        disease_id=name,
        crop=name.split("--")[0],
        texts={"fr": Texts(description=description, symptoms=(SYMPTOMS[name],))},
        language="fr",
        group=f"{name}-{leaf}",
        style="lab" if leaf % 2 else "field",
    )
