"""Settings are remembered, written whole, and never stop the app."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.base.settings import RecentModel, Settings, SettingsFile, Theme


@pytest.fixture
def path(tmp_path):
    return tmp_path / "settings.toml"


def test_what_is_chosen_is_remembered(path):
    chosen = Settings(Theme.DARK, n_threads=3, text_size_percent=150, was_welcomed=True)
    SettingsFile(path).change(lambda _: chosen.with_recent(RecentModel("guide", 4096, 7)))
    assert SettingsFile(path).now == chosen.with_recent(RecentModel("guide", 4096, 7))


def test_nothing_is_written_before_something_is_chosen(path):
    assert SettingsFile(path).now == Settings()
    assert not path.exists()


def test_the_latest_model_comes_first_and_once():
    many = Settings()
    for name in (*"abcdefghij", "c"):
        many = many.with_recent(RecentModel(name, 4096, 0))
    assert [one.path for one in many.recent_models] == ["c", "j", "i", "h", "g", "f", "e", "d"]


@pytest.mark.parametrize(
    "content",
    [
        "theme = ", 'theme = "pink"', "recent_models = 3", "[theme]", "\xff\xfe", 'recent_models = [{path="a"}]',
        'downloads_at_once = "two"', "downloads_at_once = inf", "download_limit_bytes_per_s = nan",
    ],
)
def test_damaged_settings_are_set_aside_and_the_defaults_hold(path, content):
    path.write_bytes(content.encode("latin-1"))
    file = SettingsFile(path)
    assert file.now == Settings()
    assert file.was_damaged
    assert path.with_suffix(".toml.damaged").exists()


def test_how_a_model_was_loaded_is_remembered_whole(path):
    recent = RecentModel("guide", 4096, 7, 3, "q8_0", 256, use_mmap=False, is_automatic=True)
    SettingsFile(path).change(lambda now: now.with_recent(recent))
    assert SettingsFile(path).now.recent("guide") == recent


def test_models_from_before_the_fit_are_still_known(path):
    path.write_text('recent_models = [{path = "guide", n_ctx = 8192, n_gpu_layers = 5}]\n')
    file = SettingsFile(path)
    assert file.now.recent("guide") == RecentModel("guide", 8192, 5)
    assert not file.was_damaged


def test_what_a_newer_version_added_is_ignored(path):
    path.write_text('theme = "light"\nhologram = true\n')
    assert SettingsFile(path).now.theme is Theme.LIGHT


@pytest.mark.parametrize(("written", "read"), [(5, 80), (900, 200), (125, 125)])
def test_a_text_size_stays_readable(path, written, read):
    path.write_text(f"text_size_percent = {written}\n")
    assert SettingsFile(path).now.text_size_percent == read


def test_how_the_network_is_used_is_remembered(path):
    chosen = Settings(is_offline=True, hub_mirror="https://hub.example.org", trusts_mirror=True,
                      hub_proxy="http://10.0.0.1:3128", download_limit_bytes_per_s=5_000_000,
                      downloads_at_once=3, connections_per_download=6)  # fmt: skip
    SettingsFile(path).change(lambda _: chosen)
    assert SettingsFile(path).now == chosen


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("downloads_at_once = 0", Settings(downloads_at_once=1)),
        ("downloads_at_once = 99", Settings(downloads_at_once=6)),
        ("connections_per_download = -4", Settings(connections_per_download=1)),
        ("connections_per_download = 4096", Settings(connections_per_download=8)),
        ("download_limit_bytes_per_s = 0", Settings()),
        ("download_limit_bytes_per_s = -7", Settings()),
    ],
)
def test_numbers_of_the_network_stay_within_reason(path, written, read):
    path.write_text(f"{written}\n")
    assert SettingsFile(path).now == read


def test_a_limit_that_is_taken_away_is_gone(path):
    SettingsFile(path).change(lambda _: Settings(download_limit_bytes_per_s=1000, is_offline=True))
    SettingsFile(path).change(lambda _: Settings(is_offline=True))
    assert SettingsFile(path).now == Settings(is_offline=True)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_file_content_stops_the_app(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("settings") / "settings.toml"
    path.write_bytes(content)
    assert isinstance(SettingsFile(path).now, Settings)
