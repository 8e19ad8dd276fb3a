"""Inputs behind URLs: what is fetched, how often, and what is said where it cannot be."""

from __future__ import annotations

import errno
import gzip
import itertools
import os
import socket
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.triage import MB, answering, http_server, small_dump, write_big_dump

import dumpmap
from dumpmap.errors import InputError
from dumpmap.parsers.opening import read_source
from dumpmap.sources import remote
from dumpmap.sources.files import TruncatedError
from dumpmap.sources.remote import RemoteSource, join_near, remote_source
from dumpmap.sources.remote_errors import reason, shown_url, without_secrets
from dumpmap.triage import Options, remote_files, run
from dumpmap.triage.analyse import analyse
from dumpmap.triage.discovery import discover

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder of fsspec's memory file system."""
    url = f"memory://{uuid.uuid4().hex}"
    yield url
    fs, path = fsspec.core.url_to_fs(url)
    if fs.exists(path):
        fs.rm(path, recursive=True)


def put(url: str, data: bytes) -> str:
    fs, path = fsspec.core.url_to_fs(url)
    fs.pipe_file(path, data)
    return url


def pattern(size: int) -> bytes:
    return bytes(itertools.islice(itertools.cycle(range(251)), size))


def test_view_gives_exact_bytes(memory: str) -> None:
    data = pattern(3 * MB + 17)
    source = remote_source(put(f"{memory}/data", data))
    for offset, size in [(0, 10), (5, 0), (100_000, 70_000), (MB - 3, 2 * MB), (len(data) - 5, 5), (0, len(data))]:
        assert bytes(source.view(offset, size)) == data[offset : offset + size]


def test_view_beyond_the_end_is_an_error(memory: str) -> None:
    source = remote_source(put(f"{memory}/data", b"x" * 100))
    for offset, size in [(0, 101), (100, 1), (-1, 2), (5, -1)]:
        with pytest.raises(TruncatedError):
            source.view(offset, size)


def test_views_gives_exact_bytes(memory: str) -> None:
    data = pattern(4 * MB)
    source = remote_source(put(f"{memory}/data", data))
    ranges = [
        (offset * 40_009 % (4 * MB - 300), size) for offset, size in zip(range(300), itertools.cycle((16, 0, 300)))
    ]
    assert [bytes(part) for part in source.views(ranges)] == [data[start : start + size] for start, size in ranges]


def test_small_reads_beside_each_other_are_one_request(memory: str) -> None:
    source = remote_source(put(f"{memory}/data", pattern(4 * MB)))
    before = source.requests
    for offset in range(2 * MB, 2 * MB + remote.BLOCK, 64):
        source.view(offset, 64)
    assert source.requests == before + 1


def test_a_sequential_reader_asks_for_more_and_more(memory: str) -> None:
    source = remote_source(put(f"{memory}/data", pattern(8 * MB)))
    for offset in range(0, 8 * MB, 4096):
        source.view(offset, 4096)
    assert source.requests < 40
    assert source.bytes_read < 8 * MB + 2 * remote.HEAD


def test_the_cache_is_bounded(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "CACHED_BLOCKS", 8)
    source = remote_source(put(f"{memory}/data", pattern(4 * MB)))
    for offset in range(0, 4 * MB, remote.BLOCK):
        source.view(offset, 16)
    assert len(source._blocks) <= 8 + remote.MAX_READ_AHEAD


def test_near_ranges_are_joined_and_far_ones_are_not() -> None:
    spans = join_near([(0, 16), (20_000, 16), (900_000_000, 16), (8, 100)], 1 << 30)
    assert [(span.start, span.end) for span in spans] == [(0, 20_016), (900_000_000, 900_000_016)]
    assert sorted(itertools.chain.from_iterable(span.members for span in spans)) == [0, 1, 2, 3]


