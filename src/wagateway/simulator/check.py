"""Compares what an archive holds with the truth: what is lost, twinned, wrong or invented.

Works on plain JSON objects, so that any system can be compared; docs/SIMULATOR.md describes them.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct

from wagateway.simulator.truth import Line

EXAMPLES = 5
"""How many findings of each sort and field are kept in full."""

_IDENTITY = {"type", "session", "account", "chat_id", "id", "sender_id", "certain"}
FIELDS = {
    *("ack", "clash", "contacts", "edits", "event", "forwarded", "from_me", "kind", "location"),
    *("media", "mentions", "name", "poll", "reactions", "reply_to", "revoked", "sent_at", "text"),
    "view_once",
}
"""What a truth may name of messages and chats, beside who they are."""

_UNORDERED = {"reactions", "votes"}
_REPLACED = str.maketrans("", "", "\x00\ufffd")
"""Characters that a database cannot keep, and what stands for them."""


_SAME_NUMBER = 1e-6
"""Degrees that make no difference: a tenth of a metre."""


class Sort(StrEnum):
    """How an archive can differ from the truth."""

    LOST = "lost"
    """It was accepted, and is not there."""
    TWINNED = "twinned"
    """It is there more than once."""
    WRONG = "wrong"
    """It is there, and something about it is not as it should be."""
    INVENTED = "invented"
    """It is there, and nobody ever told it."""


class Finding(Struct, frozen=True, kw_only=True):
    """One difference.

    Attributes:
        what: the message, chat or archive, by its identity.
        field: which field is wrong; None for the other sorts.
        expected, found: its values.
    """

    sort: Sort
    what: dict[str, Any]
    field: str | None = None
    expected: Any = None
    found: Any = None


class Report(Struct, kw_only=True):
    """The result of a comparison.

    Attributes:
        expected: messages that must be there.
        found: messages that are there.
        counts: of findings, by sort; a message with two wrong fields counts once.
        fields: how many values are wrong, by field, the most frequent first.
        examples: the first findings of each sort and field.
    """

    expected: int
    found: int
    counts: dict[Sort, int]
    fields: dict[str, int]
    examples: list[Finding]

    @property
    def perfect(self) -> bool:
        """Whether nothing differs."""
        return not any(self.counts.values())


class _Key(NamedTuple):
    """What makes a message itself, in the truth and in the archive alike."""

    session: str
    account: str | None
    chat_id: str
    id: str
    sender_id: str | None


_Chat = tuple[str, str, str]
"""A chat's session, account and id."""


