"""The processor's name, its cores and those instruction sets that change how fast the engine runs."""

from collections.abc import Callable, Collection, Iterable, Mapping

import psutil

from carryon.hardware.apple import SysctlFacts, sysctl_facts
from carryon.hardware.kernelfiles import text_in
from carryon.hardware.machine import Cpu
from carryon.hardware.world import World

# The sets for which ggml-cpu has kernels (ggml/src/ggml-cpu/CMakeLists.txt), by their names in /proc/cpuinfo.
LINUX_FLAGS: Mapping[str, str] = {
    "ssse3": "SSSE3", "sse4_2": "SSE4_2", "avx": "AVX", "avx2": "AVX2", "bmi2": "BMI2", "f16c": "F16C", "fma": "FMA",
    "avx_vnni": "AVX_VNNI", "avx512f": "AVX512F", "avx512vbmi": "AVX512_VBMI", "avx512_vnni": "AVX512_VNNI",
    "avx512_bf16": "AVX512_BF16", "amx_tile": "AMX_TILE", "amx_int8": "AMX_INT8", "amx_bf16": "AMX_BF16",
    "neon": "NEON", "asimd": "NEON", "asimdhp": "FP16", "asimddp": "DOTPROD", "i8mm": "I8MM", "bf16": "BF16",
    "sve": "SVE", "sve2": "SVE2", "sme": "SME",
}
MAC_FLAGS: Mapping[str, str] = {
    "hw.optional.supplementalsse3": "SSSE3", "hw.optional.sse4_2": "SSE4_2", "hw.optional.avx1_0": "AVX",
    "hw.optional.avx2_0": "AVX2", "hw.optional.bmi2": "BMI2", "hw.optional.f16c": "F16C", "hw.optional.fma": "FMA",
    "hw.optional.avx512f": "AVX512F", "hw.optional.neon": "NEON", "hw.optional.AdvSIMD": "NEON",
    "hw.optional.arm.FEAT_FP16": "FP16", "hw.optional.arm.FEAT_DotProd": "DOTPROD", "hw.optional.arm.FEAT_I8MM": "I8MM",
    "hw.optional.arm.FEAT_BF16": "BF16", "hw.optional.arm.FEAT_SME": "SME",
}
# winnt.h, PF_*: Windows has no question for FMA and F16C, so they stay unsaid there.
WINDOWS_FLAGS: Mapping[int, str] = {
    36: "SSSE3", 38: "SSE4_2", 39: "AVX", 40: "AVX2", 41: "AVX512F", 19: "NEON", 43: "DOTPROD",
}
# Where the kernel writes a name a person would know; on ARM boards "model name" is missing and "Model" names the board.
_NAME_FIELDS = ("model name", "Model", "Hardware", "cpu model")
_MAC_NAME, _MAC_FAST_CORES, _MAC_CORE_KINDS = "machdep.cpu.brand_string", "hw.perflevel0.physicalcpu", "hw.nperflevels"

CountCores = Callable[[bool], int | None]


def count_cores(logical: bool) -> int | None:
    """How many cores the system counts; None where it cannot tell."""
    return psutil.cpu_count(logical=logical)


def read_cpu(world: World, count: CountCores = count_cores) -> Cpu:
    """The processor of `world`; whatever it does not tell is None or left out."""
    name, instruction_sets, fast_cores = _described(world)
    return Cpu(name, count(False), count(True), instruction_sets, fast_cores)


def _described(world: World) -> tuple[str | None, tuple[str, ...], int | None]:
    if world.system == "Darwin":
        return _from_sysctl(sysctl_facts(world.sysctl, (_MAC_NAME, _MAC_FAST_CORES, _MAC_CORE_KINDS, *MAC_FLAGS)))
    if world.system == "Windows":
        sets = _ordered(name for number, name in WINDOWS_FLAGS.items() if world.windows_cpu_feature(number))
        return _tidy(world.windows_cpu_name()), sets, None
    return *from_cpuinfo(text_in(world.root / "proc/cpuinfo") or ""), None


def from_cpuinfo(text: str) -> tuple[str | None, tuple[str, ...]]:
    """Name and instruction sets from the text of /proc/cpuinfo, of any architecture."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    name = next((fields[key] for key in _NAME_FIELDS if fields.get(key)), None)
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return _tidy(name), instruction_sets_of(flags, LINUX_FLAGS)


def instruction_sets_of(flags: Collection[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Our names for the flags that matter, each once, in the order of the table."""
    present = set(flags)
    return _ordered(name for flag, name in names.items() if flag in present)


def _from_sysctl(facts: SysctlFacts) -> tuple[str | None, tuple[str, ...], int | None]:
    flags = [flag for flag in MAC_FLAGS if facts.number(flag) == 1]
    has_two_kinds = (facts.number(_MAC_CORE_KINDS) or 1) > 1
    fast_cores = facts.number(_MAC_FAST_CORES) if has_two_kinds else None
    return _tidy(facts.text(_MAC_NAME)), instruction_sets_of(flags, MAC_FLAGS), fast_cores


def _tidy(name: str | None) -> str | None:
    return " ".join(name.split()) or None if name else None


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
