"""The head of a README in GGUF's words, and nothing of a README that has none."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carryon.convert.card import card_settings
from carryon.convert.forms import OutType
from carryon.convert.write import header_bytes

WHOLE = """---
license: apache-2.0   # as the paper says
language:
- en
- 'no'
tags: [chat, "small model"]
base_model:
  - owner/base-7b
  - ../../nowhere
model-index:
- name: x
  results:
  - task: {type: text}
widget:
- text: hello
---
# A model
license: mit
"""


def said(folder, text):
    (folder / "README.md").write_text(text, encoding="utf-8")
    return card_settings(folder)


def test_the_head_is_read(tmp_path):
    assert said(tmp_path, WHOLE) == {
        "general.license": "apache-2.0",
        "general.tags": ["chat", "small model"],
        "general.languages": ["en", "no"],
        "general.base_model.count": 1,
        "general.base_model.0.name": "base-7b",
        "general.base_model.0.organization": "owner",
        "general.base_model.0.repo_url": "https://huggingface.co/owner/base-7b",
    }


def test_a_single_value_is_a_list_of_one(tmp_path):
    settings = said(tmp_path, "---\nlanguage: en\nbase_model: a/b\n---\n")
    assert settings["general.languages"] == ["en"]
    assert settings["general.base_model.0.name"] == "b"


def test_other_licences_come_with_name_and_link(tmp_path):
    settings = said(tmp_path, "---\nlicense: other\nlicense_name: own\nlicense_link: LICENSE\n---\n")
    assert (settings["general.license.name"], settings["general.license.link"]) == ("own", "LICENSE")


@pytest.mark.parametrize(
    "text", ["", "# A model\nlicense: mit\n", "---\nlicense: mit\n", "---\n---\n", "---\n[]\n---\n"]
)
def test_a_readme_without_a_head_says_nothing(tmp_path, text):
    assert said(tmp_path, text) == {}


def test_without_a_readme_nothing_is_said(tmp_path):
    assert card_settings(tmp_path) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["---", "license:", "tags:", "- ", "base_model: a/b", "[x, ", "]", "\x00é", "language: [en]"])
    )
)
def test_any_head_can_be_written_to_a_file(tmp_path, lines):
    assert header_bytes(said(tmp_path, "\n".join(["---", *lines, "---"])), [])


def test_it_stands_in_the_converted_file(folder, converted):
    (folder / "README.md").write_text(WHOLE, encoding="utf-8")
    fields = converted(folder, OutType.F32).fields
    assert fields["general.license"].contents() == "apache-2.0"
    assert fields["general.tags"].contents() == ["chat", "small model"]