def test_joining_never_costs_more_than_its_share() -> None:
    ranges = [(index * 60_000, 16) for index in range(2000)]
    size = ranges[-1][0] + 16
    spans = join_near(ranges, size)
    fetched = sum(span.end - span.start for span in spans)
    assert fetched - 2000 * 16 <= max(MB, size // remote.JOIN_SHARE)
    assert sum(len(span.members) for span in spans) == 2000


def test_a_nested_range_belongs_to_the_span_around_it() -> None:
    (span,) = join_near([(0, 1000), (10, 5), (999, 1)], 1000)
    assert (span.start, span.end, len(span.members)) == (0, 1000, 3)


def test_same_map_as_from_the_file(memory: str, fixtures: Path, tmp_path: Path) -> None:
    path = tmp_path / "layout.dmp"
    path.write_bytes(gzip.decompress((fixtures / "layout-x64.dmp.gz").read_bytes()))
    url = put(f"{memory}/layout.dmp", path.read_bytes())
    ours, local = dumpmap.open(url), dumpmap.open(path)
    assert ours.summary().equals(local.summary())
    assert ours.regions.equals(local.regions)


def test_a_compressed_file_is_fetched_whole(memory: str, fixtures: Path) -> None:
    data = (fixtures / "layout-x64.dmp.gz").read_bytes()
    source = remote_source(put(f"{memory}/layout.dmp.gz", data))
    read_source(source)
    assert source.bytes_read >= len(data)


def test_a_compressed_file_beyond_the_limit_is_refused(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_WHOLE", 100)
    with pytest.raises(InputError, match="would have to be fetched"):
        remote_source(put(f"{memory}/x.dmp.gz", gzip.compress(pattern(10_000))))


@pytest.mark.parametrize("url", ["memory://nothing/at-all.dmp", "file:///nothing/at-all.dmp"])
def test_a_missing_file_is_our_own_error(url: str) -> None:
    with pytest.raises(InputError, match="no such file"):
        dumpmap.open(url)


def test_an_unknown_protocol_is_our_own_error() -> None:
    with pytest.raises(InputError, match="gopher"):
        dumpmap.open("gopher://example/x.dmp")


def test_an_unreachable_server_is_our_own_error() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(InputError) as caught:
        dumpmap.open(f"http://127.0.0.1:{port}/x.dmp")
    assert "\n" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    url = "https://me:pw@host/a@b.dmp?sv=1&sig=abc%3D&X-Amz-Signature=123&part=2"
    assert shown_url(url) == "https://host/a@b.dmp?sv=1&sig=...&X-Amz-Signature=...&part=2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:p@ss@host/x", "https://host/x"),
        ("https://user:p@ss/word@host/x", "https://...@host/x"),
        ("https://user:pa/ss@host/x", "https://...@host/x"),
        ("https://user:pa?ss@host/x", "https://...@host/x"),
        ("https://user:pa#ss@host/x", "https://...@host/x"),
        ("https://user:p@", "https://"),
        ("https://user:p@/x", "https:///x"),
        ("https://user:p@[::1]:80/x", "https://[::1]:80/x"),
        ("https://user:a::b@host/x", "https://host/x"),
        ("s3://AKIA:wJal/rX@bucket/x", "s3://...@bucket/x"),
        ("zip://a.dmp::https://user:p@host/x.zip", "zip://a.dmp::https://host/x.zip"),
        ("simplecache::sftp://user:p@host/x", "simplecache::sftp://host/x"),
        ("https://host:8080/a@b/c.dmp", "https://host:8080/a@b/c.dmp"),
        ("https://user@host/a@b/c.dmp", "https://host/a@b/c.dmp"),
        ("s3://bucket/a:b@c/d.dmp", "s3://bucket/a:b@c/d.dmp"),
        ("https://host/x?private_token=1&a=2;password=3", "https://host/x?private_token=...&a=2;password=..."),
    ],
)
def test_secrets_of_odd_urls_are_not_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_what_is_found_has_its_own_name() -> None:
    assert shown_url("https://me:pw@host/a@b/c.dmp", found=True) == "https://host/a@b/c.dmp"


