"""How the answers of a route are documented."""

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from wagateway.entrypoints.http.problems import documented


def answers(
    kind: type[msgspec.Struct], example: msgspec.Struct, *problems: int, success: int = 200
) -> dict[int, ResponseSpec]:
    """Return the documentation of a route: its answer, and the problems it can have."""
    answer = ResponseSpec(
        kind,
        description=(kind.__doc__ or "").partition("\n")[0].replace("``", "`"),
        generate_examples=False,
        examples=[Example(value=msgspec.to_builtins(example))],
    )
    return {success: answer, **documented(*problems)}
