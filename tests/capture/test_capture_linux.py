"""Live capture on Linux, against real child processes and what /proc says of them."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("needs Linux", allow_module_level=True)

from support.capture import MB, Child, linux_child, loaded, states, stopped, waiting_cat

import dumpmap
from dumpmap.capture import Options, ProcessExitedError, capture_process, write_document
from dumpmap.capture.linux import LinuxProcess
from dumpmap.capture.linux.smaps import in_order, parse_smaps
from dumpmap.errors import CaptureError
from dumpmap.model.snapshot import Snapshot
from dumpmap.model.winnt import MemState, MemType
from dumpmap.parsers.linux_maps import Mapping

PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with linux_child(tmp_path_factory.mktemp("child")) as running:
        yield running


@pytest.fixture(scope="module")
def snapshot(child: Child) -> Snapshot:
    return loaded(capture_process(child.pid, freeze=True))


def kernel_figures(pid: int) -> dict[str, int]:
    """Returns the kernel's sums from /proc in bytes, read by other code than the capture's."""
    figures = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("Vm"):
            key, value, _ = line.split()
            figures[key.rstrip(":")] = int(value) * 1024
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value, *_ = line.split()
        figures[key.rstrip(":")] = int(value) * 1024
    return figures


def captured_with_figures(pid: int) -> tuple[Snapshot, dict[str, int]]:
    """A capture of a stopped process, and the kernel's sums at the same moment.

    A stopped process does not change its own pages, but other processes do: a page of a file that only this process had
    becomes shared when another process loads it. So this reads the sums before and after, until they are equal.
    """
    with stopped(pid):
        for _ in range(100):
            before = kernel_figures(pid)
            taken = loaded(capture_process(pid))
            if kernel_figures(pid) == before:
                return taken, before
    raise AssertionError("the kernel's figures never stayed the same")


def row_at(snapshot: Snapshot, address: int) -> int:
    assert snapshot.regions is not None
    (found,) = np.flatnonzero(snapshot.regions.base == np.uint64(address))
    return int(found)


def test_totals_agree_with_proc(child: Child) -> None:
    taken, kernel = captured_with_figures(child.pid)
    regions = taken.regions
    assert regions is not None
    used = regions.take(regions.state != MemState.MEM_FREE)

    assert int(used.size.sum()) == taken.counters.virtual_size == kernel["VmSize"]
    assert int(used.numbers["total_ws"].sum()) == kernel["Rss"]
    assert taken.counters.working_set == kernel["VmRSS"]
    assert taken.counters.page_table == kernel["VmPTE"]
    assert taken.counters.peak_working_set == kernel["VmHWM"]
    assert taken.counters.peak_virtual_size == kernel["VmPeak"]
    private = kernel["Private_Clean"] + kernel["Private_Dirty"]
    assert int(used.numbers["private_ws"].sum()) == taken.counters.private_working_set == private
    assert int(used.numbers["shared_ws"].sum()) == kernel["Shared_Clean"] + kernel["Shared_Dirty"]
    assert int(used.numbers["locked_ws"].sum()) == kernel["Locked"]
    # The kernel's own resident-set counter lags behind the page tables by a few pages for each processor.
    assert abs(kernel["VmRSS"] - kernel["Rss"]) <= 64 * PAGE * (os.cpu_count() or 1)


def test_working_set_is_made_of_private_and_shareable_pages(snapshot: Snapshot) -> None:
    assert snapshot.regions is not None
    numbers = snapshot.regions.numbers
    assert np.array_equal(numbers["total_ws"], numbers["private_ws"] + numbers["shareable_ws"])
    assert (numbers["total_ws"].astype(np.uint64) <= snapshot.regions.size).all()


def test_private_memory(snapshot: Snapshot, child: Child) -> None:
    regions = snapshot.regions
    assert regions is not None
    row = row_at(snapshot, child.places["private"])
    assert (int(regions.state[row]), int(regions.type[row])) == (MemState.MEM_COMMIT, MemType.MEM_PRIVATE)
    # The kernel joins private mappings that touch, such as one of the allocator's.
    base, size = int(regions.base[row]), int(regions.size[row])
    place = child.places["private"]
    assert base <= place
    assert place + 8 * MB <= base + size <= place + 12 * MB
    # Huge pages may back more than was touched.
    assert 3 * MB <= int(regions.numbers["private_ws"][row]) <= size


def test_address_space_without_access_is_reserved(snapshot: Snapshot, child: Child) -> None:
    regions = snapshot.regions
    assert regions is not None
    row = row_at(snapshot, child.places["reserved"])
    assert int(regions.size[row]) == 64 * MB
    assert int(regions.state[row]) == MemState.MEM_RESERVE
    assert int(regions.numbers["total_ws"][row]) == 0


def test_shared_memory(snapshot: Snapshot, child: Child) -> None:
    regions = snapshot.regions
    assert regions is not None
    row = row_at(snapshot, child.places["shared"])
    assert int(regions.type[row]) == MemType.MEM_MAPPED
    assert int(regions.size[row]) == 4 * MB
    numbers = {name: int(values[row]) for name, values in regions.numbers.items()}
    # The other process has touched the first of the two megabytes that this one wrote.
    assert numbers["total_ws"] == 2 * MB
    assert numbers["shared_ws"] == numbers["shareable_ws"] == 1 * MB
    assert numbers["private_ws"] == 1 * MB


def test_mapped_file(snapshot: Snapshot, child: Child) -> None:
    regions = snapshot.regions
    assert regions is not None
    row = row_at(snapshot, child.places["file"])
    assert int(regions.size[row]) == -(-300_000 // PAGE) * PAGE
    assert int(regions.type[row]) == MemType.MEM_MAPPED
    file = regions.texts["file"][row]
    assert file is not None
    assert file.endswith("/mapped file.bin")


def test_locked_memory(snapshot: Snapshot, child: Child) -> None:
    if not child.locked:
        pytest.skip("this user may not lock memory (RLIMIT_MEMLOCK)")
    assert snapshot.regions is not None
    row = row_at(snapshot, child.places["locked"])
    # The fork shares these pages until one of the two writes; `Locked` counts a page of two processes half.
    locked = int(snapshot.regions.numbers["locked_ws"][row])
    assert locked in (65536, 32768)


def test_threads(snapshot: Snapshot, child: Child) -> None:
    assert snapshot.regions is not None
    main, *others = snapshot.threads
    assert main.id == child.pid
    assert sorted(thread.name or "" for thread in others) == ["größer)", "worker one"]
    assert main.stack_base is not None
    assert main.stack_size is not None
    row = row_at(snapshot, main.stack_base)
    assert snapshot.regions.texts["file"][row] == "[stack]"
    assert int(snapshot.regions.size[row]) == main.stack_size
    starts = snapshot.regions.base
    for thread in snapshot.threads:
        assert thread.created_at is not None
        assert abs(thread.created_at.timestamp() - time.time()) < 3600
        if thread.stack_pointer is None:
            continue  # /proc/PID/task/TID/syscall is not for every user
        holder = int(np.searchsorted(starts, np.uint64(thread.stack_pointer), side="right")) - 1
        assert int(snapshot.regions.type[holder]) == MemType.MEM_PRIVATE
    if main.stack_pointer is not None:
        assert main.stack_base <= main.stack_pointer < main.stack_base + main.stack_size


def test_modules(snapshot: Snapshot) -> None:
    program = Path(f"{sys.executable}").resolve()
    paths = {Path(module.path) for module in snapshot.modules}
    assert program in paths
    assert any("libc" in path.name for path in paths)
    assert snapshot.regions is not None
    for module in snapshot.modules:
        row = row_at(snapshot, module.base)
        assert int(snapshot.regions.type[row]) == MemType.MEM_IMAGE


def test_process_and_system(snapshot: Snapshot, child: Child) -> None:
    process, system = snapshot.process, snapshot.system
    assert process.pid == child.pid
    assert process.name == Path(sys.executable).resolve().name
    assert (process.os.family, process.os.version) == ("linux", os.uname().release)
    assert process.command_line is None
    assert process.wow64 is False
    assert process.created_at is not None
    assert snapshot.source.kind == "live"
    assert (system.page_size, system.allocation_granularity) == (PAGE, PAGE)
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    assert system.physical_total == int(meminfo["MemTotal"].split()[0]) * 1024
    strict = Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "2"
    assert (system.commit_limit is not None) == strict
    assert system.commit_total is not None
    assert snapshot.handle_count is not None


def test_commit_charge_counts_what_the_kernel_accounts_for(snapshot: Snapshot) -> None:
    charge, size = snapshot.counters.private_usage, snapshot.counters.virtual_size
    assert charge is not None
    assert size is not None
    # Eight private megabytes are accounted for; sixty-four without access are not.
    assert 8 * MB < charge < size - 64 * MB


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the end of user space is known for x86-64 only")
def test_the_end_of_the_address_space(snapshot: Snapshot) -> None:
    regions = snapshot.regions
    assert regions is not None
    assert int(regions.base[-1] + regions.size[-1]) == 0x7FFF_FFFF_F000
    assert snapshot.system.max_address == 0x7FFF_FFFF_EFFF
    assert int(regions.state[-1]) == MemState.MEM_FREE
    assert "[vsyscall]" not in regions.texts["file"].values


def test_the_command_line_is_taken_only_if_asked_for(child: Child) -> None:
    assert capture_process(child.pid)["process"]["command_line"] is None
    assert "mapped file.bin" in capture_process(child.pid, command_line=True)["process"]["command_line"]


def test_without_working_set(child: Child) -> None:
    taken = loaded(capture_process(child.pid, working_set=False))
    assert taken.regions is not None
    assert not taken.regions.numbers


def test_the_map_of_a_capture(child: Child, tmp_path: Path) -> None:
    path = tmp_path / "child.json.gz"
    write_document(capture_process(child.pid, freeze=True), path)
    region_map = dumpmap.open(path)
    rows = region_map.allocations.set_index("address")
    # The kernel can merge adjacent anonymous mappings, so this looks up only mappings that cannot merge.
    assert rows.loc[child.places["file"], "type"] == "Mapped File"
    assert rows.loc[child.places["shared"], "type"] == "Shareable"
    assert rows.loc[child.places["shared"], "total_ws"] == 2 * MB
    main = next(stack for stack in region_map.stacks if stack.thread_id == child.pid)
    assert main.reserve


def test_freezing_leaves_the_process_running(child: Child) -> None:
    capture_process(child.pid, freeze=True)
    assert "T" not in states(child.pid)


def test_freezing_leaves_a_stopped_process_stopped() -> None:
    with waiting_cat() as process, stopped(process.pid):
        capture_process(process.pid, freeze=True)
        assert states(process.pid) == ["T"]


def test_a_process_does_not_freeze_itself() -> None:
    with pytest.raises(CaptureError, match="cannot freeze the process that runs the capture"):
        capture_process(os.getpid(), freeze=True)


def test_its_own_process() -> None:
    taken = loaded(capture_process(os.getpid()))
    assert taken.process.pid == os.getpid()


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_no_such_process() -> None:
    with waiting_cat() as process:
        pid = process.pid
    with pytest.raises(ProcessExitedError) as caught:
        capture_process(pid)
    assert str(caught.value) == f"{pid}: no such process"


def test_a_process_that_exits_while_it_is_open() -> None:
    with waiting_cat() as process:
        opened = LinuxProcess(process.pid)
        process.kill()
        process.wait()
        with pytest.raises(ProcessExitedError, match=rf"^cat \({process.pid}\): the process has exited$"):
            opened.capture(Options())
        opened.close()


def test_a_zombie_has_exited() -> None:
    process = subprocess.Popen(["true"])
    while states(process.pid) != ["Z"]:
        time.sleep(0.01)
    with pytest.raises(ProcessExitedError, match="has exited"):
        capture_process(process.pid)
    process.wait()


def test_a_kernel_thread() -> None:
    kernel = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and "(kthreadd)" in (entry / "stat").read_text()
    ]
    if not kernel:
        pytest.skip("no kernel threads to be seen from here")
    with pytest.raises(CaptureError, match=r"kernel thread|access denied"):
        capture_process(kernel[0])


def test_access_denied() -> None:
    if os.getuid() != 0:
        with pytest.raises(CaptureError, match="access denied"):
            capture_process(1)
        return
    # This user can read no process of root. Only root may be able to read the sources: load them first.
    code = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from dumpmap.capture import capture_process, linux
os.setuid(65534)
try:
    capture_process({os.getpid()})
except Exception as error:
    print(error)
    sys.exit(error.exit_code)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 3, result.stderr
    assert len(result.stdout.splitlines()) == 1
    owner_only = "access denied: only the owner of the process and root can read"
    assert f"({os.getpid()}): {owner_only} /proc/{os.getpid()}/" in result.stdout


def test_names(tmp_path: Path) -> None:
    with waiting_cat(name="dumpmap-test-program", folder=tmp_path) as one:
        assert capture_process("dumpmap-test-program")["process"]["pid"] == one.pid
        with waiting_cat(name="dumpmap-test-program", folder=tmp_path) as two:
            ids = f"{min(one.pid, two.pid)}, {max(one.pid, two.pid)}"
            with pytest.raises(CaptureError, match=f"^dumpmap-test-program: 2 processes have this name.*: {ids}$"):
                capture_process("dumpmap-test-program")
    with pytest.raises(CaptureError, match=r"^dumpmap-test-program: no process has this name$"):
        capture_process("dumpmap-test-program")


@pytest.mark.parametrize("target", ["", "-5", -5, "99999999999"])
def test_what_is_no_process_at_all(target: int | str) -> None:
    with pytest.raises(ValueError, match="process id"):
        capture_process(target)


def tiny_32_bit_program() -> bytes:
    """A whole ELF file for 32-bit x86 of one page that writes one byte of itself and waits for a signal."""
    base, headers = 0x0804_8000, 52 + 32
    write = "b804000000 bb01000000 b900800408 ba01000000 cd80"  # write(1, base, 1)
    wait = "b81d000000 cd80 ebf7"  # again: pause(); jmp again
    code = bytes.fromhex(write + wait)
    size = headers + len(code)
    identity = b"\x7fELF" + bytes([1, 1, 1]) + bytes(9)
    header = struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + headers, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 0x1000)
    return identity + header + segment + code


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs a processor that runs 32-bit x86 programs too")
def test_32_bit_program(tmp_path: Path) -> None:
    program = tmp_path / "wait32"
    program.write_bytes(tiny_32_bit_program())
    program.chmod(0o755)
    try:
        process = subprocess.Popen([str(program)], stdout=subprocess.PIPE)
    except OSError as error:
        pytest.skip(f"this kernel runs no 32-bit programs: {error}")
    try:
        # Its mappings are complete when it runs, which is later than `Popen` returns.
        assert process.stdout is not None
        assert process.stdout.read(1) == b"\x7f"
        taken = loaded(capture_process(process.pid))
        assert (taken.process.architecture, taken.process.pointer_size) == ("x86", 4)
        regions = taken.regions
        assert regions is not None
        assert [module.base for module in taken.modules] == [0x0804_8000]
        assert int(regions.base[-1] + regions.size[-1]) == 0xFFFF_E000
        assert int(regions.state[-1]) == MemState.MEM_FREE
    finally:
        process.kill()
        process.communicate()


# --- text -------------------------------------------------------------------------------------------------------------

SMAPS = """\
55a0c0000000-55a0c0002000 rw-p 00000000 00:00 0                          [heap]
Size:                  8 kB
Rss:                   8 kB
Shared_Clean:          0 kB
Shared_Dirty:          4 kB
Private_Clean:         0 kB
Private_Dirty:         4 kB
Locked:                4 kB
THPeligible:           0
VmFlags: rd wr mr mw me ac
7f0000000000-7f0000001000 r--s 00000000 08:01 77                         /a: b/Rss: 3 kB
Size:                  4 kB
Rss:                   4 kB
VmFlags:
nonsense
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def test_smaps_text() -> None:
    mappings, details, bad = parse_smaps(SMAPS)
    assert [mapping.path for mapping in mappings] == ["[heap]", "/a: b/Rss: 3 kB", "[vsyscall]"]
    assert bad == 1
    assert details[0]["Shared_Dirty"] == details[0]["Locked"] == 4096
    assert details[0]["VmFlags"] == ["rd", "wr", "mr", "mw", "me", "ac"]
    assert details[1]["Rss"] == 4096
    assert details[2] == {}


def mapping(start: int, end: int) -> Mapping:
    return Mapping(start, end, "rw-", False, "")


def test_a_mapping_that_moved_while_the_list_was_read_is_listed_once() -> None:
    warnings: list[str] = []
    listed = [mapping(0x1000, 0x4000), mapping(0x3000, 0x6000), mapping(0x5000, 0x6000), mapping(0x7000, 0x8000)]
    kept = in_order([*listed, mapping(0xF000, 0x11000)], 0x10000, warnings)
    assert [(index, one.start, one.end) for index, one in kept] == [
        (0, 0x1000, 0x4000),
        (1, 0x4000, 0x6000),
        (3, 0x7000, 0x8000),
    ]
    assert len(warnings) == 1
