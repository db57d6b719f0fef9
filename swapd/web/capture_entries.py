"""A captured request as the API tells it: as llama-swap does, with the answer's body decoded."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from swapd.errors import BodyNotKept, BodyTooLarge, MalformedRequest
from swapd.telemetry.captures import Capture
from swapd.upstream.bodies.body import Body
from swapd.upstream.bodies.codings import codings_of, decoded
from swapd.upstream.bodies.spool import HELD_BYTES
from swapd.web.activity_entries import Entry

_ENCODING = "Content-Encoding"


async def capture_entry(number: int, capture: Capture) -> Entry:
    """Return ``capture``, that of request ``number``, as the API tells it."""
    headers, body = await _plain(capture.response_headers, capture.response_body)
    return {
        "id": number,
        "req_path": capture.path,
        "req_headers": capture.request_headers,
        "req_body": _base64(capture.request_body),
        "resp_headers": headers,
        "resp_body": _base64(body),
    }


async def _plain(
    headers: Mapping[str, str] | None, body: bytes | None
) -> tuple[Mapping[str, str] | None, bytes | None]:
    """Undo the encoding of ``body``; where that cannot be done it stays, and its header too."""
    if not headers or not body or _ENCODING not in headers:
        return headers, body
    codings = codings_of([(b"content-encoding", headers[_ENCODING].encode("latin-1"))])
    plain = Body(body)
    try:
        plain = await decoded(plain, codings, max_bytes=HELD_BYTES)
        held = plain.in_memory()
    except (MalformedRequest, BodyTooLarge, BodyNotKept):
        return headers, body
    finally:
        plain.close()
    others = {name: value for name, value in headers.items() if name != _ENCODING}
    return others, held


def _base64(body: bytes | None) -> str | None:
    return None if body is None else b64encode(body).decode()
