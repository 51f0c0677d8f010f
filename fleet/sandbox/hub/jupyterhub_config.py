"""The configuration of every sandbox hub; JupyterHub runs this file, and `FLEET_SANDBOX_HUB` names the hub's own."""

import os
from pathlib import Path

from fleet.sandbox.hub.settings import QUICKLY, SERVICE, ConfiguratorService, Running
from fleet.sandbox.hub.spawner import KubeSpawner

running = Running.model_validate_json(Path(os.environ["FLEET_SANDBOX_HUB"]).read_text(encoding="utf-8"))
settings = running.settings
c = get_config()  # type: ignore[name-defined]  # noqa: F821

c.JupyterHub.bind_url = running.url
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{running.hub_port}"
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret_file = str(running.folder / "cookie-secret")
c.JupyterHub.init_spawners_timeout = 0
c.JupyterHub.tornado_settings = {
    "slow_spawn_timeout": 0
}  # as zero-to-jupyterhub has it: who starts a server sees the progress
c.ConfigurableHTTPProxy.should_start = False  # it is a process beside this one, in the same process group
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{running.proxy_port}"
c.ConfigurableHTTPProxy.auth_token = running.proxy_token

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = running.password
c.SharedPasswordAuthenticator.admin_password = running.token
c.Authenticator.allow_all = True
c.Authenticator.allowed_users = {*settings.users, *settings.admins}

c.JupyterHub.spawner_class = KubeSpawner
c.KubeSpawner.running = running
c.KubeSpawner.home_dir_template = str(running.folder / "home/{username}")
c.KubeSpawner.cmd = [*QUICKLY, "jupyterhub.singleuser"]
c.KubeSpawner.args = ["--allow-root", "--ServerApp.terminals_enabled=False"]
c.KubeSpawner.environment = {"JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp"}
c.KubeSpawner.popen_kwargs = {"start_new_session": False}  # what ends the hub's process group ends the servers too

c.JupyterHub.services = [{"name": "fleet", "api_token": running.token}]
c.JupyterHub.load_roles = [{"name": "admin", "users": list(settings.admins), "services": ["fleet"]}]
if isinstance(settings.image, ConfiguratorService):
    c.JupyterHub.services.append({"name": SERVICE, "url": f"http://127.0.0.1:{running.configurator_port}"})
