"""How good generated descriptions are, right for French: accents kept, Unicode composed, both apostrophes one.

sacrebleu and rouge-score compute the scores. Their defaults do not suit French: BLEU's default tokenizer leaves
« » ’ … glued to words, ROUGE's keeps only a-z and 0-9 and turns "été âgée à" into "t g e", and decomposed accents
(NFD) against composed ones score 57 BLEU for identical sentences.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "‘": "'"})
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class OverlapScores:
    """Texts against references, and what can be said of the texts alone.

    Attributes:
        chrf: chrF++ (word order 2), 0..100, the headline: kind to inflected languages. bleu: 0..100, corpus level.
        chrf_signature, bleu_signature: sacrebleu's, so that others can compute the same number.
        rouge1, rouge2, rouge_l: mean F-measure over texts, 0..1, best reference of each.
        distinct_1, distinct_2: distinct words (word pairs) over all of them, 0..1.
        mean_words: length of a text.
        repeat_share: share of texts that another photo got word for word.
    """

    num_texts: int
    chrf: float
    chrf_signature: str
    bleu: float
    bleu_signature: str
    rouge1: float
    rouge2: float
    rouge_l: float
    distinct_1: float
    distinct_2: float
    mean_words: float
    repeat_share: float


@dataclass(frozen=True, slots=True)
class LikelihoodScores:
    """How surprised the model is by the reference texts.

    Attributes:
        perplexity: exp(total NLL / total tokens); only comparable between models of one tokenizer.
        bits_per_byte: total NLL in bits / UTF-8 bytes; comparable between tokenizers.
    """

    perplexity: float
    bits_per_byte: float
    total_tokens: int
    total_bytes: int


def normalize_text(text: str) -> str:
    """Return the text composed (NFC), with one kind of apostrophe and single spaces; accents and case are kept."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_APOSTROPHES).split())


def unicode_words(text: str) -> list[str]:
    """Return the lower-case words, accents kept: "L’été, là" gives l, été, là."""
    return _WORD.findall(normalize_text(text).lower())


class UnicodeWordTokenizer:
    """rouge-score's tokenizer interface over `unicode_words`; no stemmer, which is English only."""

    def tokenize(self, text: str) -> list[str]:
        """Return the words of the text."""
        return unicode_words(text)


def score_texts(texts: Sequence[str], references: Sequence[Sequence[str]]) -> OverlapScores:
    """Score each text against its references (one or more each, not all of one number).

    Raises:
        ValueError: no text, a text without reference, or sizes that differ.
    """
    if not texts or len(texts) != len(references) or not all(references):
        raise ValueError(f"{len(texts)} texts for {len(references)} lists of references, none of them empty")
    hypotheses = [normalize_text(text) for text in texts]
    normal = [[normalize_text(reference) for reference in several] for several in references]
    streams = [
        [several[rank] if rank < len(several) else None for several in normal] for rank in range(max(map(len, normal)))
    ]
    bleu, chrf = BLEU(tokenize="intl", force=True), CHRF(word_order=2)
    bleu_score = bleu.corpus_score(hypotheses, streams).score
    chrf_score = chrf.corpus_score(hypotheses, streams).score
    rouge = mean_rouge(hypotheses, normal)
    words = [unicode_words(text) for text in hypotheses]
    return OverlapScores(
        num_texts=len(hypotheses),
        chrf=float(chrf_score),
        chrf_signature=str(chrf.get_signature()),
        bleu=float(bleu_score),
        bleu_signature=str(bleu.get_signature()),
        rouge1=rouge["rouge1"],
        rouge2=rouge["rouge2"],
        rouge_l=rouge["rougeL"],
        distinct_1=distinct_ngrams(words, 1),
        distinct_2=distinct_ngrams(words, 2),
        mean_words=sum(map(len, words)) / len(words),
        repeat_share=repeat_share(hypotheses),
    )


def mean_rouge(texts: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return the mean F-measure of ROUGE-1, ROUGE-2 and ROUGE-L, with the best reference of each text."""
    scorer = RougeScorer(ROUGE_TYPES, tokenizer=UnicodeWordTokenizer())
    scores = [scorer.score_multi(several, text) for text, several in zip(texts, references, strict=True)]
    return {kind: sum(score[kind].fmeasure for score in scores) / len(scores) for kind in ROUGE_TYPES}


def score_likelihood(total_nll: float, total_tokens: int, total_bytes: int) -> LikelihoodScores:
    """Return perplexity and bits per byte from sums over the whole set (never means of batch perplexities).

    Args:
        total_nll: nats, summed over all tokens of all references.

    Raises:
        ValueError: no token or no byte.
    """
    if total_tokens < 1 or total_bytes < 1:
        raise ValueError(f"{total_tokens} tokens, {total_bytes} bytes")
    return LikelihoodScores(
        perplexity=math.exp(total_nll / total_tokens),
        bits_per_byte=total_nll / math.log(2) / total_bytes,
        total_tokens=total_tokens,
        total_bytes=total_bytes,
    )


def distinct_ngrams(texts_words: Sequence[Sequence[str]], n: int) -> float:
    """Return distinct n-grams over all n-grams of all texts (Li et al. 2016, arXiv 1510.03055); 0 without any."""
    ngrams = [tuple(words[at : at + n]) for words in texts_words for at in range(len(words) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def repeat_share(texts: Sequence[str]) -> float:
    """Return the share of texts that occur more than once."""
    counts = Counter(texts)
    return sum(count for count in counts.values() if count > 1) / len(texts)
