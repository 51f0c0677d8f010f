"""The spawner of a sandbox hub: a local process that is told of its image as KubeSpawner tells a pod.

It bears KubeSpawner's name because a hub's configuration and the configurator address it by that name.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import Any as AnyTrait
from traitlets import Unicode

from fleet.errors import FleetError
from fleet.sandbox.hub.choosing import NoSuchChoice, chosen_image
from fleet.sandbox.hub.configurator import FIELDS
from fleet.sandbox.hub.pulling import PullFailed, pull
from fleet.sandbox.hub.settings import ConfiguratorService, HubSettings, ValuesFiles
from fleet.values import parse_values


class Refused(Exception):
    """A server that does not start; the hub shows `jupyterhub_message` to who asked for it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.jupyterhub_message = message


class KubeSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]
    """Starts a server as a process, once its image is known to exist."""

    image = Unicode(config=True, help="The image of the user's server.")
    running = AnyTrait(config=True, help="What this hub's processes agree on, as Running.")

    async def start(self) -> Any:
        """Choose the image, look it up in its registry, and start the process."""
        self._told: asyncio.Queue[str] = asyncio.Queue()
        settings: HubSettings = self.running.settings
        try:
            if isinstance(settings.image, ValuesFiles):
                self.image = await asyncio.to_thread(image_by_values, settings.image, self.user_options)
            else:
                await self._configure(settings.image)
            self._told.put_nowait(f'Pulling image "{self.image}"')
            await asyncio.to_thread(pull, self.image, settings)
        except (FleetError, NoSuchChoice, PullFailed) as error:
            raise Refused(str(error)) from error
        self._told.put_nowait(f'Successfully pulled image "{self.image}"')
        return await super().start()

    async def progress(self) -> AsyncIterator[Mapping[str, object]]:
        """What has happened so far, and then what happens."""
        shown = 0
        while True:
            message = await self._told.get()
            shown += 20
            yield {"progress": min(shown, 90), "message": message}

    def get_env(self) -> dict[str, str]:
        """The server's environment, with the image as KubeSpawner puts it there."""
        return {**super().get_env(), "JUPYTER_IMAGE": self.image, "JUPYTER_IMAGE_SPEC": self.image}

    async def _configure(self, service: ConfiguratorService) -> None:
        """Set what the configurator says. A key that its schema lacks breaks the spawn, as it does in the original."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.running.configurator_url}/config")
        self.image = service.default_image
        for key, value in answer.raise_for_status().json().items():
            trait = FIELDS[key]["traitlet"].partition(".")[2]
            if value:
                setattr(self, trait, value)


def image_by_values(values: ValuesFiles, options: Mapping[str, object]) -> str:
    """The image that the values files at the head of the branch give to a user with these options.

    Raises Refused when they cannot be read, InputError for a broken one, NoSuchChoice.
    """
    return chosen_image([parse_values(name, _at_head(values, name)) for name in values.files], options)


def _at_head(values: ValuesFiles, name: str) -> bytes:
    command = ["git", "-C", str(values.repository), "show", f"{values.branch}:{name}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise Refused(f"the values file {name} cannot be read: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
