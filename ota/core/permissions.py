"""Who can do what. A route requires one `Access`; a person or token has one `Role`."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The rights of a person or a token. Each role includes the rights of the ones before it."""

    VIEWER = "viewer"
    PUBLISHER = "publisher"
    ADMIN = "admin"


class Access(StrEnum):
    """What a route requires of its caller."""

    PUBLIC = "public"
    VIEW = "view"
    PUBLISH = "publish"
    ADMIN = "admin"


_ALLOWED: dict[Role, frozenset[Access]] = {
    Role.VIEWER: frozenset({Access.PUBLIC, Access.VIEW}),
    Role.PUBLISHER: frozenset({Access.PUBLIC, Access.VIEW, Access.PUBLISH}),
    Role.ADMIN: frozenset(Access),
}


def lower_of(one: Role, other: Role) -> Role:
    """Return the role with fewer rights."""
    return min(one, other, key=list(Role).index)


def may(role: Role, access: Access) -> bool:
    """Return whether the role is enough for what the route requires."""
    return access in _ALLOWED[role]
