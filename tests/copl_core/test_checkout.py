"""The commit of the program, told by git itself."""

import subprocess

from copl_core.checkout import commit


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_checkout_has_its_commit_and_says_whether_it_is_changed(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    head = git(tmp_path, "log", "-1", "--format=%H")

    assert commit(tmp_path) == head
    (tmp_path / "untracked").write_text("")
    assert commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert commit(tmp_path) == f"{head}+changes"


def test_what_is_installed_has_none(tmp_path, monkeypatch):
    assert commit(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    inner = tmp_path / "site-packages"
    inner.mkdir()
    assert commit(inner) is None  # of somebody else's checkout
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path) is None
