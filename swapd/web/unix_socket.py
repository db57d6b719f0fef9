"""A Unix socket to listen on: a file that is made, and taken away again.

Rule 1: one that somebody listens on is never taken, however many instances start at once.
Rule 2: nobody else may connect, not even for a moment: whoever may connect to swapd may start
    commands and read what others ask, and keys are optional.
Rule 3: what is taken away at the end is our own file, never that of a successor.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from swapd.errors import CannotStart

#: Whom the file lets in: the user that swapd runs as, and the superuser (rule 2).
MODE = 0o600

#: Bytes that a path may have: what ``struct sockaddr_un`` holds, less the NUL.
_LONGEST = 107 if sys.platform == "linux" else 103

#: Seconds to wait for an instance that may be listening; who is slower than that still lives.
_PROBE = 1.0


class UnixSocket:
    """A Unix socket that is listened on."""

    def __init__(self, path: str, *, backlog: int) -> None:
        """Listen on ``path``, in the place of what a dead instance has left there.

        Raises:
          CannotStart: It is in use, is no socket, or is not ours to make.
        """
        if (size := len(os.fsencode(path))) > _LONGEST:
            raise CannotStart(
                f"cannot listen on unix:{path}: the path has {size} bytes, and that of a Unix"
                f" socket may have {_LONGEST} at most"
            )
        self.path = path
        try:
            with _alone_in(os.path.dirname(path) or "."):
                _make_room(path)
                self.socket = _listen(path, backlog)
                self._identity = _identity(path)
        except OSError as error:
            raise CannotStart(f"cannot listen on unix:{path}: {_reason(error)}") from error

    def remove(self) -> None:
        """Take the file away, unless another is in its place.

        While the socket listens nobody takes the file for a dead one's, so call this before it
        is closed (rule 3).
        """
        with suppress(OSError):
            if _identity(self.path) == self._identity:
                os.unlink(self.path)
        self._identity = None


@contextmanager
def _alone_in(folder: str) -> Iterator[None]:
    """Have all other instances that look at ``folder`` wait (rule 1)."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # it may be ours to write in, but not to list
        yield
        return
    try:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _make_room(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotStart(f"cannot listen on unix:{path}: there is a file that is no socket")
    if _is_listened_on(path):
        raise CannotStart(f"unix:{path} is already in use; choose another with --listen unix:PATH")
    os.unlink(path)


def _is_listened_on(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError as error:
            # Too busy to answer, or listening to another kind of talk: it lives.
            if isinstance(error, TimeoutError) or error.errno in (errno.EAGAIN, errno.EPROTOTYPE):
                return True
            raise
    return True


def _listen(path: str, backlog: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~MODE)  # bind() makes the file, so it never has another mode
    try:
        listener.bind(path)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def _identity(path: str) -> tuple[int, int] | None:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return "there is no such folder"
        case errno.EACCES | errno.EPERM:
            return "not allowed there"
        case _:
            return error.strerror or str(error)
