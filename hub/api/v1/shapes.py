"""The forms that answers of several nouns share."""

from typing import Any

from hub.api.http.endpoint import etag
from hub.api.http.responses import Answer

PER_PAGE = 50  # where a caller asks for a page and not for its size


def pages(query: Any) -> tuple[int, int | None]:
    """(which page, how many a page) of a query with `page` and `per_page`; (1, None) when it asks for neither: all."""
    return query.page or 1, query.per_page or (PER_PAGE if query.page else None)


def many(
    things: list[dict[str, Any]], *, total: int | None = None, page: int = 1, per_page: int | None = None
) -> Answer:
    """A list with its meta; without `per_page` it is all there is, on one page."""
    number = len(things) if total is None else total
    size = per_page or max(number, 1)
    meta = {"current_page": page, "last_page": max(1, -(-number // size)), "total": number, "per_page": size}
    return Answer(200, {"data": things, "meta": meta})


def one(thing: dict[str, Any], status: int = 200, *, location: str | None = None) -> Answer:
    """One thing; what has a version can be changed under If-Match."""
    headers = {}
    if "version" in thing:
        headers["etag"] = etag(thing["version"])
    if location is not None:
        headers["location"] = location
    return Answer(status, {"data": thing}, headers)


def done(message: str) -> Answer:
    """A deletion: 200 and not 204, since documented clients read JSON from it."""
    return Answer(200, {"message": message})
