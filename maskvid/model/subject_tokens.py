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
    if prompt.subject is None:
        return torch.ones(len(_offsets(tokenizer, prompt.text)))
    return mark_subjects(tokenizer, prompt).amax(0)


def mark_subjects(tokenizer: Any, prompt: Prompt) -> torch.Tensor:
    """Marks (k, n) in {0, 1} over a prompt's n padded tokens, for each of its k subjects."""
    offsets = _offsets(tokenizer, prompt.text)
    # special tokens have no characters; a token that holds a part of the subject's last word belongs to it
    return torch.tensor([
        [float(max(start, first) < min(end, last)) for start, end in offsets] for first, last in prompt.subjects
    ])  # fmt: skip


def cut_text(tokenizer: Any, text: str) -> str:
    """The end of a text that a tokenizer does not take; empty where it takes everything."""
    if len(tokenizer(text, verbose=False)["input_ids"]) <= tokenizer.model_max_length:
        return ""
    return text[max(end for _, end in _offsets(tokenizer, text)) :]


def subject_faults(tokenizer: Any, prompt: Prompt) -> list[str]:
    """What is wrong with a prompt's subjects, in words."""
    cut = cut_text(tokenizer, prompt.text)
    return [
        f"the subject {prompt.text[start:end]!r} lies beyond the {tokenizer.model_max_length} tokens that the "
        f"backbone's tokenizer takes of {prompt.text!r}; name it earlier, or shorten the prompt"
        for start, end in prompt.subjects
        if end > len(prompt.text) - len(cut)
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
