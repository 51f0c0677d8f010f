"""How a job of the fleet repository logs in to Azure. Pure.

https://github.com/Azure/login#login-with-openid-connect-oidc-recommended
"""

from __future__ import annotations

from fleet.provider import LoginStep
from fleet_acr.specs import AcrSettings

_CLOUDS = {
    "https://management.usgovcloudapi.net": "azureusgovernment",
    "https://management.chinacloudapi.cn": "azurechinacloud",
}
"""What azure/login calls the clouds that are not the public one, by their Resource Manager."""


def of_job(settings: AcrSettings) -> LoginStep:
    """An application of Entra that trusts the job's environment; the Azure CLI then has a session that fleet finds."""
    inputs = {"client-id": "${{ vars.FLEET_AZURE_CLIENT }}", "tenant-id": "${{ vars.FLEET_AZURE_TENANT }}"}
    if settings.subscription:
        inputs["subscription-id"] = settings.subscription
    else:
        inputs["allow-no-subscriptions"] = "true"
    cloud = _CLOUDS.get(settings.manager.rstrip("/"))
    if cloud:
        inputs["environment"] = cloud
    return LoginStep("Log in to Azure", "azure-login", "azure", inputs)
