"""The forms that a request's target may have, and the one that routes see."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from swapd.web.target import cleaned, has_false_slash, use_origin_form


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


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        (b"//v1//models", b"/v1/models"),
        (b"/v1/./models", b"/v1/models"),
        (b"/v1/x/../models/", b"/v1/models/"),
        (b"/v1/models/.", b"/v1/models"),
        (b"/v1/models/..", b"/v1"),
        (b"/../../v1", b"/v1"),
        (b"/..", b"/"),
        (b"/./", b"/"),
        (b"//", b"/"),
        (b"//evil.example/x", b"/evil.example/x"),
        (b"//upstream/m//x", b"/upstream/m/x"),
        (b"/v1/../upstream/m", b"/upstream/m"),
        (b"/upstream//", None),
        (b"/upstream/m//x/../y/.", None),
        (b"/comfyui//x", None),
        (b"/v1/models/", None),
        (b"/v1/models", None),
        (b"/.well-known/x", None),
        (b"/v1/...", None),
        (b"/v1/%2e%2e/x%2F%2Fy", None),
        (b"/", None),
    ],
)
def test_empty_and_dotted_segments_are_left_out_but_below_a_model(
    path: bytes, clean: bytes | None
) -> None:
    assert cleaned(path) == clean


@pytest.mark.parametrize(
    ("path", "is_false"),
    [
        (b"/%2Funload", True),
        (b"/v1%2fmodels", True),
        (b"/v1/chat%2Fcompletions", True),
        (b"/api/models%2Funload/m", True),
        (b"/upstream%2Fm/x", True),
        (b"/health%2F", True),
        (b"/upstream/a%2Fb/c%2Fd", False),
        (b"/comfyui/a%2Fb", False),
        (b"/v1/models/a%2Fb", False),
        (b"/api/models/load/a%2Fb", False),
        (b"/api/models/unload/a%2fb", False),
        (b"/logs/stream/a%2Fb", False),
        (b"/ui/models/a%2Fb", False),
        (b"/v1/r%65rank", False),
        (b"/v1/models", False),
    ],
)
def test_only_in_a_name_may_a_slash_be_encoded(path: bytes, is_false: bool) -> None:
    assert has_false_slash(path) is is_false
