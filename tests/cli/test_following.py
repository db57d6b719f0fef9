"""Following a swapd over its ends, on virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from swapd.cli.board import Board
from swapd.cli.client import Client
from swapd.cli.following import follow
from swapd.cli.messages import Message, Queue
from swapd.errors import CannotReach, Refused, SwapdError
from tests.cli.telling import as_told, change, place, snapshot

Said = Message | bytes


class Scripted:
    """A swapd that says on each connection what a test has written, and then leaves."""

    def __init__(self, *connections: list[Said] | SwapdError) -> None:
        self.connections = list(connections)
        self.queries: list[str] = []
        self.times: list[float] = []

    async def listen(
        self, query: str, hear: Callable[[bytes], None], *, greet: Callable[[], None]
    ) -> None:
        self.queries.append(query)
        self.times.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        connection = self.connections.pop(0)
        if isinstance(connection, SwapdError):
            raise connection
        greet()
        for said in connection:
            hear(said if isinstance(said, bytes) else as_told(said))
        raise CannotReach("gone")


async def followed(
    scripted: Scripted, board: Board | None = None, topics: str = ""
) -> tuple[list[object], list[object]]:
    """Follow to the end of the script, which must be a refusal; return what was told."""
    heard: list[object] = []
    linked: list[object] = []

    def hear(said: bytes, message: Message | None) -> None:
        heard.append(message or said)

    with pytest.raises(Refused):
        await follow(
            cast(Client, scripted),
            board or Board(),
            topics=topics,
            heard=hear,
            linked=linked.append,
        )
    return heard, linked


THE_END = Refused("the end of the script")


async def test_a_connection_that_ends_is_followed_by_one_that_goes_on_there(
    autojump_clock: MockClock,
) -> None:
    scripted = Scripted([snapshot(seq=4), change(5, "x")], [change(6, "y")], THE_END)
    heard, linked = await followed(scripted)
    assert scripted.queries == ["", "?since=5&instance=one", "?since=6&instance=one"]
    assert heard == [snapshot(seq=4), change(5, "x"), change(6, "y")]
    assert linked == [None, "gone", None, "gone"]


async def test_attempts_get_rarer_up_to_a_bound_and_begin_anew_after_success(
    autojump_clock: MockClock,
) -> None:
    down = [CannotReach("down")] * 7
    scripted = Scripted([snapshot()], *down, [], THE_END)
    _, linked = await followed(scripted)
    waits = [b - a for a, b in zip(scripted.times, scripted.times[1:], strict=False)]
    assert waits == pytest.approx([0.25, 0.5, 1, 2, 4, 5, 5, 5, 0.25])
    assert linked == [None, "gone", *["down"] * 7, None, "gone"]


async def test_who_is_not_there_at_first_is_not_waited_for() -> None:
    scripted = Scripted(CannotReach("nobody"))
    with pytest.raises(CannotReach, match="nobody"):
        await follow(
            cast(Client, scripted), Board(), heard=lambda _, __: None, linked=lambda _: None
        )


async def test_messages_that_we_do_not_know_are_passed_on_as_they_are(
    autojump_clock: MockClock,
) -> None:
    heard, _ = await followed(Scripted([snapshot(), b'{"type": "weather"}'], THE_END))
    assert heard == [snapshot(), b'{"type": "weather"}']


async def test_what_is_to_be_heard_of_is_asked_for_each_time(autojump_clock: MockClock) -> None:
    scripted = Scripted([snapshot(seq=4), Queue(queue=[place("b")])], THE_END)
    board = Board()
    await followed(scripted, board, topics="topics=queue")
    assert scripted.queries == ["?topics=queue", "?since=4&instance=one&topics=queue"]
    assert board.queue == [place("b")]
