"""A mail server on loopback: aiosmtpd's, which keeps what it is sent and answers as a test wants."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as HEADERS
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

OK = "250 OK"


@dataclass(frozen=True)
class Heard:
    sender: str
    recipients: list[str]
    data: bytes
    protected: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.data, policy=HEADERS))

    @property
    def text(self) -> str:
        return str(self.message.get_content())


class MailServer:
    """`recipient` answers RCPT by the address, `data` each message. Without `users` (by name, the password) nobody logs
    in. `starttls` is offered with that context, `tls` spoken from the beginning."""

    def __init__(
        self,
        *,
        recipient: Callable[[str], str] = lambda _address: OK,
        data: Callable[[], str | None] = lambda: OK,
        users: dict[str, str] | None = None,
        starttls: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.recipient, self.data = recipient, data
        self.heard: list[Heard] = []
        self.arrived: asyncio.Queue[Heard] = asyncio.Queue()
        self.connections = 0
        self._users = users
        self._starttls, self._tls = starttls, tls
        self._smtps: list[SMTP] = []

    async def __aenter__(self) -> "MailServer":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for smtp in self._smtps:
            if smtp.transport is not None:
                smtp.transport.close()
        handlers = [smtp._handler_coroutine for smtp in self._smtps if smtp._handler_coroutine is not None]
        await asyncio.gather(*handlers, return_exceptions=True)

    def _connected(self) -> SMTP:
        self.connections += 1
        options: dict[str, Any] = {}
        if self._users is not None:
            seen = self._tls is None  # aiosmtpd does not know of a connection that is safe from the beginning
            options = {"authenticator": self._login, "auth_require_tls": seen, "auth_required": seen}
        if self._starttls is not None:
            options |= {"tls_context": self._starttls, "require_starttls": True}
        smtp = SMTP(self, hostname="mail.test", **options)
        self._smtps.append(smtp)
        return smtp

    def _login(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
        name, password = given.login.decode(), given.password.decode()
        known = (self._users or {}).get(name) == password
        return AuthResult(success=known, auth_data=name if known else None, handled=False)

    # aiosmtpd's hooks

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.recipient(address)
        if answer == OK:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        user = cast("str | None", session.auth_data)
        protected = session.ssl is not None or self._tls is not None
        heard = Heard(envelope.mail_from or "", list(envelope.rcpt_tos), content, protected, user)
        self.heard.append(heard)
        self.arrived.put_nowait(heard)
        answer = self.data()
        if answer is None:  # it has taken the mail, and nobody will ever know
            assert server.transport is not None
            server.transport.abort()
            return OK
        return answer
