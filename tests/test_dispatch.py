"""What becomes of a request whose process dies: the supervisor on virtual time, no sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.config.peers import PeerModel
from swapd.cuttable import Cuttable
from swapd.dispatch import LAST_LOOK, OBITUARY, Dispatch
from swapd.errors import ModelUnavailable, UpstreamFailed, UpstreamTooSlow, UpstreamUnreachable
from swapd.ids import Generation, ModelId
from swapd.testing.world import World, open_world
from swapd.upstream.bodies.body import Body
from swapd.upstream.exchange import ProxiedRequest
from swapd.upstream.peers import Peers
from swapd.upstream.pools import Pools

A = ModelId("a")
REQUEST = ProxiedRequest(b"POST", b"/x", [], Body(b"{}"), client=None)

#: Raises what the exchange with one generation ends of, or lets it succeed.
Fate: TypeAlias = Callable[[Generation], None]


class Answer:
    """An upstream's whole answer, without a body."""

    status = 204
    has_more = False
    has_ended = True
    headers: Sequence[tuple[bytes, bytes]] = ()

    def __init__(self, *, ends_by_closing: bool) -> None:
        self.ends_by_closing = ends_by_closing

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""

    def close(self) -> None: ...


class Server:
    """Takes the place of the pools: each exchange has its fate."""

    def __init__(self, fate: Fate, *, ends_by_closing: bool = False) -> None:
        self.asked: list[int] = []
        self._fate = fate
        self._ends_by_closing = ends_by_closing

    def of(self, model: ModelId, generation: Generation) -> _Pool:
        return _Pool(partial(self._ask, generation), ends_by_closing=self._ends_by_closing)

    def _ask(self, generation: Generation) -> None:
        self.asked.append(generation)
        self._fate(generation)


class _Pool:
    def __init__(self, ask: Callable[[], None], *, ends_by_closing: bool) -> None:
        self._ask = ask
        self._ends_by_closing = ends_by_closing

    async def request(self, *request: object) -> Answer:
        await trio.lowlevel.checkpoint()
        self._ask()
        return Answer(ends_by_closing=self._ends_by_closing)


class Client:
    """Keeps the status of what it is answered."""

    def __init__(self) -> None:
        self.status = 0
        self.is_whole = False
        self.admitted = 0
        self.waits_again = 0

    async def begin(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], *, more: bool = False
    ) -> None:
        await trio.lowlevel.checkpoint()
        self.status = status

    async def write(self, data: bytes) -> None:
        raise AssertionError("there is no body")

    async def finish(self, last: bytes = b"") -> None:
        await trio.lowlevel.checkpoint()
        assert not last
        self.is_whole = True

    async def abort(self) -> None:
        raise AssertionError("that is its server's matter")

    def note_admitted(self) -> None:
        self.admitted += 1

    def note_wait(self) -> None:
        self.waits_again += 1


async def send(world: World, server: Server, client: Client) -> None:
    dispatch = Dispatch(world.supervisor, cast(Pools, server), Peers({}))
    with Cuttable() as around:
        await dispatch.send(
            REQUEST,
            A,
            client,
            around,
            admitted=client.note_admitted,
            waits_again=client.note_wait,
        )


def only_of(fates: Mapping[int, Exception]) -> Fate:
    """Return the fate that spares all but the generations in ``fates``."""

    def fate(generation: Generation) -> None:
        if generation in fates:
            raise fates[generation]

    return fate


UNREACHED = UpstreamUnreachable("could not connect: connection refused")
BROKEN = UpstreamFailed("the server closed the connection before it answered")


