"""Only the served folders are read, whatever a client writes and wherever links lead."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest
from support.recorded import DUMPS

from dumpmap.errors import InputError
from dumpmap.serving import folders as module
from dumpmap.serving.folders import Folders

OUTSIDE = "is outside the folders of this server"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A served folder beside one that is not, with links between them."""
    served, secret = tmp_path / "served", tmp_path / "secret"
    (served / "deep").mkdir(parents=True)
    secret.mkdir()
    shutil.copy(DUMPS["layout-x86-plain"], served / "a.dmp")
    shutil.copy(DUMPS["layout-x86-plain"], served / "deep" / "b.dmp")
    shutil.copy(DUMPS["layout-x86-plain"], secret / "s.dmp")
    (served / "notes.txt").write_text("not a dump\n", "utf-8")
    with zipfile.ZipFile(served / "z.zip", "w") as archive:
        archive.write(DUMPS["layout-x86-plain"], "in.dmp")
    (served / "out.dmp").symlink_to(secret / "s.dmp")
    (served / "outside").symlink_to(secret)
    (served / "in.dmp").symlink_to("deep/b.dmp")
    (served / "loop").symlink_to(served)
    return tmp_path


@pytest.fixture
def served(tree: Path) -> Folders:
    return Folders([tree / "served"])


@pytest.mark.parametrize("text", ["a.dmp", "deep/b.dmp", "deep/../a.dmp", "./a.dmp", "in.dmp", "loop/a.dmp"])
def test_what_is_inside_is_found(text: str, served: Folders, tree: Path) -> None:
    place = served.find_file(text)
    assert Path(place.path).samefile(tree / "served" / text)
    assert place.name in ("a.dmp", "deep/b.dmp")
    assert served.find_file(place.path) == place
    assert served.find_file(place.title) == place


@pytest.mark.parametrize("text", ["served/a.dmp", "served/deep/b.dmp", "served/./a.dmp", "served/z.zip::in.dmp"])
def test_a_name_can_begin_with_the_served_folder(text: str, served: Folders, tree: Path) -> None:
    place = served.find_file(text)
    assert place.title == text.removeprefix("served/").removeprefix("./")
    assert served.find_file(place.title) == place


def test_a_name_can_be_written_as_where_the_server_was_started(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def started_in(folder: Path) -> Folders:
        monkeypatch.chdir(folder)
        return Folders([tree / "served"])

    served = started_in(tree.parent)
    assert served.find_file(f"{tree.name}/served/a.dmp").name == "a.dmp"
    # The name below the served folder comes first.
    served = started_in(tree / "served" / "deep")
    assert served.find_file("a.dmp").name == "a.dmp"
    assert served.find_file("b.dmp").name == "deep/b.dmp"
    served = started_in(tree / "secret")
    for text in ("s.dmp", "../secret/s.dmp", f"../../{tree.name}/secret/s.dmp"):
        with pytest.raises(InputError, match=OUTSIDE if "/" in text else "no such file"):
            served.find(text)


@pytest.mark.parametrize("text", ["served/../secret/s.dmp", "served/out.dmp", "served/outside/s.dmp"])
def test_the_name_of_the_served_folder_leads_nowhere_else(text: str, served: Folders) -> None:
    with pytest.raises(InputError, match="no such file") as refused:
        served.find(text)
    # The same line if nothing is there at all.
    with pytest.raises(InputError) as missing:
        served.find("served/nothing")
    assert str(refused.value).removeprefix(text) == str(missing.value).removeprefix("served/nothing")


@pytest.mark.parametrize(
    "text",
    [
        *("../secret/s.dmp", "out.dmp", "outside/s.dmp", "deep/../../secret/s.dmp", "/etc/passwd", "..", "/"),
        *("https://example.invalid/a.dmp", "s3://bucket/a.dmp", "file:///etc/passwd", "a.dmp\0", "../served-not/a.dmp"),
        *("out.dmp::x", "../secret/s.dmp::in.dmp", "../nothing"),
    ],
)
def test_what_is_outside_is_refused_in_one_line(text: str, served: Folders) -> None:
    """The same line whether or not something is there: an answer does not say what else the machine has."""
    with pytest.raises(InputError) as refused:
        served.find(text)
    assert str(refused.value) == f"{text}: {OUTSIDE}"


def test_a_folder_with_a_longer_name_is_another_folder(tree: Path, served: Folders) -> None:
    (tree / "served-too").mkdir()
    (tree / "served-too" / "x.dmp").write_bytes(b"MDMP")
    with pytest.raises(InputError, match=OUTSIDE):
        served.find(str(tree / "served-too" / "x.dmp"))


def test_what_is_missing_or_no_file_is_said(served: Folders, tree: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.dmp: no such file or folder"):
        served.find("nothing.dmp")
    with pytest.raises(InputError, match="deep: is a folder"):
        served.find_file("deep")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_opened(served: Folders, tree: Path) -> None:
    os.mkfifo(tree / "served" / "pipe.dmp")
    with pytest.raises(InputError, match=r"pipe\.dmp: is not a regular file"):
        served.find_file("pipe.dmp")


def test_a_file_in_an_archive_is_found(served: Folders) -> None:
    place = served.find_file("z.zip::in.dmp")
    assert (place.title, place.member) == ("z.zip::in.dmp", "in.dmp")


def test_a_listing_has_the_inputs_and_follows_no_link_out(served: Folders) -> None:
    assert [place.name for place in served.all_inputs()] == ["a.dmp", "deep/b.dmp", "in.dmp", "z.zip"]


def test_a_served_link_is_its_folder(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "served")
    folders = Folders([tree / "link"])
    assert folders.find_file("a.dmp").name == "a.dmp"
    assert folders.find_file(str(tree / "link" / "a.dmp")).name == "a.dmp"


def test_a_file_behind_one_of_the_same_name_has_its_whole_path(tree: Path) -> None:
    folders = Folders([tree / "served", tree / "secret"])
    shutil.copy(tree / "secret" / "s.dmp", tree / "secret" / "a.dmp")
    names = [place.name for place in folders.all_inputs()]
    assert str(tree / "secret" / "a.dmp") in names
    assert "s.dmp" in names
    assert all(folders.find_file(name).stamp for name in names)


def test_a_large_folder_is_refused(tree: Path, served: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 5)
    with pytest.raises(InputError, match="has more than 5 entries; name a folder in it"):
        list(served.all_inputs())
    assert [place.name for place in served.inputs(served.find("deep"))] == ["deep/b.dmp"]


def test_only_folders_are_served(tree: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        Folders([tree / "served" / "a.dmp"])
