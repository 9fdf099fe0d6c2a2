"""The documentation page: the OpenAPI document as one HTML page without scripts.

It is rendered here and loads nothing, so it works offline and under the strictest policy; the
pages that Litestar brings load their scripts from elsewhere.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from wagateway.entrypoints.http.openapi import DOCUMENT_PATH
from wagateway.entrypoints.http.problems import KINDS
from wagateway.entrypoints.http.shapes import describe_shapes

_STYLE = files(__package__).joinpath("docs.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}

_Json = Mapping[str, Any]


def documentation() -> HTTPRouteHandler:
    """Return the route of the page; it is rendered once, on the first request."""
    rendered: list[str] = []

    @get("/docs", include_in_schema=False, media_type=MediaType.HTML)
    async def docs(request: Request[Any, Any, Any]) -> Response[str]:
        if not rendered:
            rendered.append(render(describe_shapes(request.app.openapi_schema.to_schema())))
        return Response(rendered[0], media_type=MediaType.HTML, headers=_HEADERS)

    return docs


@get("/", include_in_schema=False, status_code=307)
async def front_door() -> Redirect:
    """Lead who opens the bare address to the page; relative, so that it holds below a prefix."""
    return Redirect("docs", status_code=307)


def render(document: _Json) -> str:
    """Return *document*, an OpenAPI 3.1 document, as an HTML page."""
    info = document["info"]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>",
            *_navigation(document),
            "<main>",
            f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
            _prose(info["description"]),
            f'<p>For programs: <a href="{DOCUMENT_PATH}">{DOCUMENT_PATH}</a> (OpenAPI 3.1).</p>',
            *_credentials(document),
            *_operations(document),
            *_problems(),
            *_shapes(document),
            "</main></body></html>",
        ]
    )


def _tagged(document: _Json) -> Iterator[tuple[_Json, list[tuple[str, str, _Json]]]]:
    """Yield each tag with its operations as (method, path, operation)."""
    every = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    for tag in document["tags"]:
        yield tag, [found for found in every if tag["name"] in found[2]["tags"]]


def _navigation(document: _Json) -> Iterator[str]:
    yield '<nav aria-label="Contents"><p><a href="#credentials">Credentials</a></p>'
    for tag, operations in _tagged(document):
        yield f"<p>{escape(tag['name'])}</p><ul>"
        for _, _, operation in operations:
            name = escape(operation["operationId"])
            yield f'<li><a href="#{name}">{escape(operation["summary"])}</a></li>'
        yield "</ul>"
    yield '<p><a href="#problems">Problems</a></p><p><a href="#shapes">Shapes</a></p></nav>'


def _credentials(document: _Json) -> Iterator[str]:
    schemes = document["components"]["securitySchemes"]
    rows = [
        (f"<code>{escape(_header_of(scheme))}</code>", _inline(scheme["description"]))
        for scheme in schemes.values()
    ]
    yield '<h2 id="credentials">Credentials</h2>'
    yield _table(("Header", "What it is"), rows)


def _header_of(scheme: _Json) -> str:
    return f"{scheme['name']}: …" if "name" in scheme else "Authorization: Bearer …"


def _operations(document: _Json) -> Iterator[str]:
    schemes = document["components"]["securitySchemes"]
    for tag, operations in _tagged(document):
        yield f"<h2>{escape(tag['name'])}</h2>{_prose(tag['description'])}"
        for method, path, operation in operations:
            yield f'<section id="{escape(operation["operationId"])}">'
            yield f"<h3>{escape(operation['summary'])}</h3>"
            yield f'<p class="route"><b>{method.upper()}</b> <code>{escape(path)}</code></p>'
            yield _prose(operation["description"])
            headers = [
                f"<code>{escape(_header_of(schemes[name]))}</code>"
                for alternative in operation.get("security", [])
                for name in alternative
            ]
            yield f"<p>Credential: {' or '.join(headers) or 'none'}</p>"
            yield from _command(method, path, operation)
            yield from _parameters(operation)
            yield from _request_body(operation)
            yield from _responses(operation)
            yield "</section>"


def _command(method: str, path: str, operation: _Json) -> Iterator[str]:
    """Yield how to ask for it in a shell; no address, because none is known here."""
    if method != "get":
        return
    for parameter in operation.get("parameters", []):
        value = str(next(iter(parameter["examples"].values()))["value"])
        path = path.replace(f"{{{parameter['name']}}}", quote(value, safe="@+"))
    token = '-H "X-Api-Token: $TOKEN" ' if "security" in operation else ""
    command = f'curl {token}"$WAGATEWAY{path}"'
    yield f"<pre>{escape(command)}</pre>"


def _parameters(operation: _Json) -> Iterator[str]:
    rows = []
    for parameter in operation.get("parameters", []):
        values = [example["value"] for example in parameter.get("examples", {}).values()]
        given = " ".join(f"<code>{escape(_written(parameter, each))}</code>" for each in values)
        default = parameter["schema"].get("default")
        about = _inline(parameter.get("description", ""))
        if default is not None:
            about += f" Default <code>{escape(str(default))}</code>."
        name = f"<code>{escape(parameter['name'])}</code> <small>{parameter['in']}</small>"
        kind = _type(parameter["schema"]).removesuffix(" or null")
        rows.append((name, kind, about, given))
    if rows:
        yield _table(("Parameter", "Type", "Meaning", "For example"), rows)


def _written(parameter: _Json, value: object) -> str:
    """Return *value* as an address has it, where several are given by repeating the name."""
    if isinstance(value, list):
        return "&".join(f"{parameter['name']}={each}" for each in value)
    return str(value)


def _request_body(operation: _Json) -> Iterator[str]:
    if body := operation.get("requestBody"):
        yield f"<h4>Body</h4>{_prose(body['description'])}"
        yield from _examples(body["content"])


def _responses(operation: _Json) -> Iterator[str]:
    yield "<h4>Answers</h4>"
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        shown = " open" if status == "200" else ""
        about = _inline(response["description"])
        shapes = " ".join(_type(body["schema"]) for body in content.values())
        yield f"<details{shown}><summary><b>{status}</b> {about}</summary>"
        yield f"<p><small>{escape(' '.join(content))}</small> {shapes}</p>"
        yield from _examples(content)
        yield "</details>"


def _examples(content: _Json) -> Iterator[str]:
    for body in content.values():
        for example in body.get("examples", {}).values():
            text = json.dumps(example["value"], indent=2, ensure_ascii=False)
            yield f"<pre>{escape(text)}</pre>"


def _problems() -> Iterator[str]:
    rows = [
        (
            f'<code id="problem-{kind.slug}">/docs#problem-{kind.slug}</code>',
            str(status),
            escape(kind.title),
            _inline(kind.meaning),
        )
        for status, kind in KINDS.items()
    ]
    yield '<h2 id="problems">Problems</h2>'
    yield _prose(
        "Every error is `application/problem+json`. Its `type` is one of these; its `detail` says"
        " what is wrong with this request."
    )
    yield _table(("type", "status", "title", "Meaning"), rows)


def _shapes(document: _Json) -> Iterator[str]:
    yield '<h2 id="shapes">Shapes</h2>'
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f'<section id="shape-{escape(name)}"><h3>{escape(name)}</h3>'
        if "description" in schema:
            yield _prose(schema["description"])
        properties = schema.get("properties", {})
        if properties:
            rows = [
                (f"<code>{escape(key)}</code>", _type(of), _inline(of.get("description", "")))
                for key, of in properties.items()
            ]
            yield _table(("Field", "Type", "Meaning"), rows)
        else:
            yield f"<p>{_type(schema)}</p>"
        yield "</section>"


def _type(schema: _Json) -> str:
    """Return the type of *schema* in a few words, linked where it has a name."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    for together in ("oneOf", "anyOf", "allOf"):
        if together in schema:
            return " or ".join(_type(part) for part in schema[together])
    if "enum" in schema:
        return " ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    kinds = schema.get("type", "any")
    text = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    return escape(f"{text} ({schema['format']})" if "format" in schema else text)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table; *rows* are HTML already."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.split("\n\n"))


def _inline(text: str) -> str:
    """Escape *text*; what stands between backticks is code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))
