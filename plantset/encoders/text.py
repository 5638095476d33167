"""Notes and descriptions to states: any Hugging Face encoder or decoder-only model behind one small face.

Dimensions: B texts, T positions, C channels.
"""

from __future__ import annotations

import inspect
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.encoders.tower import Tower


@dataclass(frozen=True, slots=True)
class NoteTokenizer:
    """Texts to ids of one static length, padded on the right.

    Attributes:
        backend: the fast tokenizer with its special tokens.
        pad_id: written where there is no token; the mask, not the id, says what is padding.
        prefix: put before each text that is not empty, such as "passage: " for E5.
        end_id: with which a language model ends a text; None where there is none.
    """

    backend: Tokenizer
    pad_id: int
    prefix: str = ""
    end_id: int | None = None

    def encode(self, texts: Sequence[str], length: int) -> tuple[Tensor, Tensor]:
        """Tokenise, cut and pad.

        Args:
            texts: an empty or blank text gives a row without a single token.
            length: T, special tokens included.

        Returns:
            ids_BT, int64, and mask_BT, bool, True where a token is real.

        Raises:
            ConfigError: `length` leaves no room beside the special tokens.
        """
        special = self.backend.num_special_tokens_to_add(is_pair=False)
        if length <= special:
            raise ConfigError(
                tr(
                    f"a text length of {length} leaves no room beside {special} special tokens",
                    f"une longueur de texte de {length} ne laisse aucune place à côté de {special} jetons spéciaux",
                ),
                tr("give a longer --text-length", "donnez un --text-length plus grand"),
            )
        self.backend.no_padding()
        self.backend.enable_truncation(length)
        ids_BT = torch.full((len(texts), length), self.pad_id, dtype=torch.int64)
        mask_BT = torch.zeros((len(texts), length), dtype=torch.bool)
        written = [(row, self.prefix + text.strip()) for row, text in enumerate(texts) if text.strip()]
        for (row, _), encoding in zip(written, self.backend.encode_batch([text for _, text in written]), strict=True):
            ids_BT[row, : len(encoding.ids)] = torch.tensor(encoding.ids, dtype=torch.int64)
            mask_BT[row, : len(encoding.ids)] = True
        return ids_BT, mask_BT

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids, special tokens left out."""
        return self.backend.decode(list(ids), skip_special_tokens=True)

    @property
    def start_ids(self) -> list[int]:
        """The special tokens that stand before every text, such as LLaMA's <s>; empty for GPT-2."""
        encoding = self.backend.encode("a")
        marked = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
        return [token for token, _ in itertools.takewhile(lambda pair: pair[1] == 1, marked)]

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        return self.backend.get_vocab_size(with_added_tokens=True)

    def to_json(self) -> str:
        """Serialise the whole tokenizer, so that a checkpoint needs no other file."""
        self.backend.no_padding()
        self.backend.no_truncation()
        parts = {"pad_id": self.pad_id, "prefix": self.prefix, "end_id": self.end_id}
        return json.dumps({**parts, "backend": self.backend.to_str()})

    @classmethod
    def from_json(cls, text: str) -> NoteTokenizer:
        """Rebuild what `to_json` wrote; earlier versions wrote no end."""
        parts = json.loads(text)
        return cls(
            Tokenizer.from_str(parts["backend"]), int(parts["pad_id"]), str(parts["prefix"]), parts.get("end_id")
        )


