"""Templates: what sessions are started from again and again."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from backendai.client.channel import TOKEN_HEADER, Call, Channel, path_of
from backendai.client.results import Created

Kind = Literal["session", "cluster"]


class TemplateRow(msgspec.Struct, frozen=True):
    """One line of a listing. `template` is what it says; `is_owner`: it is one's own."""

    id: str
    name: str
    created_at: str
    is_owner: bool
    user_email: str | None = None
    group_name: str | None = None
    domain_name: str | None = None
    type: str = "task"
    template: Mapping[str, Any] = {}


class _Made(msgspec.Struct, frozen=True):
    id: str


class Templates:
    """`kind` is what a template describes; sessions start from those of kind `session`.

    With `owner_access_key` an administrator acts for somebody else.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def create(
        self,
        payload: str,
        *,
        kind: Kind = "session",
        project: str | None = None,
        domain: str | None = None,
        owner_access_key: str | None = None,
    ) -> tuple[str, ...]:
        """Keep each template of a YAML or JSON text; their ids. Raises InvalidParams."""
        config = self._channel.config
        body = {
            "payload": payload,
            "group_name": project or config.project,
            "domain_name": domain or config.domain,
            "owner_access_key": owner_access_key,
        }
        call = Call(method="POST", path=path_of("template", kind), json=body)
        return tuple(one.id for one in await self._channel.ask_for(list[_Made], call))

    async def list(
        self, *, kind: Kind = "session", of_all: bool = False
    ) -> tuple[TemplateRow, ...]:
        """Own ones and those of own projects; `of_all` is for administrators."""
        path = path_of("template", kind)
        call = Call(method="GET", path=path, json={"all": of_all}, repeatable=True)
        return await self._channel.ask_for(tuple[TemplateRow, ...], call)

    async def get(
        self, template_id: str, *, kind: Kind = "session", owner_access_key: str | None = None
    ) -> str:
        """The template as YAML, as `update` takes it again. Raises TemplateNotFound."""
        query = {"format": "yaml", "owner_access_key": owner_access_key}
        path = path_of("template", kind, template_id)
        call = Call(method="GET", path=path, query=query, repeatable=True)
        return (await self._channel.ask(call)).body.decode()

    async def update(
        self,
        template_id: str,
        payload: str,
        *,
        kind: Kind = "session",
        owner_access_key: str | None = None,
    ) -> None:
        body = {"payload": payload, "owner_access_key": owner_access_key}
        path = path_of("template", kind, template_id)
        await self._channel.ask(Call(method="PUT", path=path, json=body, repeatable=True))

    async def delete(
        self, template_id: str, *, kind: Kind = "session", owner_access_key: str | None = None
    ) -> None:
        query = {"owner_access_key": owner_access_key}
        path = path_of("template", kind, template_id)
        await self._channel.ask(Call(method="DELETE", path=path, query=query))

    async def start(
        self,
        template_id: str,
        name: str,
        changes: Mapping[str, Any] | None = None,
        *,
        token: str = "",
    ) -> Created:
        """Start a session from a template; waits until it runs unless `enqueueOnly`.

        `changes` are fields of a create request on the wire, such as `image` or `config`, and count
        more than the template. Sent with a client token, as `Sessions.create` is.
        """
        call = Call(
            method="POST",
            path="/session/_/create-from-template",
            json={"template_id": template_id, "name": name, **(changes or {})},
            headers={TOKEN_HEADER: token or self._channel.new_token()},
            repeatable=True,
            timeout_seconds=None,
        )
        return await self._channel.ask_for(Created, call)
