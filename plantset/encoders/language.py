"""A decoder-only text model that keeps its head: it reads notes as any text tower does, and it can write.

Dimensions: B texts, T positions, C channels, V words of its own vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plantset.core.errors import ConfigError
from plantset.core.language import tr
from plantset.encoders.text import NoteTokenizer, TextEncoder


class LanguageModel(TextEncoder):
    """A text tower whose states also predict the next word.

    One network serves both: what `transformers.AutoModelForCausalLM` built is taken apart into its base, which is the
    tower, and its head. A head that is tied to the words' table is that table, and is held once.

    Args:
        model: built by `transformers.AutoModelForCausalLM`.
        tokenizer: of the same weights, with an `end_id`.

    Attributes:
        head: states to word logits; None where the words' table is the head.
        vocabulary_size: V.
    """

    def __init__(self, model: nn.Module, tokenizer: NoteTokenizer, *, name: str, fingerprint: str | None) -> None:
        causal: Any = model
        base, head = causal.base_model, causal.get_output_embeddings()
        super().__init__(base, tokenizer, name=name, causal=True, fingerprint=fingerprint)
        if tokenizer.end_id is None:
            raise no_end(name)
        self.end_id: int = tokenizer.end_id
        is_tied = head.weight is self._table.weight
        self.head: nn.Module | None = None if is_tied else head
        self.vocabulary_size = int(self._table.weight.shape[0])
        self._check_head(causal)

    def embed(self, ids_BT: Tensor) -> Tensor:
        """Return the words' embeddings, (B, T, C)."""
        embedded: Tensor = self._table(ids_BT)
        return embedded

    def read(self, embedded_BTC: Tensor, mask_BT: Tensor | None = None, cache: Any = None) -> Tensor:
        """Return the states (B, T, C) of embeddings that stand for words, photos or anything else.

        Args:
            mask_BT: bool, True where there is something; on either side. None: everywhere.
            cache: a `transformers` cache of what stands before these; it grows. Not together with a mask.
        """
        arguments: dict[str, Any] = {"inputs_embeds": embedded_BTC, "use_cache": cache is not None}
        start = 0
        if cache is not None:
            assert mask_BT is None, "what is written has no padding"
            arguments["past_key_values"] = cache
            start = int(cache.get_seq_length())
        if embedded_BTC.is_meta:
            arguments["attention_mask"] = causal_mask(embedded_BTC.shape[1], embedded_BTC.device)
        elif mask_BT is not None:
            arguments["attention_mask"] = mask_BT.long()
        if self._takes_positions:
            arguments["position_ids"] = _positions(embedded_BTC, mask_BT, start) + self._first_position
        with self._recomputing():
            states_BTC: Tensor = self.model(**arguments).last_hidden_state
        return states_BTC

    def predict(self, states_BTC: Tensor) -> Tensor:
        """Return the logits (B, T, V) of the word after each state."""
        if self.head is None:
            return F.linear(states_BTC, self._table.weight)
        logits_BTV: Tensor = self.head(states_BTC)
        return logits_BTV

    def new_cache(self) -> Any:
        """Return an empty cache of keys and values for `read`."""
        from transformers import DynamicCache

        return DynamicCache(config=self.model.config)

    @property
    def _table(self) -> nn.Embedding:
        table: nn.Embedding = self.model.get_input_embeddings()
        return table

    @contextmanager
    def _recomputing(self) -> Iterator[None]:
        """Let a frozen tower recompute its activations, too: gradients go through it to what stands before it.

        `transformers` recomputes only in layers that are in training mode, which a frozen tower never is. The layers
        alone are put in it for the pass; their dropout, which looks at its own mode, stays off.
        """
        from transformers.modeling_layers import GradientCheckpointingLayer

        layers = [
            module
            for module in self.model.modules()
            if isinstance(module, GradientCheckpointingLayer) and module.gradient_checkpointing
        ]
        if self.training or not torch.is_grad_enabled() or not layers:
            yield
            return
        for layer in layers:
            layer.training = True
        try:
            yield
        finally:
            for layer in layers:
                layer.training = False

    @torch.no_grad()
    def _check_head(self, model: Any) -> None:
        """Refuse a model whose logits are more than its head's, such as capped ones: they would silently be others."""
        ids_BT = torch.tensor([[self.end_id, 0, 1]], device=self._table.weight.device)
        if ids_BT.is_meta:
            return
        was_training = model.training
        model.eval()
        theirs, ours = model(input_ids=ids_BT, use_cache=False).logits, self.predict(self.read(self.embed(ids_BT)))
        model.train(was_training)
        if not torch.allclose(theirs, ours, rtol=1e-3, atol=1e-3):
            raise ConfigError(
                tr(
                    f"{self.name} computes its words in a way that the captioner does not know",
                    f"{self.name} calcule ses mots d'une façon que le rédacteur ne connaît pas",
                ),
                tr(
                    "leave --captioner prefix out, or choose GPT-2, LLaMA, Qwen or SmolLM2 for --text-model",
                    "ne donnez pas --captioner prefix, ou choisissez GPT-2, LLaMA, Qwen ou SmolLM2 pour --text-model",
                ),
            )


def causal_mask(length: int, device: torch.device) -> Tensor:
    """Return the mask (1, 1, T, T) of a text without padding, which `transformers` takes as it is.

    It looks into the values of every other mask, which a tensor without memory does not have.
    """
    return torch.ones(1, 1, length, length, dtype=torch.bool, device=device).tril()


def not_a_decoder(name: str) -> ConfigError:
    """Return the error that says that a text model cannot write."""
    return ConfigError(
        tr(
            f"the captioner “prefix” writes with the text model, and {name} is not a decoder-only model",
            f"le rédacteur « prefix » écrit avec le modèle de texte, et {name} n'est pas un modèle décodeur seul",
        ),
        tr(
            "give --captioner decoder, or a decoder-only --text-model: GPT-2, DialoGPT, LLaMA, Qwen, SmolLM2",
            "donnez --captioner decoder, ou un --text-model décodeur seul : GPT-2, DialoGPT, LLaMA, Qwen, SmolLM2",
        ),
    )


def no_end(name: str) -> ConfigError:
    """Return the error that says that a tokenizer cannot end a text."""
    return ConfigError(
        tr(
            f"the tokenizer of {name} has no token that ends a text",
            f"le tokeniseur de {name} n'a pas de jeton qui termine un texte",
        ),
        tr(
            "set its eos_token and save it again, or give --captioner decoder",
            "définissez son eos_token et enregistrez-le de nouveau, ou donnez --captioner decoder",
        ),
    )


def _positions(embedded_BTC: Tensor, mask_BT: Tensor | None, start: int) -> Tensor:
    if mask_BT is not None:
        return (mask_BT.long().cumsum(dim=1) - 1).clamp_min(0)
    length = embedded_BTC.shape[1]
    return torch.arange(start, start + length, device=embedded_BTC.device).expand(embedded_BTC.shape[0], -1)
