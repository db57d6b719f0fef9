"""Tells whose other end has closed, without reading what is still unread."""

from __future__ import annotations

import select
import sys
from collections.abc import Collection

if sys.platform == "linux":

    def departed(fds: Collection[int]) -> list[int]:
        """Return those of ``fds`` whose other end has closed, whatever is still unread."""
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLRDHUP)
        return [fd for fd, _ in poll.poll(0)]

else:

    def departed(fds: Collection[int]) -> list[int]:
        """Return those of ``fds`` whose other end has closed, whatever is still unread."""
        reads = [select.kevent(fd, select.KQ_FILTER_READ, select.KQ_EV_ADD) for fd in fds]
        queue = select.kqueue()
        try:
            events = queue.control(reads, len(reads), 0) if reads else []
        finally:
            queue.close()
        return [event.ident for event in events if event.flags & select.KQ_EV_EOF]
