"""The guide as F16 and as quants of it: converted by the converter, quantized by the engine in a process of its own."""

import subprocess
import sys
from importlib import resources
from pathlib import Path

FILE_TYPES = {"Q2_K": 10, "Q4_K_M": 15, "Q8_0": 7}  # enum llama_ftype of llama.h


def guide_f16(path):
    from carryon.base.jobs import drained
    from carryon.convert.forms import OutType
    from carryon.convert.run import convert

    folder = Path(str(resources.files("carryon.resources").joinpath("guide")))
    return drained(convert(folder, path, OutType.F16)).path


def quantized(source, quant):
    """A quant beside its source."""
    target = source.with_name(f"{source.stem}-{quant}.gguf")
    command = [sys.executable, __file__, str(source), str(target), str(FILE_TYPES[quant])]
    subprocess.run(command, check=True, capture_output=True)
    return target


def main(source, target, file_type):
    import ctypes
    import os

    from llama_cpp import llama_cpp

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype, parameters.nthread = int(file_type), 1
    failed = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(parameters))
    raise SystemExit(failed)


if __name__ == "__main__":
    main(*sys.argv[1:])
