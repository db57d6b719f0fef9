"""Certificates for servers of tests, and a system that trusts who signed them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from swapd.upstream.tls import trusted


class Authority:
    """Signs certificates; whether anybody trusts it is another matter."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def server(self, *names: str) -> ssl.SSLContext:
        """Return how a server speaks TLS that is called ``names``."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """Return an authority that this system trusts for the length of the test."""
    signing = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(signing.file))
    trusted.cache_clear()
    yield signing
    trusted.cache_clear()
