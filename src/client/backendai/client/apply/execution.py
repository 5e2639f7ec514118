"""Carrying a plan out, step by step. What went wrong stops it; what was done stays done, and the
next plan begins there."""

from collections.abc import Callable, Mapping
from typing import Any

from backendai.client.apply.document import Ref, project_ref
from backendai.client.apply.fields import Kind
from backendai.client.apply.plan import Difference, Plan, Present, Step, Verb
from backendai.client.apply.present import noun_of
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
            case Kind.PROJECT:
                await self._run_project(step, props)
            case Kind.USER:
                await self._run_user(step, props)
            case Kind.KEYPAIR:
                await self._client.keypairs.modify(self._ids[step.ref], **props)
            case Kind.RESOURCE_GROUP:
                await self._run_resource_group(step, props)
            case _:
                await self._run_named(step, props)

    async def _run_named(self, step: Step, props: dict[str, Any]) -> None:
        noun = noun_of(self._client, step.ref.kind)
        if step.verb is Verb.CREATE:
            await noun.create(step.ref.name, **props)
        else:
            await noun.modify(step.ref.name, **props)

    async def _run_resource_group(self, step: Step, props: dict[str, Any]) -> None:
        openings = [each for each in step.differences if each.name in ("domains", "projects")]
        for each in openings:
            del props[each.name]
        if props or step.verb is Verb.CREATE:
            await self._run_named(step, props)
        for each in openings:
            await self._open(step.ref.name, each)

    async def _open(self, group: str, each: Difference) -> None:
        """To whom it shall be open, and is not; and close it to the others."""
        before, after = {*(each.before or ())}, {*each.after}
        groups, is_domain = self._client.resource_groups, each.name == "domains"
        allow = groups.allow_domain if is_domain else groups.allow_project
        disallow = groups.disallow_domain if is_domain else groups.disallow_project
        for name in sorted(after - before):
            await allow(group, name if is_domain else self._ids[project_ref(name)])
        for name in sorted(before - after):
            await disallow(group, name if is_domain else self._ids[project_ref(name)])

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
        is_told = props.pop("administers", None) is not None
        if step.verb is Verb.CREATE:
            props["domain"] = step.domain
            made = await self._client.users.create(email, self._passwords[step.ref], **props)
            if made.main_access_key:
                self._ids[Ref(Kind.KEYPAIR, email, "user")] = made.main_access_key
        elif props:
            await self._client.users.modify(email, **props)
        if is_told:
            await self._administer(step)

    async def _administer(self, step: Step) -> None:
        """What the user shall administer, and does not; and nothing else."""
        told = next(each for each in step.differences if each.name == "administers")
        before, after = {*(told.before or ())}, {*told.after}
        projects, email = self._client.projects, step.ref.name
        for name in sorted(after - before):
            await projects.add_admins(self._ids[Ref(Kind.PROJECT, name, step.domain)], [email])
        for name in sorted(before - after):
            await projects.remove_admins(self._ids[Ref(Kind.PROJECT, name, step.domain)], [email])
