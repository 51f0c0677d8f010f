"""The policy documents that fleet gives to IAM and to ECR, and what a document that stands there means. All of it pure.

Sources: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html for what a push needs,
https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws for the trust, and
https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ISSUER = "token.actions.githubusercontent.com"
"""Who signs the identity of a GitHub Actions run, as IAM names it."""
AUDIENCE = "sts.amazonaws.com"

PUSH_POLICY = "fleet-push"
"""The name of the one inline policy that a role or a user of ours has."""

PUSH_ACTIONS = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
"""What a build does: it pulls the last image for its cache, and pushes the new one."""

_VERSION = "2012-10-17"

Document = Mapping[str, Any]


def push_policy(repository_arn: str) -> Document:
    """May log in to the registry (which has no resource), and pull from and push to one repository."""
    return {
        "Version": _VERSION,
        "Statement": [
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
            {"Effect": "Allow", "Action": list(PUSH_ACTIONS), "Resource": repository_arn},
        ],
    }


def trust_policy(provider_arn: str, subject: str) -> Document:
    """May be assumed by the runs of GitHub Actions with one subject."""
    return {
        "Version": _VERSION,
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": subject}},
            }
        ],
    }


def subject_of(repository: str, branch: str) -> str:
    """What GitHub calls a run on a branch of a repository; a run for a pull request is called otherwise."""
    return f"repo:{repository}:ref:refs/heads/{branch}"


def lifecycle_policy(keep: int) -> Document:
    """Keeps the newest images and expires the rest."""
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": f"fleet keeps the {keep} newest images",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": keep},
                "action": {"type": "expire"},
            }
        ]
    }


def kept_by(document: Document) -> int | None:
    """How many images a lifecycle policy of ours keeps; None for a policy of somebody else."""
    try:
        keep = document["rules"][0]["selection"]["countNumber"]
    except (KeyError, IndexError, TypeError):
        return None
    return keep if isinstance(keep, int) and text_of(document) == text_of(lifecycle_policy(keep)) else None


def trusted_by(document: Document, provider_arn: str) -> str:
    """The one subject that a trust policy lets in, if it is as ours would be; else the policy itself."""
    try:
        subject = document["Statement"][0]["Condition"]["StringEquals"][f"{ISSUER}:sub"]
    except (KeyError, IndexError, TypeError):
        return text_of(document)
    return (
        subject
        if isinstance(subject, str) and text_of(document) == text_of(trust_policy(provider_arn, subject))
        else text_of(document)
    )


def pushed_by(policies: Mapping[str, Document], repositories_arn: str) -> str:
    """The one repository that inline policies let push to, if they are as ours would be; else the policies themselves.

    `repositories_arn` is what every repository's ARN begins with.
    """
    try:
        arn = policies[PUSH_POLICY]["Statement"][1]["Resource"]
    except (KeyError, IndexError, TypeError):
        return text_of(policies)
    if len(policies) > 1 or not isinstance(arn, str) or not arn.startswith(repositories_arn):
        return text_of(policies)
    is_ours = text_of(policies[PUSH_POLICY]) == text_of(push_policy(arn))
    return arn.removeprefix(repositories_arn) if is_ours else text_of(policies)


def text_of(document: object) -> str:
    """A document's one canonical text: keys and lists of words sorted, for their order means nothing in a policy."""
    return json.dumps(_sorted(document), sort_keys=True, separators=(",", ":"))


def _sorted(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _sorted(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        inner = [_sorted(each) for each in value]
        return sorted(inner) if all(isinstance(each, str) for each in inner) else inner  # type: ignore[type-var]
    return value
