"""Conversations of one client with a server, made up by a seed: what is asked, sent and expected.

No I/O: tests/web/conversing.py has them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from swapd.web.errors import BUG, envelope

_KIBIBYTE = 1024

#: Sizes at which something changes: of one receive, and of what may wait for a reader.
_EDGES = (65536, 10 * 65536, 11 * 65536)


class Reads(Enum):
    """What becomes of the body of a request."""

    #: It is read at once, and its digest ends the answer.
    AT_ONCE = auto()
    #: The same, but it has to wait for a while first.
    LATE = auto()
    #: The answer begins before the client has sent it all; the rest is as above.
    BESIDE_THE_ANSWER = auto()
    #: The whole answer comes before the client has sent it all.
    NEVER = auto()


class Ends(Enum):
    """How an answer ends."""

    WHOLE = auto()
    #: Whole, and the server says that it is the last one.
    AS_THE_LAST = auto()
    #: Its handler fails behind its pieces, or in place of an answer if there are none.
    BY_FAILING = auto()


@dataclass(frozen=True)
class Asked:
    """One request, and the answer that it gets."""

    name: str
    method: str
    path: str
    #: The head, without the empty line that ends it, and the body as it is on the wire.
    head: bytes
    framed: bytes
    body: bytes
    reads: Reads
    ends: Ends
    #: Whether the request says that it is the last one.
    is_last: bool
    status: int
    pieces: Sequence[bytes]
    has_length: bool
    #: How much of ``framed`` is held back until the answer begins, or is whole.
    held_back: int
    #: Whether the answers to all requests before it are awaited first.
    waits: bool

    @property
    def digest(self) -> bytes:
        """What is told of the body."""
        return b"" if self.reads is Reads.NEVER else digest_of(self.body)

    @property
    def said(self) -> bytes:
        """What the handler says, whether or not any of it is passed on."""
        return b"".join(self.pieces) + (b"" if self.ends is Ends.BY_FAILING else self.digest)

    @property
    def expected(self) -> Heard:
        """What the client has to hear."""
        if self.ends is Ends.BY_FAILING and not self.pieces:
            return Heard(500, envelope(BUG.message, BUG.kind), is_whole=True)
        has_body = self.method != "HEAD" and self.status not in (204, 304)
        is_whole = self.ends is not Ends.BY_FAILING
        return Heard(self.status, self.said if has_body else b"", is_whole=is_whole)

    @property
    def goes_on(self) -> bool:
        """Tell whether another request may follow."""
        is_whole = self.ends is Ends.WHOLE or (self.ends is Ends.BY_FAILING and not self.pieces)
        return not self.is_last and is_whole and self.reads is not Reads.NEVER


@dataclass(frozen=True)
class Heard:
    """One answer as its client understands it."""

    status: int
    body: bytes
    is_whole: bool
    #: Only compared between transports.
    headers: tuple[tuple[bytes, bytes], ...] = field(default=(), compare=False)


class Leaves(Enum):
    """How a client leaves."""

    WITH_FIN = auto()
    WITH_RST = auto()
    BY_HALF = auto()


@dataclass(frozen=True)
class Leave:
    """When a client leaves without waiting for the end, and how."""

    how: Leaves
    #: After so many bytes in that direction.
    sent: int
    received: int


@dataclass(frozen=True)
class Conversation:
    """All that one client does on one connection."""

    seed: int
    asked: Sequence[Asked]
    leave: Leave | None
    #: Whether it takes its time to read.
    is_slow: bool
    is_secure: bool

    def splits(self, size: int, random: random.Random) -> Iterator[int]:
        """Return in pieces of which sizes ``size`` bytes are sent."""
        most = random.choice((size, size, 200_000, 70_000, 3000))
        most = max(most, size // 60, 1)
        while size:
            piece = min(size, random.randint(1, most))
            yield piece
            size -= piece


def digest_of(body: bytes) -> bytes:
    """Return what tells ``body`` from any other."""
    return hashlib.sha256(body).hexdigest().encode()


def made_up(seed: int, *, largest: int = 2 * 1024 * _KIBIBYTE) -> Conversation:
    """Return the conversation of ``seed``, which is always the same."""
    chance = random.Random(seed)
    asked: list[Asked] = []
    for index in range(chance.choice((1, 2, 3, 5, 8))):
        asked.append(_asked(f"{seed}-{index}", chance, largest))
        if not asked[-1].goes_on:
            break
    sent = sum(len(one.head) + len(one.framed) for one in asked)
    received = sum(len(one.expected.body) + 60 for one in asked)
    leave = None
    if chance.random() < 0.35:
        how = chance.choice(list(Leaves))
        leave = Leave(how, chance.randint(0, sent), chance.randint(0, received))
    return Conversation(seed, asked, leave, chance.random() < 0.2, chance.random() < 0.25)


def _asked(name: str, chance: random.Random, largest: int) -> Asked:
    method = chance.choice(("POST", "POST", "POST", "PUT", "GET", "HEAD"))
    body = chance.randbytes(_size(chance, largest)) if method in ("POST", "PUT") else b""
    path = chance.choice(("/relay", "/relay", "/quart")) + "/" + name
    by_quart = path.startswith("/quart")
    reads = chance.choice((Reads.AT_ONCE, Reads.AT_ONCE, Reads.LATE, Reads.BESIDE_THE_ANSWER))
    if body and chance.random() < 0.08:
        reads = Reads.NEVER
    elif by_quart or not body:
        reads = reads if reads is Reads.LATE else Reads.AT_ONCE
    ends = chance.choice((Ends.WHOLE,) * 18 + (Ends.AS_THE_LAST, Ends.BY_FAILING))
    if ends is (Ends.BY_FAILING if by_quart else Ends.AS_THE_LAST):
        ends = Ends.WHOLE  # of the one, Quart tells in its own words; the other is no relay's
    status = chance.choice((200, 200, 200, 200, 201, 404, 204, 304))
    pieces = _pieces(chance, largest)
    if reads is Reads.BESIDE_THE_ANSWER and status in (204, 304):
        status = 200
    if ends is Ends.BY_FAILING and (status in (204, 304) or method == "HEAD"):
        status, method = 200, "POST"
    if reads is Reads.BESIDE_THE_ANSWER:
        pieces = pieces or [b"begun"]
    fields, framed, is_last = _framed(body, chance)
    held_back = 0
    if reads in (Reads.BESIDE_THE_ANSWER, Reads.NEVER):
        held_back = chance.randint(1, len(framed))
    line = f"{method} {path}?x=%20y HTTP/1.1\r\nhost: localhost\r\n".encode()
    return Asked(
        name=name,
        method=method,
        path=path,
        head=b"\r\n" * (chance.random() < 0.05) + line + fields,
        framed=framed,
        body=body,
        reads=reads,
        ends=ends,
        is_last=is_last,
        status=status,
        pieces=pieces,
        has_length=chance.random() < 0.5,
        held_back=held_back,
        waits=chance.random() < 0.5,
    )


def _size(chance: random.Random, largest: int) -> int:
    kind = chance.random()
    if kind < 0.15:
        return 0
    if kind < 0.5:
        return chance.randint(1, 2000)
    if kind < 0.65:
        return min(largest, chance.choice(_EDGES) + chance.randint(-2, 2))
    return chance.randint(1, chance.choice((100_000, 900_000, largest)))


def _pieces(chance: random.Random, largest: int) -> list[bytes]:
    count = chance.choice((0, 1, 1, 3, 40))
    most = largest // 2 if count == 1 and chance.random() < 0.1 else 20_000
    return [chance.randbytes(chance.randint(1, most)) for _ in range(count)]


def _framed(body: bytes, chance: random.Random) -> tuple[bytes, bytes, bool]:
    """Return what the head says of ``body``, how that is sent, and whether it says ``close``."""
    is_last = chance.random() < 0.1
    fields = chance.choice((b"", b"", b"x-a: b\r\n", b"x-b: \xe9\r\n", b"expect: 100-continue\r\n"))
    if is_last:
        fields += b"connection: close\r\n"
    elif chance.random() < 0.1:
        fields += b"Connection: Keep-Alive\r\n"
    if chance.random() < 0.35:
        return fields + b"transfer-encoding: chunked\r\n", _chunked(body, chance), is_last
    if body or chance.random() < 0.5:
        fields += b"content-length: %d\r\n" % len(body)
    return fields, body, is_last


def _chunked(body: bytes, chance: random.Random) -> bytes:
    most = max(chance.choice((50, 5000, 100_000, 3_000_000)), len(body) // 200)
    framed, at = [], 0
    while at < len(body):
        chunk = body[at : at + chance.randint(1, most)]
        framed.append(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        at += len(chunk)
    return b"".join([*framed, b"0\r\n\r\n"])