class Comparison:
    """Takes in the truth, then the archive, and reports.

    Everything is in memory: about 2 KB per message of the truth.
    """

    def __init__(self, truth: Iterable[Line], *, fields: Collection[str] | None = None) -> None:
        """Take in the truth, in any order.

        Args:
            truth: its lines.
            fields: of messages and chats that are compared; None: all that the truth names.

        Raises:
            ValueError: a line is not one of a truth, or no truth names one of *fields*.
        """
        if unknown := sorted(set(fields or ()) - FIELDS - _IDENTITY):
            known = ", ".join(sorted(FIELDS))
            raise ValueError(f"no truth names {unknown[0]!r}; fields are {known}")
        self._messages: dict[_Key, Line] = {}
        self._chats: dict[_Chat, Line] = {}
        self._seen_chats: set[_Chat] = set()
        self._other_names: set[_Chat] = set()
        self._archives: dict[tuple[str, str], Line] = {}
        self._known: set[str] = set()
        self._matched: set[_Key] = set()
        self._strays: list[_Key] = []
        self._fields = fields
        self._counts = dict.fromkeys(Sort, 0)
        self._wrong_fields: Counter[str] = Counter()
        self._kept: Counter[tuple[Sort, str | None]] = Counter()
        self._seen_types: set[str] = set()
        self._examples: list[Finding] = []
        self._found = 0
        for line in truth:
            self._expect(line)
        self.sessions = sorted(self._known)

    def _expect(self, line: Line) -> None:
        try:
            match line["type"]:
                case "message":
                    self._messages[_key(line)] = line
                case "chat":
                    self._chats[line["session"], line["account"], line["id"]] = line
                case "link":
                    self._other_names.add((line["session"], line["account"], line["lid"]))
                case "archive":
                    self._archives[line["session"], line["account"]] = line
                    self._known.add(line["session"])
                case "file" | "simulation" | "end":
                    pass
                case other:
                    raise ValueError(f"the truth has no lines of the type {other!r}")
        except (KeyError, TypeError) as exc:
            raise ValueError(f"not a line of a truth: {json.dumps(line)[:200]}") from exc

    def see(self, line: Line) -> None:
        """Take in one thing that the archive holds, unless the truth knows nothing of its session.

        The head of a truth is skipped, so that one can stand for an archive.

        Raises:
            ValueError: its identity is not whole.
        """
        try:
            told = line["type"] not in {"file", "simulation", "link", "end"}
            if not told or line["session"] not in self._known:
                return
            self._seen_types.add(line["type"])
            if line["type"] == "message":
                self._found += 1
                self._see_message(_key(line), line)
            elif line["type"] == "chat":
                self._see_chat(line)
            elif line["type"] == "archive":
                self._see_archive(line)
        except KeyError as exc:
            raise ValueError(f"{exc} is missing: {json.dumps(line)[:200]}") from exc
        except TypeError as exc:  # not even hashable
            raise ValueError(
                f"part of its identity is no string: {json.dumps(line)[:200]}"
            ) from exc

    def _see_message(self, key: _Key, line: Line) -> None:
        expected = self._messages.get(key)
        if expected is None:
            self._strays.append(key)
        elif key in self._matched:
            self._note(Finding(sort=Sort.TWINNED, what=key._asdict()))
        else:
            self._matched.add(key)
            self._compare(key._asdict(), expected, line)

    def _see_chat(self, line: Line) -> None:
        chat = (line["session"], line["account"], line["id"])
        expected = self._chats.pop(chat, None)
        if chat in self._seen_chats or chat in self._other_names:  # of somebody known by phone
            self._note(Finding(sort=Sort.TWINNED, what=_chat(chat)))
        elif expected and "name" in expected:
            self._compare(_chat(chat), {"name": expected["name"]}, line)
        self._seen_chats.add(chat)

    def _see_archive(self, line: Line) -> None:
        known = (line["session"], line["account"])
        if self._archives.pop(known, None) is None:
            self._note(Finding(sort=Sort.INVENTED, what=_archive(known)))

    def report(self) -> Report:
        """Return what differs; the comparison ends with it.

        Chats, and archives, are only missed where the archive shows any at all.
        """
        missing = {
            key
            for key, line in self._messages.items()
            if key not in self._matched and line.get("certain", True)
        }
        self._judge_strays(missing)
        for key in sorted(missing, key=str):
            self._note(Finding(sort=Sort.LOST, what=key._asdict()))
        for chat in self._chats if "chat" in self._seen_types else ():
            self._note(Finding(sort=Sort.LOST, what=_chat(chat)))
        for known in sorted(self._archives if "archive" in self._seen_types else ()):
            if self._archives[known].get("certain", True):
                self._note(Finding(sort=Sort.LOST, what=_archive(known)))
        certain = sum(line.get("certain", True) for line in self._messages.values())
        return Report(
            expected=certain,
            found=self._found,
            counts=self._counts,
            fields=dict(self._wrong_fields.most_common()),
            examples=self._examples,
        )

    def _judge_strays(self, missing: set[_Key]) -> None:
        """Tell what each message is that the truth does not have there; may empty *missing*."""
        by_id: dict[tuple[str, str | None, str], list[_Key]] = {}
        if self._strays:
            for key in self._messages:
                by_id.setdefault((key.session, key.account, key.id), []).append(key)
        for stray in self._strays:
            likely = by_id.get((stray.session, stray.account, stray.id), [])
            free = [key for key in likely if key not in self._matched]
            gone = next((key for key in free if key in missing), None)
            if gone:
                missing.discard(gone)
                field = "chat_id" if gone.chat_id != stray.chat_id else "sender_id"
                values = getattr(gone, field), getattr(stray, field)
                self._note(_wrong(gone._asdict(), field, *values))
            elif not free:
                sort = Sort.TWINNED if likely else Sort.INVENTED
                self._note(Finding(sort=sort, what=stray._asdict()))
            if free:  # each message of the truth explains one of the archive
                self._matched.add(gone or free[0])

    def _compare(self, what: dict[str, Any], expected: Line, found: Line) -> None:
        if not expected.get("certain", True):
            return
        chosen = expected.keys() if self._fields is None else expected.keys() & self._fields
        fields = [field for field in expected if field in chosen and field not in _IDENTITY]
        differing = [f for f in fields if not holds(found.get(f), expected[f], field=f)]
        for field in differing[1:]:
            self._keep(_wrong(what, field, expected[field], found.get(field)))
        if differing:
            first = differing[0]
            self._note(_wrong(what, first, expected[first], found.get(first)))

    def _note(self, finding: Finding) -> None:
        self._counts[finding.sort] += 1
        self._keep(finding)

    def _keep(self, finding: Finding) -> None:
        if finding.field:
            self._wrong_fields[finding.field] += 1
        self._kept[finding.sort, finding.field] += 1
        if self._kept[finding.sort, finding.field] <= EXAMPLES:
            self._examples.append(finding)


