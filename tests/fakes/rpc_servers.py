"""Real RPC servers of llama.cpp on loopback: other machines as far as the engine can tell."""

import socket
import subprocess

from fakes.real_worker import start_child, wait_until


class RpcServers:
    """Starts servers that lend this machine's CPU. Each serves one engine at a time, and any number in turn."""

    def __init__(self):
        self._children = []
        self._shared = {}

    def shared(self, number):
        """The endpoint of one that tests use in turn."""
        if number not in self._shared:
            self._shared[number] = self.start()
        return self._shared[number]

    def start(self):
        """The endpoint of a fresh server."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._children.append(start_child("carryon.worker.rpc_server", "--port", str(port), "--threads", "1",
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        assert wait_until(lambda: _answers(port), 20) is not None
        return f"127.0.0.1:{port}"

    def end(self):
        """They end when their stdin does."""
        for child in self._children:
            child.stdin.close()
            assert child.wait(2) == 0


def _answers(port):
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0
