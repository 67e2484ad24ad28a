import pytest

from voicebot.engine.slots import SlotPool
from voicebot.errors import CapacityError

pytestmark = pytest.mark.unit


def test_lowest_free_slot_is_handed_out_and_comes_back() -> None:
    pool = SlotPool(3)
    assert [pool.acquire(), pool.acquire(), pool.acquire()] == [0, 1, 2]
    pool.release(1)
    assert pool.taken == 2
    assert pool.acquire() == 1


def test_full_pool_refuses_and_release_is_idempotent() -> None:
    pool = SlotPool(1)
    slot = pool.acquire()
    with pytest.raises(CapacityError, match="all 1 slots"):
        pool.acquire()
    pool.release(slot)
    pool.release(slot)
    assert pool.acquire() == slot
    with pytest.raises(CapacityError):
        pool.acquire()


def test_a_pool_needs_a_slot() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SlotPool(0)
