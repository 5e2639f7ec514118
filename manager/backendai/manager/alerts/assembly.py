"""All that serves alerts, made from the settings."""

from dataclasses import dataclass

from backendai.common.clock import Clock
from backendai.common.faults import ServerMisconfigured
from backendai.common.secretfile import check_private, load_secret_key
from backendai.manager.callbacks.post import GuardedPost
from backendai.manager.db.engine import Database
from backendai.manager.lifecycle.lease import Lease
from backendai.manager.lifecycle.store import CoreStore
from backendai.manager.settings import AlertSettings
from backendai.manager.vfolders.proxies import Proxies

from .facts import Limits
from .loop import LEASE_NAME, LEASE_SECONDS, AlertWatch
from .mail import Mailbox, Mailer
from .model import AlertKind, Hold
from .post import Targets
from .service import Alerts


@dataclass(frozen=True, slots=True)
class AlertServices:
    alerts: Alerts
    watch: AlertWatch


def make_alerts(
    settings: AlertSettings,
    database: Database,
    core_store: CoreStore,
    proxies: Proxies,
    post: GuardedPost,
    clock: Clock,
    holder: str,
) -> AlertServices:
    """Raises ServerMisconfigured."""
    path = settings.webhook_key_file
    key = load_secret_key(path) if path is not None else None
    targets = Targets(post, settings.webhooks, key, make_mailer(settings), clock)
    watch = AlertWatch(
        database,
        proxies,
        targets,
        Lease(core_store, clock, LEASE_NAME, holder, LEASE_SECONDS),
        clock,
        Limits(settings.agent_silent_after, settings.full_percent),
        Hold({AlertKind.IDLE_ACCELERATOR: settings.accelerator_idle_after}),
    )
    return AlertServices(Alerts(database, targets, clock), watch)


def make_mailer(settings: AlertSettings) -> Mailer | None:
    """None where nobody gets mail. Raises ServerMisconfigured."""
    if settings.smtp_addr is None and not settings.mail_to:
        return None
    if settings.smtp_addr is None or not settings.mail_to:
        lacking = "mail-to" if settings.smtp_addr else "smtp-addr"
        raise ServerMisconfigured(
            f"[alerts] mail-to and smtp-addr need each other: {lacking} is not set, so that nobody "
            "would get mail"
        )
    path = settings.smtp_password_file
    password = check_private(path).strip() if path is not None else ""
    return Mailer(
        Mailbox(
            settings.smtp_addr,
            settings.smtp_security,
            settings.mail_from,
            settings.mail_to,
            settings.smtp_user or "",
            password,
            settings.smtp_ca_file,
        )
    )
