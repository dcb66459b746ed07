"""Prompts and captions: plain text, and where in it the words stand that name the foreground."""

from __future__ import annotations

import re
from dataclasses import dataclass

from maskvid.errors import UserError

LONGEST = 10_000
"""Letters of a prompt."""

SUBJECTS = 8
"""Subjects of a prompt that have masks of their own: fused attention carries as many biases at the cost of one."""

Span = tuple[int, int]
"""Characters of a text, the first and the one behind the last."""


@dataclass(frozen=True)
class Prompt:
    """A prompt without its brackets.

    Attributes:
        text: The words, with single blanks.
        subject: Characters of `text` that name the foreground, or None: then the whole prompt is the subject. Places
            and not words, because words may occur more than once.
        others: Likewise of further subjects, where each has a mask of its own.
    """

    text: str
    subject: Span | None = None
    others: tuple[Span, ...] = ()

    @property
    def subjects(self) -> tuple[Span, ...]:
        """Of all subjects that are marked, in the order of the text."""
        return () if self.subject is None else (self.subject, *self.others)

    @property
    def words(self) -> str | None:
        """The subject's words."""
        return None if self.subject is None else self.text[slice(*self.subject)]

    @property
    def all_words(self) -> tuple[str, ...]:
        """The words of each subject."""
        return tuple(self.text[slice(*span)] for span in self.subjects)

    @property
    def marked(self) -> str:
        """The text with the subjects in brackets, as a user writes it."""
        marked = self.text
        for start, end in reversed(self.subjects):
            marked = f"{marked[:start]}[{marked[start:end]}]{marked[end:]}"
        return marked


def parse_prompt(marked: str, subject: str | None = None, *, name: str = "prompt", most: int = 1) -> Prompt:
    """Read a prompt whose subjects stand in brackets: `"[a zebra] gallops"`; the only reader of brackets.

    Args:
        marked: As the user wrote it.
        subject: The words that name the foreground where they are told apart from the prompt, as in `metadata.jsonl`.
        name: What the user calls it, for messages.
        most: Subjects that it may mark.

    Raises:
        UserError: More subjects, an empty one, brackets without their partner, or words told apart that the
            prompt lacks, holds more than once or contradicts.
    """
    if len(marked) > LONGEST:
        raise UserError(f"{name}={marked[:40]!r}...: {len(marked)} letters; a tokenizer takes some hundred, give less.")
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in marked):
        raise UserError(f"{name}={marked!r}: it holds a NUL or half a surrogate pair; leave that out.")
    found = re.findall(r"\[([^\[\]]*)\]", marked)
    plain = re.sub(r"\[([^\[\]]*)\]", r"\1", marked)
    example = "for example '[a zebra] gallops across snow'"
    if "[" in plain or "]" in plain:
        raise UserError(f"{name}={marked!r}: unbalanced brackets; put one pair around the subject, {example}.")
    if len(found) > most:
        allowed = "one" if most == 1 else f"at most {most}"
        raise UserError(f"{name}={marked!r} marks {len(found)} subjects; mark {allowed}, {example}.")
    if not all(words.strip() for words in found):
        raise UserError(f"{name}={marked!r}: empty brackets; put them around the subject's words, {example}.")
    # blanks move out of the brackets before they are joined, so that places are those of the text that is left
    spaced = re.sub(r"\[\s+", " [", re.sub(r"\s+\]", "] ", marked))
    joined = " ".join(spaced.split())
    text = joined.replace("[", "").replace("]", "")
    # each place loses the brackets before it
    places = [(m.start() - 2 * i, m.end() - 2 * (i + 1)) for i, m in enumerate(re.finditer(r"\[[^\]]*\]", joined))]
    place, others = (places[0], tuple(places[1:])) if places else (None, ())
    words = " ".join((subject or "").split())
    if not words:
        return Prompt(text, place, others)
    if place is None:
        return Prompt(text, _find(text, words, name))
    if text[slice(*place)].lower() != words.lower():
        raise UserError(f"{name}={marked!r} marks another subject than {words!r}; give one of the two.")
    return Prompt(text, place)


def marked_in(prompt: str | None) -> int:
    """Subjects that a prompt marks, as many as there must be masks; 1 where none is marked or there is no prompt."""
    return 1 if prompt is None else max(1, len(parse_prompt(prompt, most=SUBJECTS).subjects))


def _find(text: str, words: str, name: str) -> Span:
    # word boundaries, or the subject "cat" would be found in "a caterpillar"
    places = [match.span() for match in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE)]
    if not places:
        raise UserError(f"subject {words!r} is not in the {name} {text!r}")
    if len(places) > 1:
        raise UserError(f"subject {words!r} stands {len(places)} times in the {name} {text!r}; mark one by brackets")
    return places[0]
