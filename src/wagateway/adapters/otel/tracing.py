"""Spans of OpenTelemetry, sent by OTLP over HTTP, in a provider of our own.

The SDK reads where to, how many and for how long from its own variables, ``OTEL_…``.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import StatusCode, Tracer
from typing_extensions import override

from wagateway.ports.tracing import Fact, Span, Tracing

_LAST_S = 3.0
"""How long the end may take to send what is left."""
_PREFIX = "wagateway."


class OtelTracing(Tracing):
    """Over a tracer of whichever provider."""

    def __init__(self, tracer: Tracer) -> None:
        """Begin spans with *tracer*."""
        self._tracer = tracer

    @override
    @contextmanager
    def span(self, name: str, **facts: Fact) -> Iterator[Span]:
        with self._tracer.start_as_current_span(
            name,
            attributes=_attributes(facts),
            record_exception=False,  # its text may quote a message, its trace show variables
            set_status_on_exception=False,
        ) as span:
            try:
                yield _Told(span)
            except BaseException as exc:
                span.set_attribute("error.type", type(exc).__qualname__)
                if isinstance(exc, Exception):  # else it was called off, which is no failure
                    span.set_status(StatusCode.ERROR)
                raise


class _Told(Span):
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    @override
    def tell(self, **facts: Fact) -> None:
        self._span.set_attributes(_attributes(facts))


def _attributes(facts: dict[str, Fact]) -> dict[str, Fact]:
    return {_PREFIX + name: fact for name, fact in facts.items()}


@asynccontextmanager
async def open_otel(
    version: str, *, processor: SpanProcessor | None = None
) -> AsyncIterator[Tracing]:
    """Open tracing; what is left is sent when the context ends, as far as that takes no time.

    Args:
        version: of what is traced.
        processor: takes the spans; by default they are sent as ``OTEL_EXPORTER_OTLP_…`` say.
    """
    provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield OtelTracing(provider.get_tracer("wagateway", version))
    finally:
        last = threading.Thread(target=provider.shutdown, daemon=True)  # a collector may hang
        last.start()
        await asyncio.to_thread(last.join, _LAST_S)


def _resource(version: str) -> Resource:
    """Return who we are; what ``OTEL_SERVICE_NAME`` and its like say of that wins."""
    ours = Resource({SERVICE_NAME: "wagateway", SERVICE_VERSION: version})
    told = Resource.create()
    if str(told.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return told.merge(ours)
    return ours.merge(told)
