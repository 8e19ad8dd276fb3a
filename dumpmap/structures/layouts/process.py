"""TEB, PEB, process parameters, and ntdll's start-up block.

Offsets come from ntdll's public symbols for Windows XP SP3 to 11 24H2. Every field kept its place through all of them
unless its comment says otherwise. Only fields that dumpmap reads are declared.
"""

from __future__ import annotations

from dumpmap.structures.layout import I32, POINTER, U16, U32, U64, declare

KUSER_SHARED_DATA = 0x7FFE0000
"""Address of the page that every Windows process shares with the kernel, on every architecture."""

TEB_WOW64_DISTANCE = 0x2000
"""TEB32 minus TEB64 of one WoW64 thread: the size of a TEB64, rounded up to pages."""

TEB_HAS_FIBER_DATA = 0x4
"""Bit of TEB.SameTebFlags: NtTib.FiberData is a fiber, and the stack fields describe the fiber's stack."""

TEB = declare(
    "TEB",
    # XP's TEB32 ends at 0xfb8; 24H2 appends 0x38 (x86) and 0x40 (x64) bytes.
    {4: 0x1000, 8: 0x1838},
    ("NtTib.ExceptionList", POINTER, 0x000, 0x000),  # in a WoW64 thread's TEB64: the address of its TEB32
    ("NtTib.StackBase", POINTER, 0x004, 0x008),  # the high end
    ("NtTib.StackLimit", POINTER, 0x008, 0x010),  # the lowest committed byte above the guard pages
    ("NtTib.FiberData", POINTER, 0x010, 0x020),
    ("NtTib.Self", POINTER, 0x018, 0x030),
    ("ClientId.UniqueProcess", POINTER, 0x020, 0x040),
    ("ClientId.UniqueThread", POINTER, 0x024, 0x048),
    ("ProcessEnvironmentBlock", POINTER, 0x030, 0x060),
    ("LastErrorValue", U32, 0x034, 0x068),
    ("Win32ThreadInfo", POINTER, 0x040, 0x078),
    ("Win32ClientInfo.DesktopBase", POINTER, 0x6E8, 0x828),  # before Windows 10 1703: ClientDelta, not a pointer
    ("LastStatusValue", U32, 0xBF4, 0x1250),
    ("DeallocationStack", POINTER, 0xE0C, 0x1478),  # the allocation base of the stack
    ("GdiBatchCount", U32, 0xF70, 0x1740),  # in a WoW64 thread's TEB32: the address of its TEB64
    ("GuaranteedStackBytes", U32, 0xF78, 0x1748),  # XP: a spare, unused
    ("SameTebFlags", U16, 0xFCA, 0x17EE),
    ("WowTebOffset", I32, 0xFDC, 0x180C),  # Windows 10 and later: to the other TEB; 0 before
)

