"""The model routes: which paths reach a model, by which methods, and what they are upstream."""

from __future__ import annotations

#: The routes whose body names the model, which are asked by POST.
NAMED_IN_BODY = frozenset(
    {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/embeddings",
        "/v1/rerank",
        "/v1/reranking",
        "/rerank",
        "/reranking",
        "/completion",
        "/infill",
        "/v1/audio/speech",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/v1/audio/voices",
        "/v1/images/generations",
        "/v1/images/edits",
        "/v1/images/variations",
        "/sdapi/v1/txt2img",
        "/sdapi/v1/img2img",
        "/audioapi/v1/tasks/run",
        "/v/chat/completions",
        "/v/completions",
        "/v/responses",
        "/v/messages",
        "/v/messages/count_tokens",
        "/v/embeddings",
        "/v/rerank",
        "/v/reranking",
    }
)

#: Those whose query names it, which are asked by GET.
NAMED_IN_QUERY = frozenset({"/v1/audio/voices", "/sdapi/v1/loras", "/props"})

#: Left out upstream: ``/v`` is for servers whose paths have no version.
_PREFIXES = ("/v/", "/audioapi/")


def methods_of(path: str) -> tuple[str, ...]:
    """Return the methods by which ``path`` reaches a model; none if it is no model route."""
    by_query = ("GET", "HEAD") if path in NAMED_IN_QUERY else ()
    return (*by_query, "POST") if path in NAMED_IN_BODY else by_query


def meant_by(path: str) -> str | None:
    """Return the route that is meant by ``path``, if it is one but for its ``/v1`` or its end.

    Some clients add the version to their base URL, others want it to be in there.
    """
    rest = path.rstrip("/")
    while rest.startswith("/v1/"):
        rest = rest.removeprefix("/v1")
    route = f"/v1{rest}"
    is_route = bool(methods_of(route)) or route == "/v1/models"
    return route if is_route and route != path else None


def is_metered(method: str, path: str) -> bool:
    """Tell whether a request to a model is remembered; ``path`` is that of a model's server too."""
    return method == "POST" and (path in NAMED_IN_BODY or path in NAMED_IN_QUERY)


def upstream_path(path: str, raw_path: bytes) -> bytes:
    """Return the path of a model route as the model's server knows it.

    Args:
      path: The route.
      raw_path: The same as the client wrote it, which may be percent-encoded.
    """
    for prefix in _PREFIXES:
        if path.startswith(prefix):
            return path[len(prefix) - 1 :].encode()
    return raw_path
