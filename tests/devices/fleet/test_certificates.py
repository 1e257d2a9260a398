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
