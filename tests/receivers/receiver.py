"""A receiver of webhooks as an integrator writes it from the manual's page alone, with a foreign library to verify.

`python -m tests.receivers.receiver --port N --database FILE --secret whsec_...`; with `--chaos 0.3 --seed N` it fails
that share of its requests, see `chaos.py`. It imports nothing of the hub.
"""

import argparse
import json
import sqlite3
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.receivers.chaos import Chaos

TABLES = """
    CREATE TABLE IF NOT EXISTS event (id TEXT PRIMARY KEY, number INTEGER, body TEXT);
    CREATE TABLE IF NOT EXISTS tally (what TEXT PRIMARY KEY, times INTEGER)"""


class Receiver:
    """The four rules of the page: verify, store then answer, drop repeats, order by cursor."""

    def __init__(self, database: str, secret: str, library: str) -> None:
        if library == "svix":
            from svix.webhooks import Webhook, WebhookVerificationError
        else:
            from standardwebhooks import Webhook, WebhookVerificationError
        self._genuine = Webhook(secret).verify
        self._forged = WebhookVerificationError
        self._database = sqlite3.connect(database, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(TABLES)

    async def hook(self, request: Request) -> Response:
        body = await request.body()
        try:
            self._genuine(body, dict(request.headers))
        except self._forged:
            self.count("forged")
            return Response(status_code=401)
        number = int(json.loads(body)["cursor"].rpartition("-")[2])
        row = (request.headers["webhook-id"], number, body.decode())
        stored = self._database.execute("INSERT INTO event VALUES (?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount
        self.count("stored" if stored else "repeated")
        return Response(status_code=204)

    def count(self, what: str) -> None:
        self._database.execute(
            "INSERT INTO tally VALUES (?, 1) ON CONFLICT (what) DO UPDATE SET times = times + 1", (what,)
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--library", choices=("standardwebhooks", "svix"), default="standardwebhooks")
    parser.add_argument("--chaos", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    receiver = Receiver(options.database, options.secret, options.library)
    app: Any = Starlette(routes=[Route("/hook", receiver.hook, methods=["POST"])])
    if options.chaos:
        app = Chaos(app, options.chaos, options.seed, receiver.count)
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False, loop="uvloop")


if __name__ == "__main__":
    main()
