"""What is said of logins at webservers: by browsers to a webserver, and by that to managers.

A webserver asks managers in the name of a login, and tells how old the password is that it began
with. A login of an older password than the present one is over, wherever the new one was set.
"""

from datetime import datetime
from typing import Final

from .faults import AuthFailed

# Other clients and pages of this API know the token of a login by these names.
COOKIE: Final = "AIOHTTP_SESSION"
TOKEN_HEADER: Final = "X-BackendAI-SessionID"  # noqa: S105 - the name of a header
# When the password was set that a login began with; managers answer a change with the new one.
PASSWORD_AT_HEADER: Final = "X-BackendAI-Password-At"  # noqa: S105 - the name of a header


class LoginOutdated(AuthFailed):
    """The password was changed since somebody logged in with the one before."""

    code = "auth.login_outdated"
    default_detail = "The password was changed: log in again."


def refuse_outdated(began_with: str | None, password_at: datetime | None) -> None:
    """`began_with` is what the header says. Raises LoginOutdated, also for what is no time."""
    if began_with is None or password_at is None:
        return
    try:
        is_outdated = datetime.fromisoformat(began_with) < password_at
    except (ValueError, TypeError):
        is_outdated = True
    if is_outdated:
        raise LoginOutdated
