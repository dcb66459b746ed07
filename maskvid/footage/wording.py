"""Captions with their subject in brackets, out of words that know no brackets."""

from __future__ import annotations

import re

ARTICLES = ("a", "an", "the", "this", "that", "one", "some", "my", "his", "her", "its", "their", "our", "your", "two")
REACH = 4
"""Words between an article and its noun, at most."""


def bare(subject: str) -> str:
    """A subject without its article, in small letters, as detectors want it: `the Horse` is `horse`."""
    words = subject.replace("[", "").replace("]", "").lower().split()
    kept = words[1:] if len(words) > 1 and words[0] in ARTICLES else words
    return " ".join(kept).rstrip(".")


def marked(words: str, subject: str) -> tuple[str, bool]:
    """Put brackets around what names the subject in a captioner's words.

    That is the subject itself, or else its last word, in the plural too, with the article and the adjectives before it.
    Words that do not hold it follow the subject, `[the horse], an animal in a field`: the masks are bound to the words
    in brackets, so that a caption without them would teach nothing, and a captioner sees the whole picture.

    Args:
        words: As a captioner writes them.
        subject: The words that name the foreground.

    Returns:
        The caption, and whether the words held the subject.

    Example:
        >>> marked("a brown horse running in a field", "the horse")
        ('[a brown horse] running in a field', True)
        >>> marked("an animal in a field", "the horse")
        ('[the horse], an animal in a field', False)
    """
    text = " ".join(re.sub(r"[\[\]\0]", " ", words).split())
    subject = " ".join(re.sub(r"[\[\]]", " ", subject).split())
    whole = re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", text, re.IGNORECASE)
    noun = bare(subject).split()[-1:]
    named = re.search(rf"(?<!\w){re.escape(noun[0])}(?:s|es)?(?!\w)", text, re.IGNORECASE) if noun else None
    if whole is not None:
        start, end = whole.span()
    elif named is not None:
        start, end = _with_article(text, named.start()), named.end()
    else:
        return (f"[{subject}], {text}" if text else f"[{subject}]"), False
    return f"{text[:start]}[{text[start:end]}]{text[end:]}", True


def _with_article(text: str, noun: int) -> int:
    """Where the article of a noun stands, or the noun where it has none nearby."""
    for word in list(re.finditer(r"\S+", text[:noun]))[::-1][:REACH]:
        if word.group()[-1] in ",.;:":
            break
        if word.group().lower() in ARTICLES:
            return word.start()
    return noun
