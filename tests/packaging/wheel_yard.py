"""Fakes that speak pip's real protocols: wheels, source distributions, an index on loopback, engines that die."""

import base64
import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = "0.3.36"
HERE = "win_amd64.manylinux_2_17_x86_64.manylinux_2_17_aarch64.macosx_11_0_arm64.macosx_11_0_x86_64"

# As much of llama_cpp as the probe asks for: devices by ggml's functions, one decoded batch.
ENGINE = '''
import ctypes
from llama_cpp import llama_cpp
from llama_cpp.llama_cpp import *
'''
ENGINE_API = '''
import os, types
DEVICES = {devices!r}
{life}
def get(index): return index
def name(index): return DEVICES[index][0].encode()
def kind(index): return DEVICES[index][1]
def count(): return len(DEVICES)
_lib = types.SimpleNamespace(ggml_backend_dev_get=get, ggml_backend_dev_name=name, ggml_backend_dev_type=kind,
                             ggml_backend_dev_count=count)
def llama_backend_init(): pass
def llama_supports_rpc(): return {has_rpc}
CMAKE_ARGS = {flags!r}
'''
CPU, GPU = ("CPU", 0), ("CUDA0", 1)


def engine_files(devices: Sequence[tuple[str, int]] = (CPU,), life: str = "", has_rpc: bool = False,
                 flags: str = "") -> dict[str, str | bytes]:
    """A fake llama_cpp; `life` is run at import: `os.abort()` is a wheel that crashes."""
    api = ENGINE_API.format(devices=[*devices], life=life, has_rpc=has_rpc, flags=flags)
    return {"llama_cpp/__init__.py": ENGINE, "llama_cpp/llama_cpp.py": api}


def wheel_name(name: str, version: str, tag: str = "py3-none-any") -> str:
    return f"{name.replace('-', '_')}-{version}-{tag}.whl"


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str | bytes], *, tag: str = "py3-none-any",
          requires: Sequence[str] = ()) -> Path:
    """Writes a wheel that pip installs (PEP 427)."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    tags = "".join(f"Tag: py3-none-{one}\n" for one in tag.rsplit("-", 1)[1].split("."))
    whole = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
             f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: yard\nRoot-Is-Purelib: true\n{tags}"}
    path = folder / wheel_name(name, version, tag)
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in whole.items():
            archive.writestr(file, content)
        archive.writestr(f"{info}/RECORD", "".join(map(_record, whole.items())) + f"{info}/RECORD,,\n")
    return path


def _record(entry: tuple[str, str | bytes]) -> str:
    name, content = entry
    raw = content.encode() if isinstance(content, str) else content
    digest = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(raw)}\n"


def prebuilt(folder: Path, **traits: object) -> Path:
    """A prebuilt engine wheel for whatever system the tests run on."""
    return wheel(folder, "llama-cpp-python", VERSION, engine_files(**traits), tag=f"py3-none-{HERE}")  # type: ignore[arg-type]


BACKEND = '''
"""A build backend of its own: compiles as llama.cpp does, to look at, and writes one line for every build."""
import os, pathlib, sys, time, zipfile
sys.path.insert(0, os.path.dirname(__file__))
from wheel_yard import engine_files, wheel, VERSION
def get_requires_for_build_wheel(settings=None): return []
def build_wheel(folder, settings=None, metadata=None):
    for step, name in enumerate(("ggml.c", "llama.cpp", "mtmd.cpp"), 1):
        print(f"[{step}/3] Building CXX object src/CMakeFiles/x.dir/{name}.o", flush=True)
    with open(os.environ["YARD_BUILDS"], "a") as log:
        log.write(os.environ["CMAKE_ARGS"] + "\\n")
    {after}
    made = wheel(pathlib.Path(folder), "llama-cpp-python", VERSION,
                 engine_files(has_rpc=True, flags=os.environ["CMAKE_ARGS"]), tag="py3-none-linux_x86_64")
    plain = made.with_name(made.name.replace("linux_x86_64", "any"))
    made.rename(plain)
    return plain.name
'''


def source(folder: Path, after: str = "pass") -> Path:
    """The engine's source distribution; building it notes its flags in the file that YARD_BUILDS names."""
    root = f"llama_cpp_python-{VERSION}"
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "PKG-INFO": f"Metadata-Version: 2.1\nName: llama_cpp_python\nVersion: {VERSION}\n",
        "backend.py": BACKEND.replace("{after}", after),
        "wheel_yard.py": Path(__file__).read_text(encoding="utf-8"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{root}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{root}/{name}")
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return path


class _Handler(SimpleHTTPRequestHandler):
    """Folders are shown as pages of links, as a simple index shows them."""

    def log_message(self, format: str, *words: object) -> None:
        pass


class IndexServer:
    """A web server of one folder: `<folder>/simple/<project>/` for pip, `<folder>/whl/<variant>/…` for engines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "IndexServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def project(self, name: str) -> Path:
        """The folder of a project for pip."""
        return self.folder / "simple" / name

    def variant(self, name: str) -> Path:
        """The folder of a variant of the engine."""
        return self.folder / "whl" / name / "llama-cpp-python"


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that takes connections and never says a word; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def dead_address() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"