class TextEncoder(Tower):
    """A Hugging Face model without its head.

    Args:
        model: built by `transformers.AutoModel`; its pooler is removed, since states are what is used.
        tokenizer: of the same weights.
        name: as the registry takes it.
        causal: whether a state sees only what stands before it (decoder-only models).
        fingerprint: identity of packaged weights, if such were loaded.

    Attributes:
        tokenizer, causal: as given.
        max_tokens: longest T that the positions allow, None where there is no limit.
        lora_rank: of the adapters that learn in place of its own weights (`encoders.lora`); 0 without adapters.
    """

    def __init__(
        self, model: nn.Module, tokenizer: NoteTokenizer, *, name: str, causal: bool, fingerprint: str | None
    ) -> None:
        config: Any = model.config
        super().__init__(name=name, width=int(config.hidden_size), fingerprint=fingerprint)
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # type: ignore[assignment]
        config.use_cache = False  # keys and values of the past are for generation; here they would cost memory
        self.model: Any = model
        self.tokenizer = tokenizer
        self.causal = causal
        self.lora_rank = 0
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        # RoBERTa and its family number the first token padding_idx + 1.
        self._first_position = _first_position(model)
        limit = int(getattr(config, "max_position_embeddings", None) or -1)
        self.max_tokens = limit - self._first_position if limit > 0 else None

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Read the texts.

        Args:
            ids_BT: int64.
            mask_BT: bool, True where a token is real; on either side, and a row may be all False.

        Returns:
            states_BTC of the last layer; zero where the mask is False.
        """
        first_BT = torch.arange(ids_BT.shape[1], device=ids_BT.device) == 0
        # Softmax over no key at all is NaN: an empty row attends to its first padding, and its states are zeroed below.
        attended_BT = mask_BT | (first_BT & ~mask_BT.any(dim=1, keepdim=True))
        arguments: dict[str, Tensor] = {"input_ids": ids_BT, "attention_mask": attended_BT.long()}
        if self._takes_positions:
            count_BT = attended_BT.long().cumsum(dim=1) - 1
            arguments["position_ids"] = count_BT.clamp_min(0) + self._first_position
        states_BTC: Tensor = self.model(**arguments).last_hidden_state
        return states_BTC.masked_fill(~mask_BT.unsqueeze(-1), 0.0)

    def unfreeze(self) -> Self:
        """Let the tower learn again, of a tower with adapters these alone; returns itself."""
        super().unfreeze()
        for name, weight in self.named_parameters():
            weight.requires_grad_(self.lora_rank == 0 or is_adapter(name))
        return self

    def set_grad_checkpointing(self, enabled: bool = True) -> None:
        """Trade time for memory: activations are computed again in the backward pass.

        Raises:
            ConfigError: this model cannot.
        """
        set_checkpointing(self.model, self.name, enabled=enabled)


def set_checkpointing(model: Any, name: str, *, enabled: bool) -> None:
    """Let a model of `transformers` recompute its activations in the backward pass, or keep them again.

    Raises:
        ConfigError: this model cannot.
    """
    if not model.supports_gradient_checkpointing:
        raise ConfigError(
            tr(f"{name} has no gradient checkpointing", f"{name} ne sait pas recalculer ses activations"),
            tr("leave --gradient-checkpointing out", "ne donnez pas --gradient-checkpointing"),
        )
    # Renamed in transformers 5; the older ones, which TPU environments hold back to, know the first name only.
    kind = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    options = {f"{kind}_checkpointing_kwargs": {"use_reentrant": False}} if enabled else {}
    getattr(model, f"{kind}_checkpointing_{'enable' if enabled else 'disable'}")(**options)


def is_adapter(name: str) -> bool:
    """Tell whether a parameter of this name is an adapter's (`encoders.lora`)."""
    return ".lora_" in name


def pool_mean(states_BTC: Tensor, mask_BT: Tensor) -> Tensor:
    """Average the states of real tokens.

    Args:
        states_BTC: float.
        mask_BT: bool, True where a token is real; a row may be all False.

    Returns:
        (B, C), same dtype; zeros for a row with no real token.
    """
    weights_BT1 = mask_BT.unsqueeze(-1).to(states_BTC.dtype)
    return (states_BTC * weights_BT1).sum(dim=1) / weights_BT1.sum(dim=1).clamp_min(1)


def pool_last(states_BTC: Tensor, mask_BT: Tensor) -> Tensor:
    """Take the state of the last real token, which in a causal model has read all others.

    Args:
        states_BTC: float.
        mask_BT: bool, True where a token is real, padding on either side; a row may be all False.

    Returns:
        (B, C), same dtype; zeros for a row with no real token.
    """
    position_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    last_B = torch.where(mask_BT, position_T, -1).amax(dim=1)
    index_B1C = last_B.clamp_min(0)[:, None, None].expand(-1, 1, states_BTC.shape[-1])
    last_BC = states_BTC.gather(1, index_B1C).squeeze(1)
    return last_BC.masked_fill((last_B < 0).unsqueeze(-1), 0.0)


def _first_position(model: nn.Module) -> int:
    padding = getattr(getattr(model, "embeddings", None), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1
