"""Drawings from sentences: "a horse enters left, gallops to the middle, stops, turns, walks out".

The grammar is small, and what it does not know is an error that says what it knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from maskvid.errors import UserError
from maskvid.masks.draw.drawing import Drawing
from maskvid.masks.draw.notation import parse_drawing
from maskvid.masks.draw.silhouettes import animals, recorded
from maskvid.masks.draw.strides import JUMPING, TURNING

GRAMMAR = """\
  a horse | dog | ... | ball | box           what moves; several are separated by semicolons
  enters left | right                        comes in from that side, half in the picture at first
  stands | starts at the left | middle | right
  walks | trots | gallops | moves  [slowly | quickly]   (a ball, too: rolls, slides, flies)
      to the left | middle | right | 30%     a place, in percent from the left
      across                                 out at the other side
      out [left | right]                     the way it faces, if no side is said
      [for 2 seconds]                        otherwise on
  stops | waits  [for 2 seconds]
  turns                                      round, to the other side
  jumps
  comes nearer | goes away                   grows or shrinks
Clauses are joined by commas, `and` or `then`."""

_GAITS = {
    **dict.fromkeys(("walks", "strolls", "walk", "walking"), "walk"),
    **dict.fromkeys(("trots", "jogs", "trot", "trotting"), "trot"),
    **dict.fromkeys(("gallops", "runs", "gallop", "galloping", "canters"), "gallop"),
    **dict.fromkeys(("moves", "goes"), "auto"),
}
_LIFELESS = ("slides", "rolls", "flies", "floats")
"""How shapes move, but no animals."""
_SHAPES = {"ball": "ellipse", "circle": "ellipse", "ellipse": "ellipse", "box": "rectangle", "square": "rectangle"}
_PLACES = {"left": 0.25, "middle": 0.5, "centre": 0.5, "center": 0.5, "right": 0.75}
_SPEEDS = {"slowly": 0.6, "quickly": 1.6, "fast": 1.6}
_SCALE, _GROUND = 0.4, 0.85
_SHAPE_SPEED = 1.0
"""Heights a second of what has no gait."""
_BODY = 0.8
"""Half the length of an animal, in heights."""
_PAUSE, _APPROACH = 1.0, 2.0
"""Seconds of a stop, and of coming nearer, where no others are said."""
_NEARER = 1.8


@dataclass
class _Actor:
    """What moves, as far as it has got: its keys so far, in seconds."""

    shape: str
    aspect: float
    x: float = 0.5
    scale: float = _SCALE
    left: bool = False
    time: float = 0.0
    entering: bool = False
    keys: list[dict[str, Any]] = field(default_factory=list)
    jumps: list[float] = field(default_factory=list)

    @property
    def moving_animal(self) -> bool:
        return self.shape in animals()

    def key(self, **values: Any) -> None:
        """Say what holds now; a key at this moment is added to."""
        if self.keys and abs(self.keys[-1]["at"] - self.time) < 1e-9:
            self.keys[-1].update(values)
        else:
            self.keys.append({"at": self.time, **values})

    def speed(self, gait: str) -> float:
        """Shares of the picture's width a second."""
        if not self.moving_animal:
            return _SHAPE_SPEED * self.scale / self.aspect
        cycle = recorded(self.shape, "trot" if gait == "auto" else gait)
        return (cycle.stride or 1) * (cycle.pace or 1) * self.scale / self.aspect

    def go(self, x: float, gait: str, factor: float) -> None:
        """Move to a place, turning first where it faces the other way."""
        if abs(x - self.x) < 1e-6:
            return
        if self.moving_animal and self.keys and (x < self.x) != self.left:
            self.turn()
        self.left = x < self.x
        self.key(x=self.x, **({"gait": gait, "flip": self.left} if self.moving_animal else {}))
        self.time += abs(x - self.x) / (self.speed(gait) * factor)
        self.x, self.entering = x, False
        self.key(x=x)

    def rest(self, seconds: float) -> None:
        """Stay where it is."""
        self.key(x=self.x, **({"gait": "stand"} if self.moving_animal else {}))
        self.time += seconds
        self.key(x=self.x)

    def turn(self) -> None:
        """Turn round on the spot."""
        self.rest(TURNING / 2)
        self.left = not self.left
        if self.moving_animal:
            self.key(flip=self.left)
        self.rest(TURNING / 2)


