"""Telling one target: a webhook by a signed POST, or people by mail."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from backendai.common.clock import Clock
from backendai.common.logs import get_logger
from backendai.manager.callbacks.post import NotTold

from .mail import Mailer
from .model import (
    SIGNATURE_HEADER,
    Change,
    Message,
    body_of,
    name_webhook,
    sign,
    subject_of,
    text_of,
)

log = get_logger(__name__)

MAIL: Final = "mail"
# Names of this kind are of no machine: mails of one cluster only have to differ from one another.
_ID_HOST: Final = "alerts.backendai.invalid"


class SignedPost(Protocol):
    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str] | None) -> None:
        """Raises NotTold."""
        ...


Tell = Callable[[Message], Awaitable[None]]


class Targets:
    """Those of the settings, by the names under which messages wait for them."""

    def __init__(
        self,
        post: SignedPost,
        webhooks: Sequence[str],
        key: bytes | None,
        mailer: Mailer | None,
        clock: Clock,
    ) -> None:
        self._post = post
        self._key = key
        self._mailer = mailer
        self._clock = clock
        self._tells: dict[str, Tell] = {name_webhook(url): self._teller_of(url) for url in webhooks}
        if mailer is not None:
            self._tells[MAIL] = self._mail

    @property
    def names(self) -> list[str]:
        return list(self._tells)

    async def tell(self, message: Message) -> None:
        """Raises NotTold."""
        tell = self._tells.get(message.target)
        if tell is None:
            raise NotTold("the settings name it no more")
        await tell(message)

    async def try_all(self, messages: Sequence[Message]) -> Mapping[str, str]:
        """Target -> why it could not be told; empty when it was."""
        outcomes = await asyncio.gather(*map(self._try, messages))
        return dict(zip([message.target for message in messages], outcomes, strict=True))

    async def _try(self, message: Message) -> str:
        try:
            await self.tell(message)
        except NotTold as problem:
            return str(problem)
        return ""

    def _teller_of(self, url: str) -> Tell:
        async def tell(message: Message) -> None:
            body = body_of(message)
            signed = sign(self._key, self._clock.now(), body) if self._key is not None else ""
            await self._post(url, body, {SIGNATURE_HEADER: signed} if signed else {})

        return tell

    async def _mail(self, message: Message) -> None:
        if self._mailer is None:
            raise NotTold("there is no mail server")
        alert = message.alert
        facts = f"{alert.id} {alert.began_at.isoformat()} {message.change}"
        unique = uuid.uuid5(uuid.NAMESPACE_URL, facts)
        mail = subject_of(message), text_of(message), f"<{unique}@{_ID_HOST}>"
        refused = await self._mailer.send(*mail)
        if refused and message.change is Change.TEST:
            raise NotTold(f"no mail is taken for {', '.join(refused)}")
        if refused:
            # Telling it again would only repeat it to the others.
            log.warning("alert.recipients_refused", alert=alert.id, recipients=refused)
