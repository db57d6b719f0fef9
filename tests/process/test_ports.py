"""Free and taken ports, on real sockets of this machine."""

from __future__ import annotations

import gc
import socket
from pathlib import Path

import trio
from trio.abc import SocketFactory

from swapd.process.ports import who_answers


async def listen(host: str) -> trio.SocketListener:
    [listener] = await trio.open_tcp_listeners(0, host=host)
    return listener


def port_of(listener: trio.SocketListener) -> int:
    port: int = listener.socket.getsockname()[1]
    return port


async def test_a_port_that_accepts_is_named() -> None:
    async with await listen("127.0.0.1") as listener:
        port = port_of(listener)
        assert await who_answers(("127.0.0.1", port)) == f"127.0.0.1:{port}"
        assert await who_answers(("localhost", port)) == f"127.0.0.1:{port}"


async def test_localhost_is_looked_at_in_both_families() -> None:
    try:
        listener = await listen("::1")
    except OSError:  # a machine without IPv6 has no such address to be taken
        return
    async with listener:
        port = port_of(listener)
        assert await who_answers(("localhost", port)) == f"[::1]:{port}"


async def test_a_free_port_is_free() -> None:
    async with await listen("127.0.0.1") as listener:
        port = port_of(listener)
    assert await who_answers(("localhost", port)) is None


class FromOnePort(SocketFactory):
    """Makes sockets that connect from one port, as any may that the system chooses."""

    def __init__(self, port: int) -> None:
        self._port = port

    def socket(
        self, family: int = -1, kind: int = -1, protocol: int = -1
    ) -> trio.socket.SocketType:
        made = socket.socket(family, kind, protocol)
        made.bind(("127.0.0.1", self._port))
        return trio.socket.from_stdlib_socket(made)


async def test_a_free_port_that_a_look_at_it_happens_to_come_from_is_free() -> None:
    async with await listen("127.0.0.1") as listener:
        port = port_of(listener)
    usual = trio.socket.set_custom_socket_factory(FromOnePort(port))
    try:
        assert await who_answers(("127.0.0.1", port)) is None
    finally:
        trio.socket.set_custom_socket_factory(usual)


async def test_a_look_at_a_free_port_leaves_nothing_that_only_the_collector_finds() -> None:
    async with await listen("127.0.0.1") as listener:
        port = port_of(listener)
    gc.collect()
    gc.disable()
    try:
        await who_answers(("localhost", port))
        refused = [each for each in gc.get_objects() if isinstance(each, ConnectionRefusedError)]
    finally:
        gc.enable()
    assert not refused


async def test_a_port_that_is_bound_but_does_not_listen_is_free() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert await who_answers(("127.0.0.1", bound.getsockname()[1])) is None


async def test_a_socket_in_the_file_system_is_free_unless_somebody_answers(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    assert await who_answers(path) is None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        assert await who_answers(path) is None
        listener.listen()
        assert await who_answers(path) == path
    assert await who_answers(path) is None


async def test_an_address_that_does_not_exist_is_free() -> None:
    assert await who_answers(("no-such-host.invalid", 80)) is None
