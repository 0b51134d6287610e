"""Host key, certificate authority and certificate of one lab, kept in its state directory."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = dt.timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files of a lab: who pins `host_key_public` and trusts `ca` knows its devices."""

    ca: Path
    cert: Path
    key: Path
    host_key: Path
    host_key_public: str


def ensure(directory: Path, name: str, addresses: Iterable[str]) -> Credentials:
    """Make what is missing; a certificate for other addresses than before is made anew."""
    ca, cert, key = directory / "ca.pem", directory / "tls.pem", directory / "tls.key"
    wanted = sorted(set(addresses), key=ipaddress.ip_address)
    if not (ca.exists() and cert.exists() and _addresses(cert) == wanted):
        _issue(ca, cert, key, name, wanted)
    host_key = directory / "host_key"
    if not host_key.exists():
        made = asyncssh.generate_private_key("ssh-ed25519", comment=f"lab {name}")
        _secret(host_key, made.export_private_key())
        (directory / "host_key.pub").write_bytes(made.export_public_key())
    public = (directory / "host_key.pub").read_text().strip()
    return Credentials(ca, cert, key, host_key, public)


def _secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _addresses(cert: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificate(cert.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(address) for address in names.value.get_values_for_type(x509.IPAddress)]


def _issue(ca: Path, cert: Path, key: Path, name: str, addresses: Iterable[str]) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"Turnup lab {name} CA")
    authority = (
        _builder(subject, subject, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    own_key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    own = (
        _builder(_name(f"Turnup lab {name}"), subject, own_key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _secret(
        key,
        own_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    cert.write_bytes(own.public_bytes(serialization.Encoding.PEM))
    ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
