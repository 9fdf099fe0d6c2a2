"""Calls a public client of WAHA for a test: ``PYTHONPATH=FOLDER python caller.py URL PACKAGE``.

All clients import as ``waha``, so this runs apart from the test, and needs nothing of wagateway.
The first line of standard output says which client it is. Then each line of standard input is a
call, and the next line of output how it ended:

    {"call": "sessions.get", "args": ["default"], "named": {}, "key": "secret", …}
    {"value": {"name": "default", "status": "WORKING", …}}

An argument {"made_by": NAME, "of": VALUE} is what that class of the client makes of the value.
Where "read_as" names a class, the answer, or each row of it, is decoded by it as well;
"asynchronous" calls are made by the other half of the client.
"""

import asyncio
import json
import sys
from functools import cache
from importlib.metadata import version
from operator import attrgetter
from typing import Any

import waha
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

_CLASSES = getattr(waha, "models", waha)


def main(url: str) -> None:
    """Answer all calls until there is no more input."""

    @cache
    def client(key: str) -> Any:  # noqa: ANN401 - no types of it are known here
        return waha.WahaClient(url, key)

    async def awaited(call: dict[str, Any], args: list[Any], named: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
        apart = waha.AsyncWahaClient(url, call["key"])
        try:
            return await attrgetter(call["call"])(apart)(*args, **named)
        finally:
            await apart.close()

    def answered(call: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
        args = [_made(value) for value in call["args"]]
        named = {name: _made(value) for name, value in call["named"].items()}
        if call["asynchronous"]:
            return asyncio.run(awaited(call, args, named))
        return attrgetter(call["call"])(client(call["key"]))(*args, **named)

    for line in sys.stdin:
        call = json.loads(line)
        try:
            _tell({"value": _read(answered(call), call["read_as"])})
        except Exception as exc:  # noqa: BLE001 - the test judges it
            _tell(_raised(exc))


def _made(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not (isinstance(value, dict) and "made_by" in value):
        return value
    made_by, of = getattr(_CLASSES, value["made_by"]), value["of"]
    return made_by(**of) if isinstance(of, dict) else made_by(of)


def _read(answer: Any, name: str | None) -> Any:  # noqa: ANN401 - what the client returns
    if name is None:
        return answer
    model: Any = getattr(_CLASSES, name)
    if isinstance(answer, list):
        model = list.__class_getitem__(model)
    return TypeAdapter(model).validate_python(answer)


def _raised(exc: Exception) -> dict[str, Any]:
    response = getattr(exc, "response", None)
    status = getattr(exc, "status_code", getattr(response, "status_code", None))
    body = response.json() if response is not None else None
    errors = exc.errors() if isinstance(exc, ValidationError) else []
    return {
        "raised": type(exc).__name__,
        "said": str(exc),
        "status": status,
        "body": body,
        "fields": sorted({".".join(filter(_is_name, error["loc"])) for error in errors}),
    }


def _is_name(step: object) -> bool:
    return isinstance(step, str)


def _tell(ending: dict[str, Any]) -> None:
    plain = to_jsonable_python(ending, by_alias=True, bytes_mode="base64")
    sys.stdout.write(json.dumps(plain) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _tell({"file": waha.__file__, "version": version(sys.argv[2])})
    main(sys.argv[1])
