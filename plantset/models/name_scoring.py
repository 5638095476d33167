"""The class as a text: how likely the captioner finds each class's name, all names in one pass.

Florence-2 (arXiv 2311.06242) gives every task, classification among them, as a prompt and a text. A photo's class is
then the name of the highest likelihood; divided by the name's length, since a longer name is never the more likely one.

Names share beginnings (`tomato: late blight`, `tomato: leaf mould`), so they are laid out as one tree whose nodes are
the distinct beginnings. The decoder reads the tree as one sequence: a node attends to its ancestors and itself only,
and its position is its depth. That is exact, and costs one pass over far fewer tokens than one row a name.

Dimensions: B photos, C classes, M nodes, S steps of a name, W words of the vocabulary, N image tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from plantset.core.vocabulary import END_ID, PAD_ID, PROMPT_LENGTH, CaptionVocabulary

_MAX_NODES = 1 << 13  # of all photos together in one pass: with 4096 words, their scores take 128 MB


class TreeDecoder(Protocol):
    """What a captioner offers for scoring a tree of beginnings."""

    def tree_logits(self, ids_M: Tensor, positions_M: Tensor, allowed_MM: Tensor, image_BND: Tensor) -> Tensor:
        """Return (B, M, W): what follows each node, which attends to the nodes that `allowed_MM` names in its row."""


class NameScorer(nn.Module):
    """Class logits from a captioner: the mean log-likelihood of the tokens of each class's name, its end included.

    Args:
        name_ids: of each class, prompt and end included; no two alike.
    """

    rows_CT: Tensor
    node_CS: Tensor
    word_CS: Tensor
    share_CS: Tensor
    ids_M: Tensor
    positions_M: Tensor
    allowed_MM: Tensor

    def __init__(self, name_ids: Sequence[Sequence[int]]) -> None:
        super().__init__()
        assert len({tuple(ids) for ids in name_ids}) == len(name_ids), "two classes of one name"
        nodes, parents, paths = _tree(name_ids)
        longest = max(map(len, name_ids))
        steps = longest - PROMPT_LENGTH
        node_CS = torch.zeros(len(name_ids), steps, dtype=torch.int64)
        word_CS = torch.zeros(len(name_ids), steps, dtype=torch.int64)
        share_CS = torch.zeros(len(name_ids), steps)
        rows_CT = torch.full((len(name_ids), longest), PAD_ID, dtype=torch.int64)
        for label, (ids, path) in enumerate(zip(name_ids, paths, strict=True)):
            count = len(ids) - PROMPT_LENGTH
            rows_CT[label, : len(ids)] = torch.tensor(ids)
            node_CS[label, :count] = torch.tensor(path[PROMPT_LENGTH - 1 :])
            word_CS[label, :count] = torch.tensor(ids[PROMPT_LENGTH:])
            share_CS[label, :count] = 1 / count
        self._keep(rows_CT=rows_CT, node_CS=node_CS, word_CS=word_CS, share_CS=share_CS)
        allowed_MM = _ancestors(parents)
        self._keep(ids_M=torch.tensor(nodes), positions_M=allowed_MM.sum(dim=1) - 1, allowed_MM=allowed_MM)

    def forward(self, decoder: TreeDecoder, image_BND: Tensor) -> Tensor:
        """Return logits (B, C), float32: the length-normalised log-likelihoods."""
        few = max(1, _MAX_NODES // self.ids_M.shape[0])
        return torch.cat([self._score(decoder, part_BND) for part_BND in torch.split(image_BND, few)])

    def targets(self, labels_B: Tensor) -> Tensor:
        """Return the rows (B, T) that the captioner learns: prompt, name, end, padding."""
        return self.rows_CT[labels_B]

    def _score(self, decoder: TreeDecoder, image_BND: Tensor) -> Tensor:
        logits_BMW = decoder.tree_logits(self.ids_M, self.positions_M, self.allowed_MM, image_BND).float()
        words_BCS = logits_BMW[:, self.node_CS, self.word_CS] - logits_BMW.logsumexp(dim=-1)[:, self.node_CS]
        return (words_BCS * self.share_CS).sum(dim=-1)

    def _keep(self, **tensors: Tensor) -> None:
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor, persistent=False)  # the config holds the names


def class_name_ids(
    vocabulary: CaptionVocabulary, class_texts: Sequence[str], language: str
) -> tuple[tuple[int, ...], ...]:
    """Return each class's name as the captioner reads and writes it: the prompt <CLASSIFY>, the words, the end."""
    prompt = vocabulary.prompt_ids(language, "CLASSIFY")
    return tuple((*prompt, *vocabulary.word_ids(text), END_ID) for text in class_texts)


def class_text(class_name: str) -> str:
    """Return a class id as words: `tomato--late-blight` is "tomato: late blight"; no two ids are alike then."""
    return class_name.replace("--", ": ").replace("-", " ")


def _tree(sequences: Sequence[Sequence[int]]) -> tuple[list[int], list[int], list[list[int]]]:
    """Return each node's token and parent (-1: none), and the nodes along each sequence, its last token left out."""
    index: dict[tuple[int, ...], int] = {}
    nodes: list[int] = []
    parents: list[int] = []
    paths: list[list[int]] = []
    for ids in sequences:
        path: list[int] = []
        for end in range(1, len(ids)):
            beginning = tuple(ids[:end])
            if beginning not in index:
                index[beginning] = len(nodes)
                nodes.append(ids[end - 1])
                parents.append(path[-1] if path else -1)
            path.append(index[beginning])
        paths.append(path)
    return nodes, parents, paths


def _ancestors(parents: Sequence[int]) -> Tensor:
    """Return (M, M), bool: row j is True at j and at the nodes above it. Parents stand before their children."""
    allowed_MM = torch.eye(len(parents), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            allowed_MM[node] |= allowed_MM[parent]
    return allowed_MM
