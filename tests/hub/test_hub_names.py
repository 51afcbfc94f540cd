"""What people paste is understood, and no name from the network leaves its folder."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carryon.base.errors import BadFile, BadInput
from carryon.hub.names import Reference, is_reference, reference_of, safe_parts

REPO = Reference("acme/tiny-GGUF")


@pytest.mark.parametrize(("text", "meant"), [
    ("acme/tiny-GGUF", REPO),
    ("  acme/tiny-GGUF/ ", REPO),
    ("acme/tiny-GGUF:Q4_K_M", Reference("acme/tiny-GGUF", quant="Q4_K_M")),
    ("acme/tiny-GGUF:q8_0", Reference("acme/tiny-GGUF", quant="Q8_0")),
    ("acme/tiny-GGUF:sub/m-Q4_K_M.gguf", Reference("acme/tiny-GGUF", file="sub/m-Q4_K_M.gguf")),
    ("https://huggingface.co/acme/tiny-GGUF", REPO),
    ("huggingface.co/acme/tiny-GGUF?library=x", REPO),
    ("hf.co/acme/tiny-GGUF:Q6_K", Reference("acme/tiny-GGUF", quant="Q6_K")),
    ("hf://acme/tiny-GGUF", REPO),
    ("https://huggingface.co/acme/tiny-GGUF/tree/main", REPO),
    ("https://huggingface.co/acme/tiny-GGUF/tree/v1", Reference("acme/tiny-GGUF", "v1")),
    ("https://huggingface.co/acme/tiny-GGUF/blob/main/m%20x.gguf", Reference("acme/tiny-GGUF", file="m x.gguf")),
    ("https://huggingface.co/acme/tiny-GGUF/resolve/main/m.gguf?download=true",
     Reference("acme/tiny-GGUF", file="m.gguf")),
])  # fmt: skip
def test_what_is_pasted_is_understood(text, meant):
    assert reference_of(text) == meant


@pytest.mark.parametrize("text", [
    "", "llama", "qwen 8b", "a/b/c", "../x", "a/..", "a/b.git", "-a/b", "a/b--c", "https://example.com/acme/tiny",
    "ftp://huggingface.co/acme/tiny", "https://huggingface.co/acme", "https://huggingface.co@evil.com/acme/tiny",
    "file:///etc/passwd", "https://huggingface.co/acme/tiny/resolve/a..b/m.gguf",
])  # fmt: skip
def test_words_and_foreign_addresses_are_no_reference(text):
    assert not is_reference(text)
    with pytest.raises(BadInput):
        reference_of(text)


def test_a_mirrors_addresses_are_understood_too():
    assert reference_of("http://127.0.0.1:80/acme/tiny-GGUF", ("127.0.0.1:80",)) == REPO


@pytest.mark.parametrize("path", [
    "m-Q4_K_M.gguf", "BF16/Llama 3.1 (8B)-BF16-00001-of-00002.gguf", "über.gguf", "模型.gguf",
])  # fmt: skip
def test_ordinary_names_are_taken(path):
    assert "/".join(safe_parts(path)) == unicodedata.normalize("NFC", path)


@pytest.mark.parametrize("path", [
    "../m.gguf", "a/../m.gguf", "/etc/passwd", "C:/m.gguf", "//host/share/m.gguf", "a\\m.gguf", "CON.gguf", "aux",
    "nul .gguf", "m.gguf:stream", "trail.", "trail ", "a\nb.gguf", "x\u202egguf", "-rf.gguf",
    ".cache/huggingface/x", "a//b", "", "a/", "m\0.gguf",
    "x" * 200 + ".gguf", "a/" * 20 + "m.gguf", "~/m.gguf", "m*.gguf", "m?.gguf", "m|.gguf", 'm".gguf',
    "lpt1.x.gguf", "\u200bm.gguf",
])  # fmt: skip
def test_unsafe_names_are_refused(path):
    with pytest.raises(BadFile):
        safe_parts(path)


@given(st.text(max_size=40))
def test_whatever_is_taken_stays_in_its_folder(tmp_path_factory, path):
    try:
        parts = safe_parts(path)
    except BadFile:
        return
    root = tmp_path_factory.getbasetemp()
    assert root in root.joinpath(*parts).resolve().parents


@given(st.text(max_size=60))
def test_whatever_is_pasted_gives_a_reference_or_bad_input(text):
    try:
        found = reference_of(text)
    except (BadInput, BadFile):
        return
    assert found.repo_id.count("/") == 1
    assert ".." not in found.repo_id