async def test_what_never_reached_a_process_that_died_is_given_to_the_next(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after = 0.1
    server, client = Server(only_of({1: UNREACHED})), Client()
    await send(world, server, client)
    assert (client.status, client.admitted, server.asked) == (204, 2, [1, 2])
    assert client.waits_again == 1
    assert world.starts() == [A, A]


async def test_that_happens_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after = 0.1
    server, client = Server(only_of({1: UNREACHED, 2: UNREACHED})), Client()
    with pytest.raises(UpstreamFailed, match=r"a: could not connect: .*; its process exited with"):
        await send(world, server, client)
    assert server.asked == [1, 2]


async def test_a_process_that_lives_and_does_not_answer_in_time_is_too_slow(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    server, client = Server(only_of({1: UpstreamTooSlow("no answer within 60 s")})), Client()
    with pytest.raises(UpstreamTooSlow, match=r"^a: no answer within 60 s$"):
        await send(world, server, client)
    assert server.asked == [1]


async def test_a_process_that_lives_and_takes_no_connection_is_an_error_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    server, client = Server(only_of({1: UNREACHED})), Client()
    start = trio.current_time()
    with pytest.raises(UpstreamFailed, match=r"^a: could not connect: connection refused$"):
        await send(world, server, client)
    assert trio.current_time() - start == pytest.approx(world.servers[A].load + OBITUARY)
    assert (server.asked, world.starts()) == ([1], [A])


async def test_what_may_have_killed_its_process_is_not_given_to_another(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after, world.servers[A].stop = 0.1, 0
    world.servers[A].says = b"segfault\n"
    server, client = Server(only_of({1: BROKEN})), Client()
    with pytest.raises(UpstreamFailed) as failed:
        await send(world, server, client)
    assert str(failed.value) == f"a: {BROKEN}; its process exited with code 1; its last words:\n" \
        "segfault"  # fmt: skip
    assert (server.asked, world.starts()) == ([1], [A])


async def test_an_answer_that_ends_with_its_process_is_not_taken_for_whole(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after, world.servers[A].stop = LAST_LOOK / 2, 0
    server, client = Server(only_of({}), ends_by_closing=True), Client()
    with pytest.raises(UpstreamFailed, match=r"^a: .* may not be whole; its process exited"):
        await send(world, server, client)
    assert (client.status, client.is_whole) == (204, False)
    assert (server.asked, world.starts()) == ([1], [A])


@pytest.mark.parametrize("ends_by_closing", [True, False])
async def test_only_an_end_that_may_be_that_of_the_process_is_looked_at(
    nursery: trio.Nursery, autojump_clock: MockClock, ends_by_closing: bool
) -> None:
    world = await open_world(nursery, A)
    server, client = Server(only_of({}), ends_by_closing=ends_by_closing), Client()
    start = trio.current_time()
    await send(world, server, client)
    looked = LAST_LOOK if ends_by_closing else 0
    assert trio.current_time() - start == pytest.approx(world.servers[A].load + looked)
    assert client.is_whole


async def test_if_there_is_no_next_process_the_client_is_told_why(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after = 0.1

    def fate(generation: Generation) -> None:
        world.servers[A].load = 1000  # the next one never gets ready
        raise UNREACHED

    server, client = Server(fate), Client()
    with pytest.raises(ModelUnavailable, match="a could not be started: not ready within 60 s"):
        await send(world, server, client)
    assert (server.asked, client.admitted) == ([1], 1)


class Waiting:
    """Takes the place of the peers: it never answers."""

    async def relay(self, *request: object) -> None:
        await trio.sleep_forever()


async def test_what_a_peer_serves_can_be_cut_and_is_told_why(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    dispatch = Dispatch(world.supervisor, cast(Pools, None), cast(Peers, Waiting()))
    refusals: list[str] = []

    async def ask() -> None:
        client = Client()
        there = PeerModel("there", "m")
        with pytest.raises(ModelUnavailable) as refused, Cuttable() as around:
            await dispatch.send(REQUEST, there, client, around, admitted=client.note_admitted)
        refusals.append(str(refused.value))

    async with trio.open_nursery() as asking:
        asking.start_soon(ask)
        asking.start_soon(ask)
        await wait_all_tasks_blocked()
        dispatch.end_requests()
    assert refusals == ["swapd is shutting down"] * 2
    dispatch.end_requests()  # nobody is left


@pytest.mark.parametrize("attempt", range(20))
async def test_a_process_that_dies_as_it_is_asked_costs_no_request(
    attempt: int, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after = 10
    await world.use(A)
    server, clients = Server(only_of({1: UNREACHED})), [Client() for _ in range(3)]
    await trio.sleep(10)
    async with trio.open_nursery() as asking:
        for client in clients:
            asking.start_soon(send, world, server, client)
    assert [client.status for client in clients] == [204, 204, 204]


@pytest.mark.parametrize("when", [15, 30.5, 32, 50])
async def test_whoever_leaves_amid_it_holds_nothing(
    when: float, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after = 0.1
    with trio.move_on_after(when) as client:
        await send(world, Server(only_of({1: UNREACHED})), Client())
    assert client.cancelled_caught
    await wait_all_tasks_blocked()
    seen = world.supervisor.view(A)
    assert (seen.in_flight, seen.waiting) == (0, 0)
