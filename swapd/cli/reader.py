"""Notices that whoever reads what a command prints has left, also while it prints nothing."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio


async def while_somebody_reads(what: Callable[[], Awaitable[object]]) -> None:
    """Do ``what`` until it is done, or until nobody reads our output any more.

    Raises:
      BrokenPipeError: Nobody does, as it would be raised by the next word.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_notice_end, _pipe())
        await what()
        nursery.cancel_scope.cancel(reason="done")


def _pipe() -> int | None:
    """Return standard output if it is a pipe: nothing else tells of its end."""
    with suppress(OSError, ValueError):
        number = sys.stdout.fileno()
        return number if stat.S_ISFIFO(os.fstat(number).st_mode) else None
    return None


async def _notice_end(pipe: int | None) -> None:
    if pipe is None:
        return
    with suppress(OSError):  # where a system cannot wait for that, the next word tells
        await trio.lowlevel.wait_readable(pipe)  # never, but for an error
    if _is_over(pipe):
        raise BrokenPipeError(errno.EPIPE, "nobody reads any more")


def _is_over(pipe: int) -> bool:
    polling = select.poll()
    polling.register(pipe, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in polling.poll(0))
