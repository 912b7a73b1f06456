"""The tools that check deployment files. They are in an environment of their own, which is made where it is missing."""

from __future__ import annotations

import subprocess

from tests.support.readme import ROOT

FOLDER = ROOT / ".venv-tools"


def tool(name: str, *words: str) -> str:
    """Run a tool and return what it printed. Raises AssertionError with that if it fails."""
    program = FOLDER / "bin" / name
    if not program.exists():
        subprocess.run(["make", ".venv-tools/ready"], cwd=ROOT, check=True)
    ran = subprocess.run([program, *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, f"{name} {' '.join(words)}\n{ran.stdout}{ran.stderr}"
    return ran.stdout
