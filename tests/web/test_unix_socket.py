"""A Unix socket: whose it is, who may use it, and what is left of it."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swapd.errors import CannotStart
from swapd.web.unix_socket import UnixSocket


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s")


def listen(path: str) -> UnixSocket:
    return UnixSocket(path, backlog=1)


def leave_dead(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()


def test_nobody_else_may_connect(path: str) -> None:
    before = os.umask(0)
    try:
        with listen(path).socket:
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_a_live_one_is_not_taken_and_goes_on(path: str) -> None:
    with listen(path).socket as first:
        with pytest.raises(CannotStart) as refused:
            listen(path)
        assert str(refused.value) == (
            f"unix:{path} is already in use; choose another with --listen unix:PATH"
        )
        first.accept()[0].close()  # the look of the one that was refused
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            first.accept()[0].close()


def test_one_that_is_too_busy_to_answer_lives(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            with pytest.raises(CannotStart, match="already in use"):
                listen(path)


def test_one_for_datagrams_is_not_taken_either(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        with pytest.raises(CannotStart, match="already in use"):
            listen(path)


def test_what_a_dead_one_left_is_replaced(path: str) -> None:
    leave_dead(path)
    with listen(path).socket as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        listener.accept()[0].close()


def test_of_many_that_start_at_once_one_gets_it(path: str) -> None:
    leave_dead(path)
    got: list[UnixSocket] = []
    refused: list[CannotStart] = []

    def start() -> None:
        try:
            got.append(listen(path))
        except CannotStart as error:
            refused.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)
    got[0].socket.close()


def test_who_looks_at_a_place_waits_for_the_one_who_is_taking_it(path: str) -> None:
    with ThreadPoolExecutor() as pool:
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_EX)
        starting = pool.submit(listen, path)
        with pytest.raises(TimeoutError):
            starting.result(timeout=0.2)
        os.close(folder)
        starting.result().socket.close()


def test_the_file_goes_at_the_end(path: str) -> None:
    listener = listen(path)
    listener.remove()
    listener.socket.close()
    assert not os.path.lexists(path)
    listener.remove()  # a second time changes nothing


def test_the_file_of_a_successor_stays(path: str) -> None:
    listener = listen(path)
    os.rename(path, path + ".old")
    with listen(path).socket:
        listener.remove()
        assert os.path.lexists(path)
    listener.socket.close()


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("", "there is a file that is no socket"),
        ("no/such/folder", "there is no such folder"),
        ("x" * 200, "the path has 2[0-9]{2} bytes, and that of a Unix socket may have 10[37]"),
    ],
)
def test_a_place_that_cannot_be_had_is_said_with_the_reason(
    tmp_path: Path, place: str, why: str
) -> None:
    with pytest.raises(CannotStart, match=f"cannot listen on unix:.*: {why}"):
        listen(str(tmp_path / place))


def test_a_link_is_not_followed(path: str) -> None:
    leave_dead(path)
    os.symlink(path, path + ".link")
    with pytest.raises(CannotStart, match="no socket"):
        listen(path + ".link")
