"""Sending mail through the site's own server: encrypted unless an operator says otherwise."""

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from backendai.common.settings.checks import HostPort
from backendai.manager.callbacks.post import NotTold

TIMEOUT_SECONDS: Final = 15.0
# For all of a mail: the former is for each answer of the server, which may send many slowly.
SECONDS_MAX: Final = 3 * TIMEOUT_SECONDS
STARTTLS: Final = "starttls"
TLS: Final = "tls"
PLAIN: Final = "none"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where mail is given to, and by whom. `security` is STARTTLS, TLS or PLAIN; without `user`
    nobody logs in. `ca_file` has the authorities that are believed, else the system's are."""

    server: HostPort
    security: str
    sender: str
    recipients: Sequence[str]
    user: str = ""
    password: str = ""
    ca_file: Path | None = None


class Mailer:
    """One mail at a time, in a thread of its own: the library blocks."""

    def __init__(self, mailbox: Mailbox, seconds_max: float = SECONDS_MAX) -> None:
        self._mailbox = mailbox
        self._seconds_max = seconds_max
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="alert-mail")

    async def send(self, subject: str, text: str, message_id: str) -> Sequence[str]:
        """The recipients that the server refused, while others get the mail. `message_id` is the
        same each time that one thing is told, so that a mail program shows it once. Raises
        NotTold."""
        mail = _compose(self._mailbox, subject, text, message_id)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds_max):
                return await loop.run_in_executor(self._threads, _deliver, self._mailbox, mail)
        except TimeoutError as error:
            told = f"{self._mailbox.server}: it did not take the mail in time"
            raise NotTold(told) from error
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NotTold(f"{self._mailbox.server}: {_why(error)}") from error


def _compose(mailbox: Mailbox, subject: str, text: str, message_id: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = mailbox.sender
    mail["To"] = ", ".join(mailbox.recipients)
    # Names of sessions are in it, which users choose.
    mail["Subject"] = " ".join(subject.split())
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    return mail


def _deliver(mailbox: Mailbox, mail: EmailMessage) -> Sequence[str]:
    host, port = mailbox.server.host, mailbox.server.port
    context = ssl.create_default_context(cafile=mailbox.ca_file)
    client = (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
        if mailbox.security == TLS
        else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    )
    with client:
        if mailbox.security == STARTTLS:
            client.starttls(context=context)
        if mailbox.user:
            client.login(mailbox.user, mailbox.password)
        return sorted(client.send_message(mail))


def _why(error: Exception) -> str:
    """Without what the server said back, which may repeat what it was told."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "it does not take the user and password"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered {error.smtp_code}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"it takes no mail for {', '.join(error.recipients)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not believed ({error.verify_message})"
    told = error.strerror if isinstance(error, OSError) else None
    return told or str(error) or type(error).__name__
