"""The client of a made-up conversation: says its part as the seed has it, and hears the answers."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import trio

from tests.web.conversation import Asked, Conversation, Heard, Reads

_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class Left(Exception):
    """The client has sent or received as much as it wanted to."""


class Talker:
    """The client of one conversation."""

    def __init__(self, conversation: Conversation, stream: trio.abc.Stream) -> None:
        self._talk = conversation
        self._stream = stream
        self._chance = random.Random(conversation.seed + 1)
        self._sent = 0
        self._received = b""
        self._count = 0
        #: What was heard, and whether the connection was at its end then.
        self.heard: list[Heard] = []
        self.ended = False
        self._begun = [trio.Event() for _ in conversation.asked]
        self._whole = [trio.Event() for _ in conversation.asked]

    async def talk(self) -> bool:
        """Have the conversation; tell whether it was left before its end."""
        left = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._say)
                await self._hear()
                nursery.cancel_scope.cancel()
        except* Left:
            left = True
        return left

    async def listen_on(self) -> None:
        """Hear what still comes."""
        self._talk = replace(self._talk, leave=None)
        with suppress(*_GONE):
            while await self._more():
                pass

    # -- what is said ------------------------------------------------------------------

    async def _say(self) -> None:
        with suppress(*_GONE):
            for index, asked in enumerate(self._talk.asked):
                if asked.waits:
                    for whole in self._whole[:index]:
                        await whole.wait()
                wire = asked.head + b"\r\n" + asked.framed
                await self._send(wire[: len(wire) - asked.held_back])
                if asked.held_back:
                    is_never = asked.reads is Reads.NEVER
                    await (self._whole if is_never else self._begun)[index].wait()
                    # Never all of what is never read: the connection would go on, or not.
                    await self._send(wire[len(wire) - asked.held_back : len(wire) - is_never])

    async def _send(self, wire: bytes) -> None:
        at = 0
        leave = self._talk.leave
        for size in self._talk.splits(len(wire), self._chance):
            piece = wire[at : at + size]
            if leave is not None and self._sent + size > leave.sent:
                await self._stream.send_all(piece[: leave.sent - self._sent])
                raise Left
            await self._stream.send_all(piece)
            at += size
            self._sent += size
            if self._chance.random() < 0.3:
                await trio.sleep(0 if self._chance.random() < 0.8 else 0.001)

    # -- what is heard -----------------------------------------------------------------

    async def _hear(self) -> None:
        for index, asked in enumerate(self._talk.asked):
            heard = await self._hear_one(asked, self._begun[index])
            if heard is None:
                break
            self.heard.append(heard)
            self._whole[index].set()
        else:
            if self._talk.asked[-1].goes_on:
                return
        rest = self._received
        while piece := await self._more():
            rest += piece
        assert not rest, f"heard too much: {rest[:200]!r}"
        self.ended = True

    async def _hear_one(self, asked: Asked, begun: trio.Event) -> Heard | None:
        head = await self._until(b"\r\n\r\n")
        if head is None:
            return None
        line, *lines = head[:-4].split(b"\r\n")
        status = int(line.split()[1])
        if status == 100:
            return await self._hear_one(asked, begun)
        fields = [
            (name.lower(), value.strip())
            for name, _, value in (line.partition(b":") for line in lines)
        ]
        headers = dict(fields)
        has_body = asked.method != "HEAD" and status not in (204, 304)
        if not has_body:
            body, is_whole = b"", True
        elif headers.get(b"transfer-encoding") == b"chunked":
            body, is_whole = await self._chunks(begun)
        else:
            body, is_whole = await self._exactly(int(headers[b"content-length"]), begun)
        begun.set()
        fields = [field for field in fields if field[0] != b"date"]
        return Heard(status, body, is_whole, tuple(sorted(fields)))

    async def _chunks(self, begun: trio.Event) -> tuple[bytes, bool]:
        chunks = []
        while line := await self._until(b"\r\n"):
            size = int(line, 16)
            chunk, is_whole = await self._exactly(size + 2, begun)
            chunks.append(chunk[:size])
            if not is_whole or not size:
                return b"".join(chunks), is_whole
        return b"".join(chunks), False

    async def _until(self, end: bytes) -> bytes | None:
        while end not in self._received:
            piece = await self._more()
            if not piece:
                assert not self._received, f"half a line: {self._received[-200:]!r}"
                return None
            self._received += piece
        found, _, self._received = self._received.partition(end)
        return found + end

    async def _exactly(self, size: int, begun: trio.Event) -> tuple[bytes, bool]:
        pieces = [self._received[:size]]
        self._received = self._received[size:]
        lacks = size - len(pieces[0])
        while lacks:
            if any(pieces):
                begun.set()
            piece = await self._more()
            if not piece:
                return b"".join(pieces), False
            pieces.append(piece[:lacks])
            self._received = piece[lacks:]
            lacks -= len(pieces[-1])
        begun.set()
        return b"".join(pieces), True

    async def _more(self) -> bytes:
        leave = self._talk.leave
        if self._talk.is_slow and self._chance.random() < 0.2:
            await trio.sleep(0.001)
        piece = bytes(await self._stream.receive_some(8192 if self._talk.is_slow else None))
        self._count += len(piece)
        if leave is not None and self._count > leave.received:
            raise Left
        return piece