def drawing_of(
    text: str, *, frames: int | None = None, fps: float = 8.0, size: tuple[int, int] = (320, 480)
) -> Drawing:
    """Write a drawing from a sentence.

    Args:
        text: In the words of `GRAMMAR`.
        frames: How many; everything is made faster or slower to fit. None gives each gait its natural speed.
        fps: Frames a second.
        size: Rows and columns in pixels.

    Raises:
        UserError: A word that it does not know, or that means nothing where it stands; the message says what it knows.

    Examples:
        >>> drawing = drawing_of("a horse enters left, gallops to the middle, stops, turns, walks out")
        >>> len(drawing.objects), drawing.objects[0].keys[0].gait
        (1, 'gallop')
    """
    actors = [_acted(part, size[1] / size[0]) for part in re.split(r"[;.]", text.lower()) if part.strip()]
    if not actors:
        raise UserError(f"text={text!r}: it is empty; it knows\n{GRAMMAR}")
    longest = max(actor.time for actor in actors) or 1.0
    count = max(2, round(longest * fps) + 1) if frames is None else frames
    stretch = (count - 1) / longest  # frames a second of the sentence
    objects = [
        {
            "shape": actor.shape,
            "keys": [
                {name: round(value, 4) if type(value) is float else value for name, value in key.items()}
                | {"at": round(key["at"] * stretch, 2)}
                for key in actor.keys
            ],
            "jumps": [round(moment * stretch, 2) for moment in actor.jumps],
        }
        for actor in actors
    ]
    return parse_drawing({"frames": count, "fps": fps, "size": size, "objects": objects}, "text")


def _acted(part: str, aspect: float) -> _Actor:
    words = [word for word in re.findall(r"[\w%.]+|,", part) if word not in ("a", "an", "the", "one")]
    name = words.pop(0) if words else ""
    if name not in animals() and name not in _SHAPES:
        raise _unknown(name, part, f"what moves is one of {', '.join((*animals(), *_SHAPES))}; say it first, alone.")
    actor = _Actor(_SHAPES.get(name, name), aspect)
    clauses: list[list[str]] = [[]]
    for word in words:
        if word in (",", "and", "then", "that", "which", "who"):
            clauses.append([])
        else:
            clauses[-1].append(word)
    height = _GROUND if actor.moving_animal else 0.6
    actor.key(y=height, scale=actor.scale)
    for clause in filter(None, clauses):
        _act(actor, clause, part)
    if actor.entering:  # it entered, and nothing was said of where it goes
        _settle(actor)
    if actor.moving_animal:
        actor.key(gait="stand")
    return actor


