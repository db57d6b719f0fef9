"""Says what is captured of which request: bodies of sound and of pictures are not."""

from __future__ import annotations

from functools import partial

from swapd.telemetry.captures import Captures, Draft
from swapd.upstream.exchange import ProxiedRequest
from swapd.web.auth import Keys
from swapd.web.redaction import shown_headers

#: Whose request has a body that is large and tells nobody anything.
_REQUEST_TELLS_NOTHING = frozenset(
    {"/v1/audio/voices", "/v1/audio/transcriptions", "/v1/images/edits", "/sdapi/v1/img2img"}
)

#: Whose answer has.
_ANSWER_TELLS_NOTHING = frozenset(
    {
        "/v1/audio/speech",
        "/v1/images/generations",
        "/v1/images/edits",
        "/sdapi/v1/txt2img",
        "/sdapi/v1/img2img",
    }
)


class Capturing:
    """Begins the copies that ``captures`` keeps."""

    def __init__(self, captures: Captures, keys: Keys) -> None:
        """Never show ``keys``."""
        self._captures = captures
        self._show = partial(shown_headers, keys=keys)

    def collector(self, path: str, request: ProxiedRequest) -> Draft | None:
        """Return what takes the answer to ``request``.

        Args:
          path: As ``Finished.path``.
          request: As it is sent to the model's server.
        """
        keeps_request = path not in _REQUEST_TELLS_NOTHING
        if keeps_request and not self._captures.has_room(path, request.body.length):
            return None
        return Draft(
            self._captures,
            path,
            show=self._show,
            headers=request.headers,
            body=request.body.in_memory() if keeps_request else None,
            keeps_answer=path not in _ANSWER_TELLS_NOTHING,
        )
