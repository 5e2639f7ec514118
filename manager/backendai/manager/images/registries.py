"""Registries of images: made, changed and removed by superadmins. Passwords are sealed at rest and
never shown."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from yarl import URL

from backendai.common.contracts.agent import RegistryLogin
from backendai.common.faults import InvalidParams, RegistryNotFound
from backendai.manager.accounts import fields
from backendai.manager.accounts.secretbox import SecretBox
from backendai.manager.audit.change import Change
from backendai.manager.audit.rows import Row, delete_row, insert_row, update_row
from backendai.manager.db import tables as t
from backendai.manager.sessions.render import registry_of

from .distribution import Registry, RegistryKind
from .manifests import is_repository

# What is shown in place of a password; given back, it means the one that is stored.
HIDDEN: Final = "*****"
URL_CHARS_MAX: Final = 512
SECRET_CHARS_MAX: Final = 4096
_HOSTNAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")
_r = t.container_registries


def _url(value: Any) -> str:
    problem = ValueError(
        "write an address like https://registry.example.com, without a password and without ?"
    )
    try:
        url = URL(value)
        is_sound = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        raise problem from None
    extras = (url.user, url.password, url.query_string, url.fragment)
    if not is_sound or any(extras) or len(value) > URL_CHARS_MAX or not value.isprintable():
        raise problem
    return str(value).rstrip("/")


def _projects(value: Any) -> list[str]:
    found = fields.names(value)
    wrong = [name for name in found if not is_repository(name)]
    if wrong:
        raise ValueError(f"{wrong[0][:64]!r} is no project: write lower-case words like stable")
    return sorted(set(found))


def _secret(value: Any) -> str:
    if len(value) > SECRET_CHARS_MAX or not value.isprintable():
        raise ValueError(f"write one line of at most {SECRET_CHARS_MAX} characters")
    return str(value)


_FIELDS: Final[Mapping[str, fields.Read]] = {
    "url": _url,
    "type": fields.choice(RegistryKind),
    "project": _projects,
    "username": _secret,
    "password": _secret,
    "ssl_verify": fields.flag,
}


class Registries:
    def __init__(self, box: SecretBox) -> None:
        self._box = box

    async def create(self, change: Change, hostname: str, props: Mapping[str, Any]) -> Row:
        """Raises InvalidParams and Conflict."""
        if (
            len(hostname) > 128
            or not _HOSTNAME.fullmatch(hostname)
            or not registry_of(f"{hostname}/x")
        ):
            told = "write what the names of its images begin with, like registry.example.com:5000"
            raise InvalidParams("", {"hostname": told})
        values = {"hostname": hostname, **self._values(hostname, props)}
        return await insert_row(change, _r, values)

    async def modify(self, change: Change, hostname: str, props: Mapping[str, Any]) -> Row:
        """Null says nothing; an empty username or password removes it. Raises InvalidParams and
        RegistryNotFound."""
        return await update_row(change, _r, {"hostname": hostname}, self._values(hostname, props))

    async def delete(self, change: Change, hostname: str) -> Row:
        """Its images stay known. Raises RegistryNotFound."""
        return await delete_row(change, _r, {"hostname": hostname})

    async def get(self, conn: AsyncConnection, hostname: str) -> Registry:
        """With its password. Raises RegistryNotFound."""
        rows = await list_rows(conn, hostname)
        if not rows:
            known = [str(row["hostname"]) for row in await list_rows(conn)]
            raise RegistryNotFound(f"{hostname}; there are: {', '.join(known[:10]) or 'none'}")
        return self._registry_of(rows[0])

    async def find_login(self, conn: AsyncConnection, image: str) -> RegistryLogin | None:
        """For pulling `image`. What a node asks is told by the name alone, so the name alone tells
        whose login this may be."""
        hostname = registry_of(image)
        rows = await list_rows(conn, hostname) if hostname else []
        if not rows or not rows[0]["username"]:
            return None
        found = self._registry_of(rows[0])
        return RegistryLogin(hostname=hostname, username=found.username, password=found.password)

    async def list(self, conn: AsyncConnection) -> Sequence[Registry]:
        return [self._registry_of(row) for row in await list_rows(conn)]

    def _registry_of(self, row: Mapping[Any, Any]) -> Registry:
        sealed = row["password_encrypted"]
        return Registry(
            hostname=row["hostname"],
            url=row["url"],
            kind=RegistryKind(row["type"]),
            projects=tuple(row["projects"]),
            username=row["username"] or "",
            password=self._box.open(_purpose(row["hostname"]), sealed) if sealed else "",
            ssl_verify=row["ssl_verify"],
        )

    def _values(self, hostname: str, props: Mapping[str, Any]) -> Row:
        values = fields.read_fields(props, _FIELDS)
        if "project" in values:
            values["projects"] = values.pop("project")
        password = values.pop("password", HIDDEN)
        if password != HIDDEN:
            sealed = self._box.seal(_purpose(hostname), password) if password else None
            values["password_encrypted"] = sealed
        return values


async def list_rows(
    conn: AsyncConnection, hostname: str | None = None
) -> Sequence[Mapping[Any, Any]]:
    where = [] if hostname is None else [_r.c.hostname == hostname]
    found = await conn.execute(sa.select(_r).where(*where).order_by(_r.c.hostname))
    return found.mappings().all()


async def list_addresses(conn: AsyncConnection) -> dict[str, str]:
    """Hostname -> address."""
    found = await conn.execute(sa.select(_r.c.hostname, _r.c.url).order_by(_r.c.hostname))
    return {row.hostname: row.url for row in found}


def _purpose(hostname: str) -> str:
    return f"registry:{hostname}"
