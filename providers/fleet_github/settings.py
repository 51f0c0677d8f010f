"""A GitHub as fleet.yaml names it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from fleet.provider import Frozen, SecretSource, Settings, Url

Text = Annotated[str, StringConstraints(min_length=1)]


class App(Frozen):
    """A GitHub App: its installation tokens renew themselves."""

    id: Annotated[int | Text, Field(union_mode="left_to_right")] = Field(
        description="The App's ID (a number) or its client ID."
    )
    installation: int | None = Field(
        default=None, description="The installation's ID; absent: the only one that the App has."
    )
    private_key: SecretSource = Field(description="Where the private key (PEM) is found.")


class GitHubAuth(Frozen):
    """How fleet logs in to GitHub: a token or an App."""

    token: SecretSource | None = Field(default=None, description="Where the token is found.")
    app: App | None = Field(default=None, description="A GitHub App, instead of a token.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.token is None) == (self.app is None):
            raise ValueError("auth takes exactly one of token and app")
        return self

    @property
    def source(self) -> SecretSource:
        """Where the token is found; only where there is one."""
        assert self.token is not None, "the settings take a token or an App"
        return self.token


class GitHubSettings(Settings):
    """GitHub, or a GitHub Enterprise Server."""

    type: Literal["github"] = Field(description="GitHub.")
    auth: GitHubAuth = Field(description="How fleet logs in.")
    delivery: Literal["commit", "pull-request"] = Field(
        default="commit", description="How changes to files arrive: a commit on the branch, or a pull request."
    )
    base_url: Url | None = Field(default=None, description="The REST API of an Enterprise Server.")