def _act(actor: _Actor, clause: list[str], part: str) -> None:
    verb, *rest = clause
    seconds, rest = _seconds(rest, part)
    if verb in ("enters", "comes", "goes") and rest and rest[0] in ("nearer", "closer", "away"):
        _expect(rest[1:], part)
        actor.key(x=actor.x, scale=actor.scale, **({"gait": "auto"} if actor.moving_animal else {}))
        actor.scale *= 1 / _NEARER if rest[0] == "away" else _NEARER
        actor.time += _APPROACH if seconds is None else seconds
        actor.key(x=actor.x, scale=actor.scale)
    elif verb == "enters":
        side = _side([word for word in rest if word not in ("from", "at", "on")], part)
        if actor.time:
            raise _unknown(verb, part, "it can enter at the beginning alone.")
        actor.x, actor.left, actor.entering = (0.0 if side == "left" else 1.0), side == "right", True
        actor.key(x=actor.x, **({"flip": actor.left} if actor.moving_animal else {}))
    elif verb in ("stands", "starts", "begins", "is") and rest:
        if actor.time:
            raise _unknown(verb, part, "it can start at the beginning alone; later it `stops`.")
        actor.x = _place([word for word in rest if word not in ("at", "in", "on")], part)
        actor.key(x=actor.x)
    elif verb in ("stops", "stands", "waits", "rests", "pauses", "halts"):
        _expect(rest, part)
        _settle(actor)
        actor.rest(_PAUSE if seconds is None else seconds)
    elif verb == "turns":
        _expect([word for word in rest if word not in ("round", "around", "back")], part)
        _settle(actor)
        actor.turn()
    elif verb in ("jumps", "leaps"):
        _expect(rest, part)
        if not actor.moving_animal:
            raise _unknown(verb, part, "only animals jump.")
        actor.jumps.append(actor.time)
        actor.go(actor.x + (-1 if actor.left else 1) * actor.speed("gallop") * JUMPING, "gallop", 1.0)
    elif verb in _GAITS or (verb in _LIFELESS and not actor.moving_animal):
        _move(actor, _GAITS.get(verb, "auto"), rest, seconds, part)
    elif verb in ("leaves", "exits"):
        _move(actor, "walk", ["out", *rest], seconds, part)
    else:
        raise _unknown(verb, part)


def _move(actor: _Actor, gait: str, rest: list[str], seconds: float | None, part: str) -> None:
    factor = 1.0
    for word in [word for word in rest if word in _SPEEDS]:
        factor *= _SPEEDS[word]
    rest = [word for word in rest if word not in _SPEEDS]
    gait = gait if actor.moving_animal else "auto"
    outside = _BODY * actor.scale / actor.aspect
    if rest[:1] == ["to"]:
        actor.go(_place(rest[1:], part), gait, factor)
    elif rest[:1] == ["across"]:
        _expect(rest[1:], part)
        actor.go(-outside if actor.left else 1 + outside, gait, factor)
    elif rest[:1] == ["out"]:
        words = [word for word in rest[1:] if word not in ("to", "on", "at", "of", "picture", "through")]
        side = _side(words, part) if words else "left" if actor.left else "right"
        actor.go(-outside if side == "left" else 1 + outside, gait, factor)
    else:
        _expect([word for word in rest if word not in ("on", "along")], part)
        way = actor.speed(gait) * factor * (_PAUSE if seconds is None else seconds)
        actor.go(actor.x + (-way if actor.left else way), gait, factor)


def _settle(actor: _Actor) -> None:
    """Let what has entered walk in, before it does anything else than move."""
    if actor.entering:
        actor.go(0.75 if actor.left else 0.25, "walk" if actor.moving_animal else "auto", 1.0)


def _seconds(words: list[str], part: str) -> tuple[float | None, list[str]]:
    if "for" not in words:
        return None, words
    index = words.index("for")
    number = "".join(words[index + 1 : index + 2])
    if not re.fullmatch(r"\d+(\.\d+)?", number) or words[index + 2 : index + 3] not in (["seconds"], ["second"], ["s"]):
        raise _unknown(" ".join(words[index:]), part, "say it as `for 2 seconds`.")
    return float(number), words[:index] + words[index + 3 :]


def _place(words: list[str], part: str) -> float:
    if len(words) == 1 and words[0] in _PLACES:
        return _PLACES[words[0]]
    if len(words) == 1 and (found := re.fullmatch(r"(\d{1,3})(%| percent)", words[0])) and int(found[1]) <= 100:
        return int(found[1]) / 100
    raise _unknown(" ".join(words), part, f"places are {', '.join(_PLACES)}, or a number such as 30%.")


def _side(words: list[str], part: str) -> str:
    if len(words) != 1 or words[0] not in ("left", "right"):
        raise _unknown(" ".join(words), part, "say left or right.")
    return words[0]


def _expect(words: list[str], part: str) -> None:
    if words:
        raise _unknown(" ".join(words), part)


def _unknown(words: str, part: str, why: str = "") -> UserError:
    return UserError(
        f"text: {words!r} in {part.strip()!r} means nothing here{': ' if why else ''}{why} It knows\n{GRAMMAR}"
    )
