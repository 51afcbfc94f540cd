"""The devices that the engine sees, and layers that really move to another one: an RPC server on loopback."""

import json
import subprocess

import pytest
from fakes import tiny_gguf
from fakes.real_worker import start_child

from carryon.engine.protocol import DeviceKind


def test_devices_are_told_in_one_line():
    child = start_child("carryon.worker.devices", stderr=subprocess.DEVNULL)
    out, _ = child.communicate(timeout=30)
    (line,) = out.splitlines()
    told = json.loads(line)
    assert told["devices"][0]["kind"] == "cpu"
    assert set(told["devices"][0]) == {"name", "description", "kind", "free_bytes", "total_bytes"}
    assert isinstance(told["supports_rpc"], bool)
    assert told["engine"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Four layers, so that some, but not all, can move."""
    shape = tiny_gguf.Shape(layers=4)
    return tiny_gguf.random_model(tmp_path_factory.mktemp("rpc") / "four.gguf", shape=shape)


@pytest.fixture(scope="module")
def offloaded(start_worker, model, rpc_servers):
    """Workers with 0, 2 and all 5 layers (the output layer counts) on the other device."""
    return {n: start_worker(model, n_gpu_layers=n, rpc_endpoints=(rpc_servers.start(),)) for n in (0, 2, 5)}


def on_rpc(worker):
    (device,) = [one for one in worker.ready.memory if one.kind is DeviceKind.RPC]
    return device


def on_cpu(worker):
    return worker.ready.memory[0]


@pytest.mark.slow
def test_the_answer_does_not_depend_on_where_the_layers_are(offloaded):
    said = {n: worker.says("tell me", max_tokens=40) for n, worker in offloaded.items()}
    assert said[0] == said[2] == said[5]


@pytest.mark.slow
def test_the_weights_move_with_the_slider(offloaded):
    there = {n: on_rpc(worker).weights_bytes for n, worker in offloaded.items()}
    here = {n: on_cpu(worker).weights_bytes for n, worker in offloaded.items()}
    assert there[0] == 0 < there[2] < there[5]
    assert here[0] > here[2] > here[5]
    assert there[5] + here[5] == pytest.approx(here[0], rel=0.02)


@pytest.mark.slow
def test_the_cache_moves_with_its_layers(offloaded):
    """Two layers offloaded are the output layer and one of the four; all five take the whole cache along."""
    whole = on_cpu(offloaded[0]).kv_bytes
    assert [on_rpc(offloaded[n]).kv_bytes for n in (0, 2, 5)] == [0, whole // 4, whole]
    assert [on_cpu(offloaded[n]).kv_bytes for n in (0, 2, 5)] == [whole, whole - whole // 4, 0]


@pytest.mark.slow
def test_ready_tells_how_many_layers_moved(offloaded):
    assert [offloaded[n].ready.n_gpu_layers for n in (0, 2, 5)] == [0, 2, 5]


@pytest.mark.slow
@pytest.mark.parametrize("asked", [99, -1])
def test_more_layers_than_there_are_is_all_of_them(start_worker, model, rpc_servers, asked):
    worker = start_worker(model, n_gpu_layers=asked, rpc_endpoints=(rpc_servers.start(),))
    assert worker.ready.n_gpu_layers == 5
    assert on_cpu(worker).kv_bytes == 0


@pytest.mark.slow
def test_cpu_only_touches_no_other_device(offloaded):
    assert on_rpc(offloaded[0]).total_bytes == 0


@pytest.mark.slow
def test_every_device_agrees_with_the_log(offloaded):
    log = offloaded[2].log_path.read_text("utf-8", "replace")
    assert "offloaded 2/5 layers to GPU" in log
