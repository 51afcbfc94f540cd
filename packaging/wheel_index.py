"""The index of prebuilt engine wheels: one page a variant, asked with a deadline because it may be out of reach."""

import html
import platform
import re
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

from narration import SetupFailed

ADDRESS = "https://abetlen.github.io/llama-cpp-python/whl"      # llama-cpp-python's README, "pre-built wheel"
DEADLINE_S = 4.0


class IndexSilent(SetupFailed):
    """The index does not answer in time, or says nothing that is an index."""


@dataclass(frozen=True)
class WheelIndex:
    """An index laid out as llama-cpp-python's own: ADDRESS/<variant>/llama-cpp-python/ lists wheels of all versions."""

    address: str = ADDRESS
    deadline_s: float = DEADLINE_S

    def wheels(self, variant: str, version: str) -> list[str]:
        """The addresses of the wheels for this system, [] when the variant has none. Raises IndexSilent."""
        page = f"{self.address.rstrip('/')}/{variant}/llama-cpp-python/"
        return [link for link in links_of(self.read(page), page) if is_for_here(file_name(link), version)]

    def read(self, page: str) -> str:
        """The page; read by a thread, since name resolution and dripping servers do not keep to a socket's timeout."""
        answer: list[str | IndexSilent] = []
        reader = threading.Thread(target=lambda: answer.append(_answer_of(page, self.deadline_s)), daemon=True)
        reader.start()
        reader.join(self.deadline_s)
        told = answer[0] if answer else IndexSilent(f"{page} did not answer within {self.deadline_s:g} seconds.")
        if isinstance(told, IndexSilent):
            raise told
        return told


def _answer_of(page: str, deadline_s: float) -> str | IndexSilent:
    """The page's text; "" where the index lives and has no such variant."""
    try:
        with urllib.request.urlopen(page, timeout=deadline_s) as response:
            text: str = response.read().decode("utf-8", "replace")
            return text
    except urllib.error.HTTPError as error:
        return "" if error.code in (404, 410) else IndexSilent(f"{page} answers with HTTP {error.code}.")
    except (OSError, ValueError) as error:
        return IndexSilent(f"{page} cannot be reached: {getattr(error, 'reason', error)}.")


def links_of(text: str, page: str) -> list[str]:
    """The absolute links of a simple index page (PEP 503)."""
    return [urljoin(page, html.unescape(link)) for link in re.findall(r'href\s*=\s*"([^"]+)"', text)]


def file_name(link: str) -> str:
    """The file that a link leads to."""
    return unquote(urlsplit(link).path.rsplit("/", 1)[-1])


def is_for_here(name: str, version: str, system: str = sys.platform, machine: str = platform.machine()) -> bool:
    """Whether a wheel's name says this version, operating system and architecture; pip checks the C library after."""
    if not name.startswith(f"llama_cpp_python-{version}-") or not name.endswith(".whl"):
        return False
    tags = name.removesuffix(".whl").rsplit("-", 1)[1]
    cpu = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine.lower())
    if system == "win32":
        return tags == {"x86_64": "win_amd64", "aarch64": "win_arm64"}.get(cpu)
    if system == "darwin":
        return tags.startswith("macosx") and tags.endswith(({"aarch64": "arm64"}.get(cpu, cpu), "universal2"))
    return any(tag.startswith(("linux", "manylinux")) and tag.endswith(cpu) for tag in tags.split("."))
