"""Which headers go on, in both directions.  Those of one hop end here, all others pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Header = tuple[bytes, bytes]

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

_FORWARDED_FOR = b"x-forwarded-for"


def for_upstream(headers: Sequence[Header], *, client: str | None) -> list[Header]:
    """Return a request's headers as the model's server gets them, the client's Host included.

    Args:
      headers: As the client sent them.
      client: The client's IP address, or None if it has none (a unix socket).
    """
    end_to_end = _end_to_end(headers, _SET_ANEW)
    if client is None:
        return end_to_end
    hops = [value for name, value in end_to_end if name.lower() == _FORWARDED_FOR]
    passed = [header for header in end_to_end if header[0].lower() != _FORWARDED_FOR]
    passed.append((_FORWARDED_FOR, b", ".join([*hops, client.encode()])))
    return passed


def for_client(headers: Sequence[Header]) -> list[Header]:
    """Return a response's headers as the client gets them.

    An event stream is marked so that a reverse proxy in front of us does not hold it back.
    """
    passed = _end_to_end(headers, ())
    names = {name.lower() for name, _ in passed}
    if b"x-accel-buffering" not in names and _is_event_stream(passed):
        passed.append((b"x-accel-buffering", b"no"))
    return passed


def _end_to_end(headers: Sequence[Header], also: Iterable[bytes]) -> list[Header]:
    dropped = _HOP_BY_HOP.union(also, _named_by_connection(headers))
    return [header for header in headers if header[0].lower() not in dropped]


def _named_by_connection(headers: Sequence[Header]) -> set[bytes]:
    return {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }


def _is_event_stream(headers: Sequence[Header]) -> bool:
    return any(
        name.lower() == b"content-type" and b"text/event-stream" in value.lower()
        for name, value in headers
    )
