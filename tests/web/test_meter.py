"""What is told of a request by itself: how long it took for what, and its session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
import trio
from hypercorn.typing import HTTPScope
from trio.testing import MockClock

from swapd.config.peers import PeerModel
from swapd.ids import Generation, Header, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.telemetry.finished import Finished
from swapd.telemetry.inflight import Requests
from swapd.telemetry.starts import Starts
from swapd.upstream.bodies.body import Body
from swapd.upstream.exchange import ProxiedRequest
from swapd.web.auth import Keys
from swapd.web.metering import Meter, session_of
from swapd.web.services import Services
from tests.web.floor import configured


@pytest.mark.parametrize(
    ("headers", "session"),
    [
        ([], None),
        ([(b"x-session-id", b" a b ")], "a b"),
        ([(b"x-litellm-session-id", b"l"), (b"x-session-id", b"s")], "s"),
        ([(b"x-session-id", b" "), (b"x-litellm-session-id", b"l")], "l"),
        ([(b"x-session-id", b"a\x1b[0m\xff")], "a[0m\ufffd"),
        ([(b"x-session-id", b"x" * 1000)], "x" * 128),
    ],
)
def test_a_session_is_named_by_the_first_header_that_says_one(
    headers: list[Header], session: str | None
) -> None:
    keys = Keys(["a-key"])
    assert session_of(headers, ("X-Session-ID", "X-Litellm-Session-Id"), keys) == session
    assert session_of(headers, (), keys) is None


@pytest.mark.parametrize(
    "header",
    [(b"authorization", b"Bearer of-others"), (b"cookie", b"c=1"), (b"x-session-id", b"s a-key")],
)
def test_a_secret_names_no_session(header: Header) -> None:
    names = ("Authorization", "Cookie", "X-Session-ID", "X-Other")
    assert session_of([header], names, Keys(["a-key"])) is None
    headers = [header, (b"x-other", b"s")]
    assert session_of(headers, names, Keys(["a-key"])) == "s"


M = ModelId("m")
REQUEST = ProxiedRequest(b"POST", b"/", [], Body(b""), None)


class Sink:
    """Takes an answer, each piece in a second."""

    async def begin(
        self, status: int, headers: Sequence[Header], *, more: bool = False
    ) -> None: ...

    async def write(self, data: bytes) -> None:
        await trio.sleep(1)

    async def finish(self, last: bytes = b"") -> None: ...

    async def abort(self) -> None: ...


class Alone:
    """All that a meter asks for, without a web floor: its clock can be any."""

    def __init__(self) -> None:
        self.starts = Starts()
        self.collecting = None
        self.keys = Keys(())
        self.config = configured({}, "http://127.0.0.1:9")
        self.all: list[Finished] = []
        self.services = cast(Services, self)

    def finished(self, finished: Finished) -> None:
        self.all.append(finished)

    @property
    def only(self) -> Finished:
        (finished,) = self.all
        return finished


def become(services: Services, state: ModelState) -> None:
    change = Transition(M, ModelState.STOPPED, state, Reason.REQUEST, Generation(1))
    services.starts.note(change)


def begun(services: Services, target: ModelId | PeerModel = M) -> Meter:
    scope = cast(HTTPScope, {"method": "POST", "path": "/completion", "headers": []})
    meter = Meter(services, scope, route="/completion")
    with Requests().track("m", method="POST", path="/", client=None) as tracked:
        meter.track(tracked, target)
    return meter


async def test_a_wait_is_parted_into_the_start_and_what_was_for_others(
    autojump_clock: MockClock,
) -> None:
    alone = Alone()
    meter = begun(alone.services)
    await trio.sleep(1)  # its body comes
    tap = meter.tap(REQUEST, Sink())
    await trio.sleep(5)
    become(alone.services, ModelState.STARTING)
    await trio.sleep(20)
    become(alone.services, ModelState.READY)
    await trio.sleep(2)
    meter.admitted()
    await trio.sleep(3)
    await tap.begin(200, [])
    await trio.sleep(0.5)
    await tap.write(b"a")
    await trio.sleep(4)
    await tap.write(b"b")
    meter.finish()
    finished = alone.only
    assert finished.queued == pytest.approx(5 + 2)
    assert finished.loaded == pytest.approx(20)
    assert finished.first_byte == pytest.approx(1 + 27 + 3.5)
    assert finished.duration == pytest.approx(1 + 27 + 3.5 + 1 + 4 + 1)


async def test_a_start_that_is_under_way_already_counts_from_the_arrival(
    autojump_clock: MockClock,
) -> None:
    alone = Alone()
    become(alone.services, ModelState.STARTING)
    await trio.sleep(30)
    meter = begun(alone.services)
    meter.tap(REQUEST, Sink())
    await trio.sleep(4)
    meter.fail(503, "it does not start")  # nobody was admitted
    meter.finish()
    assert (alone.only.queued, alone.only.loaded) == (0, 4)


async def test_a_second_wait_counts_too(autojump_clock: MockClock) -> None:
    alone = Alone()
    meter = begun(alone.services)
    meter.tap(REQUEST, Sink())
    meter.admitted()
    become(alone.services, ModelState.STARTING)
    await trio.sleep(6)
    become(alone.services, ModelState.READY)
    meter.admitted()
    await trio.sleep(9)
    meter.begin(200, [])
    meter.finish()
    assert (alone.only.queued, alone.only.loaded) == (0, 6)


async def test_nobody_knows_what_a_peer_starts(autojump_clock: MockClock) -> None:
    alone = Alone()
    meter = begun(alone.services, PeerModel("p", "m"))
    meter.tap(REQUEST, Sink())
    meter.admitted()
    await trio.sleep(6)
    meter.begin(200, [])
    meter.finish()
    assert (alone.only.queued, alone.only.loaded, alone.only.priority) == (0, 0, None)
    assert alone.only.model == "p/m"
