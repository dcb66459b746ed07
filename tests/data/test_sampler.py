from itertools import islice

import pytest

from maskvid.data.sampler import PositionSampler, clip_at, epoch_order, generator_at, shard


def first(sampler, count):
    return list(islice(sampler, count))


def test_every_epoch_shows_every_clip_once_in_another_order():
    epochs = [[clip_at(7, epoch * 5 + place, 5) for place in range(5)] for epoch in range(20)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 10
    assert [clip_at(8, place, 5) for place in range(100)] != [clip for epoch in epochs for clip in epoch]


def test_draws_are_functions_of_seed_and_position():
    assert generator_at(1, 5).random() == generator_at(1, 5).random()
    draws = {generator_at(seed, position).random() for seed in range(4) for position in range(50)}
    assert len(draws) == 200
    epoch_order.cache_clear()
    before = epoch_order(3, 2, 9)
    epoch_order.cache_clear()
    assert epoch_order(3, 2, 9) == before


def test_resumed_batches_equal_those_of_an_unbroken_run():
    unbroken = first(PositionSampler(batch_size=3), 10)
    assert first(PositionSampler(batch_size=3, start=4 * 3), 6) == unbroken[4:]


@pytest.mark.parametrize("start", [0, 8])
def test_two_ranks_partition_what_one_process_draws(start):
    ranks = [first(PositionSampler(batch_size=2, rank=rank, world_size=2, start=start), 5) for rank in range(2)]
    together = first(PositionSampler(batch_size=4, start=start), 5)
    for left, right, both in zip(*ranks, together, strict=True):
        assert not set(left) & set(right)
        assert sorted(left + right) == both


def test_validation_shards_are_complete_and_never_padded():
    for world_size in (1, 2, 3, 7):
        shares = [list(shard(5, rank, world_size)) for rank in range(world_size)]
        assert sorted(index for share in shares for index in share) == list(range(5))
