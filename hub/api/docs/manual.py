"""/docs: the manual, rendered from the Markdown files of `hub/docs`, and the API reference beside it. Everything comes
from the hub itself: no script, nothing from elsewhere."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.api.docs import reference
from hub.api.http.errors import answer_for_status
from hub.api.http.responses import as_response

FOLDER: Final = Path(__file__).parents[2] / "docs"
PAGES: Final = (
    "index",
    "install",
    "players",
    "content",
    "schedules",
    "calling",
    "clients",
    "alerts",
    "cap",
    "webhooks",
    "operator-feed",
    "analytics",
    "limits",
    "operations",
    "features",
    "player-protocol",
    "conformance",
)
"""In the order of the list of pages."""

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cache-control": "public, max-age=60",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table")
_MARKDOWN.add_render_rule("table_open", lambda *_: reference.TABLE)
_MARKDOWN.add_render_rule("table_close", lambda *_: reference.TABLE_END)
_PAGE_LINK: Final = re.compile(r"([a-z-]+)\.md(#.*)?")
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)


def routes(document: Callable[[], Mapping[str, Any]]) -> list[Route]:
    """/ for browsers, /docs, /docs/<page>, /docs/api and their style sheet; `document` makes the OpenAPI document."""

    @cache
    def api() -> bytes:
        content = document()
        title = f"{content['info']['title']} API"
        body = f"<h1>{escape(title)}</h1>\n{reference.render(content, _MARKDOWN.render)}"
        return _page(title, body, "api/")

    async def show(request: Request) -> Response:
        name = request.path_params.get("name", "index")
        if name not in PAGES:
            return as_response(answer_for_status(404))
        return Response(_manual(name), media_type="text/html", headers=HEADERS)

    async def show_api(request: Request) -> Response:
        return Response(await asyncio.to_thread(api), media_type="text/html", headers=HEADERS)

    async def style(request: Request) -> Response:
        return Response(_style(), media_type="text/css", headers=HEADERS)

    async def start(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):  # a program is told that there is no such call
            return as_response(answer_for_status(404))
        return Response(_start(), media_type="text/html", headers={**HEADERS, "vary": "Accept"})

    return [
        Route("/", start),
        Route("/docs", show),
        Route("/docs/api", show_api),
        Route("/docs/manual.css", style),
        Route("/docs/{name}", show),
    ]


def source(name: str) -> str:
    """A page as it is written."""
    return (FOLDER / f"{name}.md").read_text("utf-8")


@cache
def _style() -> bytes:
    return (FOLDER / "manual.css").read_bytes()


@cache
def _start() -> bytes:
    """Where a browser begins that was given the hub's address alone."""
    ways = (
        ("/pair", "Pair a player", "Enter the code that its screen shows."),
        ("/docs", "Manual", "How to install, show content, and be told what happens."),
        ("/docs/api", "API reference", "Every call, with its fields and answers."),
    )
    links = "".join(f'<li><a href="{to}"><b>{what}</b><br>{why}</a></li>\n' for to, what, why in ways)
    body = f"<h1>Signalbox</h1>\n<p>This is the hub of your screens.</p>\n<ul>\n{links}</ul>\n"
    return f"{_head('Signalbox')}<body class=start>\n<main>\n{body}</main>\n</body>\n</html>\n".encode()


@cache
def _title(name: str) -> str:
    found = _TITLE.search(source(name))
    return found[1].replace("`", "") if found else name


@cache
def _manual(name: str) -> bytes:
    tokens = _MARKDOWN.parse(source(name))
    seen: Counter[str] = Counter()
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            anchor = _slug(tokens[number + 1].content)
            token.attrSet("id", f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
            seen[anchor] += 1
        for inner in token.children or ():
            _relink(inner)
    return _page(_title(name), _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}), name)


def _slug(heading: str) -> str:
    """The anchor of a heading, as other readers of Markdown make it too."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _relink(token: Token) -> None:
    """Pages name each other by file, as a reader of the files needs it; here they are addresses."""
    found = _PAGE_LINK.fullmatch(str(token.attrGet("href") or "")) if token.type == "link_open" else None
    if found:
        token.attrSet("href", f"/docs{'' if found[1] == 'index' else '/' + found[1]}{found[2] or ''}")


def _page(title: str, body: str, current: str) -> bytes:
    links = [("/docs" if name == "index" else f"/docs/{name}", _title(name), name) for name in PAGES]
    links.insert(6, ("/docs/api", "API reference", "api/"))
    items = "".join(
        f'<li><a href="{address}"{" aria-current=page" if name == current else ""}>{escape(text)}</a></li>'
        for address, text, name in links
    )
    return (
        f'{_head(title)}<body>\n<nav aria-label="Pages"><ul>{items}</ul></nav>\n'
        f"<main>\n{body}\n</main>\n</body>\n</html>\n"
    ).encode()


def _head(title: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        '<link rel="stylesheet" href="/docs/manual.css">\n</head>\n'
    )
