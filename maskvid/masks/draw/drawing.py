"""The one file that describes moving masks, as the command line, Python and a browser read and write it.

JSON or YAML. Places are shares of the picture: `x` 0 is its left edge and 1 its right, `y` 0 the top and 1 the bottom.
Sizes are shares of its height, so that a circle stays one. Frames are counted from 0::

    frames: 24
    fps: 8
    size: [320, 480]                 # rows, columns
    objects:
      - shape: horse                 # of the library; it walks, trots or gallops as fast as it moves
        keys:
          - {at: 0, x: -0.2, y: 0.85, scale: 0.4}
          - {at: 12, x: 0.5, ease: ease-out}
          - {at: 23, x: 0.5}
      - shape: {kind: polygon, points: [[0, 0], [4, 1], [2, 3]]}
        path: {points: [[0.1, 0.2], [0.5, 0.1], [0.9, 0.3]], speed: ease-in-out}
        keys: [{at: 0, scale: 0.1}, {at: 23, scale: 0.2, rotation: 90, shape: ellipse}]

Later objects stand before earlier ones. A key sets what it names, and each of those moves from one of its keys to the
next by the earlier key's `ease`; before the first and behind the last it stays. Where `shape` has two keys, one shape
turns into the other on the way.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from maskvid.bounds import FRAMES, PIXELS, RATE
from maskvid.json_reading import LARGEST
from maskvid.masks.draw.easing import EASINGS

MOST = 256
"""Objects, and keys of an object."""
POINTS = 4096
"""Of a polygon or a path."""

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=-4, le=5)]
Positive = Annotated[Number, Field(gt=0, le=100)]
Name = Annotated[str, Field(min_length=1, max_length=4096)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Plain(_Part):
    """An ellipse or a rectangle.

    Attributes:
        kind: `ellipse` or `rectangle`.
        aspect: Width by height; 1 is a circle, or a square.
    """

    kind: Literal["ellipse", "rectangle"]
    aspect: Annotated[Number, Field(ge=1 / 16, le=16)] = 1.0


class Polygon(_Part):
    """A polygon.

    Attributes:
        kind: `polygon`.
        points: [x, y] of its corners in any unit, y downwards; only the form counts, `scale` says how large it is.
    """

    kind: Literal["polygon"]
    points: list[tuple[Number, Number]] = Field(min_length=3, max_length=POINTS)


class Svg(_Part):
    """A form in the language of SVG.

    Attributes:
        kind: `svg`.
        path: What stands in the `d` of an SVG path, in any unit; or
        file: An SVG file, all of whose forms are filled.
    """

    kind: Literal["svg"]
    path: Annotated[str, Field(min_length=1, max_length=LARGEST)] | None = None
    file: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Svg:
        if (self.path is None) == (self.file is None):
            raise ValueError("give path or file, one of them")
        return self


class Picture(_Part):
    """The foreground of a picture that masks are read from: white, or what is not transparent.

    Attributes:
        kind: `picture`.
        file: The picture.
    """

    kind: Literal["picture"]
    file: Name


class Silhouette(_Part):
    """A moving silhouette, of the library or of any mask video.

    Attributes:
        kind: `silhouette`.
        of: An animal of the library, see `maskvid.masks.draw.silhouettes.animals`; or
        file: Masks as maskvid reads them: video, folder of pictures, npz. They are repeated from their beginning.
        gait: `auto` takes the gait by the speed; else a name of the library's. Of an animal only.
        stride: Way, in its own heights, on which all masks of `file` are shown once; null shows them by time.
        cadence: Strides a second in place of those that the way covered asks for: an animal that gallops on the spot.
    """

    kind: Literal["silhouette"]
    of: Name | None = None
    file: Name | None = None
    gait: Name = "auto"
    stride: Positive | None = None
    cadence: Annotated[Number, Field(ge=0, le=20)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Silhouette:
        if (self.of is None) == (self.file is None):
            raise ValueError("give of or file, one of them")
        if self.of is not None and self.stride is not None:
            raise ValueError("the library knows the stride of its animals; leave it out")
        if self.file is not None and self.gait != "auto":
            raise ValueError("a file has one gait; leave it out")
        return self


def _spelt(shape: Any) -> Any:
    """A shape given by one word: `ellipse`, `rectangle`, `horse`, `horse/trot`."""
    if not isinstance(shape, str):
        return shape
    if shape in ("ellipse", "rectangle"):
        return {"kind": shape}
    animal, _, gait = shape.partition("/")
    return {"kind": "silhouette", "of": animal, **({"gait": gait} if gait else {})}


Shape = Annotated[
    Annotated[Plain | Polygon | Svg | Picture | Silhouette, Field(discriminator="kind")],
    BeforeValidator(_spelt),
]
Ease = Literal[EASINGS] | tuple[Number, Number, Number, Number]  # type: ignore[valid-type]  # pydantic reads the tuple


class Key(_Part):
    """What holds at a frame.

    Attributes:
        at: The frame, from 0 on.
        x: Across, in shares of the picture's width. Of animals the middle, of other shapes the centre.
        y: Down, in shares of its height. Of animals the ground they stand on, of other shapes the centre.
        scale: Height of the shape in shares of the picture's; of animals when they stand.
        rotation: Degrees against the clock.
        flip: Whether it is mirrored. Animals of the library face right, and turn towards where they go where no key
            says anything.
        visible: Whether it is there, from this frame on.
        gait: Of animals, from this frame on, in place of the shape's.
        shape: What it has become by this frame.
        ease: How everything here goes on to its next key: `linear`, `ease-in`, `ease-out`, `ease-in-out`, `hold`
            (nothing moves, then it jumps), or the four numbers of CSS's `cubic-bezier`.
    """

    at: Annotated[Number, Field(ge=0, le=FRAMES)]
    x: Share | None = None
    y: Share | None = None
    scale: Positive | None = None
    rotation: Annotated[Number, Field(ge=-36000, le=36000)] | None = None
    flip: bool | None = None
    visible: bool | None = None
    gait: Name | None = None
    shape: Shape | None = None
    ease: Ease = "linear"


class Course(_Part):
    """A way through the picture, in place of keys for `x` and `y`.

    Attributes:
        points: [x, y] in shares of the picture's width and height; or
        svg: The same as the `d` of an SVG path, whose coordinates are those shares.
        smooth: Whether points are joined by a curve; straight lines otherwise.
        start: Frame at which it begins to move.
        end: Frame at which it is there; null is the last.
        speed: An easing, or pairs [share of the time, share of the way], rising from [0, 0] to [1, 1].
        follow: Whether the shape turns with the way.
    """

    points: list[tuple[Share, Share]] | None = Field(None, min_length=2, max_length=POINTS)
    svg: Annotated[str, Field(min_length=1, max_length=LARGEST)] | None = None
    smooth: bool = True
    start: Annotated[Number, Field(ge=0, le=FRAMES)] = 0.0
    end: Annotated[Number, Field(gt=0, le=FRAMES)] | None = None
    speed: Ease | list[tuple[Number, Number]] = "linear"
    follow: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Course:
        if (self.points is None) == (self.svg is None):
            raise ValueError("give points or svg, one of them")
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"it ends at frame {self.end:g} and starts at {self.start:g}; end later")
        if isinstance(self.speed, list):
            ends = self.speed[:1] == [(0, 0)] and self.speed[-1:] == [(1, 1)]
            pairs = list(zip(self.speed, self.speed[1:], strict=False))
            if not ends or any(a[0] >= b[0] or a[1] > b[1] for a, b in pairs):
                raise ValueError("speed: pairs [time, way] rise from [0, 0] to [1, 1]")
        return self


class Object(_Part):
    """Something that moves.

    Attributes:
        shape: What it looks like at first.
        keys: At rising frames.
        path: Where it goes, in place of keys for `x` and `y`.
        jumps: Frames at which an animal of the library leaps off.
        occluder: Whether it hides what is behind it and is no foreground itself: a tree, a wall.
        name: For people.
    """

    shape: Shape
    keys: list[Key] = Field(default_factory=list, max_length=MOST)
    path: Course | None = None
    jumps: list[Annotated[Number, Field(ge=0, le=FRAMES)]] = Field(default_factory=list, max_length=MOST)
    occluder: bool = False
    name: str | None = Field(None, max_length=256)

    @model_validator(mode="after")
    def _sound(self) -> Object:
        for before, after in zip(self.keys, self.keys[1:], strict=False):
            if after.at <= before.at:
                raise ValueError(f"keys: frame {after.at:g} stands behind frame {before.at:g}; bring them in order")
        if self.path is not None and any(key.x is not None or key.y is not None for key in self.keys):
            raise ValueError("it has a path, and keys with x or y; give one of them")
        if self.jumps and not (isinstance(self.shape, Silhouette) and self.shape.of):
            raise ValueError("jumps: only animals of the library jump; move others by keys")
        return self


class Drawing(_Part):
    """Moving masks.

    Attributes:
        objects: From the back to the front.
        frames: How many.
        fps: Frames a second.
        size: Rows and columns in pixels.

    Examples:
        >>> ball = {"shape": "ellipse", "keys": [{"at": 0, "x": 0.2}, {"at": 3, "x": 1.0}]}
        >>> draw_masks(Drawing(frames=4, objects=[ball])).shape
        (4, 320, 480)
    """

    objects: list[Object] = Field(min_length=1, max_length=MOST)
    frames: Annotated[int, Field(ge=1, le=FRAMES, strict=True)] = 16
    fps: Annotated[Number, Field(gt=0, le=RATE)] = 8.0
    size: tuple[Annotated[int, Field(ge=8, le=PIXELS)], Annotated[int, Field(ge=8, le=PIXELS)]] = (320, 480)

    @model_validator(mode="after")
    def _foreground(self) -> Drawing:
        if all(one.occluder for one in self.objects):
            raise ValueError("objects: all are occluders, so that nothing is foreground")
        return self