PEB = declare(
    "PEB",
    # XP: 0x210; Windows 7: 0x380 (x64); 1803: 0x7b8 (x64); 11: these.
    {4: 0x488, 8: 0x7D0},
    ("ImageBaseAddress", POINTER, 0x008, 0x010),
    ("Ldr", POINTER, 0x00C, 0x018),
    ("ProcessParameters", POINTER, 0x010, 0x020),
    ("ProcessHeap", POINTER, 0x018, 0x030),
    ("ApiSetMap", POINTER, 0x038, 0x068),  # XP: FreeList; since Windows 7 a mapped view
    ("ReadOnlySharedMemoryBase", POINTER, 0x04C, 0x088),
    ("SharedData", POINTER, 0x050, 0x090),  # Windows 10; 7: HotpatchInformation; XP: ReadOnlySharedMemoryHeap
    ("AnsiCodePageData", POINTER, 0x058, 0x0A0),  # the three NLS pointers are 0 on Windows 11
    ("OemCodePageData", POINTER, 0x05C, 0x0A8),
    ("UnicodeCaseTableData", POINTER, 0x060, 0x0B0),
    ("NumberOfProcessors", U32, 0x064, 0x0B8),
    ("NtGlobalFlag", U32, 0x068, 0x0BC),
    ("HeapSegmentReserve", POINTER, 0x078, 0x0C8),
    ("HeapSegmentCommit", POINTER, 0x07C, 0x0D0),
    ("NumberOfHeaps", U32, 0x088, 0x0E8),
    ("MaximumNumberOfHeaps", U32, 0x08C, 0x0EC),
    ("ProcessHeaps", POINTER, 0x090, 0x0F0),
    ("GdiSharedHandleTable", POINTER, 0x094, 0x0F8),
    ("OSMajorVersion", U32, 0x0A4, 0x118),
    ("OSMinorVersion", U32, 0x0A8, 0x11C),
    ("OSBuildNumber", U16, 0x0AC, 0x120),
    ("SessionId", U32, 0x1D4, 0x2C0),
    ("pShimData", POINTER, 0x1E8, 0x2D8),
    ("ActivationContextData", POINTER, 0x1F8, 0x2F8),
    ("SystemDefaultActivationContextData", POINTER, 0x200, 0x308),
    ("WerRegistrationData", POINTER, 0x230, 0x358),  # Vista and later
    ("TelemetryCoverageHeader", POINTER, 0x45C, 0x7A0),  # Windows 10 1709 and later
    ("LeapSecondData", POINTER, 0x470, 0x7B8),  # Windows 10 1809 and later
)

RTL_USER_PROCESS_PARAMETERS = declare(
    "RTL_USER_PROCESS_PARAMETERS",
    # The fields after CommandLine differ between releases; nothing after it is read.
    {4: 0x48, 8: 0x80},
    ("MaximumLength", U32, 0x00, 0x00),
    ("Length", U32, 0x04, 0x04),
    ("Flags", U32, 0x08, 0x08),
    ("ImagePathName.Length", U16, 0x38, 0x60),
    ("ImagePathName.Buffer", POINTER, 0x3C, 0x68),
    ("CommandLine.Length", U16, 0x40, 0x70),
    ("CommandLine.Buffer", POINTER, 0x44, 0x78),
)

RTL_USER_PROC_PARAMS_NORMALIZED = 0x1
"""Flags: the buffers of the strings are addresses. Without it they are offsets from the start of the parameters."""

# ntdll!LdrSystemDllInitBlock. Its fields are 64 bits wide in both the 32-bit and the 64-bit ntdll.
PS_SYSTEM_DLL_INIT_BLOCK_V1 = declare(  # 8.1 to 10 1607; CfgBitMap since 8.1, Wow64CfgBitMap since 10
    "PS_SYSTEM_DLL_INIT_BLOCK_V1",
    {8: 0x80},
    ("Size", U32, None, 0x00),
    ("CfgBitMap", U64, None, 0x60),
    ("CfgBitMapSize", U64, None, 0x68),
    ("Wow64CfgBitMap", U64, None, 0x70),
    ("Wow64CfgBitMapSize", U64, None, 0x78),
)
PS_SYSTEM_DLL_INIT_BLOCK_V2 = declare(  # 10 1703 to 1909; 0xd0 bytes in 1703, 0xe0 since 1709
    "PS_SYSTEM_DLL_INIT_BLOCK_V2",
    {8: 0xE0},
    ("Size", U32, None, 0x00),
    ("CfgBitMap", U64, None, 0xB0),
    ("CfgBitMapSize", U64, None, 0xB8),
    ("Wow64CfgBitMap", U64, None, 0xC0),
    ("Wow64CfgBitMapSize", U64, None, 0xC8),
)
PS_SYSTEM_DLL_INIT_BLOCK_V3 = declare(  # 10 2004 and later; 0xf0 bytes, 0x128 since 24H2
    "PS_SYSTEM_DLL_INIT_BLOCK_V3",
    {8: 0xF0},
    ("Size", U32, None, 0x00),
    ("CfgBitMap", U64, None, 0xB8),
    ("CfgBitMapSize", U64, None, 0xC0),
    ("Wow64CfgBitMap", U64, None, 0xC8),
    ("Wow64CfgBitMapSize", U64, None, 0xD0),
)
