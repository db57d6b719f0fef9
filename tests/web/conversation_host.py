"""Serves made-up conversations, and keeps what it saw of them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
from hypercorn.typing import HTTPScope
from quart import Response
from quart import request as quart_request

from swapd.web.client import Client
from swapd.web.connection import Relay, Web
from tests.web.conversation import Asked, Conversation, Ends, Reads, digest_of


class Failed(Exception):
    """A handler fails as it was asked to."""


class Host:
    """Serves what is asked in conversations, and keeps what it saw."""

    def __init__(self) -> None:
        self.app = Web(__name__, route_of=self._route_of)
        methods = ["GET", "POST", "PUT"]
        self.app.add_url_rule("/quart/<name>", "quart", self._view, methods=methods)
        self._asked: dict[str, Asked] = {}
        self._idle: dict[int, trio.Event] = {}
        self._serving: dict[int, int] = {}
        #: The digest of the body of each request that was served, or None if it never was whole.
        self.saw: dict[str, bytes | None] = {}

    @asynccontextmanager
    async def expecting(self, conversation: Conversation) -> AsyncIterator[None]:
        """Serve ``conversation``, and wait at the end for all that is served of it."""
        self._asked |= {one.name: one for one in conversation.asked}
        self._idle[conversation.seed] = trio.Event()
        self._serving[conversation.seed] = 0
        yield
        if self._serving[conversation.seed]:
            await self._idle[conversation.seed].wait()

    def _route_of(self, scope: HTTPScope) -> Relay | None:
        return self._relay if scope["path"].startswith("/relay/") else None

    async def _relay(self, scope: HTTPScope, client: Client) -> None:
        asked = self._asked[scope["path"].rpartition("/")[2]]
        assert scope["query_string"] == b"x=%20y"
        with self._note(asked):
            await self._answer(asked, client)

    async def _answer(self, asked: Asked, client: Client) -> None:
        if asked.reads is Reads.LATE:
            await _dawdle()
        if asked.reads in (Reads.AT_ONCE, Reads.LATE):
            await self._read(asked, client)
        fails = asked.ends is Ends.BY_FAILING
        if fails and not asked.pieces:
            raise Failed
        await client.begin(asked.status, _headers(asked))
        for index, piece in enumerate(asked.pieces):
            await client.write(piece)
            if not index and asked.reads is Reads.BESIDE_THE_ANSWER:
                await self._read(asked, client)
        if fails:
            raise Failed
        await client.write(asked.digest)
        await client.finish()

    async def _read(self, asked: Asked, client: Client) -> None:
        body = (await client.body()).held
        assert body is not None
        self.saw[asked.name] = digest_of(body)

    async def _view(self, name: str) -> Response:
        asked = self._asked[name]
        with self._note(asked):
            if asked.reads is Reads.LATE:
                await _dawdle()
            if asked.reads is not Reads.NEVER:
                body = await quart_request.get_data()
                assert isinstance(body, bytes)
                self.saw[name] = digest_of(body)
        if asked.has_length:
            response = Response(asked.said, asked.status)
        else:
            response = Response(_each([*asked.pieces, asked.digest]), asked.status)
        if asked.ends is Ends.AS_THE_LAST:
            response.headers["connection"] = "close"
        return response

    def _note(self, asked: Asked) -> _Noted:
        return _Noted(self, asked)

    def begin(self, asked: Asked) -> None:
        """Note that ``asked`` is served."""
        assert asked.name not in self.saw, "served twice"
        self.saw[asked.name] = None
        self._serving[int(asked.name.partition("-")[0])] += 1

    def end(self, asked: Asked) -> None:
        """Note that it is served no more."""
        seed = int(asked.name.partition("-")[0])
        self._serving[seed] -= 1
        if not self._serving[seed]:
            self._idle[seed].set()
            self._idle[seed] = trio.Event()


@dataclass
class _Noted:
    host: Host
    asked: Asked

    def __enter__(self) -> None:
        self.host.begin(self.asked)

    def __exit__(self, *_: object) -> None:
        self.host.end(self.asked)


async def _each(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _dawdle() -> None:
    """Let others go on for a while, of which no seed says anything."""
    for _ in range(random.choice((1, 3, 30))):
        await trio.lowlevel.checkpoint()
    await trio.sleep(random.choice((0, 0.001, 0.01)))


def _headers(asked: Asked) -> list[tuple[bytes, bytes]]:
    headers = [(b"X-Name", asked.name.encode())]
    if asked.has_length:
        owed = 7 if asked.ends is Ends.BY_FAILING else 0
        headers.append((b"content-length", b"%d" % (len(asked.said) + owed)))
    if asked.ends is Ends.AS_THE_LAST:
        headers.append((b"Connection", b"close"))
    return headers
