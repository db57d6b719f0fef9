"""Whoever may end a request ends the one block around it, and the first one says why."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from swapd.cuttable import Cuttable
from swapd.errors import ModelUnavailable, RequestCancelled, UpstreamFailed

BY_HAND = RequestCancelled("by hand")


async def wait_in(block: Cuttable) -> None:
    with block:
        await trio.sleep_forever()


async def test_a_block_that_is_cut_ends_at_once_with_the_first_reason(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    block = Cuttable()

    async def cut() -> None:
        await trio.sleep(1)
        block.cut(BY_HAND)
        block.cut(ModelUnavailable("it was unloaded", retry_after=1))

    nursery.start_soon(cut)
    with pytest.raises(RequestCancelled, match="by hand"):
        await wait_in(block)
    assert trio.current_time() == 1


async def test_a_block_that_is_cut_before_it_begins_does_not_begin() -> None:
    block = Cuttable()
    block.cut(BY_HAND)
    with trio.fail_after(1), pytest.raises(RequestCancelled):
        await wait_in(block)


async def test_a_block_that_is_done_has_not_failed() -> None:
    with Cuttable() as block:
        await trio.lowlevel.checkpoint()
        block.cut(BY_HAND)


async def test_what_fails_by_itself_says_why_itself() -> None:
    def fail() -> None:
        with Cuttable() as block:
            block.cut(BY_HAND)
            raise UpstreamFailed("it broke")

    with pytest.raises(UpstreamFailed, match="it broke"):
        fail()


async def test_where_all_around_it_is_cancelled_nobody_is_told_why() -> None:
    block = Cuttable()
    with trio.CancelScope() as outer:
        block.cut(BY_HAND)
        outer.cancel(reason="its client has left")
        await wait_in(block)
    assert outer.cancelled_caught