def holds(found: Any, expected: Any, *, field: str = "") -> bool:  # noqa: ANN401 - any JSON value
    """Tell whether *found* says what *expected* says; it may say more.

    Instants are compared as instants, numbers to the sixth decimal, texts without characters that
    a database cannot keep, and reactions and votes in any order.
    """
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            holds(found.get(name), value, field=name) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(map(holds, _ordered(found, field), _ordered(expected, field)))
        )
    if isinstance(expected, float) and isinstance(found, int | float):
        return abs(expected - found) < _SAME_NUMBER
    if isinstance(expected, str) and isinstance(found, str):
        if field.endswith("_at"):
            return _instant(found) == _instant(expected)
        return found == expected or (
            expected != _kept(expected) and _kept(found) == _kept(expected)
        )
    return bool(found == expected) and type(found) is type(expected)


def _ordered(values: list[Any], field: str) -> list[Any]:
    if field not in _UNORDERED:
        return values
    names = ("sender_id", "voter_id")
    return sorted(
        values, key=lambda v: [str(v.get(n)) for n in names] if isinstance(v, dict) else [str(v)]
    )


def _kept(text: str) -> str:
    return text.translate(_REPLACED)


def _instant(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _key(line: Line) -> _Key:
    return _Key(*(line[name] for name in _Key._fields))


def _chat(chat: _Chat) -> dict[str, Any]:
    return {"type": "chat", "session": chat[0], "account": chat[1], "id": chat[2]}


def _archive(known: tuple[str, str]) -> dict[str, Any]:
    return {"type": "archive", "session": known[0], "account": known[1]}


def _wrong(what: dict[str, Any], field: str, expected: Any, found: Any) -> Finding:  # noqa: ANN401
    return Finding(sort=Sort.WRONG, what=what, field=field, expected=expected, found=found)


def compare(
    truth: Iterable[Line], archive: Iterable[Line], *, fields: Collection[str] | None = None
) -> Report:
    """Return how *archive* differs from *truth*; see `Comparison`."""
    comparison = Comparison(truth, fields=fields)
    for line in archive:
        comparison.see(line)
    return comparison.report()
