"""Remembers every metered request: takes it at once, has it written in a thread, tells when it is.

Rule 1: whoever hands a request in never waits.  What cannot be kept is counted, and told once.
Rule 2: a store that fails is tried again until it does not; swapd serves on meanwhile.
Rule 3: at the end what is left is written, within a bounded time.
Rule 4: what goes to memory, and nobody is told of, rests until somebody wants to read it; of that
    only as many wait as would be kept.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

import trio

from swapd.errors import CannotStart, StoreUnreadable
from swapd.telemetry.activity.keeping import Keeping, Retention
from swapd.telemetry.activity.row import Row
from swapd.telemetry.activity.store import Store
from swapd.telemetry.captures import Captures, Draft
from swapd.telemetry.finished import Finished

_log = logging.getLogger("swapd.activity")

_T = TypeVar("_T")

#: How many requests may wait to be written; at 1,000 a second that is how long a disk may stall.
QUEUE = 8192

#: How many are written in one transaction.
BATCH = 512

#: Seconds in which requests gather, so that many cost one write.
LINGER = 0.1

#: Seconds after which a store that failed is tried again.
RETRY = 5.0

#: Seconds between two looks at what a file holds that has become too old.
PRUNE_EVERY = 600.0

#: Seconds that the last rows may take at the end.
LAST_WRITE = 3.0

#: How many questions are answered at once; each may read a million rows.
READERS = 2


class Activity:
    """The requests that are remembered."""

    def __init__(
        self,
        keeping: Keeping,
        *,
        on_stored: Callable[[Sequence[Row]], None],
        is_heard: Callable[[], bool] = lambda: True,
        wall_clock: Callable[[], float] = time.time,  # noqa: TID251  of rows that people see
    ) -> None:
        """Remember by ``keeping`` as soon as ``run`` does.

        Args:
          keeping: Where, and which.
          on_stored: Told of rows as soon as they can be found, on the event loop.
          is_heard: Says whether that matters to anybody now.
          wall_clock: Gives Unix seconds.
        """
        self._keeping = keeping
        self.captures = Captures(keeping.capture_bytes)
        self._on_stored = on_stored
        self._is_heard = is_heard
        self._wall_clock = wall_clock
        self._store: Store | None = None
        self._waiting: deque[Finished] = deque()
        self._unheard = 0  # of those, the oldest, which nobody is told of
        self._writes = False
        self._taken = 0  # requests, since the start
        self._settled = 0  # of those
        self._lost = 0
        self._fails = False
        self._ending = False
        self._woken = trio.Event()
        self._asked = trio.Event()  # somebody wants to read what waits to be written
        self._written = trio.Event()
        self._writer = trio.CapacityLimiter(1)
        self._readers = trio.CapacityLimiter(READERS)

    def record(self, finished: Finished) -> None:
        """Remember ``finished``, if it is one of those that are.  Never blocks."""
        if not finished.is_metered:
            return
        if len(self._waiting) >= QUEUE:
            self._lose(finished)
            return
        self._waiting.append(finished)
        self._taken += 1
        if self._may_rest():
            self._rest()
        else:
            self._woken.set()

    def _may_rest(self) -> bool:
        """Tell whether what came last need not be written yet (rule 4)."""
        leaves = self._store and self._store.path  # a file may be about to be left
        if self._keeping.path or leaves or self._keeping.capture_bytes or self._ending:
            return False
        return len(self._waiting) < QUEUE // 2 and not self._is_heard()

    def _rest(self) -> None:
        if self._unheard == len(self._waiting) - 1:
            self._unheard += 1
        while not self._writes and 0 < self._keeping.retention.rows < len(self._waiting):
            _release(self._waiting.popleft())
            self._unheard = max(0, self._unheard - 1)
            self._settled += 1

    def reconfigure(self, keeping: Keeping) -> None:
        """Remember by ``keeping`` from now on; a file is opened only if it is another."""
        if keeping.path != self._keeping.path:
            self._asked.set()  # what is there goes where it belonged, and nothing more with it
        self._keeping = keeping
        self.captures.resize(keeping.capture_bytes)
        self._woken.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled, and then what is left.

        Args:
          task_status: Started when the store is open.

        Raises:
          CannotStart: The store cannot be opened.
        """
        self._store = await trio.to_thread.run_sync(Store, self._keeping.path)
        patience = trio.CancelScope(shield=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write_within, patience)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._ending = True
                self._woken.set()
                self._asked.set()
                patience.deadline = trio.current_time() + LAST_WRITE

    async def read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what ``query`` finds in the store, also of what was just handed in.

        Args:
          query: Is called in a thread.

        Raises:
          StoreUnreadable: The store cannot be read now.
        """
        assert self._store is not None, "run() has opened it"
        await self._settle()
        work, limiter = partial(_read, self._store, query), self._readers
        try:
            return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
        except sqlite3.Error as error:
            self._woken.set()  # the writer sees to it if the file is gone
            where = self._keeping.path or "the requests in memory"
            raise StoreUnreadable(f"{where}: {error}", retry_after=RETRY) from error

    async def _settle(self) -> None:
        """Wait until what was handed in before now is written; not for what comes meanwhile."""
        before_now = self._taken
        with trio.move_on_after(LAST_WRITE):
            while self._settled < before_now and not self._fails:
                self._asked.set()
                self._woken.set()
                await self._written.wait()

    async def _write_within(self, patience: trio.CancelScope) -> None:
        assert self._store is not None
        with patience:
            while not self._ending or self._waiting:
                await self._gather()
                await self._follow()
                if not await self._write(self._keeping.retention) and self._ending:
                    break
            await self._do(self._store.close)
        if patience.cancelled_caught:
            # Whoever holds the file up may hold up its closing, too: nobody waits for that.
            trio.lowlevel.start_thread_soon(self._store.close, lambda outcome: None)
        if self._waiting:
            _log.error("swapd ends: %d requests are not remembered", len(self._waiting))

    async def _gather(self) -> None:
        """Wait for requests, or for the time to look after a file's old ones."""
        assert self._store is not None
        # Memory keeps by number alone: time changes nothing there, and what rests goes on resting.
        with trio.move_on_after(PRUNE_EVERY if self._store.path else math.inf) as idle:
            await self._woken.wait()
        self._woken = trio.Event()
        if idle.cancelled_caught:
            self._store.recount()
        elif self._waiting:
            with trio.move_on_after(LINGER):
                await self._asked.wait()

    async def _follow(self) -> None:
        """Go over to another file if there is to be one; keep the old one if it cannot be used."""
        assert self._store is not None
        path, former = self._keeping.path, self._store
        if path == former.path:
            if path is not None and await self._do(former.is_gone):
                await self._begin_anew(former)
            return
        # What came before the change belongs to the old one, which new limits do not concern.
        await self._write(Retention())
        try:
            store = await self._do(partial(Store, path))
        except CannotStart as error:
            _log.error("requests are remembered as before: %s", error)
            self._keeping = replace(self._keeping, path=former.path)
        else:
            await self._go_over(former, store)
            _log.info("requests are remembered in %s from now on", path or "memory")

    async def _begin_anew(self, former: Store) -> None:
        """Take what is in the place of a file that somebody has taken away, or make a new one."""
        # First: what SQLite keeps beside a file may be there still, and would be that of both.
        await self._do(former.close)
        try:
            store = await self._do(partial(Store, former.path))
        except CannotStart:
            return  # rule 2: the old one says that it is gone
        await self._go_over(former, store)
        _log.warning("%s was deleted or replaced: requests are remembered anew", former.path)

    async def _go_over(self, former: Store, store: Store) -> None:
        self._store = store
        await self._do(former.close)
        self.captures.clear()  # their numbers were those of the old rows

    async def _write(self, keep: Retention) -> bool:
        """Write what waits and forget what is not kept; tell whether that was possible.

        What comes meanwhile gathers for the next time: to hand work to the thread costs as much as
        many rows.
        """
        self._writes = True
        try:
            while await self._write_batch(keep):
                pass
        except sqlite3.Error as error:
            await self._fail(error)
            return False
        finally:
            self._writes = False
        self._recover()
        return True

    async def _write_batch(self, keep: Retention) -> bool:
        """Write some of what waits, forget some of what is not kept; tell if there is more."""
        assert self._store is not None
        batch = list(islice(self._waiting, BATCH))
        work = partial(self._store.work, batch, keep, self._wall_clock())
        done = await self._do(work)
        for _ in batch:
            self._waiting.popleft()
        unheard = min(self._unheard, len(batch))
        self._unheard -= unheard
        await self._keep_copies(batch, done.rows)
        if heard := done.rows[unheard:]:
            self._on_stored(heard)
        self._settled += len(batch)
        self._announce()
        return done.may_prune or len(batch) == BATCH

    async def _keep_copies(self, batch: Sequence[Finished], rows: Sequence[Row]) -> None:
        """Keep the copies of requests that are stored, and were wanted."""
        wanted = [
            (row.id, finished.collected, finished.error is None or finished.is_garbled)
            for finished, row in zip(batch, rows, strict=True)
            if isinstance(finished.collected, Draft)
        ]
        if not wanted:
            return

        def pack() -> list[bytes | None]:
            return [draft.packed(is_whole=is_whole) for _, draft, is_whole in wanted]

        # All at once: to hand one to a thread takes longer than to pack it.
        for (number, draft, _), packed in zip(wanted, await self._do(pack), strict=True):
            if packed is not None:
                self.captures.keep(number, packed)
            draft.release()

    def _announce(self) -> None:
        """Let all read who wait for what is written."""
        self._asked = trio.Event()
        self._written.set()
        self._written = trio.Event()

    async def _fail(self, error: sqlite3.Error) -> None:
        if not self._fails:
            self._fails = True
            _log.error(
                "requests cannot be remembered: %s: %s; it is tried again every %d s",
                self._keeping.path or "memory",
                error,
                RETRY,
            )
        self._announce()
        with trio.move_on_after(RETRY):
            while not self._ending:
                await self._woken.wait()
                self._woken = trio.Event()
        self._woken.set()

    def _recover(self) -> None:
        if self._fails:
            _log.info("requests are remembered again; %d are lost", self._lost)
        elif self._lost:
            _log.warning("%d requests are not remembered", self._lost)
        self._fails, self._lost = False, 0

    async def _do(self, what: Callable[[], _T]) -> _T:
        """Do ``what`` in the writer's thread; at the end of all patience it is left to itself."""
        return await trio.to_thread.run_sync(what, abandon_on_cancel=True, limiter=self._writer)

    def _lose(self, finished: Finished) -> None:
        if not self._lost:
            _log.error("requests come faster than they can be remembered: some are lost")
        self._lost += 1
        _release(finished)


def _release(finished: Finished) -> None:
    if isinstance(finished.collected, Draft):
        finished.collected.release()


def _read(store: Store, query: Callable[[sqlite3.Connection], _T]) -> _T:
    with store.reading() as connection:
        return query(connection)
