"""A token service as registries use one: signs RS256 JWTs that say what a login may do on which repositories.

Source: https://distribution.github.io/distribution/spec/auth/jwt/
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from fleet.sandbox.http import Request, Response

Rights = Callable[[str], frozenset[str]]
"""The actions (`pull`, `push`, `delete`) that one login has on a repository."""

Authenticate = Callable[[str, str], Rights | None]
"""The rights of a user name and a password, both empty for nobody; None when the login is wrong."""


def new_key() -> rsa.RSAPrivateKey:
    """A key to sign with; it takes a moment."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TokenService:
    """Answers token requests at any path, and checks the tokens it signed.

    `service` is the audience, `lifetime` the seconds a token lives. `certificate` is what a registry trusts.
    `key` signs; a new one is made where none is given. `denied` is the status that answers where nothing of what is
    asked for may be granted; without it, the answer is a token that allows nothing.
    """

    def __init__(
        self,
        authenticate: Authenticate,
        service: str = "registry",
        lifetime: int = 300,
        key: rsa.RSAPrivateKey | None = None,
        denied: int | None = None,
    ) -> None:
        self.authenticate = authenticate
        self.service = service
        self.issuer = "fleet-sandbox"
        self.lifetime = lifetime
        self.denied = denied
        self._key = key or new_key()
        self._certificate = _self_signed(self._key, self.issuer)

    @property
    def certificate(self) -> bytes:
        """The signing certificate, in PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def handle(self, request: Request) -> Response:
        """Answer one token request (`GET …?service=…&scope=repository:NAME:pull,push`)."""
        if request.method != "GET":
            return Response(405)
        try:
            username, password = basic_login(request)
        except ValueError:
            return _refused("the Authorization header is malformed")
        rights = self.authenticate(username, password)
        if rights is None:
            return _refused("the user name or the password is wrong")
        if request.first("service", self.service) != self.service:
            return Response.of_json({"errors": [{"code": "UNSUPPORTED", "message": "unknown service"}]}, 400)
        return self.answer(username, rights, request.query.get("scope", []))

    def answer(self, username: str, rights: Rights, scopes: Iterable[str]) -> Response:
        """What is answered to a login with these rights that asks for these scopes."""
        access = []
        for scope in (part for value in scopes for part in value.split()):
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            if kind != "repository" or not name:
                return Response.of_json({"errors": [{"code": "UNSUPPORTED", "message": f"scope {scope}"}]}, 400)
            granted = [action for action in actions.split(",") if action in rights(name)]
            access.append({"type": kind, "name": name, "actions": granted})
        if self.denied is not None and access and not all(entry["actions"] for entry in access):
            return Response.of_json({"errors": [{"code": "DENIED", "message": "access is denied"}]}, self.denied)
        token = self.sign(username, access)
        return Response.of_json({"token": token, "access_token": token, "expires_in": self.lifetime})

    def sign(self, subject: str, access: list[dict[str, Any]]) -> str:
        """A token for a subject with these rights."""
        now = int(time.time())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(_der(self._certificate)).decode()]}
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "aud": self.service,
            "iat": now,
            "nbf": now - 5,
            "exp": now + self.lifetime,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        signed = f"{_encode(header)}.{_encode(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"

    def allows(self, token: str, name: str, action: str) -> bool:
        """Whether a token is ours, still lives, and allows an action on a repository."""
        signed, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(_bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            claims: Mapping[str, Any] = json.loads(_bytes(signed.partition(".")[2]))
        except (InvalidSignature, ValueError):
            return False
        if claims["exp"] <= time.time() or claims["aud"] != self.service:
            return False
        return any(entry["name"] == name and action in entry["actions"] for entry in claims["access"])


def basic_login(request: Request) -> tuple[str, str]:
    """User name and password of a request, both empty without a login; raises ValueError for a malformed one."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return "", ""
    if scheme.lower() != "basic":
        raise ValueError("not a Basic login")
    try:
        username, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("malformed") from error
    if not colon:
        raise ValueError("no password")
    return username, password


def _refused(message: str) -> Response:
    return Response.of_json(
        {"errors": [{"code": "UNAUTHORIZED", "message": message}]}, 401, {"www-authenticate": 'Basic realm="sandbox"'}
    )


def _self_signed(key: rsa.RSAPrivateKey, name: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _encode(document: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(document).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
