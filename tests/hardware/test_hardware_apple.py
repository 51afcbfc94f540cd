"""Macs with Apple silicon, from sysctl's words."""

from carryon.hardware.apple import read_apple
from carryon.hardware.machine import Vendor

GIB = 1 << 30
M2 = f"""\
hw.optional.arm64: 1
sysctl.proc_translated: 0
machdep.cpu.brand_string: Apple M2 Pro
hw.memsize: {32 * GIB}
"""


def test_the_gpu_shares_the_memory_and_its_limit_is_not_guessed():
    facts = read_apple(lambda names: M2 + "iogpu.wired_limit_mb: 0\n")
    (gpu,) = facts.gpus
    assert facts.is_unified_memory
    assert (gpu.vendor, gpu.name, gpu.is_integrated) == (Vendor.APPLE, "Apple M2 Pro", True)
    assert (gpu.total_bytes, gpu.free_bytes, gpu.shared_bytes) == (None, None, 32 * GIB)
    assert facts.problems == ()


def test_a_limit_set_by_hand_is_told():
    (gpu,) = read_apple(lambda names: M2 + "iogpu.wired_limit_mb: 24576\n").gpus
    assert gpu.total_bytes == 24 * GIB


def test_an_intel_python_on_apple_silicon_is_a_problem_with_a_way_out():
    facts = read_apple(lambda names: M2.replace("translated: 0", "translated: 1"))
    assert facts.is_unified_memory
    assert "arm64" in facts.problems[0]


def test_an_intel_mac_and_a_silent_sysctl_have_nothing_to_tell():
    for answer in ("", "hw.optional.arm64: 0\n", "garbage without a colon\n"):
        facts = read_apple(lambda names, answer=answer: answer)
        assert (facts.is_unified_memory, facts.gpus, facts.problems) == (False, (), ())


def test_everything_is_asked_in_one_go():
    asked = []
    read_apple(lambda names: asked.append(names) or M2)
    assert len(asked) == 1
    assert "hw.memsize" in asked[0]
