"""The miniature's tokenizer: CLIP's byte-pair encoding, cut to the merges that our words need."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import open_clip
from open_clip.tokenizer import bytes_to_unicode
from transformers import CLIPTokenizer

CONTEXT = 32
"""Tokens of a prompt, its start and end included."""

START, END = "<|startoftext|>", "<|endoftext|>"


def clip_merges() -> list[tuple[str, str]]:
    """CLIP's 48894 merges in order of rank, as open_clip ships them."""
    path = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        lines = handle.read().split("\n")[1 : 49152 - 256 - 2 + 1]
    pairs = [line.split() for line in lines]
    return [(pair[0], pair[1]) for pair in pairs]


def merges_of(word: str, ranks: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    """Merges that byte-pair encoding applies to one word, lowest rank first as CLIP does."""
    alphabet = bytes_to_unicode()
    symbols = [alphabet[byte] for byte in word.lower().encode("utf-8")]
    symbols[-1] += "</w>"
    applied = []
    while len(symbols) > 1:
        best = min(zip(symbols, symbols[1:], strict=False), key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        applied.append(best)
        merged: list[str] = []
        while symbols:
            if tuple(symbols[:2]) == best:
                merged.append("".join(best))
                del symbols[:2]
            else:
                merged.append(symbols.pop(0))
        symbols = merged
    return applied


def build_tokenizer(words: Iterable[str]) -> CLIPTokenizer:
    """A `CLIPTokenizer` in which each of `words` costs what it costs in CLIP; any other word costs its bytes at most.

    The end of text has the highest id, which is how CLIP text models find it.
    """
    merges = clip_merges()
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    needed = sorted({pair for word in words for pair in merges_of(word, ranks)}, key=ranks.__getitem__)
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in needed), START, END]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=needed, model_max_length=CONTEXT)
