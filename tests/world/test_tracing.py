"""The shipped silhouettes are what the world gives, and a stride's way is that of its feet."""

import numpy as np

from maskvid.masks.draw.silhouettes import LIBRARY, animals
from maskvid.masks.read import iter_masks
from maskvid.world import captions
from maskvid.world.gaits import GAITS
from maskvid.world.scene import Stance, puppet
from maskvid.world.tracing import ABOUT, STAGE, record, stride


def test_the_library_is_what_the_world_gives():
    assert set(animals()) == set(captions.SPECIES)
    assert (LIBRARY / "README.md").read_text() == ABOUT
    found = {name: masks for name, masks, _ in record("dog")}
    assert set(found) == {"stand", *GAITS, "turn", "jump"}
    for name in ("stand", "trot"):
        shipped = np.stack(list(iter_masks(LIBRARY / "dog" / f"{name}.npz")))
        assert (shipped == found[name]).mean() > 0.999  # another driver may round an edge otherwise


def test_a_stride_covers_the_way_on_which_a_foot_stands_still():
    """A body that is moved by it, phase by phase, leaves the foot on the ground where it is."""
    animal = puppet("horse", STAGE)
    way = stride(animal, "trot")
    places = []
    for phase in np.linspace(0.05, 0.4, 8):  # the left fore foot stands from 0.5 on
        animal.place(Stance(gait="trot", phase=0.5 + phase, x=way * phase))
        places.append(animal.feet()["lf"][0])
    assert np.ptp(places) < 0.1 * way
    assert way > 0.5
