"""Another machine from a file: whatever is wrong with it is one sentence."""

import json
import os
from dataclasses import replace

import pytest
from fakes import machines

from carryon.app.machine_file import LARGEST_FILE_BYTES, read_machine_file
from carryon.base.errors import BadInput
from carryon.hardware.codec import encode_machine
from carryon.hardware.machine import DeviceKind
from carryon.hardware.parts import parts


def written(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def refusal(tmp_path, text):
    with pytest.raises(BadInput) as caught:
        read_machine_file(written(tmp_path, text))
    assert caught.value.hint
    return caught.value.message


def changed(where, value):
    """The fields of a good machine file with one of them changed."""
    fields = json.loads(encode_machine(machines.WITH_GPU))
    place = fields
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    return fields


def test_what_carryon_machine_printed_comes_back(tmp_path):
    assert read_machine_file(written(tmp_path, encode_machine(machines.WITH_GPU))) == machines.WITH_GPU


def test_a_few_words_are_enough(tmp_path):
    machine = read_machine_file(written(tmp_path, {"gpus": ["RTX 4090"], "ram_gb": 64}))
    assert machine.ram.total_bytes == 64 * 2**30
    assert [one.kind for one in machine.engine.gpus] == [DeviceKind.GPU]
    assert "4090" in machine.engine.gpus[0].description


def test_a_report_whose_engine_did_not_answer_still_has_its_gpus(tmp_path):
    machine = read_machine_file(written(tmp_path, encode_machine(replace(machines.WITH_GPU, engine=None))))
    assert [one.description for one in machine.engine.gpus] == ["NVIDIA GeForce RTX 4060"]
    assert machine.engine.gpus[0].total_bytes == 8_188_000_000


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        (("ram", "total_bytes"), -1, "“ram.total_bytes” in other.json is negative"),
        (("gpus", 0, "free_bytes"), -5, "“gpus[0].free_bytes” in other.json is negative"),
        (("engine", "devices", 1, "total_bytes"), -5, "“engine.devices[1].total_bytes” in other.json is negative"),
        (("ram", "total_bytes"), "much", "is not a number"),
        (("ram", "total_bytes"), True, "is not a number"),
        (("ram", "total_bytes"), 10**18, "larger than any machine"),
        (("ram", "total_bytes"), 0, "has no RAM"),
        (("ram", "available_bytes"), 40 * 10**9, "more RAM free than it has"),
        (("ram",), {}, "does not describe a machine"),
        (("cpu",), None, "does not describe a machine"),
        (("gpus", 0, "vendor"), "acme", "does not describe a machine"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, where, value, says):
    assert says in refusal(tmp_path, changed(where, value))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("RTX 4090", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "does not describe a machine"),
        ("{}", "does not describe a machine"),
        ({"gpus": "RTX 4090", "ram_gb": 64}, "not a list of names"),
        ({"gpus": ["RTX 4090"], "ram_gb": "64"}, "“ram_gb” in other.json is not a number"),
        ({"gpus": [], "ram_gb": -64}, "negative"),
        ('{"gpus": [], "ram_gb": NaN}', "not a number"),
        ({"gpus": [], "ram_gb": 0}, "has no RAM"),
        ({"gpus": ["Voodoo 2"], "ram_gb": 64}, "Voodoo 2"),
        (" " * (LARGEST_FILE_BYTES + 1), "far too large"),
    ],
)
def test_what_is_no_machine_is_refused(tmp_path, text, says):
    assert says in refusal(tmp_path, text)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(BadInput, match="no machine file"):
        read_machine_file(tmp_path / "absent.json")


def test_the_picker_has_the_usual_parts():
    names = [part.name for part in parts()]
    assert len(names) >= 60
    assert any("4090" in name for name in names)


def test_a_number_that_is_none_is_called_so(tmp_path):
    assert refusal(tmp_path, '{"ram_gb": NaN}') == "“ram_gb” in other.json is not a number."


def test_a_folder_is_called_a_folder(tmp_path):
    with pytest.raises(BadInput, match="is a folder, not a machine file"):
        read_machine_file(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(BadInput, match="no file with text"):
        read_machine_file(tmp_path / "pipe.json")
