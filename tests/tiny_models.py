"""Tiny Hugging Face models with tokenizers, saved as a user would have them: two layers, a few hundred pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = (
    "Les feuilles de tomate portent des taches brunes à anneaux concentriques.",
    "Un feutrage blanc apparaît à la face inférieure des feuilles.",
    "Des pustules orangées de rouille couvrent la feuille de maïs.",
    "Supprimer les feuilles atteintes et éviter d'arroser le feuillage.",
    "La feuille est verte et saine, sans aucune tache.",
    "Tomato leaves show brown spots with concentric rings.",
    "A white downy growth appears on the underside of the leaves.",
    "Orange rust pustules cover the maize leaf.",
    "Remove infected leaves and avoid wetting the foliage.",
    "The leaf is green and healthy, without any spot.",
)
WIDTH = 32
_VOCAB_SIZE = 300
_BERT_TOKENS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_SIZES = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def save_tiny_bert(folder: Path) -> Path:
    """WordPiece, [CLS] … [SEP], absolute positions, with a pooler as released models have."""
    from transformers import BertConfig, BertModel

    tokenizer = _word_piece()
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=128, **_SIZES)
    return _save(folder, BertModel, config, tokenizer, _BERT_TOKENS)


def save_tiny_deberta(folder: Path) -> Path:
    """DeBERTa v3: relative positions only."""
    from transformers import DebertaV2Config, DebertaV2Model

    tokenizer = _word_piece()
    config = DebertaV2Config(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=128,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        type_vocab_size=0,
        **_SIZES,
    )
    return _save(folder, DebertaV2Model, config, tokenizer, _BERT_TOKENS)


def save_tiny_roberta(folder: Path) -> Path:
    """Byte-level BPE, <s> … </s>, positions that start after the padding's."""
    from transformers import RobertaConfig, RobertaModel

    tokenizer = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    _wrap_in(tokenizer, "<s>", "</s>")
    names = {"bos": "<s>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
    config = RobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=130,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        type_vocab_size=1,
        **_SIZES,
    )
    return _save(folder, RobertaModel, config, tokenizer, names)


def save_tiny_gpt2(folder: Path) -> Path:
    """As DialoGPT: decoder-only, one special token, none for padding, nothing added to a text."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = _byte_level(["<|endoftext|>"])
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=128,
        n_embd=WIDTH,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
    )
    end = "<|endoftext|>"
    return _save(folder, GPT2LMHeadModel, config, tokenizer, {"bos": end, "eos": end, "unk": end})


def save_tiny_qwen(folder: Path) -> Path:
    """Qwen2: decoder-only with biased queries, nothing added to a text, saved in bfloat16 as released."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = _byte_level(["<|endoftext|>"])
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=128,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=0,
        dtype=torch.bfloat16,
        **_SIZES,
    )
    end = "<|endoftext|>"
    return _save(folder, Qwen2ForCausalLM, config, tokenizer, {"eos": end, "pad": end})


def save_tiny_llama(folder: Path) -> Path:
    """Decoder-only with rotary positions and grouped keys; <s> before each text, no padding token."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _byte_level(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=128,
        num_key_value_heads=2,
        bos_token_id=1,
        eos_token_id=2,
        **_SIZES,
    )
    return _save(folder, LlamaForCausalLM, config, tokenizer, {"bos": "<s>", "eos": "</s>", "unk": "<unk>"})


def _word_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = list(_BERT_TOKENS.values())
    _train(tokenizer, trainers.WordPieceTrainer(vocab_size=_VOCAB_SIZE, special_tokens=special, show_progress=False))
    _wrap_in(tokenizer, "[CLS]", "[SEP]")
    return tokenizer


def _byte_level(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _train(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=_VOCAB_SIZE + 100, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    return tokenizer


def _train(tokenizer: Tokenizer, trainer: Any) -> None:
    tokenizer.train_from_iterator(SENTENCES, trainer)


def _wrap_in(tokenizer: Tokenizer, first: str, last: str) -> None:
    ends = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=ends)


def _save(folder: Path, model_class: Any, config: Any, tokenizer: Tokenizer, special: dict[str, str]) -> Path:
    from transformers import PreTrainedTokenizerFast

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = model_class(config).to(config.dtype or torch.float32)
    model.save_pretrained(folder)
    named = {f"{role}_token": token for role, token in special.items()}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    return folder
