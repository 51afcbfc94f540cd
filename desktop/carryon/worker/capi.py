"""The engine's C API: llama.h as llama-cpp-python binds it, ggml's symbols by name. Importing it maps the engine."""

import ctypes
import importlib.util
import os
import platform
import sys
import types
from typing import Any

_PACKAGE = "llama_cpp"
# The layouts that our version of the bindings was checked against on 64-bit machines (reference: llama.h of 0.3.36).
_SIZES = {"llama_model_params": 80, "llama_context_params": 160, "llama_batch": 56}


def _leave_out_the_high_level() -> None:
    """Makes `llama_cpp` an empty package, so that only its bindings are imported.

    Its own __init__ pulls in numpy, jinja2, a pickling disk cache (CVE-2025-69872) and a web server: 0.2 s and 30 MB.
    """
    if _PACKAGE in sys.modules:
        return
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("llama-cpp-python is not installed")
    package = types.ModuleType(_PACKAGE)
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[_PACKAGE] = package


os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # else an abort forks gdb and takes seconds
_leave_out_the_high_level()

import llama_cpp.llama_cpp as bindings  # noqa: E402

L: Any = bindings

LogCallback = L.llama_log_callback
ProgressCallback = L.llama_progress_callback


def symbol(name: str, result: Any, *arguments: Any) -> Any:
    """A llama or ggml function, from the copy of the library that the engine itself uses.

    Loading libggml by its own path would map a second ggml with its own registry. Raises AttributeError.
    """
    for library in _libraries():
        try:
            # item access makes a new function object, so two callers may see different argument types
            function = library[name]
        except AttributeError:
            continue
        function.restype, function.argtypes = result, list(arguments)
        return function
    raise AttributeError(name)


def _libraries() -> list[Any]:
    """dlsym follows dependencies; Windows does not, and opens what is already mapped by its name."""
    if os.name != "nt":
        return [L._lib]
    return [L._lib, *(ctypes.CDLL(str(L._base_path / name)) for name in ("ggml.dll", "ggml-base.dll"))]


def version() -> str:
    """What llama.cpp calls itself."""
    return str(L.llama_version().decode("utf-8", "replace"))


def layout_complaint() -> str | None:
    """Why the bindings do not fit the library; None if they do. Wrong layouts would crash, or worse, run."""
    if platform.machine().lower() not in ("x86_64", "amd64", "arm64", "aarch64"):
        return None
    wrong = [f"{name} {ctypes.sizeof(getattr(L, name))} bytes, not {size}" for name, size in _SIZES.items()
             if ctypes.sizeof(getattr(L, name)) != size]
    return f"another llama-cpp-python than 0.3.36 is installed: {', '.join(wrong)}" if wrong else None
