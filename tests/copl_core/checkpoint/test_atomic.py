"""A file is the old one or the whole new one."""

import os
import stat

import pytest

from copl_core.checkpoint.atomic import write_atomically


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
