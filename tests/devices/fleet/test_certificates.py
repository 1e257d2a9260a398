"""Certificates and refused addresses."""

from __future__ import annotations

import pytest

from hwsearch.devices.fleet.certificates import make_certificates, security
from hwsearch.errors import DeviceError


def test_plain_tcp_and_missing_certificates_are_refused(tmp_path):
    for address, said in (
        ("tcp://10.0.0.1:8786", "not encrypted"),
        ("tcp://127.0.0.1:8786", "not encrypted"),
        ("http://x:1", "not an address"),
        ("tls://x:1", "needs certificates"),
    ):
        with pytest.raises(DeviceError, match=said):
            security(address, None)
    with pytest.raises(DeviceError, match="not encrypted"):
        security("tcp://10.0.0.1:8786", None, insecure=True)
    with pytest.raises(DeviceError, match=r"no 'ca\.pem'"):
        security("tls://x:1", tmp_path)


def test_keys_are_private_and_are_not_overwritten(tmp_path):
    files = make_certificates(tmp_path / "certs")
    assert all(f.stat().st_mode & 0o077 == 0 for f in files if "key" in f.name)
    with pytest.raises(DeviceError, match=r"holds 'ca\.pem' already"):
        make_certificates(tmp_path / "certs")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ca.pem", b"", r"ca\.pem' is not a certificate"),
        ("ca.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", r"ca\.pem' is not a certificate"),
        ("host.pem", b"", r"host\.pem' and 'host-key\.pem' are not a certificate and its key"),
        ("host-key.pem", b"A" * (2 << 20), r"host-key\.pem' is not a file of at most"),
    ],
)
def test_a_damaged_file_is_named_before_anything_is_connected(tmp_path, name, content, said):
    make_certificates(tmp_path / "certs")
    (tmp_path / "certs" / name).write_bytes(content)
    with pytest.raises(DeviceError, match=said):
        security("tls://lab:8786", tmp_path / "certs")


def test_a_key_of_another_certificate_and_one_that_is_encrypted_are_refused_without_asking(tmp_path):
    from cryptography.hazmat.primitives import serialization

    make_certificates(tmp_path / "certs")
    make_certificates(tmp_path / "others")
    key = tmp_path / "certs" / "host-key.pem"
    own = key.read_bytes()
    assert security("tls://lab:8786", tmp_path / "certs").require_encryption
    key.write_bytes((tmp_path / "others" / "host-key.pem").read_bytes())
    with pytest.raises(DeviceError, match="not a certificate and its key"):
        security("tls://lab:8786", tmp_path / "certs")
    locked = serialization.load_pem_private_key(own, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    key.write_bytes(locked)
    with pytest.raises(DeviceError, match="not a certificate and its key"):
        security("tls://lab:8786", tmp_path / "certs")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    make_certificates(tmp_path / "certs")
    (tmp_path / "certs" / "host.pem").unlink()
    (tmp_path / "certs" / "host.pem").mkdir()
    with pytest.raises(DeviceError, match=r"host\.pem' is not a file"):
        security("tls://lab:8786", tmp_path / "certs")
