"""Real engine processes on tiny models, started once for many tests."""

from dataclasses import replace

import pytest
from fakes import tiny_gguf
from fakes.real_worker import RealWorker
from fakes.rpc_servers import RpcServers

FOR_EVER = [" one", " two", " three", " four"]


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The folder of the tiny models that several tests share."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_gguf.speaking_model(folder / "speaker.gguf")
    tiny_gguf.speaking_model(folder / "endless.gguf", FOR_EVER, then=" one")
    tiny_gguf.random_model(folder / "random.gguf")
    return folder


@pytest.fixture(scope="session")
def start_worker(tmp_path_factory):
    """Starts workers; all of them are ended when the tests are over."""
    workers = []

    def start(model, **asked):
        log = tmp_path_factory.mktemp("worker") / "engine.log"
        workers.append(RealWorker(model, log, **asked))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


@pytest.fixture(scope="session")
def rpc_servers():
    """Starts RPC servers on loopback; all of them are ended when the tests are over."""
    servers = RpcServers()
    yield servers
    servers.end()


@pytest.fixture(scope="session")
def speaker(start_worker, models):
    """A worker that says ' one two ... ten' to everything."""
    return start_worker(models / "speaker.gguf")


@pytest.fixture(scope="session")
def endless(start_worker, models):
    """A worker that counts to four for ever."""
    return start_worker(models / "endless.gguf", n_ctx=8192)


@pytest.fixture(scope="session")
def random_speaker(start_worker, models):
    """A worker whose every word depends on all that was said before."""
    return start_worker(models / "random.gguf")


@pytest.fixture(scope="session")
def without_mapped():
    """What a worker holds, as a plan says it: whether weights get a copy of their own is settled when it loads."""
    return lambda worker: tuple(replace(one, mapped_bytes=0) for one in worker.ready.memory)
