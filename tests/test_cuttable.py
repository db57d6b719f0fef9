"""Whoever may end a request ends the one block around it, and the first one says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from trio.testing import MockClock

from swapd.cuttable import Cuttable, Lasting
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


async def cut_in(block: Cuttable) -> None:
    with block:
        block.cut(BY_HAND)
        await trio.lowlevel.checkpoint()


@contextmanager
def lasting() -> Iterator[Lasting]:
    """Have blocks in one scope, of which each ends the way that the test expects."""
    is_whole = False
    with Lasting() as blocks:
        yield blocks
        is_whole = True
    assert is_whole


def within(blocks: Lasting) -> Cuttable:
    block = Cuttable()
    block.within = blocks
    return block


async def test_blocks_in_one_scope_are_cut_one_by_one() -> None:
    with lasting() as blocks:
        first = blocks.scope()
        with within(blocks):
            await trio.lowlevel.checkpoint()
        assert blocks.scope() is first
        for _ in range(2):
            block = within(blocks)
            with pytest.raises(RequestCancelled, match="by hand"):
                await cut_in(block)
            await trio.lowlevel.checkpoint()
        assert blocks.scope() is not first
        with within(blocks):
            await trio.lowlevel.checkpoint()


async def test_a_block_in_a_scope_that_lasts_is_cut_before_it_begins() -> None:
    with lasting() as blocks:
        block = within(blocks)
        block.cut(BY_HAND)
        await trio.lowlevel.checkpoint()
        with pytest.raises(RequestCancelled):
            await wait_in(block)


async def test_to_cut_a_block_that_is_over_leaves_the_next_one_alone() -> None:
    with lasting() as blocks:
        with within(blocks) as over:
            await trio.lowlevel.checkpoint()
        over.cut(BY_HAND)
        with within(blocks):
            over.cut(BY_HAND)
            await trio.lowlevel.checkpoint()


async def test_a_block_that_is_done_or_fails_as_it_is_cut_leaves_the_next_one_alone() -> None:
    def fail(block: Cuttable) -> None:
        with block:
            block.cut(BY_HAND)
            raise UpstreamFailed("it broke")

    with lasting() as blocks:
        with within(blocks) as done:
            done.cut(BY_HAND)
        await trio.lowlevel.checkpoint()
        with pytest.raises(UpstreamFailed):
            fail(within(blocks))
        await trio.lowlevel.checkpoint()


async def test_where_all_around_what_lasts_is_cancelled_nobody_is_told_why() -> None:
    with trio.CancelScope() as outer, Lasting() as blocks:
        block = within(blocks)
        with block:
            block.cut(BY_HAND)
            outer.cancel(reason="its client has left")
            await trio.lowlevel.checkpoint()
    assert outer.cancelled_caught


async def test_who_is_cancelled_around_what_lasts_is_so_between_blocks_too() -> None:
    with trio.CancelScope() as outer, Lasting() as blocks:
        with within(blocks):
            await trio.lowlevel.checkpoint()
        outer.cancel(reason="its client has left")
        await trio.sleep_forever()
    assert outer.cancelled_caught
