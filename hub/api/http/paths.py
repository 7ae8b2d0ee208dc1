"""How the path of a request is read, by every route and every socket alike."""

from starlette.types import ASGIApp, Receive, Scope, Send


def plain(path: str) -> str:
    """The path as routes have it: doubled slashes at its beginning and slashes at its end are overlooked."""
    return "/" + path.strip("/")


class PlainPaths:
    """Middleware: whatever is behind it sees plain paths alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = plain(scope["path"])
        await self._app(scope, receive, send)
