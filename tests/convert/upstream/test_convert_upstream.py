"""llama.cpp's own converter: found in the index, summed, unpacked without being run, and run on data alone."""

import hashlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from convert.upstream.upstream_shelf import FILES, N_NEEDED, write_archive, write_model

from carryon.base.errors import BadFile, Offline, Unsupported
from carryon.base.jobs import Progress, drained
from carryon.convert.forms import OutType
from carryon.convert.upstream import architectures, index
from carryon.convert.upstream.component import PINNED, Archive, Component, kept, place
from carryon.convert.upstream.fetching import fetching, taking
from carryon.convert.upstream.index import Places, places
from carryon.convert.upstream.job import converting_upstream

PIP_LIST = "global.extra-index-url='{extra}'\n:env:.find-links='{links}'\nglobal.find-links='overruled'\n"
PIP_HELP = "  -i, --index-url <url>       Base URL of the index (default\n                              {main}).\n"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An index on the network: its address and the folder behind it."""
    root = tmp_path / "index"
    (root / "llama-cpp-python").mkdir(parents=True)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", root
    server.shutdown()
    server.server_close()


@pytest.fixture
def component(tmp_path: Path) -> Component:
    file, archive = write_archive(tmp_path / "shelf")
    return drained(taking(file, tmp_path / "cache", archive))


def _links(page: index.Page) -> list[str]:
    return list(index.links_to("x.tar.gz", "x", Places(("https://a.example/simple",)), lambda _: page))


class TestWhereItIsLookedFor:
    def test_what_pip_is_configured_with_is_read(self) -> None:
        said = {
            "config": PIP_LIST.format(extra="https://more.example/simple file:///srv/simple", links="/srv/wheels"),
            "download": PIP_HELP.format(main="https://packages.example/simple"),
        }
        found = places(lambda words: said[words[0]])
        assert found.indexes == ("https://packages.example/simple", "https://more.example/simple", "file:///srv/simple")
        assert found.find_links == ("/srv/wheels",)

    def test_without_an_index_only_links_are_used(self) -> None:
        said = {"config": "global.no-index='true'\nglobal.find-links='/srv/wheels'\n", "download": PIP_HELP}
        assert places(lambda words: said[words[0]]) == Places((), ("/srv/wheels",))

    def test_the_real_pip_names_an_index(self) -> None:
        assert places().indexes or places().find_links

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 3}', '{"files": [1, {"url": 2}]}', "<a href=>"])
    def test_a_broken_page_has_no_links(self, text: str) -> None:
        for kind in (index.JSON_PAGE, "text/html"):
            assert _links(index.Page("https://a.example/simple/x/", kind, text)) == []

    def test_json_and_html_pages_give_the_same_link(self) -> None:
        told = json.dumps({"files": [{"url": "../../f/x.tar.gz#sha256=1"}, {"url": "../../f/y.tar.gz"}]})
        html = '<a href="../../f/x.tar.gz#sha256=1">x</a> <a href="../../f/y.tar.gz">y</a>'
        for kind, text in ((index.JSON_PAGE, told), ("text/html", html)):
            assert _links(index.Page("https://a.example/simple/x/", kind, text)) == ["https://a.example/f/x.tar.gz"]


class TestFetching:
    def test_from_an_index_on_the_network(self, served: tuple[str, Path], tmp_path: Path) -> None:
        address, root = served
        _, archive = write_archive(root / "llama-cpp-python")
        news: list[Progress | None] = []
        got = drained(fetching(tmp_path / "cache", Places((address,)), archive), news.append)
        assert got == kept(tmp_path / "cache")
        assert (got.folder / "conversion" / "base.py").is_file()
        assert not (got.folder / "src").exists()
        assert any(one and one.total == archive.size_bytes for one in news)
        assert [one.name for one in place(tmp_path / "cache").parent.iterdir()] == [place(tmp_path / "cache").name]

    def test_from_a_folder_of_links(self, tmp_path: Path) -> None:
        _, archive = write_archive(tmp_path / "wheels")
        assert drained(fetching(tmp_path / "cache", Places((), (str(tmp_path / "wheels"),)), archive)).script.is_file()

    def test_what_is_here_is_not_asked_for_again(self, component: Component, tmp_path: Path) -> None:
        assert drained(fetching(tmp_path / "cache", Places(("http://127.0.0.1:9",)))) == component

    def test_another_file_under_the_name_is_refused(self, served: tuple[str, Path], tmp_path: Path) -> None:
        address, root = served
        _, archive = write_archive(root / "llama-cpp-python")
        other = Archive(archive.name, "0" * 64, archive.size_bytes, archive.n_files)
        with pytest.raises(BadFile, match="gave another"):
            drained(fetching(tmp_path / "cache", Places((address,)), other))
        assert kept(tmp_path / "cache") is None

    def test_a_longer_file_than_known_is_not_read_to_its_end(self, served: tuple[str, Path], tmp_path: Path) -> None:
        address, root = served
        _, archive = write_archive(root / "llama-cpp-python")
        short = Archive(archive.name, archive.sha256, archive.size_bytes - 1, archive.n_files)
        with pytest.raises(BadFile):
            drained(fetching(tmp_path / "cache", Places((address,)), short))

    def test_nowhere(self, served: tuple[str, Path], tmp_path: Path) -> None:
        with pytest.raises(Offline, match="No package index"):
            drained(fetching(tmp_path / "cache", Places((served[0], "http://127.0.0.1:9"))))

    def test_a_cut_archive_leaves_nothing(self, tmp_path: Path) -> None:
        file, archive = write_archive(tmp_path / "shelf")
        content = file.read_bytes()[:-40]
        file.write_bytes(content)
        cut = Archive(archive.name, hashlib.sha256(content).hexdigest(), len(content), N_NEEDED)
        with pytest.raises(BadFile):
            drained(taking(file, tmp_path / "cache", cut))
        assert kept(tmp_path / "cache") is None
        assert list(place(tmp_path / "cache").parent.iterdir()) == []

    def test_an_archive_without_the_converter_is_refused(self, tmp_path: Path) -> None:
        file, archive = write_archive(tmp_path / "shelf", {"convert_hf_to_gguf.py": ""})
        with pytest.raises(BadFile, match="does not hold"):
            drained(taking(file, tmp_path / "cache", archive))

    def test_a_member_that_leaves_the_folder_is_refused(self, tmp_path: Path) -> None:
        file, archive = write_archive(tmp_path / "shelf", {**FILES, "conversion/../../../out.py": "bad"})
        with pytest.raises(BadFile):
            drained(taking(file, tmp_path / "cache", archive))
        assert not list(tmp_path.rglob("out.py"))

    def test_another_archive_of_the_person_is_refused(self, tmp_path: Path) -> None:
        file, _ = write_archive(tmp_path / "shelf")
        with pytest.raises(BadFile, match="not the file that is needed"):
            drained(taking(file, tmp_path / "cache", PINNED))


class TestRunning:
    def _run(self, component: Component, model: Path, splitting: str = "qwen2") -> Path:
        log = model.parent / "convert.log"
        target = model.parent / "out" / "tiny.gguf"
        target.parent.mkdir(exist_ok=True)
        work = converting_upstream(component, model, target, OutType.F16, "Tiny", 100, log, splitting)
        return drained(work)

    def test_it_sees_the_data_and_no_program(self, component: Component, tmp_path: Path) -> None:
        model = write_model(tmp_path / "tiny")
        part = self._run(component, model)
        told = json.loads(part.read_text())
        assert part.name == "tiny.gguf.part"
        assert set(told["files"]) == {"config.json", "tokenizer_config.json", "model.safetensors", "broken.json"}
        assert "auto_map" not in told["files"]["config.json"] + told["files"]["tokenizer_config.json"]
        assert json.loads(told["files"]["tokenizer_config.json"])["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert (told["type"], told["name"], told["offline"]) == ("f16", "Tiny", "1")

    def test_it_runs_with_its_own_gguf_and_our_name_for_an_unknown_splitting(
        self, component: Component, tmp_path: Path
    ) -> None:
        told = json.loads(self._run(component, write_model(tmp_path / "tiny"), "tekken").read_text())
        assert (told["gguf"], told["splitting"]) == ("its own", "tekken")
        assert told["rotation"] == 0.25  # by the name that configs had before

    def test_the_models_folder_is_as_it_was_and_the_stage_is_gone(self, component: Component, tmp_path: Path) -> None:
        model = write_model(tmp_path / "tiny")
        before = {one: one.read_bytes() for one in model.rglob("*") if one.is_file()}
        part = self._run(component, model)
        assert {one: one.read_bytes() for one in model.rglob("*") if one.is_file()} == before
        assert list(part.parent.iterdir()) == [part]

    def test_its_own_reason_is_told(self, component: Component, tmp_path: Path) -> None:
        model = write_model(tmp_path / "tiny")
        (model / "refuse.txt").write_text("")
        with pytest.raises(Unsupported, match="TinyForCausalLM is not supported"):
            self._run(component, model)
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_cancel_ends_it_soon_and_leaves_nothing(self, component: Component, tmp_path: Path) -> None:
        model = write_model(tmp_path / "tiny")
        (model / "slow.txt").write_text("")
        target = tmp_path / "tiny.gguf"
        work = converting_upstream(component, model, target, OutType.F16, "Tiny", 100, tmp_path / "convert.log")
        part = target.with_name("tiny.gguf.part")
        while not part.exists():
            next(work)
        started_s = time.monotonic()
        work.close()
        assert time.monotonic() - started_s < 2
        assert not part.exists()
        assert not list(tmp_path.glob(".staged-*"))


class TestKnownArchitectures:
    def test_the_list_holds_models_that_ours_does_not_know(self) -> None:
        assert {"LlamaForCausalLM", "BloomForCausalLM", "MambaForCausalLM"} <= architectures.known()
        assert "TinyForCausalLM" not in architectures.known()
