"""The handshake of a websocket: what a client wants, and what each side is told of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swapd.ids import Header
from swapd.upstream.headers import for_client, for_upstream
from swapd.upstream.origin import Origin

#: What the handshake of each hop says anew.
_OF_HOP = b"sec-websocket-"


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client's wish for a websocket.

    Attributes:
      target: Path and query as the model's server gets them.
      headers: As the client sent them.
      subprotocols: Those that it offers.
      client: The client's IP address, or None if it has none.
    """

    target: bytes
    headers: Sequence[Header]
    subprotocols: Sequence[str]
    client: str | None

    def host(self, origin: Origin) -> str:
        """Return what the server is called: as the client calls it, if that can be written."""
        asked = next((value for name, value in self.headers if name.lower() == b"host"), b"")
        host = (asked or origin.host_header).decode("latin-1")
        try:
            host.encode("idna")  # as the library will
        except UnicodeError:
            return origin.host_header.decode("ascii")
        return host

    def for_upstream(self) -> list[Header]:
        """Return the headers as the model's server gets them, but for those that open it."""
        passed = for_upstream(self.headers, client=self.client)
        return [
            header for header in passed if header[0].lower() != b"host" and not _is_of_hop(header)
        ]


def answered_to(headers: Sequence[Header]) -> list[Header]:
    """Return the headers of an answer to a handshake as the client gets them."""
    passed = for_client(headers)
    return [
        header for header in passed if header[0] != b"content-length" and not _is_of_hop(header)
    ]


def _is_of_hop(header: Header) -> bool:
    return header[0].lower().startswith(_OF_HOP)
