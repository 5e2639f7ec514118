"""Alerts from the database to a real mail server and a real web server; time is a value."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.common.clock import FakeClock
from backendai.common.faults import StoreUnavailable
from backendai.common.ids import AgentId, SystemIds
from backendai.common.lifecycle import KernelEvent
from backendai.manager.alerts.facts import Limits
from backendai.manager.alerts.loop import LEASE_NAME, LEASE_SECONDS, LOOK_SECONDS, AlertWatch
from backendai.manager.alerts.mail import PLAIN, STARTTLS, TLS, Mailbox, Mailer
from backendai.manager.alerts.model import SIGNATURE_HEADER, AlertKind, Hold, sign
from backendai.manager.alerts.post import MAIL, Targets
from backendai.manager.alerts.service import Alerts
from backendai.manager.alerts.store import load_scopes
from backendai.manager.callbacks.model import ATTEMPTS_MAX
from backendai.manager.callbacks.post import GuardedPost, NotTold
from backendai.manager.db import tables as t
from backendai.manager.idle.loop import Turn
from backendai.manager.lifecycle.lease import Lease
from backendai.manager.lifecycle.model import Move
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.vfolders.link import ProxyLink
from backendai.manager.vfolders.proxies import Proxies
from tests.integration.manager.alerts.receivers import (
    Hook,
    MailServer,
    hook_server,
    mail_server,
    make_certificate,
)
from tests.integration.manager.world import Wish, add_agent, enqueue, fetch, open_world

KEY = b"k" * 32
SILENT_SECONDS = 60.0
SENDER, RECIPIENTS = "cluster@example.com", ("ops@example.com", "night@example.com")


class Watched:
    """A database, and managers that watch it and tell a mail server and a hook."""

    def __init__(self, database: Any, hook: Hook, mail: MailServer) -> None:
        self.database = database
        self.hook, self.mail = hook, mail
        self.clock = FakeClock(datetime.now(UTC))
        self.core = PostgresStore(database, SystemIds())
        self.watch = self.manager("first")

    def manager(self, holder: str, turn: Turn | None = None) -> AlertWatch:
        lease = turn or Lease(self.core, self.clock, LEASE_NAME, holder, LEASE_SECONDS)
        hold = Hold({AlertKind.IDLE_ACCELERATOR: 60.0})
        proxies = Proxies(ProxyLink())
        targets = self.targets()
        return AlertWatch(
            self.database, proxies, targets, lease, self.clock, Limits(SILENT_SECONDS, 90.0), hold
        )

    def targets(self, networks: tuple[str, ...] = ("127.0.0.1",)) -> Targets:
        mailbox = Mailbox(self.mail.address, PLAIN, SENDER, RECIPIENTS)
        return Targets(GuardedPost(networks), [self.hook.url], KEY, Mailer(mailbox), self.clock)

    async def look(self, times: int = 1, watch: AlertWatch | None = None) -> None:
        for _ in range(times):
            await (watch or self.watch).step()
            await self.tell(watch)

    async def tell(self, watch: AlertWatch | None = None) -> None:
        for tell in (watch or self.watch).tellers.values():
            await tell()

    async def listen(self, watch: AlertWatch) -> None:
        """Until it says who is silent."""
        for _ in range(int(SILENT_SECONDS / LOOK_SECONDS)):
            await watch.step()
            self.clock.shift(LOOK_SECONDS)

    async def silence(self, agent: str, seconds: float) -> None:
        at = sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        statement = sa.update(t.agents).where(t.agents.c.id == agent).values(last_seen_at=at)
        await self.database.transact(lambda conn: conn.execute(statement))

    async def use(self, table: sa.Table, use: dict[str, Any]) -> None:
        statement = sa.update(table).values(last_use=use)
        await self.database.transact(lambda conn: conn.execute(statement))

    def told(self) -> list[tuple[str, str, str]]:
        bodies = [json.loads(body) for _, body in self.hook.posts]
        return [(one["change"], one["kind"], one["subject"]) for one in bodies]

    async def waiting(self) -> int:
        [(count,)] = await fetch(self.database, "select count(*) from alert_messages")
        return int(count)


@pytest.fixture
async def watched(
    make_database: Callable[[str | None], str], world_dsn: str
) -> AsyncIterator[Watched]:
    database = open_world(await asyncio.to_thread(make_database, world_dsn))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        hook = await stack.enter_async_context(hook_server())
        mail = await stack.enter_async_context(mail_server())
        await add_agent(database, "i-1", {"cpu": "16", "mem": "171798691840", "cuda.device": "1"})
        watched = Watched(database, hook, mail)
        await watched.listen(watched.watch)
        yield watched


async def test_a_lost_node_is_told_once_and_its_return_too(watched: Watched) -> None:
    await watched.look(3)
    assert watched.told() == []
    await watched.silence("i-1", 120)
    await watched.look(5)
    assert watched.told() == [("begin", "agent_lost", "i-1")]
    [mail] = watched.mail.mails
    assert mail["Subject"] == "[Backend.AI] agent lost: i-1"
    assert mail["To"] == ", ".join(RECIPIENTS)
    assert "has not been heard for 2 min" in str(mail.get_content())
    await watched.silence("i-1", 0)
    await watched.look(5)
    assert watched.told()[1:] == [("end", "agent_lost", "i-1")]
    assert watched.mail.mails[1]["Subject"] == "[Backend.AI] over: agent lost: i-1"
    assert await watched.waiting() == 0


async def test_after_an_outage_of_all_managers_no_node_is_lost_that_comes_back(
    watched: Watched,
) -> None:
    await watched.core.end_leases("first")
    await watched.silence("i-1", 600)
    other = watched.manager("second")
    await watched.look(2, other)
    assert watched.told() == [], "nobody was there to hear it"
    await watched.listen(other)
    await watched.look(1, other)
    assert watched.told() == [("begin", "agent_lost", "i-1")], "now it had its time"


class Outages:
    """A turn that is always held, by a store that is away when it is told so."""

    def __init__(self) -> None:
        self.is_away = False

    async def is_held(self) -> bool:
        if self.is_away:
            raise StoreUnavailable
        return True


@pytest.mark.parametrize("is_away", [True, False], ids=["store away", "manager frozen"])
async def test_after_a_gap_nodes_have_their_time_to_be_heard_again(
    watched: Watched, is_away: bool
) -> None:
    turn = Outages()
    watch = watched.manager("first", turn)
    await watched.listen(watch)
    turn.is_away = is_away
    if is_away:
        with pytest.raises(StoreUnavailable):
            await watch.step()
        turn.is_away = False
    else:
        watched.clock.shift(600)
    await watched.silence("i-1", 600)
    await watched.look(1, watch)
    assert watched.told() == []
    await watched.listen(watch)
    await watched.look(1, watch)
    assert watched.told() == [("begin", "agent_lost", "i-1")]


async def test_posts_are_signed(watched: Watched) -> None:
    await watched.silence("i-1", 120)
    await watched.look(2)
    [(headers, body)] = watched.hook.posts
    assert headers[SIGNATURE_HEADER] == sign(KEY, watched.clock.now(), body)


async def test_another_manager_repeats_nothing_and_goes_on(watched: Watched) -> None:
    await watched.silence("i-1", 120)
    await watched.look(2)
    other = watched.manager("second")
    await watched.look(3, other)
    assert len(watched.told()) == 1, "it is the first one's turn"
    await watched.core.end_leases("first")
    await watched.look(3, other)
    assert len(watched.told()) == 1, "it was told before"
    await watched.look(3, watched.manager("first again"))
    await watched.silence("i-1", 0)
    await watched.look(3, other)
    assert [change for change, *_ in watched.told()] == ["begin", "end"]


async def test_who_is_away_hears_it_later_and_in_order(watched: Watched) -> None:
    watched.hook.status = 503
    await watched.silence("i-1", 120)
    await watched.look(3)
    await watched.silence("i-1", 0)
    await watched.look(3)
    assert (watched.told(), len(watched.mail.mails)) == ([], 2)
    watched.hook.status = 200
    watched.clock.shift(60)
    await watched.look(3)
    assert [change for change, *_ in watched.told()] == ["begin", "end"]


async def test_nobody_waits_for_a_mail_server_that_hangs(watched: Watched) -> None:
    await watched.silence("i-1", 120)
    await watched.watch.step()
    tellers = watched.watch.tellers
    watched.mail.is_hanging = True
    hanging = asyncio.ensure_future(tellers[MAIL]())
    await watched.mail.hangs.wait()
    await next(tell for name, tell in tellers.items() if name != MAIL)()
    assert (watched.told(), hanging.done()) == ([("begin", "agent_lost", "i-1")], False)
    watched.mail.goes_on.set()
    await hanging
    assert len(watched.mail.mails) == 1


async def test_a_mail_takes_no_longer_than_it_may(watched: Watched) -> None:
    watched.mail.is_hanging = True
    mailbox = Mailbox(watched.mail.address, PLAIN, SENDER, RECIPIENTS)
    with pytest.raises(NotTold, match="did not take the mail in time"):
        await Mailer(mailbox, seconds_max=0).send("subject", "text", "<1@x>")
    watched.mail.goes_on.set()


async def test_what_waits_for_a_target_that_is_named_no_more_is_forgotten(
    watched: Watched,
) -> None:
    await watched.silence("i-1", 120)
    await watched.watch.step()
    for age, left in (("1 hour", 3), ("25 hours", 2)):
        await fetch(
            watched.database,
            "insert into alert_messages (alert_id, change, target, next_at)"
            f" select id, 'begin', 'webhook:gone', now() - interval '{age}' from alerts"
            " on conflict (alert_id, change, target) do update set next_at = excluded.next_at"
            " returning 1",
        )
        await watched.watch.forget()
        assert await watched.waiting() == left


async def test_what_a_later_release_left_is_let_be(watched: Watched) -> None:
    await watched.silence("i-1", 120)
    await watched.watch.step()
    for column in ("kind", "change"):
        table = "alerts" if column == "kind" else "alert_messages"
        [(known,)] = set(await fetch(watched.database, f"select {column} from {table}"))
        change = f"update {table} set {column} = '%s' returning 1"
        await fetch(watched.database, change % "unheard_of")
        await watched.tell()
        assert watched.told() == []
        await fetch(watched.database, change % known)
    await watched.tell()
    assert watched.told() == [("begin", "agent_lost", "i-1")], "the release is there again"


async def test_it_is_given_up_at_last(watched: Watched) -> None:
    watched.hook.status = 503
    await watched.silence("i-1", 120)
    for _ in range(ATTEMPTS_MAX + 1):
        await watched.look(1)
        watched.clock.shift(3600)
    assert await watched.waiting() == 0


async def test_an_idle_accelerator_is_told_after_its_time_also_of_another_manager(
    watched: Watched,
) -> None:
    new = await enqueue(watched.database, Wish(slots={"cpu": "1", "cuda.device": "1"}))
    [kernel] = new.kernels
    for event, more in ((KernelEvent.PLACE, {"agent_id": AgentId("i-1")}), (KernelEvent.START, {})):
        move = Move(kernel_id=kernel.id, event=event, **more)
        await watched.core.move([move], watched.clock.now())

    async def tell(percent: float) -> None:
        at = watched.clock.now().timestamp()
        await watched.use(t.kernels, {"sampled_at": at, "accelerators": {"cuda_util": percent}})

    await tell(0.0)
    await watched.look(2)
    assert watched.told() == []
    watched.clock.shift(40)
    await tell(0.0)
    other = watched.manager("second")
    await watched.core.end_leases("first")
    await watched.look(2, other)
    watched.clock.shift(40)
    await tell(0.0)
    await watched.look(2, other)
    assert watched.told() == [("begin", "idle_accelerator", str(new.id))]
    await tell(55.0)
    await watched.look(2, other)
    assert watched.told()[1:] == [("end", "idle_accelerator", str(new.id))]


async def test_a_disk_that_fills_up_is_told(watched: Watched) -> None:
    disk = {"path": "/", "total_bytes": 100 << 30, "free_bytes": 5 << 30}
    await watched.use(t.agents, {"disks": [disk]})
    await watched.look(2)
    assert watched.told() == [("begin", "disk_near_full", "i-1:/")]
    [listed] = await Alerts(watched.database, watched.targets(), watched.clock).list(
        with_ended=False, limit=9
    )
    assert listed.detail == "Disk i-1:/ is 95 % full, 5.0 GiB are left"


async def test_what_goes_on_is_listed_with_its_numbers_of_now(watched: Watched) -> None:
    alerts = Alerts(watched.database, watched.targets(), watched.clock)
    for free, told in ((5, "95 % full, 5.0 GiB are left"), (1, "99 % full, 1.0 GiB are left")):
        disk = {"path": "/", "total_bytes": 100 << 30, "free_bytes": free << 30}
        await watched.use(t.agents, {"disks": [disk]})
        await watched.look(2)
        [listed] = await alerts.list(with_ended=False, limit=9)
        assert listed.detail == f"Disk i-1:/ is {told}"
    assert len(watched.told()) == 1, "nobody is told of each number"


async def test_projects_of_one_name_in_two_domains_are_two(watched: Watched) -> None:
    made = (
        "insert into domains (name) values ('other') returning 1",
        "insert into projects (id, name, domain_name, resource_policy)"
        " values (gen_random_uuid(), 'default', 'other', 'default') returning 1",
        "insert into quota_scopes (host, quota_scope_id)"
        " select 'local:volume1', 'project:' || id from projects returning 1",
    )
    for statement in made:
        await fetch(watched.database, statement)
    scopes = await watched.database.read(load_scopes)
    assert sorted(scope.name for scope in scopes) == [
        "default of default on local:volume1",
        "default of other on local:volume1",
    ]


async def test_what_ended_long_ago_is_forgotten(watched: Watched) -> None:
    await watched.silence("i-1", 120)
    await watched.look(2)
    await watched.silence("i-1", 0)
    await watched.look(2)
    await watched.watch.forget()
    assert await fetch(watched.database, "select count(*) from alerts") == [(1,)]
    await fetch(
        watched.database,
        "update alerts set ended_at = now() - interval '91 days' returning id",
    )
    await watched.watch.forget()
    assert await fetch(watched.database, "select count(*) from alerts") == [(0,)]


async def test_a_try_says_who_does_not_hear_and_why(watched: Watched) -> None:
    alerts = Alerts(watched.database, watched.targets(), watched.clock)
    outcomes = await alerts.test()
    assert set(outcomes.values()) == {""}
    assert watched.mail.mails[0]["Subject"] == "[Backend.AI] test of alerts"
    inside = Alerts(watched.database, watched.targets(networks=()), watched.clock)
    refused = {name: why for name, why in (await inside.test()).items() if why}
    assert len(refused) == 1
    assert "is in no network that callbacks may reach" in next(iter(refused.values()))
    assert len(watched.hook.posts) == 1


async def test_who_is_refused_is_named_and_the_others_are_told(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.mail.unknown.add("night@example.com")
    alerts = Alerts(watched.database, watched.targets(), watched.clock)
    assert (await alerts.test())[MAIL] == "no mail is taken for night@example.com"
    await watched.silence("i-1", 120)
    await watched.look(2)
    assert len(watched.mail.mails) == 2, "the try, and the alert once"
    assert await watched.waiting() == 0
    assert "alert.recipients_refused" in caplog.text


@pytest.mark.parametrize("security", [STARTTLS, TLS])
async def test_mail_goes_encrypted_to_who_is_believed(security: str, tmp_path: Path) -> None:
    context, certificate = make_certificate(tmp_path)
    async with mail_server(context, "a secret", at_once=security == TLS) as server:

        def mailer(password: str = "a secret", ca_file: Path | None = certificate) -> Mailer:
            return Mailer(
                Mailbox(server.address, security, SENDER, RECIPIENTS, "teller", password, ca_file)
            )

        await mailer().send("subject\r\nBcc: x@example.com", "text", "<1@x>")
        [mail] = server.mails
        assert (mail["From"], mail["Message-ID"], mail["Bcc"]) == (SENDER, "<1@x>", None)
        assert server.encrypted == [True]
        with pytest.raises(NotTold, match="its certificate is not believed"):
            await mailer(ca_file=None).send("subject", "text", "<2@x>")
        with pytest.raises(NotTold, match="does not take the user and password") as refused:
            await mailer(password="another").send("subject", "text", "<3@x>")
        assert "another" not in str(refused.value)
        assert len(server.mails) == 1


async def test_a_server_without_encryption_is_refused_unless_told_so() -> None:
    async with mail_server() as server:
        mailer = Mailer(Mailbox(server.address, STARTTLS, SENDER, RECIPIENTS))
        with pytest.raises(NotTold, match="STARTTLS"):
            await mailer.send("subject", "text", "<1@x>")
        assert server.mails == []


async def test_a_server_that_is_away_is_told_as_such() -> None:
    async with mail_server() as server:
        address = server.address
    with pytest.raises(NotTold, match="refused"):
        await Mailer(Mailbox(address, PLAIN, SENDER, RECIPIENTS)).send("s", "t", "<1@x>")
