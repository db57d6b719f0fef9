"""The certificate and its key: what is wrong with them is said, and they can be renewed."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from swapd.errors import CannotStart
from swapd.web.certificate import Certificate


def write(folder: Path, *, name: str = "", kind: trustme.KeyType = trustme.KeyType.ECDSA) -> Path:
    """Write a certificate and its key to ``folder``."""
    issued = trustme.CA().issue_cert("localhost", key_type=kind)
    issued.cert_chain_pems[0].write_to_path(folder / f"{name}cert.pem")
    issued.private_key_pem.write_to_path(folder / f"{name}key.pem")
    return folder


def test_a_certificate_and_its_key_are_taken(tmp_path: Path) -> None:
    write(tmp_path)
    assert str(Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")).endswith("cert.pem")


@pytest.mark.parametrize(
    ("certificate", "key", "why"),
    [
        ("none.pem", "key.pem", "--tls-cert-file .*none.pem: cannot be read: No such file"),
        ("cert.pem", "none.pem", "--tls-key-file .*none.pem: cannot be read: No such file"),
        ("cert.pem", "", "--tls-key-file .*: cannot be read: Is a directory"),
        ("key.pem", "cert.pem", "--tls-cert-file .*key.pem: there is no certificate in it"),
        ("cert.pem", "cert.pem", "--tls-key-file .*cert.pem: there is no private key in it"),
        ("cert.pem", "other-key.pem", "other-key.pem is not that of the certificate in .*cert"),
        ("cert.pem", "rsa-key.pem", "rsa-key.pem is not that of the certificate in .*cert"),
        ("cut.pem", "key.pem", "cut.pem and .*key.pem cannot be used for TLS: one is damaged"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, certificate: str, key: str, why: str) -> None:
    write(tmp_path)
    write(tmp_path, name="other-")
    write(tmp_path, name="rsa-", kind=trustme.KeyType.RSA)
    (tmp_path / "cut.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    )
    with pytest.raises(CannotStart, match=why):
        Certificate(tmp_path / certificate, tmp_path / key)


@pytest.mark.parametrize(
    "how", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_an_encrypted_key_is_refused_and_nobody_is_asked(
    tmp_path: Path, how: serialization.PrivateFormat
) -> None:
    write(tmp_path)
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM, how, serialization.BestAvailableEncryption(b"secret")
    )
    (tmp_path / "key.pem").write_bytes(encrypted)
    with pytest.raises(CannotStart, match=r"the key is encrypted.*openssl pkey -in .*key\.pem"):
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_what_cannot_be_used_does_not_take_the_place_of_what_can(tmp_path: Path) -> None:
    write(tmp_path)
    certificate = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    first = certificate.context
    write(tmp_path, name="other-")
    (tmp_path / "other-key.pem").rename(tmp_path / "key.pem")
    with pytest.raises(CannotStart):
        certificate.renew()
    assert certificate.context is first
    (tmp_path / "other-cert.pem").rename(tmp_path / "cert.pem")
    certificate.renew()
    assert certificate.context is not first
