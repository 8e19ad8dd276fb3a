"""Reasons of a fail fast: parameter 0 of STATUS_STACK_BUFFER_OVERRUN. Reference: FAST_FAIL_* in winnt.h."""

from __future__ import annotations

from collections.abc import Iterator

_REASONS = [
    "LEGACY_GS_VIOLATION",
    "VTGUARD_CHECK_FAILURE",
    "STACK_COOKIE_CHECK_FAILURE",
    "CORRUPT_LIST_ENTRY",
    "INCORRECT_STACK",
    "INVALID_ARG",
    "GS_COOKIE_INIT",
    "FATAL_APP_EXIT",
    "RANGE_CHECK_FAILURE",
    "UNSAFE_REGISTRY_ACCESS",
    "GUARD_ICALL_CHECK_FAILURE",
    "GUARD_WRITE_CHECK_FAILURE",
    "INVALID_FIBER_SWITCH",
    "INVALID_SET_OF_CONTEXT",
    "INVALID_REFERENCE_COUNT",
    "-",
    "-",
    "-",
    "INVALID_JUMP_BUFFER",
    "MRDATA_MODIFIED",
    "CERTIFICATION_FAILURE",
    "INVALID_EXCEPTION_CHAIN",
    "CRYPTO_LIBRARY",
    "INVALID_CALL_IN_DLL_CALLOUT",
    "INVALID_IMAGE_BASE",
    "DLOAD_PROTECTION_FAILURE",
    "UNSAFE_EXTENSION_CALL",
    "DEPRECATED_SERVICE_INVOKED",
    "INVALID_BUFFER_ACCESS",
    "INVALID_BALANCED_TREE",
    "INVALID_NEXT_THREAD",
    "GUARD_ICALL_CHECK_SUPPRESSED",
    "APCS_DISABLED",
    "INVALID_IDLE_STATE",
    "MRDATA_PROTECTION_FAILURE",
    "UNEXPECTED_HEAP_EXCEPTION",
    "INVALID_LOCK_STATE",
    "GUARD_JUMPTABLE",
    "INVALID_LONGJUMP_TARGET",
    "INVALID_DISPATCH_CONTEXT",
    "INVALID_THREAD",
    "INVALID_SYSCALL_NUMBER",
    "INVALID_FILE_OPERATION",
    "LPAC_ACCESS_DENIED",
    "GUARD_SS_FAILURE",
    "LOADER_CONTINUITY_FAILURE",
    "GUARD_EXPORT_SUPPRESSION_FAILURE",
    "INVALID_CONTROL_STACK",
    "SET_CONTEXT_DENIED",
    "INVALID_IAT",
    "HEAP_METADATA_CORRUPTION",
    "PAYLOAD_RESTRICTION_VIOLATION",
    "LOW_LABEL_ACCESS_DENIED",
    "ENCLAVE_CALL_FAILURE",
    "UNHANDLED_LSS_EXCEPTON",
    "ADMINLESS_ACCESS_DENIED",
    "UNEXPECTED_CALL",
    "CONTROL_INVALID_RETURN_ADDRESS",
    "UNEXPECTED_HOST_BEHAVIOR",
    "FLAGS_CORRUPTION",
    "VEH_CORRUPTION",
    "ETW_CORRUPTION",
    "RIO_ABORT",
    "INVALID_PFN",
    "GUARD_ICALL_CHECK_FAILURE_XFG",
    "CAST_GUARD",
    "HOST_VISIBILITY_CHANGE",
    "KERNEL_CET_SHADOW_STACK_ASSIST",
    "PATCH_CALLBACK_FAILED",
    "NTDLL_PATCH_FAILED",
    "INVALID_FLS_DATA",
]
"""The names by number, without their prefix; `-` has none."""


def fast_fail_reasons() -> Iterator[tuple[int, str]]:
    """Yields every reason that has a name, with its name."""
    for reason in range(len(_REASONS)):
        name = fast_fail_name(reason)
        if name is not None:
            yield reason, name


def fast_fail_name(reason: int) -> str | None:
    """Returns the name of a reason: `FAST_FAIL_FATAL_APP_EXIT`; None if it has none."""
    name = _REASONS[reason] if 0 <= reason < len(_REASONS) else "-"
    return None if name == "-" else f"FAST_FAIL_{name}"
