"""Sends the mail about incidents. The rows that their changes made are the queue, so nothing is lost by a crash; a mail
that was taken by the server just before one is sent again, with the same Message-ID."""

import asyncio
import logging
import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pydantic import SecretStr

from hub.dial import dial
from hub.domain.mails import MAX_ERROR, after_failure, compose
from hub.domain.quotas import Quotas
from hub.domain.text import one_line
from hub.domain.times import SECOND, now_ms
from hub.services.threads import in_thread
from hub.store import events
from hub.store import mails as store
from hub.store.database import Database
from hub.store.mails import Claimed, Fate

log = logging.getLogger(__name__)

AT_ONCE = 20  # mails over one connection
TURN_S = 60.0  # for all of them; what is not sent by then is sent over another connection
REPLY_LIMIT = 65_536  # bytes of one reply of the mail server, over all its lines
LEASE_MARGIN_S = 60.0  # after that, until mail that its process did not settle is due again


class SmtpSettings(Protocol):
    """The part of the hub's settings that sending needs."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def security(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> SecretStr | None: ...
    @property
    def sender(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def retry_s(self) -> Sequence[int]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mail; `error` is None when the server has taken it. `final`: it never will."""

    error: str | None = None
    final: bool = False


class Mailer:
    """`tls`: whom to trust; by default whom this machine does."""

    def __init__(
        self,
        db: Database,
        settings: SmtpSettings,
        *,
        tls: ssl.SSLContext | None = None,
        quotas: Quotas | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._db = db
        self._quotas = quotas or Quotas()
        self._settings = settings
        self._tls = tls
        self._clock = clock
        self._database: str | None = None

    async def work(self) -> bool:
        """Send what is due. Answers whether there may be more."""
        now = self._clock()
        until = now + lease_ms(self._settings.timeout_s)
        claimed: list[Claimed]
        claimed, more = await self._db.write(store.claim, now, until, AT_ONCE, self._quotas)
        if not claimed:
            return bool(more)
        outcomes: dict[int, Outcome] = {}
        try:
            await self._send(claimed, outcomes)
        finally:
            tried = [one for one in claimed if one.mail.id in outcomes]
            fates = [self._fate(one, outcomes[one.mail.id]) for one in tried]
            left = [one for one in claimed if one.mail.id not in outcomes]
            await asyncio.gather(
                self._db.submit(store.settle, fates, self._clock()),
                self._db.submit(store.release, left, self._clock()),
            )
        return bool(more)

    async def _send(self, claimed: Sequence[Claimed], outcomes: dict[int, Outcome]) -> None:
        if not self._settings.host:
            outcomes |= {one.mail.id: Outcome("There is no mail server: smtp.host is empty.", True) for one in claimed}
            return
        if self._database is None:
            async with self._db.session() as session:
                self._database = (await events.log(session)).name
        posting = _Posting(self._settings, self._tls)
        deadline = asyncio.get_running_loop().call_later(TURN_S, posting.abort)
        sending = asyncio.create_task(in_thread(posting.post, claimed, self._database, outcomes), name="mail")
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            posting.abort()
            await asyncio.wait([sending])
            for number in [number for number, outcome in outcomes.items() if outcome.error is not None]:
                del outcomes[number]  # it was we who broke it off
            raise
        finally:
            deadline.cancel()

    def _fate(self, claimed: Claimed, outcome: Outcome) -> Fate:
        if outcome.error is None:
            return Fate(claimed.mail.id, claimed.until, "sent", None, None)
        attempts = claimed.attempts + 1
        state, next_at = after_failure(attempts, outcome.final, self._clock(), self._settings.retry_s)
        log.warning("mail %d, attempt %d: %s", claimed.mail.id, attempts, outcome.error)
        return Fate(claimed.mail.id, claimed.until, state, next_at, outcome.error[:MAX_ERROR])


def lease_ms(timeout_s: float) -> int:
    """How long mail that was claimed is nobody else's."""
    return int((TURN_S + timeout_s + LEASE_MARGIN_S) * SECOND)


class _Lines:
    """What the mail server says, so much of each reply."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = REPLY_LIMIT

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self.left -= len(line)
        if self.left < 0:
            raise OSError(f"a reply has more than {REPLY_LIMIT:,} bytes")
        return line

    def close(self) -> None:
        self._file.close()


class _Smtp(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return dial(host, port, timeout)

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            if self.file is None:
                self.file = _Lines(self.sock.makefile("rb"))
            self.file.left = REPLY_LIMIT
        return super().getreply()


class _SmtpTls(smtplib.SMTP_SSL, _Smtp):
    pass


class _Posting:
    """One conversation with the mail server, in a thread of its own."""

    def __init__(self, settings: SmtpSettings, tls: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._tls = tls
        self._smtp: smtplib.SMTP | None = None
        self._aborted = False

    def abort(self) -> None:
        """End it now, from another thread; at the latest when the server has greeted."""
        self._aborted = True
        connection = self._smtp.sock if self._smtp is not None else None
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it ended by itself

    def post(self, claimed: Sequence[Claimed], database: str, outcomes: dict[int, Outcome]) -> None:
        """Fills in what became of each mail that was tried; what is missing then was not."""
        try:
            smtp = self._connect()
        except (OSError, ValueError) as error:  # ValueError: a name that no address can have
            outcomes |= dict.fromkeys((one.mail.id for one in claimed), _outcome(error))
            return
        try:
            for one in claimed:
                if self._aborted:
                    break
                try:
                    message = compose(one.mail, self._settings.sender, database)
                    smtp.send_message(message, self._settings.sender, [one.mail.address])
                    outcomes[one.mail.id] = Outcome()
                except ValueError as error:
                    outcomes[one.mail.id] = Outcome(f"This cannot be written as a mail: {error}.", final=True)
                except OSError as error:  # smtplib's own are, too
                    outcomes[one.mail.id] = _outcome(error)
                    if smtp.sock is None or not isinstance(error, smtplib.SMTPException):
                        break
        finally:
            self._part(smtp)

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        name = settings.sender.rpartition("@")[2]  # else it would look up its own, and wait for that
        tls = self._tls or ssl.create_default_context() if settings.security != "none" else None
        if settings.security == "tls":
            smtp: smtplib.SMTP = _SmtpTls(
                settings.host, settings.port, local_hostname=name, timeout=settings.timeout_s, context=tls
            )
        else:
            smtp = _Smtp(settings.host, settings.port, local_hostname=name, timeout=settings.timeout_s)
        self._smtp = smtp
        try:
            if self._aborted:
                raise TimeoutError
            if settings.security == "starttls":
                smtp.starttls(context=tls)
            if settings.username:
                smtp.login(settings.username, settings.password.get_secret_value() if settings.password else "")
        except BaseException:
            smtp.close()
            raise
        return smtp

    @staticmethod
    def _part(smtp: smtplib.SMTP) -> None:
        try:
            smtp.quit()
        except OSError:
            smtp.close()


def _outcome(error: Exception) -> Outcome:
    """The server's own words where there are some, and whether it means them for good."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return Outcome(_words(code, text), final=code >= 500)
    if isinstance(error, smtplib.SMTPResponseException):
        refused = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500
        return Outcome(_words(error.smtp_code, error.smtp_error), final=refused)
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):  # smtplib hides it in its own
        return Outcome("The mail server did not answer in time.")
    if isinstance(error, smtplib.SMTPException):
        return Outcome(f"The mail server: {error}")
    return Outcome(f"The mail server could not be reached: {error or type(error).__name__}.")


def _words(code: int, text: bytes | str) -> str:
    told = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {one_line(told)}"
