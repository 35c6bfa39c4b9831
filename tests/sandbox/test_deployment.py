import subprocess
from pathlib import Path

import pytest

from sandbox import deployment
from sandbox.deployment import SandboxError, copy_of, fingerprint, local_url, until


def test_an_apis_address_is_found_on_this_machine() -> None:
    url = "https://abc123.execute-api.us-east-2.amazonaws.com/slack/interactions"
    assert local_url(url, "http://127.0.0.1:4566") == "http://127.0.0.1:4566/_api/abc123/slack/interactions"
    with pytest.raises(SandboxError, match=r"https://example\.com/"):
        local_url("https://example.com/", "http://127.0.0.1:4566")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "repository"
    (root / "modules").mkdir(parents=True)
    monkeypatch.setattr(deployment, "ROOT", root)
    return root


def test_the_working_tree_is_copied_without_what_git_ignores(repository: Path, tmp_path: Path) -> None:
    for name in ("main.tf", "modules/gate.tf", "gone.tf"):
        (repository / name).write_text("committed")
    (repository / ".gitignore").write_text("*.tfstate")
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    (repository / "main.tf").write_text("edited")
    (repository / "gone.tf").unlink()
    (repository / "new.tf").write_text("new")
    (repository / "terraform.tfstate").write_text("secret")
    copy = copy_of(repository, tmp_path / "copy")
    files = {str(path.relative_to(copy)): path.read_text() for path in copy.rglob("*") if path.is_file()}
    assert files == {".gitignore": "*.tfstate", "main.tf": "edited", "modules/gate.tf": "committed", "new.tf": "new"}


def test_a_fingerprint_is_of_what_its_folders_hold(repository: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    (repository / "modules" / "gate.tf").write_text("one")
    (repository / "README.md").write_text("one")
    seen = [fingerprint("modules")]
    (repository / "README.md").write_text("two")
    seen.append(fingerprint("modules"))
    (repository / "modules" / "gate.tf").write_text("two")
    seen.append(fingerprint("modules"))
    (repository / "modules" / "gate.tf").rename(repository / "modules" / "other.tf")
    seen.append(fingerprint("modules"))
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


def test_a_folder_that_is_no_checkout_is_named(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(SandboxError, match="is no git checkout"):
        copy_of(repository, tmp_path / "copy")


def test_a_condition_is_asked_until_it_is_true_or_the_time_is_up() -> None:
    answers = iter([None, "", "yes"])
    assert until(lambda: next(answers), "a yes") == "yes"
    with pytest.raises(SandboxError, match="a yes: not within 0 s"):
        until(lambda: None, "a yes", timeout=0)
