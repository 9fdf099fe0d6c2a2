import asyncio
import time
from datetime import timedelta

from wagateway.adapters.memory.feed import InProcessWakeUp
from wagateway.usecases.task_slots import TaskSlots

LONG = timedelta(seconds=20)
SOON_S = 5.0


async def rested_s(*, longest: timedelta = LONG, wake_up: InProcessWakeUp | None = None) -> float:
    began = time.monotonic()
    await TaskSlots(1).rest(asyncio.Event(), longest, wake_up)
    return time.monotonic() - began


async def test_whoever_rests_is_woken() -> None:
    wake_up = InProcessWakeUp()
    resting = asyncio.create_task(rested_s(wake_up=wake_up))
    await asyncio.sleep(0)
    wake_up.wake()
    assert await resting < SOON_S


async def test_however_often_it_is_woken_some_rest_is_left() -> None:
    wake_up = InProcessWakeUp()
    wake_up.wake()
    assert await rested_s(wake_up=wake_up) >= 0.19


async def test_a_rest_that_ends_otherwise_loses_no_wake_up() -> None:
    wake_up = InProcessWakeUp()
    wake_up.wake()
    assert await rested_s(longest=timedelta(milliseconds=1), wake_up=wake_up) < 0.19
    assert await rested_s(wake_up=wake_up) < SOON_S


async def test_without_a_wake_up_the_rest_is_over_in_time() -> None:
    assert await rested_s(longest=timedelta(milliseconds=1)) < SOON_S
