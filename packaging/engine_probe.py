"""Runs inside the new environment, as a child that may die: loads the engine, lists its devices and computes.

    python engine_probe.py [MODEL.gguf]

The last line is JSON. Computing matters: a wheel for another CPU loads well and dies of SIGILL at the first product.
"""

import ctypes
import json
import sys
from contextlib import suppress
from typing import Any

import llama_cpp

TYPES = ("CPU", "GPU", "IGPU", "ACCEL", "META")              # enum ggml_backend_dev_type in ggml-backend.h


def library_with(name: str) -> Any:
    """The mapped library that has a function of ggml: libllama finds it through its own, Windows only by its name."""
    engine = llama_cpp.llama_cpp._lib
    for candidate in (engine, *(f"{base}.dll" for base in ("ggml", "ggml-base"))):
        with suppress(AttributeError, OSError):
            library = ctypes.CDLL(candidate) if isinstance(candidate, str) else candidate
            getattr(library, name)
            return library
    raise SystemExit(f"The engine lacks {name}.")


def function(name: str, result: Any, *arguments: Any) -> Any:
    """A function of ggml with its types."""
    found = getattr(library_with(name), name)
    found.restype, found.argtypes = result, list(arguments)
    return found


def devices() -> list[dict[str, str]]:
    """The devices that this build sees, by name and type."""
    get = function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    name = function("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)
    kind = function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    count = function("ggml_backend_dev_count", ctypes.c_size_t)()
    return [{"name": name(get(index)).decode(), "type": TYPES[kind(get(index))]} for index in range(count)]


def decoded(path: str) -> bool | None:
    """Whether a few tokens went through the model; None when the file is no model that opens (the file's fault)."""
    settings = llama_cpp.llama_model_default_params()
    settings.n_gpu_layers = 999                              # every layer on the GPU where there is one
    model = llama_cpp.llama_model_load_from_file(path.encode(), settings)
    if not model:
        return None
    small = llama_cpp.llama_context_default_params()
    small.n_ctx = small.n_batch = 64
    context = llama_cpp.llama_init_from_model(model, small)
    tokens = (llama_cpp.llama_token * 4)(1, 2, 3, 4)
    return bool(context) and llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, 4)) == 0


def main(arguments: list[str]) -> int:
    """Prints what was found; exit code 1 when the engine cannot compute."""
    llama_cpp.llama_backend_init()
    works = decoded(arguments[0]) if arguments else None
    has_rpc = bool(llama_cpp.llama_supports_rpc())
    print(json.dumps({"devices": devices(), "has_rpc": has_rpc, "decoded": works}), flush=True)
    return 1 if works is False else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
