"""What login steps call: AWS and Google in small, letting in the builds of one repository's one branch.

Tokens of a run are checked as the vendors do it: by the keys that the issuer's discovery document leads to.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from urllib.parse import parse_qs

import httpx
import jwt

from fleet.sandbox.github.actions.oidc import DISCOVERY, GITHUB
from fleet.sandbox.http import Request, Response
from fleet.sandbox.push import MANIFEST
from fleet.sandbox.registry import TOKEN_PATH, Registry
from fleet.sandbox.token import Rights, TokenService
from tests.images import unpacked
from tests.logins import AWS_REGISTRY, AWS_ROLE, GOOGLE_POOL

IMAGE = "example/climate"
SUBJECT = "repo:example-org/climate:ref:refs/heads/main"
KEY_ID, KEY = "AKIAEXAMPLE", "aws-canary-of-the-user"
_XML = "https://sts.amazonaws.com/doc/2011-06-15/"


class Cloud:
    """STS and ECR of AWS, STS of Google, and the registry that takes what they give; hand it a sandbox's `address`.

    `logins` has every user name and password that may push, `canaries` all that must not lie in an image.
    """

    def __init__(self) -> None:
        self.address = ""
        self.logins: set[tuple[str, str]] = set()
        self.canaries: set[str] = {KEY}
        self.of_github: Callable[[str], bool] = lambda token: False
        self.tokens = TokenService(self._authenticate)
        self.registry = Registry(self.tokens)
        self._keys = {KEY_ID}

    def handle(self, request: Request) -> Response:
        """Answer one request to whichever service it is for."""
        if request.path == "/v1/token":
            return self._google(request)
        if request.headers.get("x-amz-target", "").endswith(".GetAuthorizationToken"):
            return self._ecr(request)
        if request.path == "/" and request.method == "POST":
            return self._sts(request)
        return (self.tokens if request.path == TOKEN_PATH else self.registry).handle(request)

    @property
    def held(self) -> dict[str, set[str]]:
        """The tags of every repository."""
        return {name: set(one["tags"]) for name, one in self.registry.repositories.items()}

    def contents(self, url: str, tag: str) -> dict[str, bytes]:
        """All that a pushed image is made of: its configuration, and its layers' files by path, unpacked."""
        token = self.tokens.sign("reader", [{"type": "repository", "name": IMAGE, "actions": ["pull"]}])
        base = f"{url}/v2/{IMAGE}"
        with httpx.Client(headers={"authorization": f"Bearer {token}"}) as client:
            manifest = client.get(f"{base}/manifests/{tag}", headers={"accept": MANIFEST}).json()
            config = client.get(f"{base}/blobs/{manifest['config']['digest']}").content
            layers = [client.get(f"{base}/blobs/{layer['digest']}").content for layer in manifest["layers"]]
        found = {"manifest": json.dumps(manifest).encode(), "configuration": config}
        for layer in layers:
            found |= unpacked(layer)
        return found

    def issue(self, username: str) -> str:
        """A password that may push from now on."""
        password = f"canary-{secrets.token_hex(12)}"
        self.logins.add((username, password))
        self.canaries.add(password)
        return password

    def _authenticate(self, username: str, password: str) -> Rights | None:
        if (username, password) not in self.logins and not self.of_github(password):
            return None
        return lambda name: frozenset({"pull", "push"}) if name == IMAGE else frozenset()

    def _lets_in(self, token: str, audience: str) -> bool:
        """Whether GitHub vouches for a run on the one branch of the one repository."""
        self.canaries.add(token)
        keys = httpx.get(f"{self.address}{DISCOVERY}").json()["jwks_uri"]
        key = jwt.PyJWKClient(keys).get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=GITHUB)
        return bool(claims["sub"] == SUBJECT)

    def _google(self, request: Request) -> Response:
        asked = request.json()
        audience = f"//iam.googleapis.com/{GOOGLE_POOL}"
        if asked["audience"] != audience or not self._lets_in(asked["subjectToken"], f"https:{audience}"):
            return Response.of_json({"error": "unauthorized_client"}, 400)
        return Response.of_json({"access_token": self.issue("oauth2accesstoken"), "token_type": "Bearer"})

    def _sts(self, request: Request) -> Response:
        asked = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if asked["Action"] == "GetCallerIdentity":
            if not self._knows_key(request):
                return self._refused("InvalidClientTokenId", "The security token included in the request is invalid")
            return self._answered("GetCallerIdentity", "<Account>123456789012</Account>")
        if asked["RoleArn"] != AWS_ROLE or not self._lets_in(asked["WebIdentityToken"], "sts.amazonaws.com"):
            return self._refused("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        key, secret = f"ASIA{secrets.token_hex(8).upper()}", self.issue("nobody")
        self._keys.add(key)
        parts = {"AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": self.issue("nobody")}
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items())
        expires = "<Expiration>2099-01-01T00:00:00Z</Expiration>"
        return self._answered("AssumeRoleWithWebIdentity", f"<Credentials>{inner}{expires}</Credentials>")

    def _ecr(self, request: Request) -> Response:
        if not self._knows_key(request):
            return Response.of_json({"__type": "UnrecognizedClientException", "message": "invalid"}, 400)
        token = base64.b64encode(f"AWS:{self.issue('AWS')}".encode()).decode()
        data = {"authorizationToken": token, "proxyEndpoint": f"https://{AWS_REGISTRY}", "expiresAt": 4070908800}
        return Response.of_json({"authorizationData": [data]})

    def _knows_key(self, request: Request) -> bool:
        return any(f"Credential={key}/" in request.headers.get("authorization", "") for key in self._keys)

    @staticmethod
    def _answered(action: str, inner: str) -> Response:
        result = f"<{action}Result>{inner}</{action}Result>"
        text = f'<{action}Response xmlns="{_XML}">{result}</{action}Response>'
        return Response(200, text.encode(), {"content-type": "text/xml"})

    @staticmethod
    def _refused(code: str, message: str) -> Response:
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        text = f'<ErrorResponse xmlns="{_XML}">{error}</ErrorResponse>'
        return Response(403, text.encode(), {"content-type": "text/xml"})
