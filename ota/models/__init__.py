"""The tables. Importing this package makes all of them known to SQLAlchemy."""

from ota.models.accounts import ApiToken, User
from ota.models.apps import App, AppPlatform, Channel, DeviceGroup, DeviceGroupMember
from ota.models.base import Base
from ota.models.builds import Artifact, Upload, Version
from ota.models.devices import Device
from ota.models.releases import Experiment, Proposal, Release
from ota.models.sharing import ShareLink
from ota.models.system import AuditEvent, Heartbeat

__all__ = [
    "ApiToken",
    "App",
    "AppPlatform",
    "Artifact",
    "AuditEvent",
    "Base",
    "Channel",
    "Device",
    "DeviceGroup",
    "DeviceGroupMember",
    "Experiment",
    "Heartbeat",
    "Proposal",
    "Release",
    "ShareLink",
    "Upload",
    "User",
    "Version",
]
