"""Has made-up conversations over real sockets, and compares what both of their sides saw.

More of them than the tests have: ``python -m tests.web.conversing FIRST COUNT``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
import trustme

from swapd.web.certificate import Certificate
from tests.web import raw
from tests.web.conversation import Conversation, Heard, Leaves, Reads, made_up
from tests.web.conversation_host import Host
from tests.web.raw import Served, leave_by_half, leave_with_fin, leave_with_rst, serving
from tests.web.talker import Talker

#: No conversation takes that many seconds unless something hangs.
_LONG = 60.0

_WAYS = {
    Leaves.WITH_FIN: leave_with_fin,
    Leaves.WITH_RST: leave_with_rst,
    Leaves.BY_HALF: leave_by_half,
}


@dataclass
class Outcome:
    """What both sides of a conversation saw."""

    heard: list[Heard]
    saw: list[bytes | None]
    ended: bool


class Place:
    """Where conversations are had: one transport, without TLS and with it."""

    def __init__(self, plain: Served, secure: Served, host: Host, authority: trustme.CA) -> None:
        self._plain = plain
        self._secure = secure
        self._host = host
        self._authority = authority

    async def have(self, seed: int) -> Outcome | None:
        """Have the conversation of ``seed``; return what came of it, if it was had to its end.

        Raises:
          AssertionError: Something in it was not as it should have been.
        """
        talk = made_up(seed)
        try:
            with trio.fail_after(_LONG):
                async with self._host.expecting(talk):
                    return await self._have(talk)
        except (Exception, ExceptionGroup) as error:
            error.add_note(f"in the conversation of seed {seed}")
            raise

    async def _have(self, talk: Conversation) -> Outcome | None:
        buffer = 4096 if talk.is_slow else None
        stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]
        if talk.is_secure:
            stream = await self._secure.connect_by_tls(self._authority, receive_buffer=buffer)
            transport = stream.transport_stream
        else:
            stream = transport = await self._plain.connect(receive_buffer=buffer)
        try:
            talker = Talker(talk, stream)
            left = await talker.talk()
            if left:
                assert talk.leave is not None
                await _WAYS[talk.leave.how](transport)
                if talk.leave.how is Leaves.BY_HALF:
                    await talker.listen_on()
            return self._judge(talk, talker, left=left)
        finally:
            await trio.aclose_forcefully(stream)

    def _judge(self, talk: Conversation, talker: Talker, *, left: bool) -> Outcome | None:
        saw = [self._host.saw.get(one.name) for one in talk.asked]
        for one, digest in zip(talk.asked, saw, strict=True):
            assert digest in (None, one.digest), f"{one.name}: another body than was sent"
        expected = [one.expected for one in talk.asked]
        if left:
            assert talker.heard == expected[: len(talker.heard)], differing(talker.heard, expected)
            return None
        assert talker.heard == expected, differing(talker.heard, expected)
        assert talker.ended == (not talk.asked[-1].goes_on)
        for one, digest in zip(talk.asked, saw, strict=True):
            assert (digest is None) == (one.reads is Reads.NEVER), f"{one.name}: never read"
        return Outcome(talker.heard, saw, talker.ended)


def differing(heard: list[Heard], expected: list[Heard]) -> str:
    """Say where ``heard`` is not as ``expected``, in few words."""
    for index, (one, other) in enumerate(zip(heard, expected, strict=False)):
        if one != other:
            return (
                f"answer {index}: {one.status}, {len(one.body)} bytes, whole: {one.is_whole};"
                f" expected {other.status}, {len(other.body)} bytes, whole: {other.is_whole};"
                f" same bytes: {one.body == other.body}"
            )
    return f"{len(heard)} answers, expected {len(expected)}"


@asynccontextmanager
async def place(*, is_fast: bool, authority: trustme.CA, folder: Path) -> AsyncIterator[Place]:
    """Serve conversations on one transport."""
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate = Certificate(folder / "cert.pem", folder / "key.pem")
    host, before = Host(), raw.is_fast
    raw.is_fast = is_fast
    async with (
        serving(host.app, limit=1e9) as plain,
        serving(host.app, certificate=certificate, limit=1e9) as secure,
    ):
        raw.is_fast = before
        yield Place(plain, secure, host, authority)


async def had(
    seeds: range, *, is_fast: bool, authority: trustme.CA, folder: Path, at_once: int = 4
) -> Mapping[int, Outcome]:
    """Have the conversations of ``seeds`` on one transport, ``at_once`` at once."""
    outcomes: dict[int, Outcome] = {}
    waiting = iter(seeds)

    async def work(where: Place) -> None:
        for seed in waiting:
            if (outcome := await where.have(seed)) is not None:
                outcomes[seed] = outcome

    async with (
        place(is_fast=is_fast, authority=authority, folder=folder) as where,
        trio.open_nursery() as nursery,
    ):
        for _ in range(at_once):
            nursery.start_soon(work, where)
    return outcomes


async def agree(seeds: range, *, authority: trustme.CA, folder: Path) -> int:
    """Have the conversations of ``seeds`` on both transports; return how many came to their end.

    Raises:
      AssertionError: The transports do not agree.
    """
    fast = await had(seeds, is_fast=True, authority=authority, folder=folder)
    plain = await had(seeds, is_fast=False, authority=authority, folder=folder)
    both = fast.keys() & plain.keys()  # a client may be about to leave when all is said
    for seed in both:
        assert heads_of(fast[seed]) == heads_of(plain[seed]), f"seed {seed}"
        assert fast[seed] == plain[seed], f"seed {seed}"
    return len(both)


def heads_of(outcome: Outcome) -> list[list[tuple[bytes, bytes]]]:
    """Return the headers of each answer, but for the ID of an error, which is never the same."""
    return [
        [header for header in one.headers if header[0].lower() != b"x-request-id"]
        for one in outcome.heard
    ]


async def main(first: int, count: int) -> None:
    """Have ``count`` conversations from seed ``first`` on."""
    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        for start in range(first, first + count, 100):
            seeds = range(start, min(start + 100, first + count))
            whole = await agree(seeds, authority=authority, folder=Path(folder))
            sys.stdout.write(
                f"seeds {start} to {seeds[-1]}: {whole} had to their end, both agree\n"
            )


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]))
