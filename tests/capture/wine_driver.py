"""Runs on a Windows Python: starts programs, has them captured by the one-file capture, and notes what happened.

    python wine_driver.py PLAN.json RESULT.json

The plan has the starts of command lines that capture, the folder of the fixture programs, and an output folder.
Nothing is judged here; `test_capture_wine` does that, on the machine that runs the tests.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

JSON = dict[str, Any]
WINDOWS: Any = ctypes  # what it has on Windows only


class Program:
    """A fixture program that has set its scene and waits."""

    def __init__(self, folder: str, name: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [str(Path(folder, name)), *arguments, "--wait"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
        )
        assert self.process.stdout is not None
        lines = []
        while (line := self.process.stdout.readline()) and line.strip() != b"READY":
            lines.append(line)
        self.truth = b"".join(lines).decode("utf-8")
        self.pid = self.process.pid

    def end(self) -> None:
        """Lets it go and waits for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.close()
        self.process.wait()


def open_desktop() -> None:
    """Has Wine start the program of its desktop, which keeps the standard handles of the process that first needs it.

    The start program of the exe has a window. Without this, its pipe would be held open after its end.
    """
    WINDOWS.WinDLL("user32").GetDesktopWindow()


def capture(command: list[str], *arguments: str) -> JSON:
    """Runs the one-file capture."""
    began = time.monotonic()
    done = subprocess.run([*command, *arguments], capture_output=True, check=False)
    return {
        "code": done.returncode,
        "seconds": time.monotonic() - began,
        "out": done.stdout.decode("utf-8", "replace"),
        "err": done.stderr.decode("utf-8", "replace"),
    }


def start_guarded(rights: str) -> Any:
    """Starts a sleeping process whose access list is `rights` (SDDL); returns its id and a function that ends it."""
    kernel, advapi = WINDOWS.WinDLL("kernel32", use_last_error=True), WINDOWS.WinDLL("advapi32", use_last_error=True)
    descriptor = ctypes.c_void_p()
    if not advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW(
        ctypes.c_wchar_p(rights), 1, ctypes.byref(descriptor), None
    ):
        raise WINDOWS.WinError(WINDOWS.get_last_error())
    attributes = (ctypes.c_void_p * 3)(24, descriptor.value, 0)
    startup = (ctypes.c_char * 104)()
    ctypes.c_uint32.from_buffer(startup).value = ctypes.sizeof(startup)
    information = (ctypes.c_void_p * 3)()
    command = ctypes.create_unicode_buffer(f'"{sys.executable}" -I -S -c "import time; time.sleep(60)"')
    if not kernel.CreateProcessW(None, command, attributes, None, False, 0, None, None, startup, information):
        raise WINDOWS.WinError(WINDOWS.get_last_error())
    time.sleep(1)

    def end() -> None:
        kernel.TerminateProcess(ctypes.c_void_p(information[0]), 0)

    return (information[2] or 0) & 0xFFFF_FFFF, end


def capture_itself(pyz: str) -> JSON:
    """Captures the process that runs this, with memory whose residency is known."""
    sys.path.insert(0, pyz)
    from dumpmap.capture import capture_process

    kernel = WINDOWS.WinDLL("kernel32")
    kernel.VirtualAlloc.restype = ctypes.c_void_p
    kernel.VirtualAlloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint32]
    address = kernel.VirtualAlloc(None, 1 << 20, 0x3000, 4)
    ctypes.memset(address, 1, 300 * 1024)
    return {"touched": address, "document": capture_process(os.getpid())}


def run(plan: JSON) -> JSON:
    """Carries out the plan."""
    open_desktop()
    programs, output = plan["programs"], plan["output"]
    command = next(iter(plan["commands"].values()))
    result: JSON = {"captures": {}}
    for name in plan["scenes"]:
        dump = str(Path(output, f"{name}.dmp"))
        program = Program(programs, f"{name}.exe", "--dump", dump)
        Path(output, f"{name}.truth.json").write_text(program.truth, encoding="utf-8")
        for label, each in plan["commands"].items():
            file = str(Path(output, f"{name}.{label}.json"))
            result["captures"][f"{name} {label}"] = capture(each, str(program.pid), "--freeze", "-o", file)
        if plan["more"]:
            result["pid"] = program.pid
            result["by name"] = capture(command, name.upper(), "-o", str(Path(output, "named.json")))
            result["exists"] = capture(command, name, "-o", str(Path(output, "named.json")))
            second = Program(programs, f"{name}.exe")
            result["two of a name"] = capture(command, name, "-o", str(Path(output, "two.json")))
            second.end()
            arguments = ("-o", str(Path(output, "series.json.gz")), "--count", "50", "--interval", "1")
            series = subprocess.Popen([*command, str(program.pid), *arguments], stderr=subprocess.PIPE)
            deadline = time.monotonic() + 60
            while not Path(output, "series-0002.json.gz").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            program.end()
            _, told = series.communicate(timeout=60)
            result["series"] = {"code": series.returncode, "err": told.decode("utf-8", "replace")}
            # The handle that this process still has keeps the ended process's id.
            result["ended"] = capture(command, str(program.pid), "-o", str(Path(output, "ended.json")))
        else:
            program.end()
    if plan["more"]:
        result["own name"] = capture(command, "dumpmap-capture", "-o", str(Path(output, "own.json")))
        result["no such process"] = capture(command, "999996", "-o", str(Path(output, "none.json")))
        for label, rights in (
            ("map only", "D:P(A;;0x1400;;;WD)"),
            ("limited", "D:P(A;;0x1000;;;WD)"),
            ("denied", "D:P(D;;GA;;;WD)"),
        ):
            pid, end = start_guarded(rights)
            result[label] = {**capture(command, str(pid), "-o", str(Path(output, f"{label}.json"))), "pid": pid}
            end()
        result["itself"] = capture_itself(plan["pyz"])
    return result


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
