"""Who gets alerts, at the edge of the tests: a mail server and a web server, both real."""

import asyncio
import base64
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backendai.common.settings.checks import HostPort


@dataclass
class MailServer:
    """Speaks SMTP with STARTTLS and AUTH PLAIN; `password` None asks for nobody."""

    tls: ssl.SSLContext | None = None
    password: str | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    port: int = 0
    unknown: set[str] = field(default_factory=set)
    # It takes connections and says nothing until it goes on.
    is_hanging: bool = False
    hangs: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> HostPort:
        return HostPort("127.0.0.1", self.port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_hanging:
            self.hangs.set()
            await self.goes_on.wait()
        is_known = self.password is None
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().strip():
            word = line.split()[0].upper()
            if word == "EHLO":
                offers = ["STARTTLS"] if self.tls and not self._is_encrypted(writer) else []
                offers += ["AUTH PLAIN"] if self.password else []
                lines = ["here", *offers]
                text = [f"250-{one}\r\n" for one in lines[:-1]] + [f"250 {lines[-1]}\r\n"]
                writer.write("".join(text).encode())
            elif word == "STARTTLS" and self.tls is not None:
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(self.tls)
            elif word == "AUTH":
                _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                is_known = (user, password) == ("teller", self.password)
                writer.write(b"235 yes\r\n" if is_known else b"535 no\r\n")
            elif word == "RCPT" and any(f"<{one}>" in line for one in self.unknown):
                writer.write(b"550 who is that\r\n")
            elif word == "DATA" and is_known:
                writer.write(b"354 go\r\n")
                await self._take(reader, self._is_encrypted(writer))
                writer.write(b"250 taken\r\n")
            elif word == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 yes\r\n" if is_known else b"530 who\r\n")
            await writer.drain()

    async def _take(self, reader: asyncio.StreamReader, is_encrypted: bool) -> None:
        raw = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
        self.mails.append(BytesParser(EmailMessage, policy=policy.default).parsebytes(raw))
        self.encrypted.append(is_encrypted)

    @staticmethod
    def _is_encrypted(writer: asyncio.StreamWriter) -> bool:
        return writer.get_extra_info("sslcontext") is not None


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None, password: str | None = None, *, at_once: bool = False
) -> AsyncIterator[MailServer]:
    """`at_once` encrypts from the first byte on."""
    taker = MailServer(tls, password)
    server = await asyncio.start_server(taker.serve, "127.0.0.1", 0, ssl=tls if at_once else None)
    async with server:
        taker.port = server.sockets[0].getsockname()[1]
        yield taker


@dataclass
class Hook:
    """A web server that takes posts, or refuses them with `status`."""

    status: int = 200
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.status == 200:
            self.posts.append((dict(request.headers), body))
        return web.Response(status=self.status)


@asynccontextmanager
async def hook_server() -> AsyncIterator[Hook]:
    hook, app = Hook(), web.Application()
    app.router.add_post("/hook", hook.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address: Any = runner.addresses[0]
    hook.url = f"http://127.0.0.1:{address[1]}/hook"
    try:
        yield hook
    finally:
        await runner.cleanup()


def make_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """For 127.0.0.1, and the file by which it is believed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "mail.crt", folder / "mail.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return context, certificate
