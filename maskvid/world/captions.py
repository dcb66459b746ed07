"""The vocabulary of the embedded world and the writer of its captions.

The vocabulary is small and closed so that a tiny text encoder can learn every word of it. No caption says left or
right: training may mirror pictures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from maskvid.errors import UserError

_COATS: dict[str, tuple[str, ...]] = {
    "horse": ("brown", "black", "white", "grey", "golden"),
    "zebra": ("striped",),
    "cow": ("spotted", "brown", "white", "black"),
    "dog": ("golden", "black", "white", "brown"),
    "giraffe": ("patchy",),
    "elephant": ("grey", "brown"),
}
_GROUNDS: dict[str, tuple[str, ...]] = {
    "meadow": ("on a green meadow", "across a meadow", "across a green meadow", "on the grass"),
    "desert": ("in the desert", "across the desert", "through a sandy desert", "on desert sand"),
    "snow": ("in the snow", "on a snowy field", "across a snowy field", "through the snow"),
    "beach": ("on a beach", "along the beach", "on the beach by the sea", "on a sandy beach"),
    "road": ("on a road", "along a road", "along an asphalt road", "on an asphalt road"),
}
_TIMES: dict[str, tuple[str, ...]] = {
    "day": ("during the day", "on a sunny day", "under a blue sky", "in daylight"),
    "sunset": ("at sunset", "in the evening", "under an orange sky", "during a red sunset"),
    "night": ("at night", "by moonlight", "under the moon", "on a dark night"),
}
_STYLES: dict[str, str] = {
    "photo": "photo",
    "pop art painting": "pop art painting",
    "watercolor painting": "watercolor painting",
    "crayon drawing": "crayon drawing",
}
_GAITS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "walk": (("walks", "strolls"), ("walking", "strolling")),
    "trot": (("trots", "jogs"), ("trotting", "jogging")),
    "gallop": (("gallops", "runs"), ("galloping", "running")),
}

SPECIES: tuple[str, ...] = tuple(_COATS)
GROUNDS: tuple[str, ...] = tuple(_GROUNDS)
TIMES: tuple[str, ...] = tuple(_TIMES)
STYLES: tuple[str, ...] = tuple(_STYLES)
GAITS: tuple[str, ...] = tuple(_GAITS)

# A zebra is striped and a giraffe patchy whatever one says, so their coat may go unsaid.
_SELF_EVIDENT = ("striped", "patchy")


def COATS(species: str) -> tuple[str, ...]:  # noqa: N802 - reads like the other vocabularies
    """Coats that `species` can wear."""
    return _COATS[species]


def places(ground: str) -> tuple[str, ...]:
    """Words for a ground, as captions say where an animal is."""
    return _GROUNDS[ground]


def all_coats() -> tuple[str, ...]:
    """Every coat word of the world, in a fixed order without repetition."""
    return tuple(dict.fromkeys(coat for coats in _COATS.values() for coat in coats))


def check_attributes(attributes: Mapping[str, str]) -> None:
    """Raise `UserError` unless every attribute is there and the world has its value."""
    choices: dict[str, tuple[str, ...]] = {"species": SPECIES, "ground": GROUNDS, "time": TIMES, "style": STYLES}
    choices["gait"] = GAITS
    choices["coat"] = _COATS.get(attributes.get("species", ""), ())
    for key, values in choices.items():
        if attributes.get(key) not in values:
            raise UserError(f"{key}={attributes.get(key)!r} is not in the world; choose one of {', '.join(values)}")


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def caption(attributes: Mapping[str, str], rng: np.random.Generator) -> tuple[str, str]:
    """Write a caption for a picture or clip.

    Args:
        attributes: `species`, `coat`, `ground`, `time`, `style` and `gait`, each a word of this module; other keys
            are ignored.
        rng: Source of the wording; the same state gives the same words.

    Returns:
        The caption and its subject, the words of the caption that name the foreground.
    """
    coat = attributes["coat"]
    bare = coat in _SELF_EVIDENT and rng.random() < 0.6
    subject = f"a {attributes['species']}" if bare else f"a {coat} {attributes['species']}"
    finite, continuous = _GAITS[attributes["gait"]]
    style = attributes["style"]
    place = _pick(rng, _GROUNDS[attributes["ground"]]) if rng.random() < 0.93 else ""
    # Day is what one assumes, so it often goes unsaid.
    said = rng.random() < (0.45 if attributes["time"] == "day" else 0.97)
    time = _pick(rng, _TIMES[attributes["time"]]) if said else ""
    lead = rng.random()
    if style == "photo":
        opening = "a photo of " if lead < 0.25 else "photo of " if lead < 0.35 else ""
        ending = ""
    else:
        opening = f"a {style} of " if lead < 0.5 else ""
        ending = "" if opening else f", in a {style} style"
    verb = "" if rng.random() < 0.1 else _pick(rng, continuous if opening else finite)
    words = " ".join(part for part in (subject, verb, place, time) if part)
    return f"{opening}{words}{ending}", subject


def prompt(attributes: Mapping[str, str], index: int = 0) -> tuple[str, str]:
    """A fixed caption for `attributes`: wording number `index`. Returns caption and subject."""
    return caption(attributes, np.random.default_rng([7, index]))


_ZERO_SHOT: dict[str, tuple[str, ...]] = {
    "species": ("a photo of a {}", "a {} on a green meadow", "a {} in the desert", "a {} on a road"),
    "coat": ("a photo of a {}", "a {} on a green meadow", "a {} in the desert", "a {} on a road"),
    "ground": ("a photo of a horse {}", "a dog {}", "a cow walking {}"),
    "time": ("a photo of a horse {}", "a horse on a green meadow {}", "a cow on a road {}"),
    "style": ("a {} of a horse", "a {} of a dog on a green meadow", "a {} of a cow on a beach"),
    "gait": ("a photo of a horse {}", "a photo of a cow {} on a road", "a photo of a dog {}"),
}


def zero_shot(kind: str, value: str, species: str = "horse") -> list[str]:
    """Fixed sentences whose mean text embedding stands for one attribute value.

    Args:
        kind: "species", "coat", "ground", "time", "style" or "gait".
        value: A word of that vocabulary.
        species: The animal that wears the coat, used for `kind="coat"` only.

    Raises:
        KeyError: for a kind or value that the world does not have.
    """
    templates = _ZERO_SHOT[kind]
    fillings: tuple[str, ...]
    if kind == "coat":
        fillings = (f"{value} {species}",)
    elif kind == "ground":
        fillings = _GROUNDS[value]
    elif kind == "time":
        fillings = _TIMES[value]
    elif kind == "gait":
        fillings = _GAITS[value][1]
    elif kind == "style":
        fillings = (_STYLES[value],)
    else:
        _COATS[value]  # a species the world does not have is a KeyError, like any other value
        fillings = (value,)
    return [template.format(filling) for template in templates for filling in fillings]


def vocabulary() -> tuple[str, ...]:
    """Every word a caption of `caption` or `zero_shot` can hold, sorted."""
    texts = [*SPECIES, *all_coats(), *STYLES, "a photo of, in a style"]
    for phrases in (*_GROUNDS.values(), *_TIMES.values()):
        texts.extend(phrases)
    for finite, continuous in _GAITS.values():
        texts.extend((*finite, *continuous))
    texts.extend(template for templates in _ZERO_SHOT.values() for template in templates)
    words = {word.strip(",") for text in texts for word in text.split()}
    return tuple(sorted(words - {"{}", ""}))
