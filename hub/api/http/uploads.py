"""New content as every face takes it: a file by form, or something that has none."""

from collections.abc import Awaitable, Callable
from typing import Any

from hub.api.http.endpoint import Call
from hub.api.http.forms import OVERHEAD, read_form
from hub.api.http.origin import face
from hub.api.http.requests import declared_length
from hub.api.http.responses import Answer
from hub.domain.errors import Invalid


async def new_content(
    call: Call,
    told: Callable[[dict[str, Any]], Answer],
    without_file: Callable[[Call, Any], Awaitable[Answer]],
    check: Callable[[Any], None] = lambda fields: None,
) -> Answer:
    """Keep the file of a form as content, and answer what is `told` of it. A body or a form without a file is
    `without_file`'s. `check` raises Invalid for the texts of a form whose file is not wanted."""
    content = call.services.content
    if call.body is not None:
        return await without_file(call, call.body)
    expected = max(0, (declared_length(dict(call.scope["headers"])) or 0) - OVERHEAD)
    async with content.receiving(call.actor.team_id, expected) as incoming:
        form = await read_form(call, incoming.write, content.max_bytes)
        fields = form.fields
        if not form.has_file:
            return await without_file(call, fields)
        check(fields)
        if fields.source_url is not None:
            raise Invalid.field("source_url", "must not come with a file: send a file or an address")
        asset = await content.add_file(
            call.actor,
            incoming,
            name=fields.name,
            type=fields.type,
            filename=form.filename,
            duration_s=getattr(fields, "duration_s", None) or getattr(fields, "duration", None),
            folder_id=getattr(fields, "folder_id", None),
            face=face(call),
            base_url=call.base_url,
        )
    return told(asset)
