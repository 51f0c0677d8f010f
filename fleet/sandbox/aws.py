"""A small AWS on moto's own state: IAM, STS and ECR's control plane, with every signature and every right checked.

moto answers the calls. What it does not do is done here before they reach it: signatures (by the SDK's own signer),
what a login may do to which resource (by moto's policy engine), and who may assume a role with an OIDC token. Each
instance has an account of its own, so that many can live in one process.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.exceptions import ServiceException
from moto.ecr.models import ecr_backends
from moto.iam.access_control import (
    AssumedRoleAccessKey,
    CreateAccessKeyFailure,
    IAMPolicy,
    IAMUserAccessKey,
)
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import create_backend_app
from moto.sts.models import sts_backends
from werkzeug.test import Client

from fleet.sandbox.aws_protocol import Call, Refusal, call_of, json_answer, refused, xml_answer
from fleet.sandbox.aws_rights import EVERYTHING, Operator, Principal, lets_in
from fleet.sandbox.http import Request, Response

Claims = Callable[[str], Mapping[str, Any] | None]
"""The claims of an OIDC token whose signature is right; None for any other."""

Images = Callable[[str], list[dict[str, Any]]]
"""What ECR's control plane tells of the images in a repository."""

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/[0-9]{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_WITHOUT_RIGHT = frozenset({"sts:GetCallerIdentity"})
"""What every login may do: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""


@cache
def _moto(service: str) -> Client:
    """moto's server for one service: the same for all accounts, as they are told apart by a header."""
    return Client(create_backend_app(service))  # type: ignore[arg-type]


class Aws:
    """One account, in one region."""

    def __init__(self, region: str = "us-west-2", claims: Claims = lambda token: None) -> None:
        self.account = f"{secrets.randbelow(9 * 10**11) + 10**11}"
        self.region = region
        self.claims = claims
        self.operators: dict[str, Operator] = {}
        self.lock = threading.RLock()
        self.images: Images = lambda repository: []
        self._tokens: dict[str, str] = {}

    @property
    def iam(self) -> Any:
        """moto's state of IAM."""
        return iam_backends[self.account]["aws"]

    @property
    def ecr(self) -> Any:
        """moto's state of ECR."""
        return ecr_backends[self.account][self.region]

    def operator(self, key: str, secret: str, policy: Mapping[str, Any] = EVERYTHING) -> Operator:
        """Give somebody a login."""
        self.operators[key] = Operator(key, secret, policy)
        return self.operators[key]

    def close(self) -> None:
        """Forget the account."""
        for backends in (iam_backends, ecr_backends, sts_backends):
            backends.pop(self.account, None)

    def handle(self, request: Request) -> Response:
        """Answer one call."""
        call = call_of(request)
        if call is None:
            return Response(404, b"<UnknownOperationException/>", {"content-type": "text/xml"})
        try:
            with self.lock:
                return self._answer(call)
        except Refusal as refusal:
            return refused(call, refusal)

    def arn(self, repository: str) -> str:
        """A repository's ARN."""
        return f"arn:aws:ecr:{self.region}:{self.account}:repository/{repository}"

    def holder(self, password: str) -> Principal | None:
        """Who was given a registry password, with the rights of now; None for a wrong or dead one."""
        with self.lock:
            key = self._tokens.get(password)
            try:
                return self._principal(key) if key is not None else None
            except Refusal:
                return None

    def password(self, key: str) -> str:
        """A password for the registry, which is worth what the holder of an access key may do."""
        password = secrets.token_urlsafe(48)
        self._tokens[password] = key
        return password

    def secret_of(self, key: str) -> str | None:
        """The secret part of an access key of an operator or a user; None for one that is not there, or not alive."""
        if key in self.operators:
            return None if self.operators[key].expired else self.operators[key].secret
        user = self.iam.access_keys.get(key)
        return str(user.secret_access_key) if user is not None and user.status == "Active" else None

    def _answer(self, call: Call) -> Response:
        if call.name == "sts:AssumeRoleWithWebIdentity":
            self._check_trust(call)
            return self._hand_on(call)
        key = self._authenticate(call)
        principal = self._principal(key)
        resource = self._resource(call)
        if call.name not in _WITHOUT_RIGHT and not principal.may(call.name, resource):
            message = f"User: {principal.arn} is not authorized to perform: {call.name} on resource: {resource}"
            raise Refusal("AccessDeniedException" if call.is_json else "AccessDenied", message)
        if call.name == "ecr:GetAuthorizationToken":
            return self._token(call, key)
        if call.name == "sts:GetCallerIdentity":
            return xml_answer(
                "GetCallerIdentity",
                f"<Arn>{principal.arn}</Arn><UserId>AIDA</UserId><Account>{self.account}</Account>",
            )
        if call.name == "ecr:DescribeImages" and call.parameters["repositoryName"] in self.ecr.repositories:
            return self._describe_images(call)
        if call.name == "iam:AddClientIDToOpenIDConnectProvider":  # which moto does not know
            return self._add_audience(call)
        return self._hand_on(call)

    def _describe_images(self, call: Call) -> Response:
        """A page of the images that lie in the registry, which moto knows nothing of."""
        start, size = int(call.parameters.get("nextToken") or 0), int(call.parameters.get("maxResults") or 100)
        found = self.images(call.parameters["repositoryName"])
        if (call.parameters.get("filter") or {}).get("tagStatus") == "TAGGED":
            found = [image for image in found if image.get("imageTags")]
        more = {"nextToken": str(start + size)} if len(found) > start + size else {}
        return json_answer({"imageDetails": found[start : start + size], **more})

    def _add_audience(self, call: Call) -> Response:
        provider = self.iam.open_id_providers.get(call.parameters["OpenIDConnectProviderArn"])
        if provider is None:
            raise Refusal("NoSuchEntity", "OpenIDConnect Provider not found", 404)
        if call.parameters["ClientID"] not in provider.client_id_list:
            provider.client_id_list.append(call.parameters["ClientID"])
        return xml_answer("AddClientIDToOpenIDConnectProvider", "")

    def _hand_on(self, call: Call) -> Response:
        request = call.request
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        answer = _moto(call.service).open(
            request.raw_path,
            method=request.method,
            headers={**headers, "x-moto-account-id": self.account},
            data=request.body,
            base_url=request.base_url,
        )
        kept = {name: value for name, value in answer.headers.items() if name.lower() != "content-length"}
        return Response(answer.status_code, answer.data, kept)

    def _authenticate(self, call: Call) -> str:
        """The access key that signed a call; raises Refusal where it did not, or not with its own secret."""
        found = _AUTHORIZATION.fullmatch(call.request.headers.get("authorization", ""))
        if found is None:
            raise Refusal("MissingAuthenticationToken", "Missing Authentication Token")
        secret = self._secret_of(call, found["key"])
        names = found["signed"].split(";")
        headers = {name: call.request.headers.get(name, "") for name in names}
        signed = AWSRequest(
            call.request.method, f"{call.request.base_url}{call.request.raw_path}", headers, call.request.body
        )
        signed.context["timestamp"] = call.request.headers.get("x-amz-date", "")
        signer = SigV4Auth(Credentials(found["key"], secret), found["service"], found["region"])
        text = signer.string_to_sign(signed, signer.canonical_request(signed))
        if not secrets.compare_digest(signer.signature(text, signed), found["signature"]):
            code = "InvalidSignatureException" if call.is_json else "SignatureDoesNotMatch"
            raise Refusal(code, "The request signature we calculated does not match the signature you provided.")
        return found["key"]

    def _secret_of(self, call: Call, key: str) -> str:
        if key in self.operators and self.operators[key].expired:
            code = "ExpiredTokenException" if call.is_json else "ExpiredToken"
            raise Refusal(code, "The security token included in the request is expired")
        secret = self.secret_of(key)
        if secret is not None:
            return secret
        role = sts_backends[self.account]["aws"].get_assumed_role_from_access_key(key)
        if role is not None and role.session_token == call.request.headers.get("x-amz-security-token"):
            return str(role.secret_access_key)
        code = "UnrecognizedClientException" if call.is_json else "InvalidClientTokenId"
        raise Refusal(code, "The security token included in the request is invalid.")

    def _principal(self, key: str) -> Principal:
        """Who an access key belongs to, with all policies that are on it."""
        if key in self.operators:
            policies = (IAMPolicy(json.dumps(self.operators[key].policy)),)
            return Principal(f"arn:aws:iam::{self.account}:user/operator", policies)
        role = sts_backends[self.account]["aws"].get_assumed_role_from_access_key(key)
        made: IAMUserAccessKey | AssumedRoleAccessKey
        try:
            if role is None:
                made = IAMUserAccessKey(self.account, "aws", key, {})
            else:
                headers = {"X-Amz-Security-Token": role.session_token}
                made = AssumedRoleAccessKey(self.account, "aws", key, headers)
            found: list[Any] = list(made.collect_policies())
        except (CreateAccessKeyFailure, ServiceException):
            raise Refusal("InvalidClientTokenId", "The security token included in the request is invalid.") from None
        return Principal(made.arn, tuple(IAMPolicy(policy) for policy in found))

    def _resource(self, call: Call) -> str:
        """The resource that a call is about, as an ARN; `*` for a call about none."""
        given = call.parameters
        if call.service == "ecr":
            names = given.get("repositoryNames") or []
            name = given.get("repositoryName") or (names[0] if len(names) == 1 else None)
            return self.arn(name) if name else str(given.get("resourceArn") or "*")
        for kind, held in (("User", self.iam.users), ("Role", self.iam.roles)):
            name = given.get(f"{kind}Name")
            if name:
                standing = next((each for each in held.values() if each.name == name), None)
                path = given.get("Path") or (standing.path if standing else None) or "/"
                return f"arn:aws:iam::{self.account}:{kind.lower()}{path}{name}"
        if given.get("Url"):
            return f"arn:aws:iam::{self.account}:oidc-provider/{str(given['Url']).removeprefix('https://')}"
        if "AccessKeyId" in given:  # of a key that is asked for by itself, it is the user whose key it is
            users = self.iam.users.values()
            owner = (
                user.arn for user in users for key in user.access_keys if key.access_key_id == given["AccessKeyId"]
            )
            return next(owner, "*")
        return str(given.get("OpenIDConnectProviderArn") or "*")

    def _token(self, call: Call, key: str) -> Response:
        entry = {
            "authorizationToken": base64.b64encode(f"AWS:{self.password(key)}".encode()).decode(),
            "expiresAt": time.time() + 12 * 3600,
            "proxyEndpoint": call.request.base_url,
        }
        return json_answer({"authorizationData": [entry]})

    def _check_trust(self, call: Call) -> None:
        """Refuse an OIDC token that is none, or that the role's trust policy does not let in."""
        claims = self.claims(str(call.parameters.get("WebIdentityToken")))
        if claims is None:
            raise Refusal("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider", 400)
        issuer = str(claims["iss"]).removeprefix("https://")
        arn = f"arn:aws:iam::{self.account}:oidc-provider/{issuer}"
        provider = self.iam.open_id_providers.get(arn)
        if provider is None or claims["aud"] not in provider.client_id_list:
            raise Refusal("InvalidIdentityToken", "No OpenIDConnect provider found in your account", 400)
        role = next((r for r in self.iam.roles.values() if r.arn == call.parameters.get("RoleArn")), None)
        document = json.loads(role.assume_role_policy_document) if role else {"Statement": []}
        if not any(lets_in(statement, arn, issuer, claims) for statement in document["Statement"]):
            raise Refusal("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
