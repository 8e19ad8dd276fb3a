"""What exceptions, C++ type information, annotations and last errors say about memory."""

from __future__ import annotations

import struct

import pytest
from support.scenes import MB, Scene, crash, map_of, throw_info, with_errors

from dumpmap.analysis.failure import Failure, find_failure, last_errors, thrown_types, undecorate
from dumpmap.model import ntstatus
from dumpmap.model.memory import ExcerptMemory
from dumpmap.model.snapshot import ExceptionRecord, Thread
from dumpmap.wording.phrases import failure_text, last_error_text


def failure_of(exception: ExceptionRecord, **facts: object) -> Failure:
    """The failure of a process with this exception."""
    found = find_failure(Scene().leave(64 * MB).map(exception=exception, **facts))
    assert found is not None
    return found


# ---------------------------------------------------------------- C++ types


NAMES = [b".?AVbad_array_new_length@std@@\0", b".?AVbad_alloc@std@@\0", b".?AVexception@std@@\0"]


@pytest.mark.parametrize("wide", [False, True])
def test_the_type_of_a_thrown_object_is_read(wide: bool) -> None:
    image = 0x7FF700000000 if wide else 0x10000000
    data, info = throw_info(NAMES, wide=wide, image=image)
    parameters = (0x19930520, 0x30000, info, image) if wide else (0x19930520, 0x30000, info)
    exception = crash(ntstatus.MSVC_CPP_EXCEPTION, *parameters)
    assert thrown_types(ExcerptMemory([(image, data)]), exception) == (
        "std::bad_array_new_length",
        "std::bad_alloc",
        "std::exception",
    )
    failure = failure_of(exception, memory=[(image, data)])
    assert failure.limit == "memory"
    assert "std::bad_array_new_length" in failure_text(failure)


def test_other_types_are_no_memory_failure() -> None:
    data, info = throw_info([b".?AVruntime_error@std@@\0"], wide=False)
    failure = failure_of(crash(ntstatus.MSVC_CPP_EXCEPTION, 0x19930520, 0x30000, info), memory=[(0x10000000, data)])
    assert failure.limit is None
    assert failure.types == ("std::runtime_error",)


def test_a_pointer_to_mfcs_exception_counts() -> None:
    data, info = throw_info([b".PAVCMemoryException@@\0"], wide=False)
    failure = failure_of(crash(ntstatus.MSVC_CPP_EXCEPTION, 0x19930520, 0x30000, info), memory=[(0x10000000, data)])
    assert failure.types == ("CMemoryException",)
    assert failure.limit == "memory"


@pytest.mark.parametrize("size", [0, 0x24, 0x33, 0x105, 0x10B, 0x208, 0x20B, 0x420, 0x428])
def test_type_information_that_is_cut_off_gives_what_is_there(size: int) -> None:
    data, info = throw_info(NAMES, wide=False)
    exception = crash(ntstatus.MSVC_CPP_EXCEPTION, 0x19930520, 0x30000, info)
    assert thrown_types(ExcerptMemory([(0x10000000, data[:size])] if size else []), exception) == ()


def test_a_name_that_ends_at_the_end_of_the_memory_is_read() -> None:
    data, info = throw_info(NAMES[1:2], wide=False)
    end = 0x420 + len(NAMES[1])
    exception = crash(ntstatus.MSVC_CPP_EXCEPTION, 0x19930520, 0x30000, info)
    assert thrown_types(ExcerptMemory([(0x10000000, data[:end])]), exception) == ("std::bad_alloc",)


def test_a_count_of_types_that_is_a_lie_is_bounded() -> None:
    data, info = throw_info(NAMES, wide=False)
    lying = bytearray(data)
    struct.pack_into("<I", lying, 0x104, 0xFFFFFFFF)
    exception = crash(ntstatus.MSVC_CPP_EXCEPTION, 0x19930520, 0x30000, info)
    assert thrown_types(ExcerptMemory([(0x10000000, bytes(lying))]), exception)[1] == "std::bad_alloc"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        (".?AVbad_alloc@std@@", "std::bad_alloc"),
        (".?AUError@app@@", "app::Error"),
        (".PEAVCMemoryException@@", "CMemoryException"),
        (".H", ".H"),
        (".?AV?$basic_string@D@std@@", ".?AV?$basic_string@D@std@@"),
    ],
)
def test_names_are_undecorated(name: str, plain: str) -> None:
    assert undecorate(name) == plain


# ---------------------------------------------------------------- codes


@pytest.mark.parametrize(
    ("exception", "limit", "requested"),
    [
        (crash(0xC0000017), "memory", None),
        (crash(0xC0000017, 4096), "memory", 4096),
        (crash(0xC000012D), "commit", None),
        (crash(0xC00001AD), "memory", None),
        (crash(0xE0000008, 0xB1B1C7), "memory", 0xB1B1C7),
        (crash(0xC00000FD, 1, 0x30000), "stack", None),
        (crash(0xC0000005, 0, 0), None, None),
        (crash(0xE0434352, 0x8007000E, 0, 0, 0, 0x6C0000), "memory", None),
        (crash(0xE0434352, 0xFFFFFFFF8007000E), "memory", None),  # 64-bit writers sign-extend it
        (crash(0xE0434352, 0x80131509), None, None),
        (crash(0xC0000006, 0, 0x30000, 0xC000012D), "commit", None),
        (crash(0xC0000006, 0, 0x30000, 0xC0000185), None, None),
        (crash(0xFFFFFFFFC0000017), "memory", None),
    ],
)
def test_codes(exception: ExceptionRecord, limit: str | None, requested: int | None) -> None:
    failure = failure_of(exception)
    assert failure.limit == limit
    assert failure.requested == requested


