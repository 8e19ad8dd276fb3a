"""The Windows functions that a capture calls. `WindowsApi` has one method for each question.

Answers are plain Python values. What an answer means for the capture is decided in `dumpmap.capture.windows`.
"""

from dumpmap.capture.windows.api.calls import ApiError, Calls
from dumpmap.capture.windows.api.memory import MemoryApi
from dumpmap.capture.windows.api.modules import ModuleApi
from dumpmap.capture.windows.api.processes import ProcessApi
from dumpmap.capture.windows.api.system import Machine, SystemApi, SystemFacts
from dumpmap.capture.windows.api.threads import ThreadApi

__all__ = ["ApiError", "Calls", "Machine", "SystemFacts", "WindowsApi"]


class WindowsApi(ProcessApi, MemoryApi, ModuleApi, ThreadApi, SystemApi):
    """Every question that a capture asks Windows. Tests replace it with a simulated Windows.

    Methods that take a handle raise `ApiError` if Windows does not answer, unless they say otherwise.
    """
