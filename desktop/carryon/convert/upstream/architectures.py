"""Which architectures llama.cpp's own converter knows: the text models it registers, of the version that we run."""

from functools import cache
from importlib.resources import files

_LIST = "upstream_architectures.txt"  # one name a line, sorted; made by packaging/upstream_list.py


@cache
def known() -> frozenset[str]:
    """The names as config.json has them under "architectures"."""
    text = files("carryon.resources").joinpath(_LIST).read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
