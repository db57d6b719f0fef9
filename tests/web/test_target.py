"""The forms that a request's target may have, and the one that routes see."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from swapd.web.target import use_origin_form


@pytest.mark.parametrize(
    ("target", "raw_path", "path"),
    [
        (b"/v1/models", b"/v1/models", "/v1/models"),
        (b"//v1/%2F", b"//v1/%2F", "//v1//"),
        (b"http://h:1/v1/models", b"/v1/models", "/v1/models"),
        (b"HTTPS://user@h/a%2Fb", b"/a%2Fb", "/a/b"),
        (b"http://[::1]:8080/x", b"/x", "/x"),
        (b"http://h", b"/", "/"),
        (b"http://h//x", b"//x", "//x"),
        (b"http:///x", b"/x", "/x"),
        (b"", b"/", "/"),
        (b"*", b"/*", "/*"),
        (b"v1/models", b"/v1/models", "/v1/models"),
        (b"h:443", b"/h:443", "/h:443"),
    ],
)
def test_a_target_is_a_path_that_begins_with_a_slash(
    target: bytes, raw_path: bytes, path: str
) -> None:
    scope: Any = {"raw_path": target, "path": unquote(target.decode()), "headers": []}
    use_origin_form(scope)
    assert (scope["raw_path"], scope["path"]) == (raw_path, path)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/v1/models", b"said"),
        (b"http://asked:1/v1/models", b"asked:1"),
        (b"HTTP://user@asked?x", b"user@asked"),
        (b"*", b"said"),
    ],
)
def test_whom_a_whole_url_names_is_asked_whatever_the_host_header_says(
    target: bytes, host: bytes
) -> None:
    headers = [(b"host", b"said"), (b"accept", b"*/*")]
    scope: Any = {"raw_path": target, "path": unquote(target.decode()), "headers": headers}
    use_origin_form(scope)
    assert sorted(scope["headers"]) == [(b"accept", b"*/*"), (b"host", host)]
