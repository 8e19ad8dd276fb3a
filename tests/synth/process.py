"""A synthetic Windows process: address space, TEBs, PEBs, stacks, images and named regions.

Terms used here: a *WoW64* process is 32-bit code on 64-bit Windows. It has two PEBs, and two TEBs
and two stacks per thread. Such a process can be dumped by a 32-bit writer (`arch="x86"`), which
sees 4 GB, x86 contexts and TEB32s, or by a 64-bit one (`arch="x64"`), which sees everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from . import layouts
from .images import DEFAULT_SECTIONS, Section, export_table, image_size, pe_header, place_sections
from .minidump import (
    MEM_COMMIT,
    MEM_FREE,
    MEM_IMAGE,
    MEM_MAPPED,
    MEM_PRIVATE,
    MEMORY_INFO_LIST,
    PAGE_EXECUTE_WRITECOPY,
    PAGE_GUARD,
    PAGE_NOACCESS,
    PAGE_READONLY,
    PAGE_READWRITE,
    MinidumpBuilder,
    rsds,
)
from .space import GRANULARITY, PAGE, AddressSpace, round_down, round_up

USER_SHARED_DATA = 0x7FFE0000
HYPERVISOR_SHARED_DATA = 0x7FFE9000  # its place is random; any page behind USER_SHARED_DATA will do

# First address behind the user part of the space.
TOP_2GB = 0x7FFF0000
TOP_4GB = 0xFFFF0000
TOP_8TB = 0x7FFFFFF0000  # x64 before 8.1
TOP_128TB = 0x7FFFFFFF0000

# MINIDUMP_TYPE
WITH_FULL_MEMORY = 0x2
WITH_HANDLE_DATA = 0x4
WITH_UNLOADED_MODULES = 0x20
WITH_FULL_MEMORY_INFO = 0x800
WITH_THREAD_INFO = 0x1000

_PEB_RESERVATION = 0x200000  # PEB and TEBs share one reservation since 1703


@dataclass(frozen=True)
class StackRange:
    """A thread's stack: reserved [base, top), committed [limit, top), guard pages below limit."""

    base: int
    limit: int
    top: int
    guard_base: int
    guard_size: int
    sp: int

    @property
    def reserved(self) -> int:
        """Bytes from base to top."""
        return self.top - self.base


@dataclass(frozen=True)
class Thread:
    """A thread and where its structures lie. `teb` and `stack` are those of the code's width."""

    tid: int
    name: str | None
    teb: int
    teb64: int | None
    teb32: int | None
    stack: StackRange
    stack64: StackRange | None


@dataclass(frozen=True)
class Module:
    """A mapped image; `exports` and `sections` hold addresses, not RVAs."""

    name: str
    base: int
    size: int
    timestamp: int
    checksum: int
    version: tuple[int, int, int, int]
    sections: Mapping[str, tuple[int, int]]
    exports: Mapping[str, int]
    listed: bool = True

    @property
    def end(self) -> int:
        """First address behind the image."""
        return self.base + self.size


