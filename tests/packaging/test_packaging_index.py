"""The index of prebuilt engines, alive, silent and dead: on real sockets."""

import socket
import threading
import time

import pytest
from wheel_yard import dead_address, prebuilt, silent_server

from wheel_index import IndexSilent, WheelIndex, is_for_here, links_of


def test_the_wheels_of_this_version_and_system_are_found(index):
    prebuilt(index.variant("cpu"))
    (index.variant("cpu") / "llama_cpp_python-0.3.35-py3-none-any.whl").touch()
    (index.variant("cpu") / "llama_cpp_python-0.3.36-py3-none-linux_s390x.whl").touch()
    links = WheelIndex(f"{index.url}/whl").wheels("cpu", "0.3.36")
    assert len(links) == 1
    assert links[0].startswith(f"{index.url}/whl/cpu/llama-cpp-python/llama_cpp_python-0.3.36-py3-none-win_amd64")


def test_a_variant_that_the_index_lacks_is_empty_and_no_error(index):
    assert WheelIndex(f"{index.url}/whl").wheels("cu999", "0.3.36") == []


def test_a_server_that_says_nothing_is_given_up_within_the_deadline():
    with silent_server() as address:
        began_s = time.monotonic()
        with pytest.raises(IndexSilent, match=r"did not answer within 0\.3 seconds|timed out"):
            WheelIndex(address, deadline_s=0.3).wheels("cpu", "0.3.36")
    assert time.monotonic() - began_s < 1.5


def test_a_server_that_drips_is_given_up_within_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drip, args=(listening,), daemon=True).start()
        began_s = time.monotonic()
        with pytest.raises(IndexSilent, match=r"did not answer within 0\.4 seconds"):
            WheelIndex(f"http://127.0.0.1:{listening.getsockname()[1]}", deadline_s=0.4).wheels("cpu", "0.3.36")
    assert time.monotonic() - began_s < 1.5


def drip(listening: socket.socket) -> None:
    client, _ = listening.accept()
    with client:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(20):
            time.sleep(0.1)
            client.sendall(b"<")


def test_a_dead_address_is_silent_at_once():
    with pytest.raises(IndexSilent, match="cannot be reached"):
        WheelIndex(dead_address()).wheels("cpu", "0.3.36")


@pytest.mark.parametrize("address", ["no address", "gopher://127.0.0.1/whl", "http://[broken"])
def test_nonsense_for_an_address_is_silent_and_no_crash(address):
    with pytest.raises(IndexSilent):
        WheelIndex(address).wheels("cpu", "0.3.36")


@pytest.mark.parametrize(("name", "system", "machine", "fits"), [
    ("llama_cpp_python-0.3.36-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", "linux", "x86_64", True),
    ("llama_cpp_python-0.3.36-py3-none-linux_x86_64.whl", "linux", "x86_64", True),
    ("llama_cpp_python-0.3.36-py3-none-musllinux_1_2_x86_64.whl", "linux", "x86_64", False),
    ("llama_cpp_python-0.3.36-py3-none-manylinux_2_17_aarch64.whl", "linux", "x86_64", False),
    ("llama_cpp_python-0.3.36-py3-none-manylinux_2_17_aarch64.whl", "linux", "aarch64", True),
    ("llama_cpp_python-0.3.36-py3-none-win_amd64.whl", "win32", "AMD64", True),
    ("llama_cpp_python-0.3.36-py3-none-win_amd64.whl", "linux", "x86_64", False),
    ("llama_cpp_python-0.3.36-py3-none-macosx_11_0_arm64.whl", "darwin", "arm64", True),
    ("llama_cpp_python-0.3.36-py3-none-macosx_11_0_arm64.whl", "darwin", "x86_64", False),
    ("llama_cpp_python-0.3.3-py3-none-linux_x86_64.whl", "linux", "x86_64", False),
    ("llama_cpp_python-0.3.36.tar.gz", "linux", "x86_64", False),
])
def test_a_wheels_name_says_whether_it_fits(name, system, machine, fits):
    assert is_for_here(name, "0.3.36", system, machine) is fits


def test_links_are_made_whole():
    page = '<a href="../files/a%2Bb.whl#sha256=1">x</a><a data-x="1" href = "https://other/b.whl">y</a>'
    assert links_of(page, "http://host/whl/cpu/name/") == ["http://host/whl/cpu/files/a%2Bb.whl#sha256=1", "https://other/b.whl"]
