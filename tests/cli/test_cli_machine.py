"""`carryon machine`, as a person and as a script meet it."""

import argparse
import json

import pytest

from carryon.cli import machine as command
from carryon.hardware.codec import decode_machine
from carryon.hardware.machine import (
    Cpu,
    DeviceKind,
    EngineDevice,
    EngineDevices,
    Gpu,
    GpuProcess,
    Machine,
    Memory,
    Vendor,
)
from carryon.hardware.report import report

GB = 2**30
FIREFOX = GpuProcess(1234, "firefox", 512 * 2**20)
GEFORCE = Gpu(
    Vendor.NVIDIA, "NVIDIA GeForce RTX 4060", 8 * GB, 7 * GB,
    driver="550.54.14", compute_capability="8.9", drives_display=True, processes=(FIREFOX,),
)
CPU_DEVICE = EngineDevice("CPU", "A processor", DeviceKind.CPU, 1, 1)
DESKTOP = Machine(
    os_name="Debian GNU/Linux 12 (bookworm), x86_64",
    cpu=Cpu("A processor", 8, 16, ("AVX2", "FMA")),
    ram=Memory(32 * GB, 20 * GB, 0, 0),
    gpus=(GEFORCE,),
    engine=EngineDevices(
        "llama.cpp", True, (CPU_DEVICE, EngineDevice("CUDA0", "RTX 4060", DeviceKind.GPU, 7 * GB, 8 * GB))
    ),
)
UNKNOWN = Machine("An odd system", Cpu(None, None, None), Memory(4 * GB, GB))


def parse(*words):
    parser = argparse.ArgumentParser(prog="carryon")
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["machine", *words])


def rows(machine):
    """The report's lines without the width of their columns."""
    return [" ".join(line.split()) for line in report(machine).splitlines()]


def test_the_report_has_what_decides_which_models_fit():
    lines = rows(DESKTOP)
    for line in (
        "System Debian GNU/Linux 12 (bookworm), x86_64", "Processor A processor", "Cores 8 physical, 16 logical",
        "Instructions AVX2, FMA", "Memory 20.0 GB free of 32.0 GB", "Swap none", "Graphics: NVIDIA GeForce RTX 4060",
        "Memory 7.0 GB free of 8.0 GB", "Driver 550.54.14", "Compute capability 8.9",
        "Used by firefox (process 1234): 0.5 GB", "CUDA0 GPU, RTX 4060, 7.0 GB free of 8.0 GB",
    ):
        assert line in lines


def test_what_was_not_measured_is_a_dash():
    lines = rows(UNKNOWN)
    for line in ("Processor —", "Cores — physical, — logical", "Instructions —", "Swap —", "Answer not asked"):
        assert line in lines
    assert "None" not in report(UNKNOWN)


def test_an_engine_without_a_gpu_says_so():
    machine = Machine("x", Cpu(None, None, None), Memory(1, 1), engine=EngineDevices("llama.cpp", False, (CPU_DEVICE,)))
    assert "GPU none that this engine can use: models run on the processor" in rows(machine)


def test_an_engine_that_failed_points_at_the_reason():
    machine = Machine("x", Cpu(None, None, None), Memory(1, 1), problems=("The engine crashed. Reinstall Carryon.",))
    assert "Answer none, see below" in rows(machine)
    assert rows(machine)[-1] == "! The engine crashed. Reinstall Carryon."


def test_a_gpu_of_unknown_size_does_not_pretend():
    machine = Machine("x", Cpu(None, None, None), Memory(1, 1), (Gpu(Vendor.INTEL, "Arc", 16 * GB),))
    assert "Memory 16.0 GB, how much is free is not known" in rows(machine)


def test_a_shared_memory_and_a_container_are_named():
    machine = Machine("x", Cpu(None, None, None), Memory(2 * GB, GB, is_container_limit=True), is_unified_memory=True)
    assert "Memory 1.0 GB free of 2.0 GB, which is what this container may use, shared with the GPU" in rows(machine)


def test_many_programs_are_cut_short():
    gpu = Gpu(Vendor.NVIDIA, "A card", processes=tuple(GpuProcess(pid) for pid in range(1, 10)))
    lines = rows(Machine("x", Cpu(None, None, None), Memory(1, 1), (gpu,)))
    assert "Used by a program (process 1): —" in lines
    assert "and 4 more" in lines


def test_problems_stand_at_the_end_and_no_line_is_too_long():
    problem = "The NVIDIA driver was updated while the computer was running and its parts no longer match. " * 2
    machine = Machine("x", Cpu("c", 1, 1, tuple(f"SET{n}" for n in range(40))), Memory(1, 1), problems=(problem,))
    text = report(machine)
    assert "Problems\n  ! The NVIDIA driver was updated" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_json_is_the_machine_itself(capsys):
    assert command.run(parse("--json"), lambda: DESKTOP) == 0
    printed = capsys.readouterr().out
    assert decode_machine(printed) == DESKTOP
    assert json.loads(printed)["gpus"][0]["total_bytes"] == 8 * GB


def test_a_machine_in_trouble_is_still_a_report(capsys):
    assert command.run(parse(), lambda: UNKNOWN) == 0
    assert "An odd system" in capsys.readouterr().out


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as end:
        parse("--help")
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert "examples:" in text
    assert "carryon machine --json" in text


def test_this_machine_for_true(capsys):
    arguments = parse("--json")
    assert arguments.run(arguments) == 0
    assert decode_machine(capsys.readouterr().out).ram.total_bytes > 0
