"""What nobody in particular gets: the refusals that every route behind the gate gives."""

from datetime import timedelta
from typing import Any

from tests.integration.manager.api.caller import Caller

Route = tuple[str, str, Any]


async def refuse_strangers(caller: Caller, route: Route) -> None:
    """No credential, a wrong signature, an expired date."""
    verb, path, body = route
    for stranger in (caller.but(access_key=None), caller.but(secret_key="wrong")):
        answer = await stranger.ask(verb, path, body)
        assert (answer.status, answer.slug) == (401, "auth-failed"), route
    late = caller.but(shift=timedelta(minutes=-15, seconds=-2))
    answer = await late.ask(verb, path, body)
    assert (answer.status, answer.slug) == (400, "invalid-auth-params"), route


async def refuse_role(caller: Caller, route: Route) -> None:
    """A sound credential of somebody who may not."""
    verb, path, body = route
    answer = await caller.ask(verb, path, body)
    assert (answer.status, answer.slug) == (401, "auth-failed"), route
