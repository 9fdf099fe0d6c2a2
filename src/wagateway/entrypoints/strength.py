"""Is a secret one that nobody guesses?"""

import re

SHORTEST_SECRET = 16
"""Characters; a token of only hexadecimal digits then still has 64 bits."""

MAKE_SECRET = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'  # noqa: S105 - a command
"""A command that prints a good one."""

STRONG = (
    f"a secret of {SHORTEST_SECRET} or more ASCII characters without spaces, not made of common "
    f"words or repetitions; this makes one: {MAKE_SECRET}"
)
"""What `is_strong` accepts, for people."""

_LEAST_OWN = 10
_LEAST_UNGUESSED = 6
_LEAST_DIFFERENT = 5
_COMMON = re.compile(
    r"0?1234567890?|12345678?|abcdef(?:gh)?|admin|api|changeme|change|default|demo|example|gateway"
    r"|hmac|insert|key|minio|password|passwd|placeholder|please|postgres|qwerty(?:uiop)?|replace"
    r"|root|secret|test|this|token|value|wagateway|waha|webhook|whatsapp|your|[^a-z0-9]"
)


def is_strong(secret: str) -> bool:
    """Tell whether *secret* can be taken: long, fit for a header, and not just common words."""
    return weakness(secret) is None


def weakness(secret: str) -> str | None:
    """Return why *secret* cannot be taken, without showing any of it; None when it can."""
    own = _COMMON.sub("", secret.lower())
    if len(secret) < SHORTEST_SECRET:
        return "too short"
    if not all("!" <= c <= "~" for c in secret):
        return "with a space or a character beyond ASCII"
    if len(own) < _LEAST_OWN:
        return "mostly of common words or signs"
    if len(set(own)) < _LEAST_DIFFERENT:
        return "the same few characters again and again"
    return None


def is_guessed(secret: str) -> bool:
    """Tell whether *secret*, of whatever length, is one that is tried first: ``postgres123``."""
    return len(_COMMON.sub("", secret.lower())) < _LEAST_UNGUESSED