class ProcessBuilder(AddressSpace):
    """Builds a process. `furnish` gives a typical one; the single methods give any other.

    Args:
        arch: architecture of the dump writer: "x86", "x64", "arm" or "arm64".
        build: Windows build number.
        wow64: whether the code is 32-bit on 64-bit Windows; see the module's text.
        pid: process id.
        large_address_aware: 32-bit code may use 4 GB (WoW64).
        top: first address behind the user part of the space; None derives it.
        name: file name of the executable.
    """

    def __init__(
        self,
        arch: str = "x64",
        build: int = 19045,
        wow64: bool = False,
        *,
        pid: int = 0x1A2C,
        large_address_aware: bool = False,
        top: int | None = None,
        name: str = "app.exe",
    ) -> None:
        self.arch = arch
        self.build = build
        self.wow64 = wow64
        self.pid = pid
        self.name = name
        self.narrow = wow64 or arch in ("x86", "arm")
        # A 64-bit program is linked large address aware unless its author turns that off.
        self.large_address_aware = large_address_aware or not self.narrow
        self.narrow_top = TOP_4GB if large_address_aware else TOP_2GB
        wide_top = TOP_128TB if build >= layouts.BUILD_8_1 else TOP_8TB
        space_top = self.narrow_top if self.narrow and not wow64 else wide_top
        super().__init__(
            4 if self.narrow else 8,
            top or space_top,
            start=0x800000 if self.narrow else 0x1_5A00_0000,
        )
        self.threads: list[Thread] = []
        self.modules: list[Module] = []
        self.peb32: int | None = None
        self.peb64: int | None = None
        self.named: dict[str, int] = {}
        self.heaps: dict[int, list[int]] = {32: [], 64: []}  # by pointer width, in PEB order
        self._shared_pages = 0
        self._next_shared = 0
        self._next_tid = 0x1F00
        self._image_cursor = 0x74000000 if self.narrow else round_down(self.top, 1 << 32) - (4 << 32)
        self._teb_cursor = self._first_teb_end()

    # --- structures by field name ----------------------------------------------------------

    @property
    def peb(self) -> int:
        """Address of the PEB of the code's width."""
        peb = self.peb32 if self.narrow else self.peb64
        if peb is None:
            raise ValueError("the process has no PEB yet: call add_peb")
        return peb

    def _bits(self, bits: int | None) -> int:
        return bits or 8 * self.pointer_size

    def set_field(self, table: Mapping[str, layouts.Row], address: int, name: str, value: int, bits: int) -> None:
        """Writes a field of a TEB, PEB or process parameters by its name."""
        width = layouts.FIELD_WIDTHS.get(name, bits // 8)
        self.number(address + table[name][bits == 64], value, width)

    def set_peb(self, name: str, value: int, bits: int | None = None) -> Self:
        """Writes a PEB field; `bits` 32 or 64 picks the PEB of a WoW64 process."""
        bits = self._bits(bits)
        peb = self.peb32 if bits == 32 else self.peb64
        if peb is None:
            raise ValueError(f"the process has no {bits}-bit PEB")
        self.set_field(layouts.PEB, peb, name, value, bits)
        return self

    def set_teb(self, thread: Thread, name: str, value: int, bits: int | None = None) -> Self:
        """Writes a TEB field; `bits` 32 or 64 picks the TEB of a WoW64 thread."""
        bits = self._bits(bits)
        teb = thread.teb32 if bits == 32 else thread.teb64
        if teb is None:
            raise ValueError(f"thread {thread.tid:#x} has no {bits}-bit TEB")
        self.set_field(layouts.TEB, teb, name, value, bits)
        return self

    # --- PEB and TEB pages -----------------------------------------------------------------

    def _first_teb_end(self) -> int:
        """Returns the address below which PEB and TEBs of old Windows are placed, downwards."""
        if self.wow64:
            return 0x7EFE0000
        if self.narrow:
            return 0x7FFE0000
        return 0x7FFFFFE0000 if self.top == TOP_8TB else 0x7FF7D0BF0000

    def _kernel_pages(self, size: int) -> int:
        """Commits pages for a PEB or TEB, where this Windows puts them."""
        if self.build >= layouts.BUILD_1703:
            return self._shared_reservation_pages(size)
        self._teb_cursor -= size
        return self.allocate(size, base=self._teb_cursor, align=PAGE)

    def _shared_reservation_pages(self, size: int) -> int:
        full = self._next_shared + size > self._shared_pages + _PEB_RESERVATION
        if not self._shared_pages or full:
            start = 0x200000 if self.narrow else 0xA1C5A00000
            base = self.find_free(_PEB_RESERVATION, start, _PEB_RESERVATION)
            self._shared_pages = self.allocate(_PEB_RESERVATION, base=base, commit=0)
            self._next_shared = self._shared_pages + 0x2D000
        address = self._next_shared
        self.commit(address, size)
        self._next_shared += size
        return address

    def add_peb(self, *, image_base: int = 0, nt_global_flag: int = 0) -> Self:
        """Adds the PEB, or both of a WoW64 process, with version and heap defaults filled in.

        Args:
            image_base: ImageBaseAddress.
            nt_global_flag: NtGlobalFlag.
        """
        if self.wow64:
            pair = self._kernel_pages(2 * PAGE)
            # Before Windows 10 the 32-bit PEB is below the 64-bit one, since Windows 10 above it.
            below = self.build < layouts.BUILD_1507
            self.peb32, self.peb64 = (pair, pair + PAGE) if below else (pair + PAGE, pair)
            if below and self._is_own_page_windows():
                self._split_pair(pair)
        elif self.narrow:
            self.peb32 = self._kernel_pages(PAGE)
        else:
            self.peb64 = self._kernel_pages(PAGE)
        for bits, peb in ((32, self.peb32), (64, self.peb64)):
            if peb is not None:
                self._fill_peb(bits, image_base, nt_global_flag)
        return self

    def _is_own_page_windows(self) -> bool:
        return self.build < layouts.BUILD_1703

    def _split_pair(self, pair: int) -> None:
        """Makes two allocations of the PEB pair: old Windows allocates each by itself."""
        self.free(pair)
        self.allocate(PAGE, base=pair)
        self.allocate(PAGE, base=pair + PAGE)

    def _fill_peb(self, bits: int, image_base: int, nt_global_flag: int) -> None:
        major, minor = layouts.os_version(self.build)
        fields = {
            "ImageBaseAddress": image_base,
            "NumberOfProcessors": 4,
            "NtGlobalFlag": nt_global_flag,
            "HeapSegmentReserve": 0x100000,
            "HeapSegmentCommit": 0x2000,
            "MaximumNumberOfHeaps": 16,
            "OSMajorVersion": major,
            "OSMinorVersion": minor,
            "OSBuildNumber": self.build & 0xFFFF,
            "OSPlatformId": 2,
            "SessionId": 1,
        }
        for name, value in fields.items():
            self.set_peb(name, value, bits)

    # --- threads ---------------------------------------------------------------------------

    def add_stack(
        self,
        *,
        reserve: int = 0x100000,
        commit: int = 0x4000,
        guard: int = PAGE,
        used: int = 0x800,
        base: int | None = None,
    ) -> StackRange:
        """Allocates a stack: reserved part, guard pages, committed part up to the top.

        Args:
            reserve: bytes of the whole allocation.
            commit: committed bytes at the top, the guard not counted.
            guard: bytes of PAGE_GUARD pages right below; 0 for a stack that ran out.
            used: distance of the stack pointer from the top.
            base: address of the allocation.
        """
        bottom = self.allocate(reserve, base=base, commit=0)
        top = bottom + reserve
        limit = top - round_up(commit, PAGE)
        self.commit(limit, top - limit)
        guard_base = max(bottom, limit - guard)
        if guard:
            self.commit(guard_base, limit - guard_base, PAGE_READWRITE | PAGE_GUARD)
        return StackRange(bottom, limit, top, guard_base, limit - guard_base, top - used)

    def add_thread(
        self,
        tid: int | None = None,
        *,
        name: str | None = None,
        reserve: int = 0x100000,
        commit: int = 0x4000,
        guard: int = PAGE,
        used: int = 0x800,
        guaranteed: int = 0,
        fiber: bool = False,
        stack_base: int | None = None,
    ) -> Thread:
        """Adds a thread with its stack and TEB (two of each in a WoW64 process).

        Args:
            tid: thread id; None takes the next multiple of 4.
            name: thread description.
            reserve: bytes reserved for the stack.
            commit: committed bytes of the stack.
            guard: bytes of guard pages.
            used: distance of the stack pointer from the top of the stack.
            guaranteed: GuaranteedStackBytes.
            fiber: the thread runs a fiber.
            stack_base: address of the stack's allocation.
        """
        if tid is None:
            tid = self._next_tid
            self._next_tid += 4
        stack = self.add_stack(reserve=reserve, commit=commit, guard=guard, used=used, base=stack_base)
        stack64 = None
        if self.wow64:
            stack64 = self.add_stack(reserve=0x40000, commit=0x3000, guard=3 * PAGE, used=0x500)
        teb64, teb32 = self._teb_pages()
        teb = teb32 if self.narrow else teb64
        if teb is None:
            raise AssertionError("a thread without TEB")
        thread = Thread(tid, name, teb, teb64, teb32, stack, stack64)
        if teb64 is not None:
            self._fill_teb(thread, 64, stack64 or stack)
        if teb32 is not None:
            self._fill_teb(thread, 32, stack)
        self._link_wow_tebs(thread)
        self.set_teb(thread, "GuaranteedStackBytes", guaranteed)
        if fiber:
            self._make_fiber(thread)
        self.threads.append(thread)
        self.write(stack.sp, tid.to_bytes(4, "little") * 8)
        return thread

    def _teb_pages(self) -> tuple[int | None, int | None]:
        """Allocates the TEBs of one thread; returns the 64-bit and the 32-bit one."""
        grown = self.build >= layouts.BUILD_11_24H2
        size32 = layouts.TEB32_PAGES_24H2 if grown else layouts.TEB32_PAGES
        if self.wow64:
            teb64 = self._kernel_pages(layouts.TEB64_PAGES + size32)
            return teb64, teb64 + layouts.WOW_TEB_DISTANCE
        if self.narrow:
            return None, self._kernel_pages(size32)
        return self._kernel_pages(layouts.TEB64_PAGES), None

    def _fill_teb(self, thread: Thread, bits: int, stack: StackRange) -> None:
        teb = thread.teb64 if bits == 64 else thread.teb32
        peb = self.peb64 if bits == 64 else self.peb32
        fields = {
            "ExceptionList": 0xFFFFFFFF if bits == 32 else 0,
            "StackBase": stack.top,
            "StackLimit": stack.limit,
            "FiberData": layouts.FIBER_VERSION,
            "Self": teb or 0,
            "UniqueProcess": self.pid,
            "UniqueThread": thread.tid,
            "ThreadLocalStoragePointer": teb or 0,
            "ProcessEnvironmentBlock": peb or 0,
            "DeallocationStack": stack.base,
            "SameTebFlags": 0 if self.threads else layouts.TEB_INITIAL_THREAD,
        }
        for name, value in fields.items():
            self.set_teb(thread, name, value, bits)

    def _link_wow_tebs(self, thread: Thread) -> None:
        """Links both TEBs the ways that this Windows uses: WowTebOffset is 0 before 10."""
        if thread.teb64 is None or thread.teb32 is None:
            return
        self.set_teb(thread, "ExceptionList", thread.teb32, 64)
        self.set_teb(thread, "GdiBatchCount", thread.teb64, 32)
        if self.build >= layouts.BUILD_1507:
            self.set_teb(thread, "WowTebOffset", layouts.WOW_TEB_DISTANCE, 64)
            self.set_teb(thread, "WowTebOffset", -layouts.WOW_TEB_DISTANCE, 32)

    def _make_fiber(self, thread: Thread) -> None:
        if self.build < layouts.BUILD_2003:
            self.number(thread.teb + 0xF76, 1, 1)  # HasFiberData was a byte of its own on XP
        else:
            self.set_teb(thread, "SameTebFlags", layouts.TEB_HAS_FIBER_DATA)
        self.set_teb(thread, "FiberData", thread.stack.base + PAGE)

    # --- images and views ------------------------------------------------------------------

    def add_module(
        self,
        name: str,
        *,
        base: int | None = None,
        sections: Sequence[Section] = DEFAULT_SECTIONS,
        exports: Mapping[str, int] | None = None,
        version: tuple[int, int, int, int] = (10, 0, 1, 1),
        timestamp: int = 0x5F000000,
        checksum: int = 0x12345,
        arch: str | None = None,
        listed: bool = True,
        dll: bool = True,
    ) -> Module:
        """Maps an image with real PE headers, one protection per section.

        Args:
            name: full path, or a file name that is put into System32.
            base: address; None takes the next free one where images lie.
            sections: the sections; RVAs of 0 follow one another.
            exports: exported names and their RVAs; the table goes to the front of `.rdata`.
            version: file version.
            timestamp: TimeDateStamp.
            checksum: CheckSum.
            arch: machine of the image; None takes that of the code.
            listed: whether the dump's module list names it.
            dll: whether it is a DLL.
        """
        placed = place_sections(sections)
        size = image_size(placed)
        if base is None:
            base = self.find_free(size, self._image_cursor)
            self._image_cursor = base + size
        self.allocate(size, base=base, commit=0, protect=PAGE_EXECUTE_WRITECOPY, type=MEM_IMAGE)
        path = name if "\\" in name else f"C:\\Windows\\System32\\{name}"
        directory = self._map_sections(base, placed, path, exports or {})
        header = pe_header(
            arch or self._code_arch(),
            base,
            placed,
            timestamp=timestamp,
            checksum=checksum,
            export_directory=directory,
            is_dll=dll,
            # What counts is the flag of the program; libraries carry it whether or not it does.
            large_address_aware=dll or self.large_address_aware,
        )
        self.commit(base, PAGE, PAGE_READONLY)
        self.write(base, header)
        module = Module(
            path,
            base,
            size,
            timestamp,
            checksum,
            version,
            {section.name: (base + section.rva, section.size) for section in placed},
            {symbol: base + rva for symbol, rva in (exports or {}).items()},
            listed,
        )
        self.modules.append(module)
        return module

    def _code_arch(self) -> str:
        return "x86" if self.wow64 else self.arch

    def _map_sections(
        self, base: int, sections: Sequence[Section], path: str, exports: Mapping[str, int]
    ) -> tuple[int, int]:
        directory = (0, 0)
        for section in sections:
            self.commit(base + section.rva, section.size, section.protect)
            self.write(base + section.rva, section.data)
            if exports and section.name == ".rdata":
                table = export_table(section.rva, path.rsplit("\\", 1)[-1], exports)
                self.write(base + section.rva, table)
                directory = (section.rva, len(table))
        return directory

    def map_view(
        self,
        size: int,
        data: bytes = b"",
        *,
        base: int | None = None,
        commit: int | None = None,
        protect: int = PAGE_READONLY,
    ) -> int:
        """Maps a view of a section that is no image (MEM_MAPPED) and returns its address."""
        address = self.allocate(size, base=base, commit=commit, protect=protect, type=MEM_MAPPED)
        self.write(address, data)
        return address

    def add_ntdll(self) -> Module:
        """Adds ntdll of the code's width, with the exports and the .data that tests need."""
        exports = {"LdrInitializeThunk": 0x1100, "RtlUserThreadStart": 0x1200}
        if self.build >= layouts.BUILD_8_1:
            exports["LdrSystemDllInitBlock"] = 0xC800
        return self.add_module("ntdll.dll", sections=DEFAULT_SECTIONS, exports=exports)

    def module(self, name: str) -> Module:
        """Returns a mapped module by its file name."""
        for module in self.modules:
            if module.name.lower().rsplit("\\", 1)[-1] == name.lower():
                return module
        raise KeyError(name)

    # --- named regions ---------------------------------------------------------------------

    def _name(self, kind: str, address: int, *fields: str) -> int:
        self.named[kind] = address
        for field in fields:
            self.set_peb(field, address)
        return address

    def add_user_shared_data(self) -> int:
        """Adds USER_SHARED_DATA: 64 KB with one committed page, one page alone since 1803."""
        if self.build < layouts.BUILD_1803:
            self.allocate(GRANULARITY, base=USER_SHARED_DATA, commit=PAGE, protect=PAGE_READONLY)
        else:
            self.allocate(PAGE, base=USER_SHARED_DATA, protect=PAGE_READONLY)
            self.allocate(PAGE, base=HYPERVISOR_SHARED_DATA, protect=PAGE_READONLY)
        return self._name("user shared data", USER_SHARED_DATA)

    def add_process_parameters(
        self,
        address: int | None = None,
        *,
        image: str | None = None,
        command_line: str | None = None,
        environment: Mapping[str, str] | None = None,
        current_directory: str = "C:\\work\\",
        bits: int | None = None,
    ) -> int:
        """Writes RTL_USER_PROCESS_PARAMETERS with its strings and links it to the PEB.

        Args:
            address: committed memory for it, such as a heap block (0x2000 bytes suffice);
                None gives it an allocation of its own.
            image: ImagePathName.
            command_line: CommandLine.
            environment: variables of the environment block.
            current_directory: CurrentDirectory.
            bits: 32 or 64 picks the PEB of a WoW64 process.
        """
        bits = self._bits(bits)
        if address is None:
            address = self.allocate(0x2000)
        path = image or f"C:\\app\\{self.name}"
        texts = {
            "CurrentDirectory": current_directory,
            "ImagePathName": path,
            "CommandLine": command_line or f'"{path}" --serve',
            "WindowTitle": path,
        }
        cursor = address + (0x440 if bits == 64 else 0x2C0)
        for name, text in texts.items():
            at = address + layouts.PROCESS_PARAMETERS[name][bits == 64]
            cursor = self._unicode_string(at, text, cursor, bits // 8)
        block = "".join(f"{key}={value}\0" for key, value in (environment or {}).items()) + "\0"
        encoded = block.encode("utf-16-le")
        self.write(cursor, encoded)
        table = layouts.PROCESS_PARAMETERS
        self.set_field(table, address, "Environment", cursor, bits)
        self.set_field(table, address, "EnvironmentSize", len(encoded), bits)
        self.set_field(table, address, "MaximumLength", cursor - address, bits)
        self.set_field(table, address, "Length", cursor - address, bits)
        self.set_peb("ProcessParameters", address, bits)
        if bits == 8 * self.pointer_size:
            self.named["process parameters"] = address
        return address

    def _unicode_string(self, at: int, text: str, cursor: int, width: int) -> int:
        """Writes a UNICODE_STRING at `at` with its text at `cursor`; returns the next cursor."""
        encoded = text.encode("utf-16-le")
        self.number(at, len(encoded), 2)
        self.number(at + 2, len(encoded) + 2, 2)
        self.pointer(at + width, cursor, width)
        self.write(cursor, encoded + b"\0\0")
        return round_up(cursor + len(encoded) + 2, 8)

    def add_api_set_map(self, size: int = 0x1F000) -> int:
        """Adds the API set map, which every Windows since 7 has."""
        data = layouts.api_set_version(self.build).to_bytes(4, "little")
        return self._name("ApiSet map", self.map_view(size, data), "ApiSetMap")

    def add_csr_shared_memory(self, size: int = 0x100000, commit: int = 0x5000) -> int:
        """Adds CSR's shared memory, mostly reserved, with the static server data inside."""
        address = self.map_view(size, commit=commit)
        self.set_peb("ReadOnlyStaticServerData", address + 0x4F0)
        return self._name("CSR shared memory", address, "ReadOnlySharedMemoryBase")

    def add_nls(self) -> int:
        """Adds the code page tables: one view, three pointers, all three zero on Windows 11."""
        address = self.map_view(0x33000)
        if self.build < layouts.BUILD_11:
            self.set_peb("AnsiCodePageData", address)
            self.set_peb("OemCodePageData", address + 0x10228)
            self.set_peb("UnicodeCaseTableData", address + 0x20650)
        return self._name("NLS tables", address)

    def add_gdi_handle_table(self, size: int = 0x181000) -> int:
        """Adds the GDI shared handle table of a process with windows."""
        return self._name("GDI handle table", self.map_view(size), "GdiSharedHandleTable")

    def add_shim_data(self, size: int = 0x2000) -> int:
        """Adds the shim data view."""
        return self._name("shim data", self.map_view(size, protect=PAGE_READWRITE), "pShimData")

    def add_activation_contexts(self) -> tuple[int, int, int]:
        """Adds the process's, the system's and a third activation context (in no PEB field)."""
        views = [self.map_view(size, b"Actx\x01") for size in (0x1000, 0x3000, 0x2000)]
        process, system, custom = views
        self._name("process activation context", process, "ActivationContextData")
        self._name("system activation context", system, "SystemDefaultActivationContextData")
        self._name("activation context", custom)
        return process, system, custom

    def add_wer_data(self) -> int:
        """Adds WER registration data (Vista and later)."""
        return self._name("WER data", self.allocate(PAGE), "WerRegistrationData")

    def add_leap_second_data(self) -> int:
        """Adds leap-second data (1809 and later)."""
        return self._name("leap-second data", self.map_view(PAGE), "LeapSecondData")

    def add_telemetry_map(self) -> int:
        """Adds the telemetry coverage map (1709 and later)."""
        address = self.map_view(PAGE, protect=PAGE_READWRITE)
        return self._name("telemetry coverage map", address, "TelemetryCoverageHeader")

    def add_silo_data(self) -> int:
        """Adds silo shared data (a container on 10 or later)."""
        return self._name("silo shared data", self.map_view(PAGE), "SharedData")

    def add_desktop_heap(self, thread: Thread, size: int = 0x1400000) -> int:
        """Adds the desktop heap's view and names it in a thread's client information."""
        address = self.map_view(size, commit=0x20000)
        self.set_teb(thread, "DesktopBase", address)
        self.set_teb(thread, "Win32ThreadInfo", 0xFFFF8A00_12345670)
        return self._name("desktop heap", address)

    def add_cfg_bitmap(self, *, committed: int = 0x6000) -> int:
        """Adds the control-flow-guard bitmap and ntdll's exported record of it (8.1 and later).

        The bitmap covers the address space: 2 TB reserved on 64-bit, 32 MB for 2 GB of 32-bit.

        Args:
            committed: committed bytes, in the middle of the reservation.
        """
        size = 0x2000000 if self.narrow else 0x200_0000_0000
        start = 0x2000000 if self.narrow else 0x7DF5_0000_0000
        address = self.find_free(size, start)
        self.allocate(size, base=address, commit=0, protect=PAGE_NOACCESS, type=MEM_MAPPED)
        self.commit(address + size // 2, committed, PAGE_READONLY)
        block = self.module("ntdll.dll").exports["LdrSystemDllInitBlock"]
        rows = layouts.SYSTEM_DLL_INIT_BLOCKS
        _, at, size_at, wow_at, own = next(row for row in rows if self.build >= row[0])
        self.number(block, own, 4)
        self.number(block + (wow_at if self.wow64 else at), address, 8)
        self.number(block + size_at, size, 8)
        return self._name("CFG bitmap", address)

    # --- a typical process -----------------------------------------------------------------

    def furnish(self, *, gui: bool = True) -> Self:
        """Adds what every process has: images, PEB, main thread and the named regions.

        Args:
            gui: also the GDI handle table.
        """
        self.add_user_shared_data()
        base = 0x400000 if self.narrow else 0x1_4000_0000
        executable = self.add_module(f"C:\\app\\{self.name}", base=base, dll=False)
        self.add_ntdll()
        self.add_module("kernel32.dll", version=(10, 0, self.build & 0xFFFF, 1))
        if self.wow64 and self.arch == "x64":
            self._add_wide_modules()
        self.add_peb(image_base=executable.base)
        self.set_peb("Ldr", self.module("ntdll.dll").sections[".data"][0] + 0x1C0)
        self.add_thread(name="main")
        self.add_process_parameters()
        if self.build >= layouts.BUILD_7 - 1:
            self.add_api_set_map()
        self.add_csr_shared_memory()
        self.add_nls()
        self.add_activation_contexts()
        if gui:
            self.add_gdi_handle_table()
        if self.build >= layouts.BUILD_1507:
            self.add_shim_data()
        if self.build >= layouts.BUILD_1809:
            self.add_leap_second_data()
        if self.wow64:
            self._furnish_wide_peb()
        return self

    def _furnish_wide_peb(self) -> None:
        """Fills the 64-bit PEB of a WoW64 process: own parameters and API set, shared views."""
        self.add_process_parameters(bits=64)
        if self.build >= layouts.BUILD_7 - 1:
            data = layouts.api_set_version(self.build).to_bytes(4, "little")
            self.named["ApiSet map 64"] = self.map_view(0x1F000, data)
            self.set_peb("ApiSetMap", self.named["ApiSet map 64"], 64)
        self.set_peb("ReadOnlySharedMemoryBase", self.named["CSR shared memory"], 64)

    def _add_wide_modules(self) -> None:
        """Adds the 64-bit images of a WoW64 process, which only a 64-bit writer sees."""
        high = round_down(self.top, 1 << 32) - (4 << 32)
        for name in ("wow64.dll", "ntdll.dll"):
            size = image_size(place_sections(DEFAULT_SECTIONS))
            base = self.find_free(size, high)
            # The 64-bit ntdll comes after the 32-bit one, so `module` still finds the latter.
            self.add_module(name, base=base, arch="x64")

    # --- the dump --------------------------------------------------------------------------

    @property
    def limit(self) -> int:
        """First address that the dump's writer does not see."""
        return self.narrow_top if self.arch in ("x86", "arm") else self.top

    def private_bytes(self) -> int:
        """Returns the committed private memory."""
        return sum(
            region.size
            for region in self.regions(self.limit)
            if region.state == MEM_COMMIT and region.type == MEM_PRIVATE
        )

    def to_minidump(
        self,
        *,
        full: bool = True,
        memory_info: bool = True,
        zeros: bool = False,
        counters: bool = True,
        modules: bool = True,
        threads: bool = True,
        extra: Sequence[tuple[int, int]] = (),
    ) -> MinidumpBuilder:
        """Returns a builder with the streams of this process, open for more.

        Args:
            full: a dump with full memory (Memory64List); otherwise MemoryList holds the stacks
                above the stack pointers and the TEBs and PEBs only.
            memory_info: with MemoryInfoList.
            zeros: a full dump also holds committed pages that were never written.
            counters: with ProcessVmCounters, true to the regions, and SystemMemoryInfo.
            modules: with ModuleList.
            threads: with ThreadList and ThreadNames.
            extra: (address, size) ranges that a small dump holds besides.
        """
        flags = WITH_THREAD_INFO | WITH_UNLOADED_MODULES
        flags |= WITH_FULL_MEMORY if full else 0
        flags |= WITH_FULL_MEMORY_INFO if memory_info else 0
        major, minor = layouts.os_version(self.build)
        dump = MinidumpBuilder(self.arch, flags)
        dump.system_info(build=self.build, major=major, minor=minor)
        dump.misc_info(5 if self.build >= layouts.BUILD_1507 else 3, pid=self.pid)
        if threads:
            self._dump_threads(dump, full)
        if modules:
            self._dump_modules(dump)
        if counters:
            self._dump_counters(dump)
        if memory_info:
            self._dump_regions(dump)
        if full:
            for address, data in self.captured(zeros=zeros, limit=self.limit):
                dump.memory64(address, data)
        else:
            self._dump_small_memory(dump, extra)
        return dump

    def _dump_threads(self, dump: MinidumpBuilder, full: bool) -> None:
        wide_writer = self.wow64 and self.arch == "x64"
        for thread in self.threads:
            stack = (thread.stack64 or thread.stack) if wide_writer else thread.stack
            teb = thread.teb64 if wide_writer else thread.teb
            used = stack.top - stack.sp
            if full:
                dump.thread(thread.tid, teb=teb or 0, stack_range=(stack.sp, used), context_sp=stack.sp)
            else:
                data = self.read(stack.sp, used)
                dump.thread(thread.tid, teb=teb or 0, stack=(stack.sp, data), context_sp=stack.sp)
        for thread in self.threads:
            if thread.name is not None:
                dump.thread_name(thread.tid, thread.name)

    def _dump_modules(self, dump: MinidumpBuilder) -> None:
        for module in self.modules:
            if module.listed and module.base < self.limit:
                pdb = module.name.rsplit("\\", 1)[-1].rsplit(".", 1)[0] + ".pdb"
                dump.module(
                    module.base,
                    module.size,
                    module.name,
                    timestamp=module.timestamp,
                    checksum=module.checksum,
                    version=module.version,
                    codeview=rsds(pdb),
                )

    def _dump_counters(self, dump: MinidumpBuilder) -> None:
        private = self.private_bytes()
        regions = self.regions(self.limit)
        virtual = sum(region.size for region in regions if region.state != MEM_FREE)
        dump.system_memory_info(maximum_address=self.limit - 1)
        dump.process_vm_counters(
            private_usage=private,
            pagefile_usage=private,
            peak_pagefile_usage=private,
            virtual_size=virtual,
            peak_virtual_size=virtual,
        )

    def _dump_regions(self, dump: MinidumpBuilder) -> None:
        dump.empty_list(MEMORY_INFO_LIST)
        for region in self.regions(self.limit):
            dump.region(
                region.base,
                region.size,
                region.state,
                region.protect,
                region.type,
                allocation_base=region.allocation_base,
                allocation_protect=region.allocation_protect,
            )

    def _dump_small_memory(self, dump: MinidumpBuilder, extra: Sequence[tuple[int, int]]) -> None:
        """Adds the ranges of a small dump, in ascending order, dropped pages left out."""
        ranges: dict[int, int] = dict(extra)
        for thread in self.threads:
            for stack in (thread.stack, thread.stack64):
                if stack is not None and stack.sp < self.limit:
                    ranges[stack.sp] = stack.top - stack.sp
            if thread.teb64 is not None:
                ranges[thread.teb64] = 0x1838
            if thread.teb32 is not None:
                ranges[thread.teb32] = 0x1000
        if self.peb64 is not None:
            ranges[self.peb64] = 0x7C8
        if self.peb32 is not None:
            ranges[self.peb32] = 0x480
        for address, size in sorted(ranges.items()):
            if not self.is_dropped(address):
                dump.memory(address, self.read(address, size))
