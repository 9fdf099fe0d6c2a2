"""The meaning of each answer's fields, taken from the docstrings where it is written down.

Litestar takes over the structure of msgspec structs, but not what their docstrings say.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from wagateway.domain import coverage, messages, spans, views
from wagateway.domain import health as session_health
from wagateway.entrypoints.http import api, health, media, problems, sync
from wagateway.usecases import ingest, sync_control

_MODULES = (
    *(messages, views, ingest, health, problems, api),
    *(spans, coverage, session_health, sync_control, sync, media),
)
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to repeat the request.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_HEADERS = {
    "401": {
        "WWW-Authenticate": {
            "description": "Which way of proving oneself is known here.",
            "required": True,
            "schema": {"type": "string"},
        }
    },
    "429": _RETRY_AFTER,
    "503": _RETRY_AFTER,
}
_ATTRIBUTES = "\n\nAttributes:\n"
_FIELD = re.compile(r"^    (\w+(?:, \w+)*): (.+(?:\n     +.+)*)", re.MULTILINE)


def describe_shapes(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write the docstrings of the structs into *document*, an OpenAPI document, and return it."""
    _tell_headers(document)
    schemas = document["components"]["schemas"]
    documented = {kind.__name__: inspect.getdoc(kind) or "" for kind in _structs()}
    for name, schema in schemas.items():
        text, _, attributes = documented.get(name, schema.get("description", "")).partition(
            _ATTRIBUTES
        )
        if text:
            schema["description"] = markdown(inspect.cleandoc(text))
        for fields, meaning in _FIELD.findall(attributes):
            for field in fields.split(", "):
                if field in schema.get("properties", {}):
                    _describe(schema["properties"], field, markdown(" ".join(meaning.split())))
    return document


def _tell_headers(document: Mapping[str, Any]) -> None:
    """Write down the headers that problems always have; Litestar has no place for them."""
    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if problems.PROBLEM_JSON in response.get("content", {}) and status in _HEADERS:
                    response["headers"] = _HEADERS[status]


def markdown(text: str) -> str:
    """Return *text* with the docstrings' double backticks as the single ones of Markdown."""
    return text.replace("``", "`")


def _describe(properties: dict[str, Any], field: str, meaning: str) -> None:
    """Replace rather than change: a field's schema may be shared with other shapes."""
    properties[field] = {**properties[field], "description": meaning}


def _structs() -> Iterator[type[msgspec.Struct]]:
    for module in _MODULES:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                yield kind