def test_secrets_are_not_in_what_a_library_says() -> None:
    url = "https://user:p@ss/word%21@host/x?sig=abc"
    for text in (
        f"cannot open {url}, sorry",
        "no route to https://user:p@ss/word%21@host/y",
        "user p, ss:443 and /word! are wrong, and so is 'abc'",
    ):
        said = without_secrets(text, url)
        assert not any(secret in said.replace("password", "") for secret in ("user", "ss:", "word", "abc")), said
        assert reason(OSError(text), url) == said
    assert without_secrets("expression of p-code at example.com", "https://example:p@host/x") == (
        "expression of p-code at example.com"
    )


def test_secrets_reach_no_row_and_no_map(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    (tmp_path / "x.dmp").write_bytes(small_dump())
    with http_server(tmp_path) as served:
        url = served.url.replace("://", "://someone:s3cret@")
        paths = [f"{url}/x.dmp", f"{url}/", f"{url}/no.dmp", "https://someone:s@s3cret/word@host.invalid/x.dmp"]
        with run(paths, Options(engine="serial", cache=tmp_path / "cache")) as result:
            rows = list(result.rows())
        opened = dumpmap.open(paths[0])
    for text in (str(rows), str(opened.snapshot.source), (tmp_path / "cache").read_bytes().decode("latin-1")):
        assert "someone" not in text
        assert "s3cret" not in text
    assert [row["status"] for row in rows] == ["ok", "error", "error"]


# ---------------------------------------------------------------- what is said of a server


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "{host} closed the connection"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "{host} does not speak HTTP"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "access denied: the server answers 401 Unauthorized"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "access denied: the server answers 403 Forbidden"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "no such file"),
        (b"HTTP/1.1 500 \r\n\r\n", "the server answers 500 Internal Server Error"),
        (b"HTTP/1.1 503 Try Later\r\n\r\n", "the server answers 503 Try Later"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x.dmp\r\n\r\n", "{host} redirects without end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nMDMP", "{host} broke off its answer"),
    ],
)
@pytest.mark.parametrize("path", ["x.dmp", "folder/", "folder/*.dmp"])
def test_what_a_server_answers_is_said_in_a_line(answer: bytes, said: str, path: str) -> None:
    pytest.importorskip("aiohttp")
    if path == "folder/*.dmp" and said == "no such file":
        said = "no file matches this pattern"
    with answering(answer) as url:
        (job,) = discover([f"{url}/{path}"], stamps=False)
        outcome = analyse(job)
    assert outcome.row["error"] == said.format(host=url[7:])
    assert outcome.unreached


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://nothing.invalid/x.dmp", "cannot connect to nothing.invalid:80: host name not known"),
        ("https://user:p@ss/word@host/x.dmp", "cannot connect to ...:443: host name not known"),
        ("https://user:pa/ss@host/x.dmp", "not a valid URL"),
        ("http:///x.dmp", "not a valid URL"),
        ("gopher://host/x.dmp", "protocol not known: gopher"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_in_a_line(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")

    def look_up(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    (job,) = discover([url])
    assert job.problem == ("error", said)


def test_other_errors_of_a_connection() -> None:
    url = "https://host.example:8443/x"
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate (_ssl.c:1006)")
    wrong = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    for error, said in (
        (untrusted, "cannot connect to host.example:8443: its certificate is not trusted (self-signed certificate)"),
        (wrong, "cannot connect to host.example:8443: no secure connection (wrong version number)"),
        (TimeoutError(), "host.example:8443 did not answer in time"),
        (ConnectionResetError(), "host.example:8443 closed the connection"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to host"),
        (KeyError("x"), "KeyError: 'x'"),
        (RuntimeError("Session <aiohttp.Session object at 0x7f00> is closed"), "Session ... is closed"),
    ):
        assert reason(error, url).lower() == said.lower()
    aiohttp = pytest.importorskip("aiohttp")
    key = aiohttp.client_reqrep.ConnectionKey("host", 443, True, True, None, None, None)
    cause = aiohttp.ClientConnectorCertificateError(key, untrusted)
    missing = FileNotFoundError(url)
    missing.__cause__ = cause
    assert (
        reason(missing, url) == "cannot connect to host:443: its certificate is not trusted (self-signed certificate)"
    )


def test_a_web_server_with_ranges(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    write_big_dump(tmp_path / "big.dmp", 64 * MB)
    with http_server(tmp_path) as served:
        source = remote_source(f"{served.url}/big.dmp")
        read_source(source)
        assert served.bytes_sent == source.bytes_read < MB
        assert not [request for request in served.requests if request == "GET all"]


def test_a_web_server_without_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    data = pattern(300_000)
    (tmp_path / "data.dmp").write_bytes(data)
    with http_server(tmp_path, ranges=False) as served:
        source = remote_source(f"{served.url}/data.dmp")
        assert bytes(source.view(200_000, 50)) == data[200_000:200_050]
        assert [bytes(part) for part in source.views([(5, 5), (299_000, 1000)])] == [data[5:10], data[299_000:]]
        monkeypatch.setattr(remote, "MAX_WITHOUT_RANGES", 1000)
        with pytest.raises(InputError, match="no parts of files"):
            remote_source(f"{served.url}/data.dmp")


def test_a_web_servers_file_is_not_asked_for_a_listing(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    (tmp_path / "a.dmp").write_bytes(small_dump())
    with http_server(tmp_path) as served:
        (job,) = discover([f"{served.url}/a.dmp"])
        assert job.problem is None
        assert served.requests == []


def test_a_server_that_cannot_be_reached_is_not_a_missing_file(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x.dmp"
    (job,) = discover([url])
    assert job.problem is not None
    assert job.problem[1] == f"cannot connect to {url[7:-6]}: connection refused"
    with http_server(tmp_path) as served:
        (job,) = discover([f"{served.url}/x.dmp"])
    assert (job.problem, job.named) == (("error", "no such file"), True)


def test_a_folder_of_a_web_server_is_no_file(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    (tmp_path / "dumps").mkdir()
    (tmp_path / "dumps" / "a.dmp").write_bytes(small_dump())
    said = "is a web page, not a dump; a folder's URL ends in /"
    with http_server(tmp_path) as served:
        (job,) = discover([f"{served.url}/dumps"])
        outcome = analyse(job)
        assert (outcome.row["error"], outcome.unreached, outcome.lasting) == (said, True, False)
        assert len(served.requests) <= 3
    page = b"<html><head><title>Index of /</title></head></html>"
    for head in (
        b"Content-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n",
        b"Content-Length: %d\r\n\r\n" % len(page),
    ):
        with answering(b"HTTP/1.1 200 OK\r\n" + head + page) as url:
            (job,) = discover([f"{url}/dumps"])
            assert analyse(job).row["error"] == said
            with pytest.raises(InputError, match=r"is a web page, not a dump$"):
                remote_source(f"{url}/")


def test_results_of_a_web_server_are_kept(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for index in range(40):
        (dumps / f"{index}.dmp").write_bytes(small_dump(pid=index + 1))
    options = Options(engine="serial", cache=tmp_path / "cache")
    with http_server(dumps) as served:
        for cached in (0, 40):
            served.requests.clear()
            with run(f"{served.url}/", options) as result:
                assert (result.state.done, result.state.cached, result.state.kept) == (40, cached, 40)
        assert len(served.requests) == 1
        os.utime(dumps / "7.dmp", (0, 1_000_000_000))
        (dumps / "8.dmp").write_bytes(small_dump(pid=9) + bytes(8))
        with run([f"{served.url}/*.dmp", f"{served.url}/7.dmp"], options) as result:
            assert result.state.cached == 38


def test_a_web_server_is_asked_for_stamps_only_if_they_serve(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    for index in range(3):
        (tmp_path / f"{index}.dmp").write_bytes(small_dump(pid=index + 1))
    with http_server(tmp_path) as served:
        assert [job.stamp for job in discover([f"{served.url}/"], stamps=False)] == [None] * 3
        assert served.heads == 0
        with run(f"{served.url}/", Options(engine="serial", cache=False)) as result:
            assert result.state.done == 3
        assert served.heads == 3


def test_a_web_server_without_stamps_has_its_files_read_again(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    (dumps / "a.dmp").write_bytes(small_dump())
    options = Options(engine="serial", cache=tmp_path / "cache")
    with http_server(dumps, head=False) as served:
        assert [job.stamp for job in discover([f"{served.url}/"])] == [None]
        assert served.requests == ["GET all"]
        for _ in range(2):
            with run(f"{served.url}/", options) as result:
                assert (result.state.done, result.state.cached, result.state.kept) == (1, 0, 0)


def test_a_web_server_that_does_not_answer_for_a_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "HEAD_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fs, path = fsspec.core.url_to_fs(f"http://127.0.0.1:{silent.getsockname()[1]}/x.dmp")
        assert remote.web_infos(fs, [path] * 3) == [{}] * 3


def test_a_file_that_changed_since_it_was_found_is_kept_as_it_was_read(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    path = tmp_path / "a.dmp"
    path.write_bytes(small_dump())
    with http_server(tmp_path) as served:
        (before,) = discover([f"{served.url}/"])
        os.utime(path, (0, 1_000_000_000))
        outcome = analyse(before)
        (after,) = discover([f"{served.url}/"])
    assert outcome.stamp == after.stamp != before.stamp
    assert outcome.lasting


def test_a_web_server_that_lists_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote_files, "WEB_DEPTH", 3)
    (tmp_path / "a.dmp").write_bytes(small_dump())
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    with http_server(tmp_path) as served:
        jobs = list(discover([f"{served.url}/"]))
    assert [job.path.count("loop") for job in jobs if job.problem is None] == [0, 1, 2, 3]
    (problem,) = [job.problem for job in jobs if job.problem is not None]
    assert problem == ("error", "not searched: more than 3 folders deep")


def test_folders_and_globs_of_a_remote(memory: str) -> None:
    for name in ("b.dmp", "a.dmp.gz", "sub/c.mdmp", "notes.txt", "sub/deep/d.dmp"):
        put(f"{memory}/{name}", small_dump())
    base = f"memory:///{memory.removeprefix('memory://')}"
    found = [job.path.removeprefix(base) for job in discover([memory])]
    assert found == ["/a.dmp.gz", "/b.dmp", "/sub/c.mdmp", "/sub/deep/d.dmp"]
    assert len(list(discover([memory], recursive=False))) == 2
    assert [job.path.removeprefix(base) for job in discover([f"{memory}/*.txt"])] == ["/notes.txt"]
    (missing,) = discover([f"{memory}/*.nix"])
    assert missing.problem == ("error", "no file matches this pattern")


def test_triage_of_a_remote_folder(memory: str, tmp_path: Path) -> None:
    for index in range(3):
        put(f"{memory}/{index}.dmp", small_dump(pid=index + 1))
    with run(memory, Options(engine="serial", cache=tmp_path / "cache")) as result:
        rows = list(result.rows())
    assert [row["pid"] for row in rows] == [1, 2, 3]
    assert all(row["status"] == "ok" and row["bytes_read"] for row in rows)
    # fsspec's memory files have no ETag but a time: the second run knows them.
    with run(memory, Options(engine="serial", cache=tmp_path / "cache")) as result:
        assert result.state.cached == 3


# ---------------------------------------------------------------- S3


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, Any]]:
    """An S3 server on the loopback interface, as storage options."""
    server_module = pytest.importorskip("moto.server", reason="needs moto[server]")
    pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    yield {"key": "test", "secret": "test", "endpoint_url": f"http://127.0.0.1:{port}"}
    server.stop()


def test_triage_of_a_bucket(s3: dict[str, Any], tmp_path: Path) -> None:
    fs = fsspec.filesystem("s3", **s3)
    bucket = f"dumps-{uuid.uuid4().hex}"
    fs.mkdir(bucket)
    big = write_big_dump(tmp_path / "big.dmp", 32 * MB)
    fs.put_file(str(big), f"{bucket}/2026/big.dmp")
    fs.pipe_file(f"{bucket}/small.dmp", small_dump(pid=9))
    fs.pipe_file(f"{bucket}/cut.dmp", small_dump()[:40])
    options = Options(jobs=2, cache=tmp_path / "cache", storage_options=s3)
    with run(f"s3://{bucket}", options) as result:
        rows = {row["path"].removeprefix(f"s3://{bucket}/"): row for row in result.rows()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "2026/big.dmp": "ok",
        "small.dmp": "ok",
        "cut.dmp": "error",
    }
    assert rows["2026/big.dmp"]["bytes_read"] < big.stat().st_size // 50
    local = dumpmap.open(big)
    assert rows["2026/big.dmp"]["committed"] == local.total.committed
    assert rows["2026/big.dmp"]["heaps"] == len(local.heaps)
    with run(f"s3://{bucket}/*.dmp", options) as result:
        assert (result.state.done, result.state.cached) == (2, 2)


def test_what_is_said_of_a_bucket(s3: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    fs = fsspec.filesystem("s3", **s3)
    bucket = f"dumps-{uuid.uuid4().hex}"
    fs.mkdir(bucket)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{closed.getsockname()[1]}"
    for url, options, said in (
        (f"s3://{bucket}/none.dmp", s3, "no such file"),
        ("s3://no-such-bucket/none.dmp", s3, "no such bucket"),
        ("s3://no-such-bucket/", s3, "no such bucket"),
        (
            f"s3://{bucket}/x",
            {"endpoint_url": s3["endpoint_url"]},
            "no credentials were found; a public bucket is read",
        ),
        (f"s3://{bucket}/x", {"key": "k"}, "incomplete credentials: aws_secret_access_key is missing"),
        (
            f"s3://{bucket}/x",
            {**s3, "endpoint_url": f"http://{place}"},
            f"cannot connect to {place}: connection refused",
        ),
    ):
        (job,) = discover([url], storage_options=options)
        assert job.problem is not None
        assert job.problem[1].startswith(said), url


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", "access denied"),
        (403, "InvalidAccessKeyId", "access denied (InvalidAccessKeyId)"),
        (503, "SlowDown", "the server answers 503 SlowDown: Why"),
        (404, "NoSuchBucket", "no such bucket"),
        (404, "NoSuchKey", "no such file"),
    ],
)
def test_what_s3_answers_is_said_in_a_line(status: int, code: str, said: str) -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    answer = {"Error": {"Code": code, "Message": "Why"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = OSError(errno.EIO, "Why")
    error.__cause__ = exceptions.ClientError(answer, "ListObjectsV2")
    assert reason(error, "s3://bucket/x") == said
    head = exceptions.ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")
    assert reason(head, "s3://bucket/x") == "access denied: the server answers 403 Forbidden"


@pytest.mark.slow
def test_two_gigabytes_cost_less_than_one_percent(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    big = write_big_dump(tmp_path / "big.dmp", 2 << 30)
    with http_server(tmp_path) as served:
        with run(f"{served.url}/big.dmp", Options(jobs=1, cache=False)) as result:
            (row,) = result.rows()
        assert row["status"] == "ok"
        assert row["committed"] == dumpmap.open(big).total.committed
        assert served.bytes_sent < big.stat().st_size // 100


def test_a_source_is_a_byte_source(memory: str) -> None:
    source = remote_source(put(f"{memory}/x", b"abc"))
    assert isinstance(source, RemoteSource)
    assert (source.size, bytes(source.view(0, 3))) == (3, b"abc")


@pytest.mark.parametrize(("protocol", "extra"), [("az", "azure"), ("gs", "gcs"), ("sftp", "sftp"), ("https", "remote")])
def test_the_extra_that_a_protocol_needs_is_named(protocol: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str, **_: object) -> object:
        raise ImportError(f"install something to access {url}")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(InputError, match=rf'needs another package: pip install "dumpmap\[{extra}\]"'):
        dumpmap.open(f"{protocol}://place/a.dmp")


def test_a_reason_has_an_end() -> None:
    text = reason(RuntimeError("looked in " + "/some/place " * 1000))
    assert text.startswith("looked in /some/place")
    assert len(text) < 500
    assert text.endswith("...")
