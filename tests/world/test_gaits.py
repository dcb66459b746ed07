import numpy as np
import pytest

from maskvid.errors import UserError
from maskvid.world.gaits import GAITS, leg_phase, pose
from maskvid.world.movements import track, travel

LEGS = ("lh", "rh", "lf", "rf")


def _on_ground(gait: str, phase: float) -> set[str]:
    return {leg for leg in LEGS if leg_phase(GAITS[gait], leg, phase) < GAITS[gait].duty}


def _footfalls(gait: str) -> list[str]:
    """Legs in the order in which they touch the ground, beginning with the left hind."""
    order = []
    before = _on_ground(gait, -1e-3)
    for phase in np.arange(0, 1, 1e-2):
        now = _on_ground(gait, phase + 1e-6)
        order += sorted(now - before)
        before = now
    return order


def test_walk_is_a_lateral_sequence_with_two_or_three_feet_down() -> None:
    assert _footfalls("walk") == ["lh", "lf", "rh", "rf"]
    assert {len(_on_ground("walk", p)) for p in np.linspace(0, 1, 200)} <= {2, 3}


def test_trot_moves_diagonal_pairs_together() -> None:
    assert _footfalls("trot") == ["lh", "rf", "lf", "rh"]
    for phase in np.linspace(0, 1, 50):
        assert leg_phase(GAITS["trot"], "lh", phase) == pytest.approx(leg_phase(GAITS["trot"], "rf", phase))
        assert leg_phase(GAITS["trot"], "rh", phase) == pytest.approx(leg_phase(GAITS["trot"], "lf", phase))


def test_gallop_lands_hind_legs_before_fore_legs_and_floats() -> None:
    assert _footfalls("gallop") == ["lh", "rh", "lf", "rf"]
    # The suspension lies between the last fore foot and the next stride's first hind foot.
    assert not _on_ground("gallop", 0.985)
    assert max(pose(GAITS["gallop"], p)["lift"] for p in np.linspace(0, 1, 100)) > 0
    assert max(pose(GAITS["walk"], p)["lift"] for p in np.linspace(0, 1, 100)) == 0


@pytest.mark.parametrize("gait", GAITS)
def test_feet_sweep_back_on_the_ground_and_knees_bend_only_in_the_air(gait: str) -> None:
    for leg in LEGS:
        start = GAITS[gait].touch_down[LEGS.index(leg)]
        stance = [pose(GAITS[gait], start + GAITS[gait].duty * q)[f"{leg}_upper"] for q in (0.05, 0.5, 0.95)]
        assert stance[0] > stance[1] > stance[2]
        if leg[1] == "f":
            assert pose(GAITS[gait], start + 0.5 * GAITS[gait].duty)[f"{leg}_middle"] == 0
            assert pose(GAITS[gait], start + 0.5 * (1 + GAITS[gait].duty))[f"{leg}_middle"] < -20


def test_pose_is_periodic_and_stands_still_without_strength() -> None:
    first, later = pose(GAITS["gallop"], 0.37), pose(GAITS["gallop"], 5.37)
    assert first == pytest.approx(later, abs=1e-9)
    assert all(abs(angle) < 1e-12 for angle in pose(GAITS["trot"], 0.3, strength=0.0).values())


def test_a_stop_ends_in_a_stand_and_a_turn_faces_back() -> None:
    stop = track("stop", gait="gallop", frames=24, start=0.0)
    assert stop.strength[0] == 1
    assert stop.strength[-1] == 0
    assert np.diff(stop.along)[-3:] == pytest.approx(0, abs=1e-9)
    turn = track("turn", gait="trot", frames=24, start=0.0)
    assert turn.turn[-1] == 180
    assert np.diff(turn.along)[0] > 0 > np.diff(turn.along)[-1]
    jump = track("jump", gait="gallop", frames=24, start=0.0)
    assert jump.hover.max() > 0.4
    assert jump.hover[0] == jump.hover[-1] == 0
    grow, shrink = (track(m, gait="gallop", frames=24, start=0.0) for m in ("grow", "shrink"))
    assert grow.away[0] > grow.away[-1] == 0
    assert shrink.away[-1] > shrink.away[0] == 0


@pytest.mark.parametrize(
    ("change", "message"), [({"movement": "fly"}, "fly"), ({"gait": "amble"}, "amble"), ({"frames": 1}, "frames=1")]
)
def test_impossible_movements_are_refused(change: dict, message: str) -> None:
    wanted = {"movement": "cross", "gait": "trot", "frames": 24, "start": 0.0, **change}
    with pytest.raises(UserError, match=message):
        track(wanted.pop("movement"), **wanted)


def test_travel_is_a_share_of_the_width() -> None:
    masks = np.zeros((3, 4, 20), np.uint8)
    masks[0, :, 2:4] = 255
    masks[2, :, 12:14] = 255
    assert travel(masks) == pytest.approx(0.5)
