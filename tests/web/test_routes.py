"""Which paths reach a model, and what they are upstream."""

from __future__ import annotations

import pytest

from swapd.web.routes import meant_by, methods_of, upstream_path

BY_BODY = ("POST",)
BY_QUERY = ("GET", "HEAD")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/chat/completions", BY_BODY),
        ("/v1/audio/transcriptions", BY_BODY),
        ("/v/messages/count_tokens", BY_BODY),
        ("/audioapi/v1/tasks/run", BY_BODY),
        ("/props", BY_QUERY),
        ("/sdapi/v1/loras", BY_QUERY),
        ("/v1/audio/voices", (*BY_QUERY, *BY_BODY)),
        ("/v1/models", ()),
        ("/v1/chat/completions/", ()),
        ("/v/models", ()),
        ("/chat/completions", ()),
        ("", ()),
    ],
)
def test_a_path_has_its_methods(path: str, methods: tuple[str, ...]) -> None:
    assert methods_of(path) == methods


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/messages", "/v1/messages"),
        ("/v1/v1/v1/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/v1/v1/models", "/v1/models"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/v1/models/", "/v1/models"),
        ("/v1/messages", None),
        ("/v1/nothing", None),
        ("/api/chat", None),
        ("/v1/v1", None),
        ("/", None),
        ("", None),
    ],
)
def test_a_path_that_is_a_route_but_for_its_version_is_told_from_others(
    path: str, route: str | None
) -> None:
    assert meant_by(path) == route


@pytest.mark.parametrize(
    ("path", "raw", "upstream"),
    [
        ("/v1/chat/completions", b"/v1/chat/completions", b"/v1/chat/completions"),
        ("/v1/rerank", b"/v1/r%65rank", b"/v1/r%65rank"),
        ("/v/chat/completions", b"/v/chat/completions", b"/chat/completions"),
        ("/v/chat/completions", b"/%76/chat/completions", b"/chat/completions"),
        ("/audioapi/v1/tasks/run", b"/audioapi/v1/tasks/run", b"/v1/tasks/run"),
        ("/v1/audio/voices", b"/v1/audio/voices", b"/v1/audio/voices"),
    ],
)
def test_what_is_only_for_swapd_is_left_out_upstream(
    path: str, raw: bytes, upstream: bytes
) -> None:
    assert upstream_path(path, raw) == upstream
