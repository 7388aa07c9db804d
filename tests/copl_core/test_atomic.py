"""A file is the old one or the whole new one."""

import os
import stat

import pytest

from copl_core.atomic import write_atomically, write_together


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_new_file_has_the_mode_of_new_files_whatever_the_writer_chose(tmp_path):
    def write_privately(temporary):
        temporary.touch(mode=0o600)
        temporary.write_text("new")

    write_atomically(tmp_path / "folder" / "file", write_privately)
    (tmp_path / "plain").write_text("")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("folder/file", "plain")}
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert len(modes) == 1


def test_of_several_files_none_is_replaced_unless_all_can_be_written(tmp_path):
    paths = tmp_path / "first", tmp_path / "second"
    for path in paths:
        path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_together({paths[0]: lambda temporary: temporary.write_text("new"), paths[1]: fail})
    assert [path.read_text() for path in paths] == ["old", "old"]
    assert sorted(os.listdir(tmp_path)) == ["first", "second"]
    write_together({path: lambda temporary: temporary.write_text("new") for path in paths})
    assert [path.read_text() for path in paths] == ["new", "new"]


def test_the_mode_of_other_threads_files_is_left_alone(tmp_path, monkeypatch):
    """The process's mask can only be read by setting it, for all threads."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the mask was set"))
    write_atomically(tmp_path / "file", lambda temporary: temporary.write_text("new"))