def test_the_crash_reporters_note_counts_where_the_code_says_nothing() -> None:
    failure = failure_of(crash(0x80000003), annotations={"OOMAllocationSize": "1048576"})
    assert (failure.limit, failure.how, failure.requested) == ("memory", "annotation", MB)
    failure = failure_of(crash(0x80000003), annotations={"OOMAllocationSize": "0"})
    assert failure.limit is None
    failure = failure_of(crash(0xC000012D), annotations={"process_allocation_attempt": "65536"})
    assert (failure.limit, failure.how, failure.requested) == ("commit", "exception", 65536)


def test_signals_are_not_ntstatus() -> None:
    assert find_failure(Scene(64).leave(MB).map(family="linux", exception=crash(11))) is None
    assert find_failure(Scene(64).leave(MB).map()) is None


# ---------------------------------------------------------------- last errors


@pytest.mark.parametrize(
    ("error", "status", "limit"),
    [
        (8, 0, "memory"),
        (14, 0, "memory"),
        (1455, 0, "commit"),
        (8, 0xC000012D, "commit"),  # the status below is the more exact of the two
        (8, 0xC0000017, "memory"),
        (0, 0xC000012D, None),  # an older story
        (487, 0xC0000018, None),
        (5, 0xC0000022, None),
    ],
)
def test_the_last_error_of_the_crashing_thread(error: int, status: int, limit: str | None) -> None:
    errors = last_errors(map_of(with_errors((error, status))))
    assert [(found.limit, found.crashing) for found in errors] == ([] if limit is None else [(limit, True)])


def test_the_crashing_thread_comes_first() -> None:
    errors = last_errors(map_of(with_errors((8, 0), (0, 0), (1455, 0), crashing=2)))
    assert [(error.error, error.crashing) for error in errors] == [(1455, True), (8, False)]
    assert last_error_text(errors[0]) == "1455 ERROR_COMMITMENT_LIMIT"


# ---------------------------------------------------------------- tables


def test_codes_are_said_once() -> None:
    for table in (
        (*ntstatus.NTSTATUS, *ntstatus.SOFTWARE_EXCEPTIONS),
        ntstatus.WIN32_ERRORS,
        ntstatus.HRESULTS,
        ntstatus.LINUX_SIGNALS,
        ntstatus.MACH_EXCEPTIONS,
    ):
        values = [code.value for code in table]
        assert len(values) == len(set(values))
        assert all(0 <= value < 1 << 32 for value in values)
        assert all(code.name and code.meaning for code in table)


def test_texts_of_codes() -> None:
    assert ntstatus.exception_text(0xC0000017) == "0xc0000017 STATUS_NO_MEMORY"
    assert ntstatus.exception_text(0xDEADBEEF) == "0xdeadbeef"
    assert ntstatus.exception_text(11, "linux") == "signal 11 (SIGSEGV)"
    assert ntstatus.exception_text(1, "macos") == "Mach exception 1 (EXC_BAD_ACCESS)"
    assert ntstatus.exception_text(1, "other") == "1"


def test_a_size_beside_the_exception_adds_to_it_and_replaces_nothing() -> None:
    beside = {"OOMAllocationSize": "1048576"}
    # The exception has a size of its own, and says that memory failed.
    failure = failure_of(crash(0xC0000017, 4096), annotations=beside)
    assert (failure.limit, failure.how, failure.requested) == ("memory", "exception", 4096)
    # It has a limit without a size.
    failure = failure_of(crash(0xC0000017), annotations=beside)
    assert (failure.limit, failure.how, failure.requested) == ("memory", "exception", MB)
    # A stack overflow asked for no memory.
    failure = failure_of(crash(0xC00000FD, 1, 0x33000), annotations=beside)
    assert (failure.limit, failure.how, failure.requested) == ("stack", "exception", None)


@pytest.mark.parametrize(
    ("address", "headroom"),
    [(0x10000, 0), (0x10000 + MB - 1, MB - 1), (0xFFFF, None), (0x10000 + MB, None), (0x500000, None)],
)
def test_the_headroom_of_a_stack_that_overflowed(address: int, headroom: int | None) -> None:
    scene = Scene()
    stacks = [scene.allocate(MB, base=base, commit=0) for base in (0x10000, 0x500000)]
    for base in stacks:
        scene.commit(base + MB - 0x4000, 0x4000)
    threads = [
        Thread(thread, stack_base=base + MB - 0x1000, stack_size=0x1000)
        for thread, base in zip((7, 8), stacks, strict=True)
    ]
    found = find_failure(scene.map(threads=threads, exception=crash(ntstatus.STATUS_STACK_OVERFLOW, 1, address)))
    assert found is not None
    assert found.stack is not None
    assert (found.stack.address, found.stack.headroom) == (address, headroom)
    assert (found.stack.stack is not None) is (headroom is not None)
