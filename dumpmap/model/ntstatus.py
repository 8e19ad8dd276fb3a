"""NTSTATUS, Win32 error, HRESULT and exception codes that concern memory, and the common crash codes.

Each code has the name from the SDK (ntstatus.h, winerror.h) or from its owner, a meaning, and the limit that it names:
`commit`, `address-space`, `stack`, or `memory` if memory failed and the code does not name the limit. Codes without a
limit do not concern memory.

Sources: Microsoft's [MS-ERREF]; Breakpad, rust-minidump and Socorro for the out-of-memory codes; Unreal Engine's
WindowsPlatformCrashContext.cpp.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from dumpmap.model.systems import kernel_of
from dumpmap.model.values import value_class

MemoryLimit = Literal["commit", "address-space", "stack", "memory"]
"""The limit that a code names; `memory` if memory failed and the code does not name the limit."""

STATUS_GUARD_PAGE_VIOLATION = 0x80000001
STATUS_ACCESS_VIOLATION = 0xC0000005
STATUS_IN_PAGE_ERROR = 0xC0000006
STATUS_NO_MEMORY = 0xC0000017
STATUS_STACK_OVERFLOW = 0xC00000FD
STATUS_STACK_BUFFER_OVERRUN = 0xC0000409
STATUS_COMMITMENT_LIMIT = 0xC000012D
STATUS_FATAL_MEMORY_EXHAUSTION = 0xC00001AD
CHROMIUM_OUT_OF_MEMORY = 0xE0000008
MSVC_CPP_EXCEPTION = 0xE06D7363
UNREAL_OUT_OF_MEMORY = 0xC000
CLR_EXCEPTION = 0xE0434352
CLR_EXCEPTION_V1 = 0xE0434F4D

ERROR_NOT_ENOUGH_MEMORY = 8
ERROR_OUTOFMEMORY = 14
ERROR_COMMITMENT_LIMIT = 1455

E_OUTOFMEMORY = 0x8007000E

UNREAL_ENSURES = range(0xBDB20, 0xBDB40)
"""Codes that Unreal Engine raises to report a failed ensure; the program continues."""


@value_class(frozen=True, slots=True)
class Code:
    """A code and its meaning.

    Attributes:
        value: the number, unsigned.
        name: its symbol.
        meaning: a few words.
        limit: the limit that it names, None if it does not concern memory.
    """

    value: int
    name: str
    meaning: str
    limit: MemoryLimit | None = None


NTSTATUS: tuple[Code, ...] = (
    Code(STATUS_GUARD_PAGE_VIOLATION, "STATUS_GUARD_PAGE_VIOLATION", "access to a guard page"),
    Code(0x80000002, "STATUS_DATATYPE_MISALIGNMENT", "misaligned access"),
    Code(0x80000003, "STATUS_BREAKPOINT", "breakpoint, or an assertion of the program"),
    Code(0x80000004, "STATUS_SINGLE_STEP", "single step"),
    Code(0x80000026, "STATUS_LONGJUMP", "a long jump"),
    Code(0x80000029, "STATUS_UNWIND_CONSOLIDATE", "a frame consolidation during unwinding"),
    Code(0xC0000001, "STATUS_UNSUCCESSFUL", "an operation failed"),
    Code(0xC0000002, "STATUS_NOT_IMPLEMENTED", "not implemented"),
    Code(STATUS_ACCESS_VIOLATION, "STATUS_ACCESS_VIOLATION", "access violation"),
    Code(STATUS_IN_PAGE_ERROR, "STATUS_IN_PAGE_ERROR", "a page could not be read from disk; parameter 2 is the reason"),
    Code(0xC0000008, "STATUS_INVALID_HANDLE", "invalid handle"),
    Code(0xC000000D, "STATUS_INVALID_PARAMETER", "invalid parameter"),
    Code(0xC0000010, "STATUS_INVALID_DEVICE_REQUEST", "a device does not support the request"),
    Code(STATUS_NO_MEMORY, "STATUS_NO_MEMORY", "an allocation failed", "memory"),
    Code(0xC0000018, "STATUS_CONFLICTING_ADDRESSES", "the requested address range is not free"),
    Code(0xC000001C, "STATUS_INVALID_SYSTEM_SERVICE", "invalid system call"),
    Code(0xC000001D, "STATUS_ILLEGAL_INSTRUCTION", "illegal instruction"),
    Code(0xC000001E, "STATUS_INVALID_LOCK_SEQUENCE", "invalid lock sequence"),
    Code(0xC0000022, "STATUS_ACCESS_DENIED", "access denied"),
    Code(0xC0000025, "STATUS_NONCONTINUABLE_EXCEPTION", "continued after an exception that cannot be continued"),
    Code(0xC0000026, "STATUS_INVALID_DISPOSITION", "an exception handler returned an invalid disposition"),
    Code(0xC0000027, "STATUS_UNWIND", "unwinding"),
    Code(0xC0000028, "STATUS_BAD_STACK", "an invalid or misaligned stack during unwinding"),
    Code(0xC0000029, "STATUS_INVALID_UNWIND_TARGET", "invalid unwind target"),
    Code(0xC000003E, "STATUS_DATA_ERROR", "a data error on a disk"),
    Code(0xC0000044, "STATUS_QUOTA_EXCEEDED", "a quota of the process or its job was exceeded"),
    Code(0xC000007B, "STATUS_INVALID_IMAGE_FORMAT", "a DLL or EXE has an invalid format or the wrong architecture"),
    Code(0xC000008C, "STATUS_ARRAY_BOUNDS_EXCEEDED", "array index out of bounds"),
    Code(0xC000008D, "STATUS_FLOAT_DENORMAL_OPERAND", "denormal floating-point operand"),
    Code(0xC000008E, "STATUS_FLOAT_DIVIDE_BY_ZERO", "floating-point division by zero"),
    Code(0xC000008F, "STATUS_FLOAT_INEXACT_RESULT", "inexact floating-point result"),
    Code(0xC0000090, "STATUS_FLOAT_INVALID_OPERATION", "invalid floating-point operation"),
    Code(0xC0000091, "STATUS_FLOAT_OVERFLOW", "floating-point overflow"),
    Code(0xC0000092, "STATUS_FLOAT_STACK_CHECK", "floating-point stack overflow or underflow"),
    Code(0xC0000093, "STATUS_FLOAT_UNDERFLOW", "floating-point underflow"),
    Code(0xC0000094, "STATUS_INTEGER_DIVIDE_BY_ZERO", "integer division by zero"),
    Code(0xC0000095, "STATUS_INTEGER_OVERFLOW", "integer overflow"),
    Code(0xC0000096, "STATUS_PRIVILEGED_INSTRUCTION", "privileged instruction"),
    Code(0xC0000098, "STATUS_FILE_INVALID", "an open file was changed from outside and is no longer valid"),
    Code(0xC000009A, "STATUS_INSUFFICIENT_RESOURCES", "the kernel lacked a resource, such as pool memory"),
    Code(0xC000009C, "STATUS_DEVICE_DATA_ERROR", "a device reported a data error"),
    Code(0xC000009D, "STATUS_DEVICE_NOT_CONNECTED", "a device is not connected"),
    Code(0xC00000A0, "STATUS_MEMORY_NOT_ALLOCATED", "an attempt to free memory that is not allocated"),
    Code(0xC00000AA, "STATUS_INSTRUCTION_MISALIGNMENT", "misaligned instruction"),
    Code(0xC00000B5, "STATUS_IO_TIMEOUT", "an input or output operation timed out"),
    Code(0xC00000BE, "STATUS_BAD_NETWORK_PATH", "a network path was not found"),
    Code(0xC00000C4, "STATUS_UNEXPECTED_NETWORK_ERROR", "unexpected network error"),
    Code(0xC00000C9, "STATUS_NETWORK_NAME_DELETED", "a network share is gone"),
    Code(0xC00000E9, "STATUS_UNEXPECTED_IO_ERROR", "unexpected input or output error"),
    Code(STATUS_STACK_OVERFLOW, "STATUS_STACK_OVERFLOW", "a stack could not grow", "stack"),
    Code(0xC00000FF, "STATUS_BAD_FUNCTION_TABLE", "an invalid function table during unwinding"),
    Code(0xC0000102, "STATUS_FILE_CORRUPT_ERROR", "a corrupt file or folder"),
    Code(0xC000010A, "STATUS_PROCESS_IS_TERMINATING", "the process is ending"),
    Code(STATUS_COMMITMENT_LIMIT, "STATUS_COMMITMENT_LIMIT", "the commit limit was reached", "commit"),
    Code(0xC000012F, "STATUS_INVALID_IMAGE_NOT_MZ", "a file is not an image: it does not begin with MZ"),
    Code(0xC0000135, "STATUS_DLL_NOT_FOUND", "a DLL was not found"),
    Code(0xC0000138, "STATUS_ORDINAL_NOT_FOUND", "an ordinal was not found in a DLL"),
    Code(0xC0000139, "STATUS_ENTRYPOINT_NOT_FOUND", "a function was not found in a DLL"),
    Code(0xC000013A, "STATUS_CONTROL_C_EXIT", "ended by Control-C"),
    Code(0xC0000142, "STATUS_DLL_INIT_FAILED", "a DLL failed to initialise"),
    Code(0xC0000143, "STATUS_MISSING_SYSTEMFILE", "a required system file is missing"),
    Code(0xC0000144, "STATUS_UNHANDLED_EXCEPTION", "unhandled exception"),
    Code(0xC0000145, "STATUS_APP_INIT_FAILURE", "the program failed to initialise"),
    Code(0xC0000185, "STATUS_IO_DEVICE_ERROR", "a device reported an input or output error"),
    Code(0xC0000194, "STATUS_POSSIBLE_DEADLOCK", "possible deadlock"),
    Code(
        STATUS_FATAL_MEMORY_EXHAUSTION,
        "STATUS_FATAL_MEMORY_EXHAUSTION",
        "memory was exhausted and Windows ended the process",
        "memory",
    ),
    Code(0xC000020C, "STATUS_CONNECTION_DISCONNECTED", "a network connection was closed"),
    Code(0xC000020D, "STATUS_CONNECTION_RESET", "a network connection was reset"),
    Code(0xC0000221, "STATUS_IMAGE_CHECKSUM_MISMATCH", "the checksum of an image is wrong"),
    Code(0xC0000235, "STATUS_HANDLE_NOT_CLOSABLE", "an attempt to close a protected handle"),
    Code(0xC0000251, "STATUS_BAD_DLL_ENTRYPOINT", "a DLL's entry point does not preserve the stack"),
    Code(0xC0000264, "STATUS_RESOURCE_NOT_OWNED", "a thread released a resource that it does not own"),
    Code(0xC000026B, "STATUS_DLL_INIT_FAILED_LOGOFF", "a DLL failed to initialise because Windows is shutting down"),
    Code(0xC00002B4, "STATUS_FLOAT_MULTIPLE_FAULTS", "multiple floating-point faults"),
    Code(0xC00002B5, "STATUS_FLOAT_MULTIPLE_TRAPS", "multiple floating-point traps"),
    Code(0xC00002C5, "STATUS_DATATYPE_MISALIGNMENT_ERROR", "misaligned access"),
    Code(0xC00002C9, "STATUS_REG_NAT_CONSUMPTION", "use of a register without a valid value"),
    Code(0xC0000374, "STATUS_HEAP_CORRUPTION", "heap corruption"),
    Code(STATUS_STACK_BUFFER_OVERRUN, "STATUS_STACK_BUFFER_OVERRUN", "fail fast; parameter 0 is the reason"),
    Code(0xC0000417, "STATUS_INVALID_CRUNTIME_PARAMETER", "invalid parameter to the C run-time library"),
    Code(0xC000041D, "STATUS_FATAL_USER_CALLBACK_EXCEPTION", "unhandled exception in a user callback"),
    Code(0xC0000420, "STATUS_ASSERTION_FAILURE", "assertion failure"),
    Code(0xC0000421, "STATUS_VERIFIER_STOP", "Application Verifier found an error"),
    Code(0xC0000428, "STATUS_INVALID_IMAGE_HASH", "the signature of an image is not valid"),
    Code(0xC00004A1, "STATUS_ENCLAVE_NOT_TERMINATED", "an enclave is still running"),
    Code(0xC00004A2, "STATUS_ENCLAVE_VIOLATION", "access to protected memory of an enclave"),
    Code(0xC0000602, "STATUS_FAIL_FAST_EXCEPTION", "fail fast"),
    Code(0xC0000604, "STATUS_DYNAMIC_CODE_BLOCKED", "the process may not create executable memory"),
    Code(0xC000070A, "STATUS_THREADPOOL_HANDLE_EXCEPTION", "a thread pool met an invalid handle"),
    Code(0xC000070B, "STATUS_THREADPOOL_SET_EVENT_ON_COMPLETION_FAILED", "a thread pool could not set an event"),
    Code(
        0xC000070C,
        "STATUS_THREADPOOL_RELEASE_SEMAPHORE_ON_COMPLETION_FAILED",
        "a semaphore could not be released",
    ),
    Code(0xC000070D, "STATUS_THREADPOOL_RELEASE_MUTEX_ON_COMPLETION_FAILED", "a thread pool could not release a mutex"),
    Code(0xC000070E, "STATUS_THREADPOOL_FREE_LIBRARY_ON_COMPLETION_FAILED", "a thread pool could not unload a DLL"),
    Code(0xC000070F, "STATUS_THREADPOOL_RELEASED_DURING_OPERATION", "a thread pool object was released while in use"),
    Code(
        0xC0000710,
        "STATUS_CALLBACK_RETURNED_WHILE_IMPERSONATING",
        "a callback returned while impersonating",
    ),
    Code(
        0xC000071B,
        "STATUS_CALLBACK_RETURNED_THREAD_PRIORITY",
        "a callback returned with another thread priority",
    ),
    Code(0xC000071C, "STATUS_INVALID_THREAD", "an operation on a thread that does not allow it"),
    Code(0xC000071D, "STATUS_CALLBACK_RETURNED_TRANSACTION", "a callback returned within a transaction"),
    Code(0xC000071E, "STATUS_CALLBACK_RETURNED_LDR_LOCK", "a callback returned with the loader lock held"),
    Code(0xC000071F, "STATUS_CALLBACK_RETURNED_LANG", "a callback returned with another preferred language"),
    Code(0xC0000720, "STATUS_CALLBACK_RETURNED_PRI_BACK", "a callback returned with background priority"),
    Code(0xC0000721, "STATUS_CALLBACK_RETURNED_THREAD_AFFINITY", "a callback returned with another affinity"),
)
"""NTSTATUS codes, also as exception codes."""

SOFTWARE_EXCEPTIONS: tuple[Code, ...] = (
    Code(0x4000, "UNREAL_ASSERT", "an assertion of Unreal Engine failed"),
    Code(0x8000, "UNREAL_GPU_CRASH", "the GPU crashed, reported by Unreal Engine"),
    Code(UNREAL_OUT_OF_MEMORY, "UNREAL_OUT_OF_MEMORY", "an allocation in Unreal Engine failed", "memory"),
    Code(0x0517A7ED, "SIMULATED", "a requested dump, not a crash (Crashpad and Breakpad)"),
    Code(0x0EEFFACE, "CPPBUILDER_EXCEPTION", "C++Builder exception"),
    Code(0x20474343, "GCC_EXCEPTION", "C++ exception of GCC"),
    Code(0x40000015, "STATUS_FATAL_APP_EXIT", "the program ended itself after a fatal error"),
    Code(0x4000001E, "STATUS_WX86_SINGLE_STEP", "single step of 32-bit code"),
    Code(0x4000001F, "STATUS_WX86_BREAKPOINT", "breakpoint in 32-bit code"),
    Code(0x40010005, "DBG_CONTROL_C", "Control-C"),
    Code(0x40010006, "DBG_PRINTEXCEPTION_C", "a message for the debugger"),
    Code(0x40010008, "DBG_CONTROL_BREAK", "Control-Break"),
    Code(0x4001000A, "DBG_PRINTEXCEPTION_WIDE_C", "a message for the debugger"),
    Code(0x406D1388, "MS_VC_EXCEPTION", "a thread name for the debugger"),
    Code(0xC06D007E, "VCPP_EXCEPTION_MODULE_NOT_FOUND", "a delay-loaded DLL was not found"),
    Code(0xC06D007F, "VCPP_EXCEPTION_PROCEDURE_NOT_FOUND", "a function of a delay-loaded DLL was not found"),
    Code(CHROMIUM_OUT_OF_MEMORY, "OOM_EXCEPTION_CODE", "an allocation in Chromium failed", "memory"),
    Code(CLR_EXCEPTION, "EXCEPTION_COMPLUS", ".NET exception; parameter 0 is its HRESULT"),
    Code(CLR_EXCEPTION_V1, "EXCEPTION_COMPLUS (1.x, 2.0)", ".NET exception of runtime 1.x or 2.0"),
    Code(MSVC_CPP_EXCEPTION, "EXCEPTION_MSVC_CPP", "C++ exception of Microsoft's compiler"),
    Code(0x0EEDFADE, "DELPHI_EXCEPTION", "Delphi exception"),
)
"""Exception codes that programs and runtime libraries raise themselves."""

UNREAL_ENSURE = Code(UNREAL_ENSURES[0], "UNREAL_ENSURE", "an ensure of Unreal Engine failed; the program continued")

WIN32_ERRORS: tuple[Code, ...] = (
    Code(ERROR_NOT_ENOUGH_MEMORY, "ERROR_NOT_ENOUGH_MEMORY", "an allocation failed", "memory"),
    Code(ERROR_OUTOFMEMORY, "ERROR_OUTOFMEMORY", "an allocation failed", "memory"),
    Code(487, "ERROR_INVALID_ADDRESS", "an address range was not available; the code does not name the limit"),
    Code(1450, "ERROR_NO_SYSTEM_RESOURCES", "the kernel lacked a resource, such as pool memory"),
    Code(1454, "ERROR_PAGEFILE_QUOTA", "the process's page file quota was exceeded", "commit"),
    Code(ERROR_COMMITMENT_LIMIT, "ERROR_COMMITMENT_LIMIT", "the commit limit was reached", "commit"),
    Code(1816, "ERROR_NOT_ENOUGH_QUOTA", "a quota of the process, its job or a message queue was exceeded"),
)
"""Values of GetLastError that concern memory."""

HRESULTS: tuple[Code, ...] = (
    Code(E_OUTOFMEMORY, "E_OUTOFMEMORY", "OutOfMemoryException", "memory"),
    Code(0x80070008, "HRESULT_FROM_WIN32(ERROR_NOT_ENOUGH_MEMORY)", "an allocation failed", "memory"),
    Code(0x800705AF, "HRESULT_FROM_WIN32(ERROR_COMMITMENT_LIMIT)", "the commit limit was reached", "commit"),
    Code(0x80131506, "COR_E_EXECUTIONENGINE", "internal error of the .NET runtime"),
    Code(0x8013153D, "COR_E_INSUFFICIENTMEMORY", "InsufficientMemoryException", "memory"),
    Code(0x800703E9, "COR_E_STACKOVERFLOW", "StackOverflowException", "stack"),
)
"""HRESULTs of .NET exceptions."""

CPP_MEMORY_TYPES = ("std::bad_alloc", "std::bad_array_new_length", "CMemoryException")
"""C++ exception classes that mean a failed allocation, as their undecorated names."""

LINUX_SIGNALS: tuple[Code, ...] = (
    Code(1, "SIGHUP", "hang-up"),
    Code(2, "SIGINT", "interrupted"),
    Code(3, "SIGQUIT", "quit"),
    Code(4, "SIGILL", "illegal instruction"),
    Code(5, "SIGTRAP", "breakpoint"),
    Code(6, "SIGABRT", "abort"),
    Code(7, "SIGBUS", "bus error"),
    Code(8, "SIGFPE", "arithmetic error"),
    Code(9, "SIGKILL", "killed"),
    Code(10, "SIGUSR1", "defined by the program"),
    Code(11, "SIGSEGV", "segmentation fault"),
    Code(12, "SIGUSR2", "defined by the program"),
    Code(13, "SIGPIPE", "broken pipe"),
    Code(14, "SIGALRM", "a timer expired"),
    Code(15, "SIGTERM", "terminated"),
    Code(16, "SIGSTKFLT", "stack fault of the coprocessor"),
    Code(24, "SIGXCPU", "CPU time limit exceeded"),
    Code(25, "SIGXFSZ", "file size limit exceeded"),
    Code(31, "SIGSYS", "bad system call"),
    Code(0xFFFFFFFF, "DUMP_REQUESTED", "a requested dump, not a crash"),
)
"""Signals: the exception codes in a dump of a Linux or Android process (Breakpad's MD_EXCEPTION_CODE_LIN_*)."""

EXC_CRASH = 10

MACH_EXCEPTIONS: tuple[Code, ...] = (
    Code(1, "EXC_BAD_ACCESS", "access to unmapped or protected memory"),
    Code(2, "EXC_BAD_INSTRUCTION", "illegal instruction"),
    Code(3, "EXC_ARITHMETIC", "arithmetic error"),
    Code(4, "EXC_EMULATION", "emulation"),
    Code(5, "EXC_SOFTWARE", "raised by software"),
    Code(6, "EXC_BREAKPOINT", "breakpoint, or an assertion of the program"),
    Code(7, "EXC_SYSCALL", "system call"),
    Code(8, "EXC_MACH_SYSCALL", "Mach system call"),
    Code(9, "EXC_RPC_ALERT", "RPC alert"),
    Code(EXC_CRASH, "EXC_CRASH", "abnormal process exit"),
    Code(11, "EXC_RESOURCE", "a resource limit was exceeded"),
    Code(12, "EXC_GUARD", "a guarded resource was violated"),
    Code(13, "EXC_CORPSE_NOTIFY", "abnormal process exit, reported afterwards"),
    Code(0x43507378, "SIMULATED", "a requested dump, not a crash (Crashpad's 'CPsx')"),
    Code(0x43506E78, "NS_EXCEPTION", "an uncaught Objective-C exception (Crashpad's 'CPnx')"),
)
"""Mach exception types: the exception codes in a dump of a macOS or iOS process (mach/exception_types.h)."""

_EXCEPTIONS = {code.value: code for code in (*SOFTWARE_EXCEPTIONS, *NTSTATUS)}
_STATUS = {code.value: code for code in NTSTATUS}
_ERRORS = {code.value: code for code in WIN32_ERRORS}
_HRESULTS = {code.value: code for code in HRESULTS}
_BY_KERNEL = {
    "windows": _EXCEPTIONS,
    "linux": {code.value: code for code in LINUX_SIGNALS},
    "macos": {code.value: code for code in MACH_EXCEPTIONS},
}


def exception_code(value: int, family: str = "windows") -> Code | None:
    """Looks up an exception code; None if it is unknown.

    Args:
        value: the recorded code. Bits above 32 are a sign extension and are ignored.
        family: the operating system. The codes are signals for Linux and Android, and Mach exception types for
            macOS and iOS.
    """
    number = value & 0xFFFFFFFF
    if family == "windows" and number in UNREAL_ENSURES:
        return replace(UNREAL_ENSURE, value=number)
    return _BY_KERNEL.get(kernel_of(family), {}).get(number)


def exception_text(value: int, family: str = "windows") -> str:
    """Writes an exception code, with its name if known: `0xc0000017 STATUS_NO_MEMORY`, `signal 11 (SIGSEGV)`."""
    code, number = exception_code(value, family), value & 0xFFFFFFFF
    kind = _KINDS.get(kernel_of(family))
    # Larger numbers are no signals and no Mach exceptions: the writers of dumps added them.
    if kind is None or number > _LARGEST_SIGNAL:
        # Where dumpmap knows no codes, small numbers are likely signals too, which people know in decimal.
        decimal = kind is None and family != "windows" and number <= _LARGEST_SIGNAL
        written = str(number) if decimal else f"0x{number:x}"
        return written if code is None else f"{written} {code.name}"
    return f"{kind} {number}" + ("" if code is None else f" ({code.name})")


_KINDS = {"linux": "signal", "macos": "Mach exception"}
_LARGEST_SIGNAL = 255


def ntstatus(value: int) -> Code | None:
    """Looks up an NTSTATUS; None if it is unknown."""
    return _STATUS.get(value & 0xFFFFFFFF)


def win32_error(value: int) -> Code | None:
    """Looks up a value of GetLastError; None if it is unknown."""
    return _ERRORS.get(value & 0xFFFFFFFF)


def hresult(value: int) -> Code | None:
    """Looks up an HRESULT; None if it is unknown. In 64 bits it can be sign-extended."""
    return _HRESULTS.get(value & 0xFFFFFFFF)
