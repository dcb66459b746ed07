"""Which tokens of a prompt name the foreground, by the characters they come from."""

from __future__ import annotations

from typing import Any

import torch

from maskvid.prompt import Prompt


def mark_subject(tokenizer: Any, prompt: Prompt) -> torch.Tensor:
    """Marks (n,) in {0, 1} over a prompt's n padded tokens.

    A prompt without a subject stands as a whole for it, the empty one too, and all are marked. A bias that is the same
    for all tokens binds none of them to the foreground, so such a prompt still names nothing; but the mask stays, in
    dropped prompts and in the unconditional pass as elsewhere, and guidance strengthens the text alone.

    Args:
        tokenizer: Fast tokenizer of transformers.
        prompt: Text and subject.
    """
    offsets = _offsets(tokenizer, prompt.text)
    if prompt.subject is None:
        return torch.ones(len(offsets))
    first, last = prompt.subject
    # special tokens have no characters; a token that holds a part of the subject's last word belongs to it
    return torch.tensor([float(max(start, first) < min(end, last)) for start, end in offsets])


def cut_text(tokenizer: Any, text: str) -> str:
    """The end of a text that a tokenizer does not take; empty where it takes everything."""
    if len(tokenizer(text, verbose=False)["input_ids"]) <= tokenizer.model_max_length:
        return ""
    return text[max(end for _, end in _offsets(tokenizer, text)) :]


def subject_faults(tokenizer: Any, prompt: Prompt) -> list[str]:
    """What is wrong with a prompt's subject, in words."""
    cut = cut_text(tokenizer, prompt.text)
    if prompt.subject is None or prompt.subject[1] <= len(prompt.text) - len(cut):
        return []
    return [
        f"the subject {prompt.words!r} lies beyond the {tokenizer.model_max_length} tokens that the backbone's "
        f"tokenizer takes of {prompt.text!r}; name it earlier, or shorten the prompt"
    ]


def _offsets(tokenizer: Any, text: str) -> list[tuple[int, int]]:
    found = tokenizer(
        text,
        padding="max_length",
        truncation=True,
        max_length=tokenizer.model_max_length,
        return_offsets_mapping=True,
    )
    return [(int(start), int(end)) for start, end in found["offset_mapping"]]
