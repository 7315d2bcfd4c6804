"""Who may do what. A route names one `Access`; a person or token has one `Role`."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person or a token is trusted with. Each role may do all that the ones before it may."""

    VIEWER = "viewer"
    PUBLISHER = "publisher"
    ADMIN = "admin"


class Access(StrEnum):
    """What a route demands of its caller."""

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
    """The role that is trusted with less."""
    return min(one, other, key=list(Role).index)


def may(role: Role, access: Access) -> bool:
    """Is this role enough for what the route demands?"""
    return access in _ALLOWED[role]
