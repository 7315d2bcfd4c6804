"""The tables. Importing this package registers all of them with SQLAlchemy."""

from ota.models.accounts import ApiToken, User
from ota.models.alerts import AlertRecipient, Delivery, Webhook
from ota.models.apps import App, AppPlatform, Channel, DeviceGroup, DeviceGroupMember
from ota.models.base import Base
from ota.models.builds import Artifact, Upload, Version
from ota.models.devices import Device
from ota.models.health import HealthPolicy, ReleaseHealth
from ota.models.releases import Experiment, Proposal, Release
from ota.models.sharing import ShareLink
from ota.models.system import AuditEvent, Heartbeat
from ota.models.telemetry import (
    Adoption,
    CheckCount,
    Event,
    FailureCount,
    FailureSignature,
    JournalPosition,
    ReleaseCount,
    ReleaseDevice,
    UpdateCheck,
    UpdateCompletion,
)

__all__ = [
    "Adoption",
    "AlertRecipient",
    "ApiToken",
    "App",
    "AppPlatform",
    "Artifact",
    "AuditEvent",
    "Base",
    "Channel",
    "CheckCount",
    "Delivery",
    "Device",
    "DeviceGroup",
    "DeviceGroupMember",
    "Event",
    "Experiment",
    "FailureCount",
    "FailureSignature",
    "HealthPolicy",
    "Heartbeat",
    "JournalPosition",
    "Proposal",
    "Release",
    "ReleaseCount",
    "ReleaseDevice",
    "ReleaseHealth",
    "ShareLink",
    "UpdateCheck",
    "UpdateCompletion",
    "Upload",
    "User",
    "Version",
    "Webhook",
]
