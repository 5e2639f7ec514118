"""Carrying a plan out, step by step. What went wrong stops it; what was done stays done, and the
next plan begins there."""

from collections.abc import Callable, Mapping
from typing import Any

from backendai.client.apply.document import Kind, Ref
from backendai.client.apply.plan import Plan, Present, Step, Verb
from backendai.client.client import Client


async def carry_out(
    client: Client,
    plan: Plan,
    present: Present,
    passwords: Mapping[Ref, str],
    told: Callable[[Step], None],
) -> None:
    """`passwords` are those of all users that the plan creates; `told` is called after each step.
    Raises the fault of the step that was refused."""
    driver = _Driver(client, dict(present.ids), passwords)
    for step in plan.steps:
        await driver.run(step)
        told(step)


class _Driver:
    """`ids` grow with what is made."""

    def __init__(self, client: Client, ids: dict[Ref, str], passwords: Mapping[Ref, str]) -> None:
        self._client = client
        self._ids = ids
        self._passwords = passwords

    async def run(self, step: Step) -> None:
        props = {name.replace("-", "_"): value for name, value in step.values.items()}
        match step.ref.kind:
            case Kind.DOMAIN:
                await self._run_domain(step, props)
            case Kind.PROJECT:
                await self._run_project(step, props)
            case Kind.USER:
                await self._run_user(step, props)
            case Kind.KEYPAIR:
                await self._client.keypairs.modify(self._ids[step.ref], **props)

    async def _run_domain(self, step: Step, props: dict[str, Any]) -> None:
        if step.verb is Verb.CREATE:
            await self._client.domains.create(step.ref.name, **props)
        else:
            await self._client.domains.modify(step.ref.name, **props)

    async def _run_project(self, step: Step, props: dict[str, Any]) -> None:
        ref = step.ref
        if step.verb is Verb.CREATE:
            made = await self._client.projects.create(ref.name, domain=ref.scope, **props)
            self._ids[ref] = made.id
        else:
            await self._client.projects.modify(self._ids[ref], **props)

    async def _run_user(self, step: Step, props: dict[str, Any]) -> None:
        email = step.ref.name
        if (names := props.pop("projects", None)) is not None:
            refs = [Ref(Kind.PROJECT, name, step.domain) for name in names]
            props["project_ids"] = [self._ids[ref] for ref in refs]
        if step.verb is Verb.MODIFY:
            await self._client.users.modify(email, **props)
            return
        props["domain"] = step.domain
        made = await self._client.users.create(email, self._passwords[step.ref], **props)
        if made.main_access_key:
            self._ids[Ref(Kind.KEYPAIR, email, "user")] = made.main_access_key
