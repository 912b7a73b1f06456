"""Build a release into dist/, and try it: `python -m tests.release`, which `make release` runs after all checks.

The version stands in one place, the package's `__version__`. A release has a changelog section and, in a git checkout, a tag of
that version; a snapshot (`--snapshot`) needs neither. Written are the sdist, the wheel built from it, an SBOM of what an
installation contains (CycloneDX, JSON) and SHA256SUMS. Wheel and sdist are then installed into empty environments of every
supported Python, and the wheel's demo is run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
TOOLS = ROOT / ".venv-tools" / "bin"
PYTHONS = ("3.11", "3.12", "3.13")
PROGRAM = "slipway"


def main(words: Sequence[str] | None = None) -> int:
    """Build and try a release; return the exit code."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--snapshot", action="store_true", help="build what is here, without changelog section and tag")
    parser.add_argument("--python", action="append", metavar="X.Y", help=f"a Python to try it with; default {PYTHONS}")
    given = parser.parse_args(words)
    try:
        release(given.python or PYTHONS, is_snapshot=given.snapshot)
    except ReleaseError as wrong:
        print(f"release: {wrong}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


class ReleaseError(Exception):
    """A release cannot be made; the text says why, and what to do."""


def release(pythons: Sequence[str], *, is_snapshot: bool) -> None:
    """Build into dist/, and try what was built."""
    version = version_of(ROOT)
    if not is_snapshot:
        check_changelog((ROOT / "CHANGELOG.md").read_text("utf-8"), version)
        check_tag(git("tag", "--points-at", "HEAD").split(), version)
    interpreters = {name: find_python(name) for name in pythons}
    shutil.rmtree(DIST, ignore_errors=True)
    step(f"build {version}")
    run([TOOLS / "pyproject-build", "--no-isolation", "--outdir", DIST, ROOT], environment=reproducible())
    wheel, sdist = one("*.whl"), one("*.tar.gz")
    with tempfile.TemporaryDirectory() as scratch:
        step("list what an installation contains")
        write_sbom(Path(scratch), wheel, version)
        for name, interpreter in interpreters.items():
            step(f"try the wheel and the sdist with Python {name}")
            try_wheel(Path(scratch) / f"wheel-{name}", interpreter, wheel, version)
            try_sdist(Path(scratch) / f"sdist-{name}", interpreter, sdist)
    write_checksums()
    step(f"done: {', '.join(sorted(path.name for path in DIST.iterdir()))}")


def version_of(root: Path) -> str:
    """Return the version, from the one place where it stands: the file that the build takes it from."""
    (path,) = re.findall(
        r'^\[tool\.hatch\.version\]\npath = "([^"]+)"', (root / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    (version,) = re.findall(r'^__version__ = "([^"]+)"', (root / path).read_text("utf-8"), re.MULTILINE)
    return str(version)


def check_changelog(text: str, version: str) -> None:
    """Raise ReleaseError unless the changelog has a dated section of this version."""
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE):
        raise ReleaseError(f'CHANGELOG.md has no section "## [{version}] - YYYY-MM-DD". Rename Unreleased, or use --snapshot.')


def check_tag(tags: Sequence[str], version: str) -> None:
    """Raise ReleaseError unless this commit has the tag of this version."""
    if f"v{version}" not in tags:
        raise ReleaseError(f"the commit has no tag v{version}. Tag it (git tag -a v{version}), or use --snapshot.")


def git(*words: str) -> str:
    """Return what git says."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def reproducible() -> dict[str, str]:
    """Return the environment in which two builds of one commit are equal: files are as old as the commit."""
    return os.environ | {"SOURCE_DATE_EPOCH": git("log", "-1", "--format=%ct").strip()}


def find_python(name: str) -> Path:
    """Return the interpreter of a version. Raises ReleaseError if there is none."""
    found = shutil.which(f"python{name}")
    candidates = [Path(found)] if found else []
    candidates += sorted((Path.home() / ".pyenv" / "versions").glob(f"{name}.*/bin/python{name}"))
    for path in candidates:
        # A shim of pyenv is found for versions that are not active, and then refuses to run.
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    raise ReleaseError(f"there is no Python {name}. Install it, or name the ones to try: --python {sys.version_info.major}.…")


def write_sbom(scratch: Path, wheel: Path, version: str) -> None:
    """Write what an environment with the locked requirements and the wheel contains."""
    file = DIST / f"{PROGRAM}-{version}.cdx.json"
    python = environment(scratch / "sbom", Path(sys.executable))
    run([python, "-m", "pip", "install", "-qq", "--require-hashes", "-r", ROOT / "requirements.txt"])
    run([python, "-m", "pip", "install", "-qq", "--no-deps", wheel])
    run([python, "-m", "pip", "uninstall", "-qq", "--yes", "pip", "setuptools"])
    words: list[str | Path] = [
        "environment",
        python,
        "--pyproject",
        ROOT / "pyproject.toml",
        "--output-reproducible",
        "--of",
        "JSON",
    ]
    listed = json.loads(run([TOOLS / "cyclonedx-py", *words], environment=reproducible()))
    # The version is dynamic in pyproject.toml, so the tool does not find it there.
    listed["metadata"]["component"]["version"] = version
    file.write_text(json.dumps(listed, indent=2) + "\n", "utf-8")


def try_wheel(folder: Path, interpreter: Path, wheel: Path, version: str) -> None:
    """Install the wheel with its extra into an empty environment and run the demo, from an empty folder."""
    python = environment(folder, interpreter)
    run([python, "-m", "pip", "install", "-qq", f"{wheel}[local]"])
    installed = run([python, "-m", "pip", "show", "slipway-bedrock"], cwd=folder)
    if f"Version: {version}\n" not in installed:
        raise ReleaseError(f"the wheel does not install version {version}")
    run([python.parent / PROGRAM, "demo"], cwd=folder)


def try_sdist(folder: Path, interpreter: Path, sdist: Path) -> None:
    """Install the sdist, without extras, into an empty environment and print a schema."""
    python = environment(folder, interpreter)
    run([python, "-m", "pip", "install", "-qq", sdist])
    run([python.parent / PROGRAM, "schema", "request"], cwd=folder)


def environment(folder: Path, interpreter: Path) -> Path:
    """Make an empty environment and return its Python."""
    run([interpreter, "-m", "venv", folder])
    return folder / "bin" / "python"


def write_checksums() -> None:
    """Write SHA256SUMS over all that was built: `sha256sum --check SHA256SUMS` verifies it."""
    files = sorted(path for path in DIST.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (DIST / "SHA256SUMS").write_text("".join(lines), "utf-8")


def one(pattern: str) -> Path:
    """Return the one file of dist/ that a pattern is about."""
    (path,) = DIST.glob(pattern)
    return path


def run(command: Sequence[str | Path], cwd: Path = ROOT, environment: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed. Raises ReleaseError with that if it fails."""
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ReleaseError(
            f"{' '.join(map(str, command))} exited with {ran.returncode}\n{ran.stdout[-4000:]}{ran.stderr[-4000:]}"
        )
    return ran.stdout


def step(text: str) -> None:
    """Say what begins."""
    print(f"== {text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
