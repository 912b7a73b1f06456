"""What a release needs is checked before anything is built. The build and its trial are `make dist`, which takes minutes."""

from __future__ import annotations

import hashlib
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # read as plain values, which are checked

from slipway import __version__
from tests import release
from tests.deploy.tools import tool
from tests.support.readme import ROOT


def test_the_version_stands_in_one_place() -> None:
    assert release.version_of(ROOT) == __version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]
    supported = {text.rpartition(" ")[2] for text in project["classifiers"] if "Python :: 3." in text}
    assert set(release.PYTHONS) == supported


def test_a_release_has_a_dated_section_and_a_tag() -> None:
    release.check_changelog("## [Unreleased]\n\n## [1.2.3] - 2026-12-01\n", "1.2.3")
    for text in ("## [Unreleased]\n", "## [1.2.3]\n", "## [1.2.30] - 2026-12-01\n", "see ## [1.2.3] - 2026-12-01\n"):
        with pytest.raises(release.ReleaseError, match="--snapshot"):
            release.check_changelog(text, "1.2.3")
    release.check_tag(["latest", "v1.2.3"], "1.2.3")
    with pytest.raises(release.ReleaseError, match=r"git tag -a v1\.2\.3"):
        release.check_tag(["v1.2.30"], "1.2.3")


def test_a_python_that_is_not_there_is_named() -> None:
    with pytest.raises(release.ReleaseError, match=r"there is no Python 2\.0"):
        release.find_python("2.0")


def test_what_is_built_holds_what_runs_and_twice_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", release.reproducible()["SOURCE_DATE_EPOCH"])
        tool("pyproject-build", "--no-isolation", "--outdir", str(folder), str(ROOT))
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()})
    assert digests[0] == digests[1]
    wheel, sdist = (tmp_path / "first" / name for name in sorted(digests[0]))
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "py.typed",
        "_config/slipway.toml",
        "_config/samples/plain.json",
        "_config/deploy/cloudformation/slipway.yaml",
    ):
        assert any(name.endswith(part) for name in names), part
    assert not [name for name in names if name.startswith("tests/")]
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert metadata.count("](https://") > 20, "the readme's links are absolute"
    assert not re.search(r"\]\((?!https://|#)", metadata)
    with tarfile.open(sdist) as packed:
        assert any(name.endswith("/requirements-tools.txt") for name in packed.getnames())


def test_the_checksums_are_those_that_sha256sum_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "DIST", tmp_path)
    (tmp_path / "a.whl").write_bytes(b"wheel")
    release.write_checksums()
    release.write_checksums()
    assert (tmp_path / "SHA256SUMS").read_text("utf-8") == f"{hashlib.sha256(b'wheel').hexdigest()}  a.whl\n"


def test_the_workflow_does_what_the_makefile_and_ci_do_and_names_no_registry() -> None:
    text = (ROOT / "config" / "ci" / "github-workflow.yaml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    steps = {job: [step["run"] for step in each["steps"] if "run" in step] for job, each in jobs.items()}
    assert steps["check"] == ["bash .ci/run"]
    assert (ROOT / ".ci" / "run").exists()
    assert steps["release"] == ["make dist"]
    assert re.search(r"^dist:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    offered = jobs["release"]["steps"][1]["with"]["python-version"].split()
    assert sorted(offered) == sorted(release.PYTHONS)
    assert "$IMAGE" in steps["image"][1]
    assert not re.search(r"\b(ghcr|docker|quay|amazonaws|pypi)\.(io|com|org)\b", text)
    arguments = re.findall(r"--build-arg (\w+)=", text + (ROOT / "docs" / "how-to" / "release.md").read_text("utf-8"))
    declared = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert set(arguments) <= set(declared)
