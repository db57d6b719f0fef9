"""The written forms that a text may have to keep: URLs, paths, environment entries, keys.

Each function returns the text that is kept, or raises ValueError saying what is wrong.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

_DURATION = re.compile(r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9.]+)([a-zµμ]+)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_BAD_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_HOST = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9_-][a-z0-9._-]*)(?::[0-9]+)?", re.IGNORECASE)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@*\s]+/?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def server_url(text: str) -> str:
    """Keep the URL of a server: by http, by https, or of a socket in the file system.

    Raises:
        ValueError: It is no such URL, has no host, or its port is no port.
    """
    _only_url_characters(text)
    parts = _split(text)
    if parts.scheme == "unix":
        if parts.netloc or parts.query or parts.fragment or not re.match("/+[^/]", parts.path):
            raise ValueError("must be unix:/PATH, with the whole path of a socket")
        return text
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("must be a URL that begins with http://, https:// or unix:/")
    if not parts.hostname:
        raise ValueError("must be a URL with a host")
    if parts.port == 0:
        raise ValueError("the port must be between 1 and 65535")
    return text


def place_of(url: str) -> str | None:
    """Return what ``url`` connects to, all names of this machine being one; None for no URL."""
    try:
        parts = urlsplit(server_url(url))
    except ValueError:
        return None
    if parts.scheme == "unix":
        return f"the socket {unquote(parts.path)}"
    host = (parts.hostname or "").lower()
    here = host in ("localhost", "0.0.0.0", "::1", "::") or host.startswith("127.")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return f"port {port} of {'localhost' if here else host}"


def health_path(text: str) -> str:
    """Keep path and query of a health check, or the word ``none``.

    Raises:
        ValueError: It is no path, or no HTTP request could carry it as it is written.
    """
    text = text.strip()
    if text == "none":
        return text
    _only_url_characters(text)
    if re.match("https?://", text, re.IGNORECASE):
        parts = _split(text)
        text = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not text.startswith("/"):
        raise ValueError("must be a path that begins with /, or none")
    return text.partition("#")[0]


def env_entry(text: str) -> str:
    """Keep one entry of an environment.

    Raises:
        ValueError: It does not have the form NAME=VALUE.
    """
    name, equals, _ = text.partition("=")
    if not name or not equals:
        raise ValueError("must have the form NAME=VALUE")
    return without_nul(text)


def without_nul(text: str) -> str:
    """Keep text that can be given to a process.

    Raises:
        ValueError: It holds a NUL character.
    """
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


def api_key(text: str) -> str:
    """Keep one API key.

    Raises:
        ValueError: It is empty, or contains what no request can bring in a key.
    """
    if not text:
        raise ValueError("an API key must not be empty")
    if " " in text:
        raise ValueError("an API key must not contain spaces")
    if not text.isprintable():
        raise ValueError("an API key must not contain control characters, nor ends of lines")
    return text


def header_value(text: str) -> str:
    """Keep text that a header can carry.

    Raises:
        ValueError: It holds other than visible ASCII characters.
    """
    if not text.isascii() or not text.isprintable():
        raise ValueError("must hold only visible ASCII characters")
    return text


def host_name(text: str) -> str:
    """Keep a name under which a server is reached, or ``*``.

    Raises:
        ValueError: It is no name of a host.
    """
    if text != "*" and not _HOST.fullmatch(text):
        raise ValueError("must be a host name such as swapd.example, without a scheme, or *")
    return text


def origin(text: str) -> str:
    """Keep the origin of web pages, or ``*``.

    Raises:
        ValueError: It is no origin.
    """
    if text not in ("*", "null") and not _ORIGIN.fullmatch(text):
        raise ValueError("must be an origin such as https://app.example, without a path, or *")
    return text


def word(text: str) -> str:
    """Keep text that says something.

    Raises:
        ValueError: It is empty.
    """
    if not text:
        raise ValueError("must not be empty")
    return text


def duration(value: object) -> float:
    """Return how many seconds a duration such as ``1m30s`` has.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, str) and value == "0":
        return 0.0
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("must be a duration with its unit, such as 5s or 1m30s")
    parts = _DURATION_PART.findall(value)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -seconds if value.startswith("-") else seconds


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"must be a URL: {str(error)[:1].lower()}{str(error)[1:]}") from error
    return parts


def _only_url_characters(text: str) -> None:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must contain no spaces and only ASCII; write others as %XX")
    if _BAD_PERCENT.search(text):
        raise ValueError("% must be followed by two hexadecimal digits")
