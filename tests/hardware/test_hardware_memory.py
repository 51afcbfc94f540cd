"""RAM and swap, and the limits of containers."""

import psutil
import pytest

from carryon.hardware.machine import Memory
from carryon.hardware.memory import container_room, read_memory, system_memory

GIB = 1 << 30
HOST = Memory(64 * GIB, 40 * GIB, 8 * GIB, 8 * GIB)


def v2(tree, folder="", limit=2 * GIB, used=GIB, cache=GIB // 2):
    mount = f"sys/fs/cgroup{folder}"
    tree.write(f"{mount}/memory.max", limit).write(f"{mount}/memory.current", used)
    tree.write(f"{mount}/memory.stat", f"anon 1\nfile 7\nactive_file {cache // 2}\ninactive_file {cache // 2}")


def v1(tree, folder="", limit=2 * GIB, used=GIB, cache=GIB // 2):
    mount = f"sys/fs/cgroup/memory{folder}"
    tree.write(f"{mount}/memory.limit_in_bytes", limit).write(f"{mount}/memory.usage_in_bytes", used)
    tree.write(f"{mount}/memory.stat", f"cache 9\ntotal_active_file {cache // 2}\ntotal_inactive_file {cache // 2}")


def test_a_container_of_two_gigabytes_says_two(tree):
    tree.write("proc/self/cgroup", "0::/")
    v2(tree)
    memory = read_memory(tree.root, lambda: HOST)
    assert (memory.total_bytes, memory.available_bytes, memory.is_container_limit) == (2 * GIB, 3 * GIB // 2, True)


def test_the_older_kind_of_container_too(tree):
    tree.write("proc/self/cgroup", "9:name=systemd:/docker/ab\n4:cpu,memory:/docker/ab\n0::/docker/ab")
    v1(tree)
    assert read_memory(tree.root, lambda: HOST).total_bytes == 2 * GIB


def test_the_tightest_level_counts(tree):
    tree.write("proc/self/cgroup", "0::/user.slice/app.scope")
    v2(tree, "/user.slice/app.scope", limit="max")
    v2(tree, "/user.slice", limit=4 * GIB, used=3 * GIB, cache=0)
    v2(tree, "", limit=16 * GIB)
    room = container_room(tree.root)
    assert (room.limit_bytes, room.free_bytes) == (4 * GIB, GIB)


@pytest.mark.parametrize("limit", ["max", 9223372036854771712, 64 * GIB])
def test_no_limit_leaves_the_whole_machine(tree, limit):
    tree.write("proc/self/cgroup", "0::/")
    v2(tree, limit=limit)
    assert read_memory(tree.root, lambda: HOST) == HOST


def test_a_container_cannot_have_more_free_than_its_host(tree):
    tree.write("proc/self/cgroup", "0::/")
    v2(tree, limit=60 * GIB, used=0, cache=0)
    assert read_memory(tree.root, lambda: HOST).available_bytes == 40 * GIB


def test_a_container_over_its_limit_has_nothing_free(tree):
    tree.write("proc/self/cgroup", "0::/")
    v2(tree, limit=GIB, used=3 * GIB, cache=0)
    assert read_memory(tree.root, lambda: HOST).available_bytes == 0


@pytest.mark.parametrize("cgroup", ["", "garbage", "0:", "::", "0::/../..", "4:memory:", "0::/nowhere/at/all"])
def test_an_odd_membership_is_no_limit(tree, cgroup):
    tree.write("proc/self/cgroup", cgroup)
    assert container_room(tree.root) is None


def test_this_machine_agrees_with_psutil():
    memory, ram = system_memory(), psutil.virtual_memory()
    assert memory.total_bytes == ram.total
    assert memory.available_bytes == pytest.approx(ram.available, rel=0.2)
    assert memory.swap_total_bytes == psutil.swap_memory().total
    assert memory.used_bytes == memory.total_bytes - memory.available_bytes
