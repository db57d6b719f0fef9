"""Which headers go on, in both directions.  Those of one hop end here, all others pass."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from swapd.ids import Header

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

#: Set by the client of the upstream itself; the server has dealt with ``expect`` already.
_SET_ANEW = frozenset({b"content-length", b"expect"})

_NOT_FOR_UPSTREAM = _HOP_BY_HOP | _SET_ANEW

#: It has no body, so a length of one would mislead (RFC 9110, section 8.6).
_NOT_FOR_CLIENT_OF_204 = _HOP_BY_HOP | {b"content-length"}

_FORWARDED_FOR = b"x-forwarded-for"


def for_upstream(headers: Sequence[Header], *, client: str | None) -> list[Header]:
    """Return a request's headers as the model's server gets them, the client's Host included.

    Args:
      headers: As the client sent them.
      client: The client's IP address, or None if it has none (a unix socket).
    """
    dropped = _dropped(headers, _NOT_FOR_UPSTREAM)
    if client is None:
        return [header for header in headers if header[0].lower() not in dropped]
    hops: list[bytes] = []
    passed: list[Header] = []
    for header in headers:
        name = header[0].lower()
        if name == _FORWARDED_FOR and name not in dropped:
            hops.append(header[1])
        elif name not in dropped:
            passed.append(header)
    passed.append((_FORWARDED_FOR, b", ".join([*hops, client.encode()])))
    return passed


def for_client(headers: Sequence[Header], *, status: int = 200) -> list[Header]:
    """Return a response's headers as the client gets them.

    An event stream is marked so that a reverse proxy in front of us does not hold it back.
    """
    dropped = _dropped(headers, _NOT_FOR_CLIENT_OF_204 if status == 204 else _HOP_BY_HOP)
    passed: list[Header] = []
    is_event_stream, is_marked = False, False
    for header in headers:
        name = header[0].lower()
        if name in dropped:
            continue
        passed.append(header)
        if name == b"content-type":
            is_event_stream = is_event_stream or b"text/event-stream" in header[1].lower()
        elif name == b"x-accel-buffering":
            is_marked = True
    if is_event_stream and not is_marked:
        passed.append((b"x-accel-buffering", b"no"))
    return passed


def _dropped(headers: Sequence[Header], always: AbstractSet[bytes]) -> AbstractSet[bytes]:
    """Return ``always``, and what ``connection`` names, if that is there."""
    options = [value for name, value in headers if name.lower() == b"connection"]
    if not options:
        return always
    return always | {option.strip().lower() for value in options for option in value.split(b",")}
