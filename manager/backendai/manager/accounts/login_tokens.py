"""Logins of people who proved elsewhere who they are: each token of a site that we trust, once."""

from datetime import timedelta
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from backendai.common.clock import Clock
from backendai.common.faults import AuthFailed, StoreUnavailable
from backendai.common.login_tokens import LIFE, LoginClaims, read_login

_KEPT: Final = int((3 * LIFE) / timedelta(seconds=1))


class LoginTokens:
    """Without a key no token is taken. `creates_users` makes accounts of who has none yet."""

    def __init__(
        self, key: bytes | None, redis: "Redis", clock: Clock, *, creates_users: bool
    ) -> None:
        self._key = key
        self._redis = redis
        self._clock = clock
        self.creates_users = creates_users

    async def take(self, token: str) -> LoginClaims:
        """Raises AuthFailed; also where it came before. Without Redis nobody knows that, so
        StoreUnavailable."""
        if self._key is None:
            raise AuthFailed("Nobody logs in by tokens here.")
        claims = read_login(token, self._key, self._clock.now())
        try:
            is_new = await self._redis.set(f"login-token:{claims.jti}", 1, nx=True, ex=_KEPT)
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable("Redis does not answer.") from error
        if not is_new:
            raise AuthFailed("The token was used to log in before.")
        return claims
