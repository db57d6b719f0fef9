"""The certificate that swapd shows, and its private key."""

from __future__ import annotations

import ssl
from pathlib import Path

from swapd.errors import CannotStart

#: The one protocol that is offered inside TLS; docs/api.md says why.
_PROTOCOLS = ("http/1.1",)

#: What OpenSSL says of a key that is another certificate's, or of another kind than it.
_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


class Certificate:
    """A certificate and its key, from two files in PEM, read anew when asked to."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both files.

        Raises:
          CannotStart: They cannot be read, or do not make a certificate with its key.
        """
        self._certificate = certificate
        self._key = key
        self.context = self._read()

    def renew(self) -> None:
        """Show from the next connection on what the files hold now.

        Raises:
          CannotStart: They cannot be used; the old one is still shown.
        """
        self.context = self._read()

    def __str__(self) -> str:
        """Name the file that it came from."""
        return str(self._certificate)

    def _read(self) -> ssl.SSLContext:
        _check("--tls-cert-file", self._certificate, "CERTIFICATE", "certificate")
        _check("--tls-key-file", self._key, "PRIVATE KEY", "private key")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # Some builds of Python leave this to OpenSSL, which then refuses older ones in riddles.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(_PROTOCOLS)
        try:
            context.load_cert_chain(self._certificate, self._key, password=self._refuse_to_ask)
        except ssl.SSLError as error:
            raise CannotStart(self._why_not(error)) from error
        return context

    def _refuse_to_ask(self) -> str:
        raise CannotStart(
            f"--tls-key-file {self._key}: the key is encrypted, and nobody is there to give its"
            f" passphrase; write one without: openssl pkey -in {self._key} -out plain.pem"
        )

    def _why_not(self, error: ssl.SSLError) -> str:
        if error.reason in _MISMATCHES:
            return (
                f"the private key in {self._key} is not that of the certificate in"
                f" {self._certificate}, of which the server's own must be the first"
            )
        reason = error.reason.lower().replace("_", " ") if error.reason else "one is damaged"
        return f"{self._certificate} and {self._key} cannot be used for TLS: {reason}"


def _check(option: str, path: Path, label: str, what: str) -> None:
    """Look whether ``path`` holds a PEM block whose label ends with ``label``."""
    try:
        text = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotStart(f"{option} {path}: cannot be read: {reason}") from error
    if b"-----BEGIN " not in text or f"{label}-----".encode() not in text:
        raise CannotStart(f"{option} {path}: there is no {what} in it, in the PEM format")
