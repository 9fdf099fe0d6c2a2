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
_ATTRIBUTES = "\n\nAttributes:\n"
_FIELD = re.compile(r"^    (\w+(?:, \w+)*): (.+(?:\n     +.+)*)", re.MULTILINE)


def describe_shapes(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write the docstrings of the structs into *document*, an OpenAPI document, and return it."""
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
