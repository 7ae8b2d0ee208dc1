"""The API reference: the OpenAPI document as one HTML page, which a browser's own search goes through."""

from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any, Final

import orjson

from hub.api.http.requests import MAX_INTEGER

Markdown = Callable[[str], str]
Document = Mapping[str, Any]

TABLE: Final = '<div class="table" tabindex="0"><table>'
"""One that is wider than a phone scrolls by itself, also by keys."""

TABLE_END: Final = "</table></div>"

_MAX_DEPTH: Final = 5  # levels of fields shown; the deepest documented body has five


def render(document: Document, markdown: Markdown) -> str:
    """HTML below the page's own heading: credentials, then every call, grouped as the document groups them."""
    operations: dict[str, list[str]] = {}
    index: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag, name = operation["tags"][0], operation["operationId"]
            operations.setdefault(tag, []).append(_operation(document, path, method, operation, markdown))
            index.setdefault(tag, []).append(
                f'<li><a href="#{name}">{escape(operation["summary"])}</a> '
                f"<code>{method.upper()} {escape(path)}</code></li>"
            )
    parts = [markdown(document["info"]["description"]), "<h2 id='credentials'>Credentials</h2>"]
    for name, scheme in document["components"]["securitySchemes"].items():
        parts.append(f"<h3 id='credential-{name}'>{name}</h3>{markdown(scheme['description'])}")
    parts.append(f"<h2 id='errors'>Errors</h2>{TABLE}<tr><th>Meaning</th><th>Example</th></tr>")
    for name, response in document["components"]["responses"].items():
        example = _json(response["content"]["application/json"]["example"])
        parts.append(f"<tr id='error-{name}'><td>{escape(response['description'])}</td><td>{example}</td></tr>")
    parts.append(f"{TABLE_END}<h2 id='calls'>All calls</h2>")
    groups = [(group["name"], [tag for tag in group["tags"] if tag in index]) for group in document["x-tagGroups"]]
    for group, tags in groups:
        parts.append(f"<h3>{escape(group)}</h3>")
        parts += [f"<h4>{escape(tag)}</h4><ul class='calls'>{''.join(index[tag])}</ul>" for tag in tags]
    for group, tags in groups:
        parts.append(f"<h2>{escape(group)}</h2>")
        for tag in tags:
            parts += [f"<h3>{escape(tag)}</h3>", *operations[tag]]
    return "\n".join(parts)


def _operation(document: Document, path: str, method: str, operation: Document, markdown: Markdown) -> str:
    name = operation["operationId"]
    parts = [
        f'<section id="{name}" class="call"><h4><a href="#{name}">{escape(operation["summary"])}</a></h4>',
        f'<p class="line"><b>{method.upper()}</b> <code>{escape(path)}</code></p>',
        markdown(operation["description"]),
        f"<p>{_credentials(operation['security'])}</p>",
    ]
    if operation.get("deprecated"):
        parts.append("<p><strong>Deprecated.</strong></p>")
    rows = [
        (parameter["name"], parameter["in"], parameter["schema"], parameter.get("required", False), parameter)
        for parameter in operation["parameters"]
    ]
    if rows:
        parts.append(f"{TABLE}<tr><th>Parameter</th><th>In</th><th>Type</th><th>Meaning</th></tr>")
        for label, where, schema, required, parameter in rows:
            text = markdown(parameter.get("description", ""))
            need = " required" if required else ""
            parts.append(
                f"<tr><td><code>{escape(label)}</code>{need}</td><td>{where}</td>"
                f"<td>{escape(_type(document, schema))}</td><td>{text}</td></tr>"
            )
        parts.append(TABLE_END)
    for kind, media in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(_media(document, f"Body: {kind}", media, markdown))
    errors = []
    for status, response in operation["responses"].items():
        if "$ref" in response:
            errors.append(f"<a href='#error-{response['$ref'].rpartition('/')[2]}'>{status}</a>")
        else:
            parts.append(_response(document, status, response, markdown))
    if errors:
        parts.append(f"<p class='answer'>Errors: {', '.join(errors)}</p>")
    return "\n".join([*parts, "</section>"])


def _credentials(security: list[dict[str, list[str]]]) -> str:
    names = [next(iter(choice), None) for choice in security]
    if not names:
        return "Needs no credential."
    links = " or ".join(f"<a href='#credential-{name}'>{name}</a>" for name in names if name)
    return f"Credential: {links}{', or none' if None in names else ''}."


def _response(document: Document, status: str, response: Document, markdown: Markdown) -> str:
    contents = response.get("content", {})
    if not contents:
        return f"<p class='answer'><b>{status}</b> {escape(response['description'])}</p>"
    return "\n".join(
        _media(document, f"{status} {response['description']} {kind}", media, markdown)
        for kind, media in contents.items()
    )


def _media(document: Document, title: str, media: Document, markdown: Markdown) -> str:
    rows = [
        f"<tr><td><code>{escape(name)}</code>{' required' if required else ''}</td>"
        f"<td>{escape(_type(document, schema))}</td><td>{markdown(schema.get('description', ''))}</td></tr>"
        for name, schema, required in _fields(document, media["schema"], "", 0)
    ]
    head = "<tr><th>Field</th><th>Type</th><th>Meaning</th></tr>"
    table = f"{TABLE}{head}{''.join(rows)}{TABLE_END}" if rows else ""
    example = _json(media["example"]) if "example" in media else ""
    return f"<details><summary>{escape(title)}</summary>{table}{example}</details>"


def _json(value: Any) -> str:
    return f"<pre><code>{escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())}</code></pre>"


def _resolved(document: Document, schema: Document) -> Document:
    if "$ref" in schema:
        found: Document = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        return {**_resolved(document, options[0]), **{k: v for k, v in schema.items() if k != "anyOf"}}
    return schema


def _fields(document: Document, schema: Document, prefix: str, depth: int) -> Iterator[tuple[str, Document, bool]]:
    """All fields of an object, those of the objects in it by dotted names (`items[].asset_id`)."""
    schema = _resolved(document, schema)
    if schema.get("type") == "array":
        schema, prefix = _resolved(document, schema.get("items", {})), f"{prefix.removesuffix('.')}[]."
    if depth >= _MAX_DEPTH:
        return
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield f"{prefix}{name}", _resolved(document, inner), name in required
        yield from _fields(document, inner, f"{prefix}{name}.", depth + 1)


def _type(document: Document, schema: Document) -> str:
    """A type in words, with its limits."""
    nullable = any(option.get("type") == "null" for option in schema.get("anyOf", ()))
    schema = _resolved(document, schema)
    if "anyOf" in schema:
        return " or ".join(_type(document, option) for option in schema["anyOf"])
    if "enum" in schema:
        text = " | ".join(map(str, schema["enum"]))
    elif "const" in schema:
        text = str(schema["const"])
    elif schema.get("type") == "array":
        text = f"list of {_type(document, schema.get('items', {}))}"
    else:
        text = schema.get("format") or schema.get("type") or "anything"
    low, high = schema.get("minimum", schema.get("minLength")), schema.get("maximum", schema.get("maxLength"))
    if high == MAX_INTEGER:
        text += f", {low} or more"
    elif low is not None and high is not None:
        text += f", {low} to {high}"
    elif high is not None:
        text += f", at most {high}"
    if "default" in schema and schema["default"] is not None:
        text += f", default {orjson.dumps(schema['default']).decode()}"
    return f"{text} or null" if nullable else text
