"""Variables in layers: the environment, a ``.env`` file, and the files that ``NAME_FILE`` names."""

import difflib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from environs import Env
from typing_extensions import override

PREFIX = "WHATSAPP_"
FILE_SUFFIX = "_FILE"

_dotenv_log = logging.getLogger("dotenv.main")

_ALIKE = 0.8
_OTHER_FAMILIES = ("DASHBOARD_", "HOOK_", "SWAGGER_", "SYNC_")
_OTHER_NAMES = ("API_HOSTNAME", "API_PORT", "API_SCHEMA", "CORE_PORT", "DEFAULT_ENGINE")
"""Names under our prefix that belong to WAHA or to other parts of the stack."""


class Environment(Env):
    """Variables of a mapping and of a ``.env`` file; the mapping wins, empty means absent.

    The library's own FileAwareEnv always reads ``os.environ``, prefers ``NAME_FILE`` to ``NAME``
    without a word, and stops at the first file that cannot be read.

    Attributes:
        values: the text of each variable, without white space around it.
        problems: what could not be read, by variable or file name.
        unreadable: lines of the ``.env`` file that say nothing, by number from 1.
    """

    def __init__(
        self, environ: Mapping[str, str], *, dotenv: Path | None, names: Iterable[str]
    ) -> None:
        """Gather the layers.

        Args:
            environ: the process's environment.
            dotenv: a file that may be absent; ``${NAME}`` in it stands for that variable.
            names: the variables that may come from files.
        """
        super().__init__(eager=False)
        self.problems: dict[str, str] = {}
        self.unreadable: list[tuple[Path, int]] = []
        if dotenv is not None:
            self._read_dotenv(dotenv)
        layers = {**self._environ, **environ}
        self.values = {name: text for name, given in layers.items() if (text := given.strip())}
        for name in names:
            self._read_file_of(name)

    @override
    def _get_value(self, env_key: str, default: Any) -> Any:
        return self.values.get(env_key, default)

    def _read_dotenv(self, path: Path) -> None:
        try:
            if path.is_dir():  # the library's own complaint does not name it
                raise IsADirectoryError(None, "it is a folder")
            with _complaints() as lines:
                self.read_env(path, recurse=False)
            self.unreadable += [(path, line) for line in lines]
        except (OSError, ValueError) as exc:
            self.problems[str(path)] = f"cannot be read: {_reason(exc)}"

    def _read_file_of(self, name: str) -> None:
        file_name = name + FILE_SUFFIX
        path = self.values.get(file_name)
        if path is None:
            return
        if name in self.values:
            self.problems[name] = f"is set, and so is {file_name}; keep one of them"
            return
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as exc:
            self.problems[file_name] = f"{path!r} cannot be read: {_reason(exc)}"
            return
        if text:
            self.values[name] = text
        else:
            self.problems[file_name] = f"{path!r} is empty"


@contextmanager
def _complaints() -> Iterator[list[int]]:
    """Collect which lines the library complains of; its own words do not name the file."""
    lines: list[int] = []

    def collect(record: logging.LogRecord) -> bool:
        lines.extend(line for line in record.args or () if isinstance(line, int))
        return False

    _dotenv_log.addFilter(collect)
    try:
        yield lines
    finally:
        _dotenv_log.removeFilter(collect)


def near_misses(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Return which of *names* look like a misspelt one of *known*, and which that is.

    Other programs share our prefix and our ``.env``, so a name that is merely unknown is fine.
    """
    targets = {name.removeprefix(PREFIX): name for name in known}
    found: dict[str, str] = {}
    for name in sorted(names):
        rest = name.removesuffix(FILE_SUFFIX).removeprefix(PREFIX)
        ours = name.startswith(PREFIX) and rest not in targets
        if not ours or rest in _OTHER_NAMES or rest.startswith(_OTHER_FAMILIES):
            continue
        if near := difflib.get_close_matches(rest, targets, n=1, cutoff=_ALIKE):
            found[name] = targets[near[0]]
    return found


def _reason(exc: Exception) -> str:
    return getattr(exc, "strerror", None) or "it is not text in UTF-8"
