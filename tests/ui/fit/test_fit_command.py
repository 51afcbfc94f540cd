"""The line that asks the command for what the page shows: the command itself understands it."""

import argparse
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.fits import ROOMS, fit

from carryon.app.machine_file import read_machine_file
from carryon.app.models import ModelFile, guide
from carryon.cli.fit import add_parser
from carryon.fit.plan import Limit, Plan, Wishes
from carryon.gguf.quants import KvType
from carryon.gguf.sketch import Parameters
from carryon.ui.fit.command import command_line
from carryon.ui.fit.form import BuiltMachine, FileMachine, Form

FILE = ModelFile(Path("/models/my model.gguf"), "my model", "/models/my model.gguf")
GB = 2**30


def form(wishes=Wishes(), **changes):  # noqa: B008
    best = fit(path=str(FILE.path))
    plan = Plan(ROOMS, wishes, best, (best,), Limit.NOTHING, (), ())
    return replace(Form(source=FILE, wishes=wishes, plan=plan), **changes)


def parsed(line):
    """As the command itself reads it."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args(shlex.split(line)[1:])


def test_what_was_left_to_the_plan_is_left_to_it_again():
    assert command_line(form()) == "carryon fit '/models/my model.gguf' --quant best --ctx 8192"


def test_everything_set_by_hand_is_understood_by_the_command():
    wishes = Wishes("Q8_0", 4096, KvType.Q8_0, 12, 3, 256, n_parallel=2)
    asked = parsed(command_line(form(wishes, target=FileMachine(Path("/x/server.json")))))
    assert asked.source == str(FILE.path)
    assert (asked.quant, asked.kv, asked.gpu_layers, asked.cpu_experts) == ("Q8_0", "q8_0", "12", 3)
    assert (asked.ubatch, asked.parallel, asked.machine) == (256, 2, Path("/x/server.json"))


def test_the_guide_goes_by_its_name():
    assert parsed(command_line(form(source=guide()))).source == "guide"


def test_a_machine_of_parts_is_written_first(tmp_path):
    target = BuiltMachine(("GeForce RTX 4090",) * 2, 64 * GB)
    write, ask = command_line(form(target=target)).split(" && ")
    subprocess.run(write, shell=True, cwd=tmp_path, check=True)
    machine = read_machine_file(tmp_path / "machine.json")
    assert [gpu.name for gpu in machine.gpus] == ["NVIDIA GeForce RTX 4090"] * 2
    assert machine.ram.total_bytes == 64 * GB
    assert parsed(ask).machine == Path("machine.json")


@pytest.mark.parametrize("source", [None, Parameters(1, 64, 1, 64, 100, 100, name="typed")])
def test_what_a_command_cannot_ask_has_none(source):
    assert command_line(form(source=source)) == ""
