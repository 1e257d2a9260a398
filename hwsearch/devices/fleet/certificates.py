"""Certificates and encryption of connections between hosts; the extra ``cluster``."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hwsearch.errors import DeviceError

try:
    from distributed.security import Security
except ImportError as missing:
    raise DeviceError("devices of other hosts need Dask.", hint="pip install 'hwsearch[cluster]'") from missing

CA, CERTIFICATE, KEY, CA_KEY = "ca.pem", "host.pem", "host-key.pem", "ca-key.pem"


#: of one certificate or key
MOST_BYTES = 1 << 20
_LOCAL = ("127.0.0.1", "localhost", "[::1]", "::1")


# ---------------------------------------------------------------------- certificates
def make_certificates(
    folder: Path, hosts: Sequence[str] = ("localhost", "127.0.0.1"), *, days: int = 365
) -> list[Path]:
    """Write a certificate authority and one host certificate with its key into a folder.

    Copy ``ca.pem``, ``host.pem`` and ``host-key.pem`` to every host; ``ca-key.pem`` stays, or is deleted.

    Parameters
    ----------
    folder : Path
        Is made if it does not exist.
    hosts : sequence of str
        Names and addresses that the certificate is for.
    days : int
        How long it is valid.

    Returns
    -------
    list of Path
        The files; those with keys can be read by their owner alone.

    Raises
    ------
    DeviceError
        Where certificates lie already.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    taken = [n for n in (CA, CA_KEY, CERTIFICATE, KEY) if (folder / n).exists()]
    if taken:
        raise DeviceError(f"{str(folder)!r} holds {taken[0]!r} already.", hint="Name another folder, or remove it.")
    start = datetime.now(UTC) - timedelta(minutes=5)

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def begun(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer)).public_key(key)
        made = made.serial_number(x509.random_serial_number())
        return made.not_valid_before(start).not_valid_after(start + timedelta(days=days))

    ca_key, host_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
            "key_cert_sign",
            "crl_sign",
        ),
        False,
    )
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    ca = (
        begun("hwsearch cluster CA", "hwsearch cluster CA", ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": True}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    host = (
        begun("hwsearch cluster host", "hwsearch cluster CA", host_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**usage, "digital_signature": True}), critical=True)
        .add_extension(signer, critical=False)
        .add_extension(x509.SubjectAlternativeName([_san(h) for h in hosts]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    contents = {
        CA: ca.public_bytes(pem),
        CA_KEY: ca_key.private_bytes(pem, form, plain),
        CERTIFICATE: host.public_bytes(pem),
        KEY: host_key.private_bytes(pem, form, plain),
    }
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in contents.items():
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if "key" in name else 0o644)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
    return [folder / name for name in contents]


def _san(host: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def check_certificates(folder: Path) -> None:
    """Read the files of a folder of certificates, as each connection does.

    Parameters
    ----------
    folder : Path
        With ``ca.pem``, ``host.pem`` and ``host-key.pem``.

    Raises
    ------
    DeviceError
        If one is missing or damaged, is encrypted, or the key is another certificate's.
    """
    made = "Make certificates with 'hwsearch cluster certs FOLDER'."
    for name in (CA, CERTIFICATE, KEY):
        path = folder / name
        if not path.exists():
            raise DeviceError(f"{str(folder)!r} has no {name!r}.", hint=made)
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            raise DeviceError(f"{str(path)!r} is not a file of at most {MOST_BYTES} bytes.", hint=made)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=folder / CA)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise DeviceError(f"{str(folder / CA)!r} is not a certificate: {error}.", hint=made) from error
    if not context.get_ca_certs():
        raise DeviceError(f"{str(folder / CA)!r} holds no certificate authority.", hint=made)
    try:
        # a key that is encrypted would be asked for on the terminal
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        both = f"{str(folder / CERTIFICATE)!r} and {KEY!r}"
        raise DeviceError(f"{both} are not a certificate and its key: {error}.", hint=made) from error


def security(address: str, certificates: str | Path | None, *, insecure: bool = False) -> Security:
    """Make Dask's security settings for an address.

    Parameters
    ----------
    address : str
        ``tls://HOST:PORT``, or ``tcp://`` of this host.
    certificates : str or Path or None
        Folder that `make_certificates` wrote.
    insecure : bool
        Allow ``tcp://``.

    Returns
    -------
    distributed.security.Security
        With mutual TLS, unless plain TCP is allowed.

    Raises
    ------
    DeviceError
        For plain TCP that is not of this host or not asked for, and for certificates that are missing or damaged.
    """
    kind, _, rest = address.partition("://")
    host = rest.rpartition(":")[0] or rest
    if kind == "tcp":
        if host not in _LOCAL:
            raise DeviceError(
                f"{address!r} is not encrypted, and anybody who reaches it could run code there.",
                hint="Use tls:// with certificates: 'hwsearch cluster certs FOLDER'.",
            )
        if not insecure:
            raise DeviceError(
                f"{address!r} is not encrypted.", hint="Use tls://, or say insecure = true for this host alone."
            )
        return Security(require_encryption=False)
    if kind != "tls":
        raise DeviceError(f"{address!r} is not an address of a scheduler.", hint="Write tls://HOST:8786.")
    if certificates is None:
        raise DeviceError(f"{address!r} needs certificates.", hint="Make them with 'hwsearch cluster certs FOLDER'.")
    folder = Path(certificates)
    check_certificates(folder)
    own = {"cert": str(folder / CERTIFICATE), "key": str(folder / KEY)}
    return Security(
        require_encryption=True,
        tls_ca_file=str(folder / CA),
        **{f"tls_{role}_{k}": v for role in ("client", "worker", "scheduler") for k, v in own.items()},
    )
