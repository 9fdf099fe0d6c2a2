"""Does a bucket's policy let everybody in?"""

from typing import Any

import msgspec

_READING = ("*", "s3:*", "s3:get*", "s3:getobject", "s3:list*", "s3:listbucket")


def opens_to_anyone(policy: str) -> bool:
    """Tell whether *policy*, a JSON document, lets anybody read files or their names.

    What holds under a condition only, such as an address, does not count; nor does what is no
    policy.
    """
    try:
        document = msgspec.json.decode(policy.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return False
    statements = _listed(document.get("Statement")) if isinstance(document, dict) else []
    return any(_opens(statement) for statement in statements if isinstance(statement, dict))


def _opens(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    actions = [action.lower() for action in _listed(statement.get("Action")) if _is_text(action)]
    return (
        statement.get("Effect") == "Allow"
        and not statement.get("Condition")
        and "*" in _listed(named)
        and any(action in _READING for action in actions)
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_text(value: object) -> bool:
    return isinstance(value, str)
