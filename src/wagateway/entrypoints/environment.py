"""Variables in layers: the environment, a ``.env`` file, and the files that ``NAME_FILE`` names."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from environs import Env
from typing_extensions import override

PREFIX = "WHATSAPP_"
FILE_SUFFIX = "_FILE"

_ALIKE = 0.8
_OTHER_PROGRAMS = ("DASHBOARD_", "HOOK_", "MINIO_", "REDIS_", "SWAGGER_", "SYNC_")
"""Families of names under our prefix that belong to WAHA or to other parts of the stack."""

_OTHER_NAMES = frozenset(
    f"{PREFIX}{name}"
    for name in ("API_HOSTNAME", "API_PORT", "API_SCHEMA", "CORE_PORT", "DEFAULT_ENGINE")
)


class Environment(Env):
    """Variables of a mapping and of a ``.env`` file; the mapping wins, empty means absent.

    The library's own FileAwareEnv always reads ``os.environ``, prefers ``NAME_FILE`` to ``NAME``
    without a word, and stops at the first file that cannot be read.

    Attributes:
        problems: what is wrong, by variable name; grows while the environment is read.
    """

    def __init__(
        self, environ: Mapping[str, str], *, dotenv: Path | None, names: Iterable[str]
    ) -> None:
        """Gather the layers.

        Args:
            environ: the process's environment.
            dotenv: a file that may be absent.
            names: the variables that may come from files.
        """
        super().__init__(eager=False)
        self.problems: dict[str, str] = {}
        self._environ = dict(environ)
        if dotenv is not None:
            self._read_dotenv(dotenv)
        self._environ = {k: text for k, v in self._environ.items() if (text := v.strip())}
        for name in names:
            self._read_file_of(name)

    @override
    def _get_value(self, env_key: str, default: Any) -> Any:
        return self._environ.get(env_key, default)

    def given(self, name: str) -> str | None:
        """Return the text of *name*, or None when it is absent."""
        return self._environ.get(name)

    def names(self) -> Iterator[str]:
        """Return every name that has a value, sorted."""
        return iter(sorted(self._environ))

    def _read_dotenv(self, path: Path) -> None:
        try:
            self.read_env(path, recurse=False)
        except (OSError, ValueError) as exc:
            self.problems[str(path)] = f"cannot be read as text in UTF-8 ({type(exc).__name__})"

    def _read_file_of(self, name: str) -> None:
        file_name = name + FILE_SUFFIX
        path = self._environ.get(file_name)
        if path is None:
            return
        if name in self._environ:
            self.problems[name] = f"is set, and so is {file_name}; keep one of them"
            return
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as exc:
            what = getattr(exc, "strerror", None) or "not text in UTF-8"
            self.problems[file_name] = f"{path!r} cannot be read: {what}"
            return
        if text:
            self._environ[name] = text
        else:
            self.problems[file_name] = f"{path!r} is empty"


def near_misses(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Return which of *names* look like a misspelt one of *known*, and which that is.

    Other programs share our prefix and our ``.env``, so a name that is merely unknown is fine.
    """
    targets = {name.removeprefix(PREFIX): name for name in known}
    found: dict[str, str] = {}
    for name in names:
        bare = name.removesuffix(FILE_SUFFIX)
        rest = bare.removeprefix(PREFIX)
        if bare in known or bare == rest or bare in _OTHER_NAMES:
            continue
        if not rest.startswith(_OTHER_PROGRAMS) and (
            near := difflib.get_close_matches(rest, targets, n=1, cutoff=_ALIKE)
        ):
            found[name] = targets[near[0]]
    return found
