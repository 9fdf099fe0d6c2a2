"""What can go wrong on the way, each by a rate: what a network, WAHA, WhatsApp and attackers do."""

from typing import Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace


class Faults(Struct, frozen=True, kw_only=True):
    """How often each fault happens, from 0 (never) to 1.

    Which ones happen where depends on the seed alone.

    Each field is explained in `MEANINGS` or `SERVED_MEANINGS`, by its name with dashes.
    """

    duplicate: float = 0.0
    reorder: float = 0.0
    late: float = 0.0
    drop: float = 0.0
    loss: float = 0.0
    lid_flip: float = 0.0
    re_pair: float = 0.0
    account_change: float = 0.0
    clock_skew: float = 0.0
    malformed: float = 0.0
    huge: float = 0.0
    unknown: float = 0.0
    forged: float = 0.0
    nul: float = 0.0
    rest_500: float = 0.0
    rest_429: float = 0.0
    rest_hang: float = 0.0
    rest_slow: float = 0.0
    rest_cut: float = 0.0
    stopped: float = 0.0
    silent: float = 0.0
    shrink: float = 0.0
    file_500: float = 0.0
    file_empty: float = 0.0
    file_cut: float = 0.0
    file_wrong: float = 0.0
    file_slow: float = 0.0
    file_hang: float = 0.0
    file_redirect: float = 0.0
    file_early: float = 0.0
    file_wipe: float = 0.0
    file_gone: float = 0.0
    file_second: float = 0.0
    file_later: float = 0.0
    file_host: float = 0.0
    file_bait: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            rate = getattr(self, name)
            if not 0 <= rate <= 1:
                raise ValueError(f"the rate of {name.replace('_', '-')} is from 0 to 1, not {rate}")

    @classmethod
    def parse(cls, text: str, *, served: bool = False) -> Self:
        """Read ``none``, ``usual``, ``all``, or names with rates, separated by commas.

        A name without a rate has the one of ``all``; later words change what earlier ones said:
        ``all,loss=0,forged=0.1``.

        Args:
            text: those words.
            served: the simulated WAHA has a REST API: ``all`` has the faults of it as well.

        Raises:
            ValueError: a name is unknown, or a rate is not a number from 0 to 1.
        """
        faults = cls()
        for word in filter(None, (word.strip() for word in text.split(","))):
            faults = faults.with_word(word, served=served)
        return faults

    def with_word(self, word: str, *, served: bool = False) -> Self:
        """Return these faults, changed by one word of `parse`."""
        if word in _PRESETS:
            preset = _ALL_SERVED if served and word == "all" else _PRESETS[word]
            return type(self)(**preset)
        name, given, rate = word.partition("=")
        field = name.strip().replace("-", "_")
        if field not in self.__struct_fields__:
            known = ", ".join((*_PRESETS, *MEANINGS, *SERVED_MEANINGS))
            raise ValueError(f"{name.strip()!r} is no fault; there are: {known}")
        try:
            value = float(rate) if given else _ALL_SERVED[field]
        except ValueError:
            raise ValueError(f"the rate of {name.strip()} is a number, not {rate!r}") from None
        return replace(self, **{field: value})

    def need_serving(self) -> list[str]:
        """Return the names of those that there are only where REST is served too."""
        return [name for name in self.rates() if name in SERVED_MEANINGS]

    def rates(self) -> dict[str, float]:
        """Return the rates above 0 by the names that `parse` reads."""
        held = msgspec.structs.asdict(self)
        return {name.replace("_", "-"): rate for name, rate in held.items() if rate}


_ALL = {
    "duplicate": 0.05,
    "reorder": 0.05,
    "late": 0.02,
    "drop": 0.02,
    "loss": 0.02,
    "lid_flip": 0.05,
    "re_pair": 0.01,
    "account_change": 0.002,
    "clock_skew": 0.02,
    "malformed": 0.02,
    "huge": 0.0005,
    "unknown": 0.01,
    "forged": 0.02,
    "nul": 0.02,
}
_ALL_SERVED = {
    **_ALL,
    "rest_500": 0.03,
    "rest_429": 0.02,
    "rest_hang": 0.005,
    "rest_slow": 0.02,
    "rest_cut": 0.02,
    "stopped": 0.02,
    "silent": 0.02,
    "shrink": 0.01,
    "file_500": 0.03,
    "file_empty": 0.03,
    "file_cut": 0.03,
    "file_wrong": 0.03,
    "file_slow": 0.01,
    "file_hang": 0.005,
    "file_redirect": 0.01,
    "file_early": 0.03,
    "file_wipe": 0.01,
    "file_gone": 0.04,
    "file_second": 0.04,
    "file_later": 0.03,
    "file_host": 0.05,
    "file_bait": 0.03,
}
_PRESETS: dict[str, dict[str, float]] = {"none": {}, "usual": {"duplicate": 0.04}, "all": _ALL}

MEANINGS = {
    "duplicate": "of all requests: sent once more, 2 s later",
    "reorder": "of all requests: up to 30 s late",
    "late": "of all requests: 30 s to 10 min late",
    "drop": "of all requests: the answer is not seen, and the same is sent again",
    "loss": "of the time, in windows of 10 s: WAHA gives up on all that it would send",
    "lid-flip": "of what happens in direct chats: named by the other kind of address",
    "re-pair": "of conversations: logged out, and paired with the same account",
    "account-change": "of conversations: another account takes the session over",
    "clock-skew": "of conversations: WAHA's clock is up to a day wrong",
    "malformed": "of all requests: followed by a copy with a broken part",
    "huge": "of all requests: a body of 1 MB",
    "unknown": "of all requests: followed by an event of an unknown name",
    "forged": "of messages: somebody else sends another one with the same id",
    "nul": "of texts: with NUL and other unwanted characters in it",
}
"""The words that `Faults.parse` reads, beside its presets, and what their rates are shares of."""
SERVED_MEANINGS = {
    "rest-500": "of REST calls: answered with 500",
    "rest-429": "of REST calls: answered with 429 and Retry-After",
    "rest-hang": "of REST calls: never answered",
    "rest-slow": "of REST calls: the body comes in drips",
    "rest-cut": "of REST calls: the body ends in the middle",
    "stopped": "of the time, in windows of 10 s: the session is stopped, and catches up afterwards",
    "silent": "of the time, in windows of 10 s: WORKING, but nothing comes; the store has it later",
    "shrink": "of the time, in windows of 10 s: the store loses half of its older messages",
    "file-500": "of requests for files: answered with 500 or 503",
    "file-empty": "of files: nothing in them at the first one or two requests",
    "file-cut": "of requests for files: the body ends in the middle",
    "file-wrong": "of files: other bytes at the first one or two requests",
    "file-slow": "of requests for files: the body comes in drips",
    "file-hang": "of requests for files: never answered",
    "file-redirect": "of requests for files: sent on to where nobody should ask",
    "file-early": "of messages with files: what was saved for the event is lost at once",
    "file-wipe": "of the time, in windows of 10 s: all saved files are lost, as at a restart",
    "file-gone": "of messages with files: WhatsApp has the file no longer when asked again",
    "file-second": "of messages with files: to be had again at the second request only",
    "file-later": "of messages with files: told once without an address, and again with one",
    "file-host": "of messages with files: the address in the event has another wrong host",
    "file-bait": "of messages with files: the address in the event is one that nobody should ask",
}
"""The same for what is there only where the REST API is served too."""
USUAL = Faults.parse("usual")
"""What WAHA does on a good day."""
