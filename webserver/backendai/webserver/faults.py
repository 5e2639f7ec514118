"""What only the webserver refuses or fails at."""

from backendai.common.faults import (
    AuthFailed,
    BadRequest,
    Forbidden,
    NotFound,
    RateLimited,
    Unavailable,
)


class NotLoggedIn(AuthFailed):
    code, title = "web.not_logged_in", "Unauthorized access"


class AlreadyLoggedIn(BadRequest):
    code = "web.already_logged_in"
    default_detail = "You are logged in already: log out first."


class LoginNotFound(NotFound):
    code, object_name = "web.login_not_found", "login"


class TooManyTries(RateLimited):
    """Facts: `retryAfterSeconds`."""

    code = "web.too_many_tries"
    slug, title = "too-many-requests", "Too many failed logins."


class WrongOrigin(Forbidden):
    """Another web page asks in the name of whoever looks at it."""

    code = "web.wrong_origin"
    default_detail = "This may not be asked from another web page."


class WrongHost(BadRequest):
    """Asked by a name that is not ours."""

    code, status = "web.wrong_host", 421
    slug, title = "misdirected-request", "This server is not asked by that name."


class WayExpired(AuthFailed):
    """Somebody comes back from the provider whom this server did not send there, or too late."""

    code = "web.way_expired"
    default_detail = "No login is under way in this browser: begin again."


class ProviderDeclined(AuthFailed):
    """The provider says no, or the person changed their mind there."""

    code = "web.provider_declined"
    default_detail = "The provider did not let you in."


class ProviderUntrusted(AuthFailed):
    """What the provider says of somebody is not proven, or is not of this login."""

    code = "web.provider_untrusted"


class AddressUnverified(AuthFailed):
    code = "web.address_unverified"
    default_detail = "The provider knows no verified email address of you."


class ProviderAway(Unavailable):
    """The provider that people log in at does not answer, or makes no sense."""

    code, status = "web.provider_away", 502
    slug, title = "bad-gateway", "Bad gateway."
    default_detail = "The login provider does not answer."


class ManagerLate(Unavailable):
    """A manager took the request, and says nothing."""

    code, status = "web.manager_late", 504
    slug, title = "gateway-timeout", "Gateway timeout."


class ManagerAway(Unavailable):
    """No manager answers."""

    code, status = "web.manager_away", 502
    slug, title = "bad-gateway", "Bad gateway."
    default_detail = "The manager does not answer."
