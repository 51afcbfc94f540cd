"""How the Hub is reached: by the settings, with a token that is kept where only its owner finds it."""

import logging
import os
import stat
import sys

import pytest
from fakes.fakehub import FakeHub
from hypothesis import given
from hypothesis import strategies as st

from carryon.app.hub_access import HubAccess
from carryon.app.token_keeping import TokenKeeping, TokenPlace, checked, system_keyring, write_private
from carryon.base.errors import AppError, BadFile, BadInput, NoAccess, Offline
from carryon.base.jobs import drained
from carryon.base.settings import Settings, SettingsFile

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


class FakeKeyring:
    """A keyring in memory; `breaks` makes it refuse, as a locked one does."""

    def __init__(self, breaks=False):
        self.kept, self.breaks = {}, breaks

    def get_password(self, service, username):
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self._check()
        self.kept[service, username] = password

    def delete_password(self, service, username):
        self._check()
        del self.kept[service, username]

    def _check(self):
        if self.breaks:
            raise RuntimeError("the keyring is locked")


@pytest.fixture
def settings(carryon_home):
    return SettingsFile(carryon_home.settings)


@pytest.fixture
def access(carryon_home, settings):
    """A new one each time it is called, as after a restart."""

    def make(environment=None, keyring=None, **changed):
        settings.change(lambda _: Settings(**changed))
        return HubAccess(carryon_home, settings, environment or {}, lambda: keyring)

    return make


@pytest.fixture
def hub():
    with FakeHub() as made:
        made.tokens[TOKEN] = set()
        yield made


def test_without_a_word_the_hub_itself_is_asked(access):
    site = access().site()
    assert (site.endpoint, site.token, site.proxy) == ("https://huggingface.co", None, "")


def test_settings_count_before_the_environment(access):
    environment = {"HF_ENDPOINT": "https://env.example.org", "HF_TOKEN": "hf_env"}
    site = access(environment, hub_mirror="https://mirror.example.org", hub_proxy="http://10.0.0.1:8080").site()
    assert (site.endpoint, site.proxy, site.token) == ("https://mirror.example.org", "http://10.0.0.1:8080", "hf_env")
    assert access(environment).site().endpoint == "https://env.example.org"


def test_offline_means_that_nobody_is_asked(access):
    with pytest.raises(Offline, match="switched to offline") as told:
        access(is_offline=True).site()
    assert "Settings" in told.value.hint


def test_a_mirror_nobody_can_ask_is_said(access):
    with pytest.raises(BadInput):
        access(hub_mirror="ftp://mirror").site()


def test_a_token_is_kept_in_a_file_that_only_its_owner_reads(access, carryon_home):
    assert access().keep_token(f"  {TOKEN}\n") is TokenPlace.FILE
    again = access()
    assert again.site().token == TOKEN
    assert again.token_place is TokenPlace.FILE
    file = carryon_home.root / "hub-token"
    assert file.read_text() == TOKEN
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in carryon_home.root.iterdir() if "part" in one.name] == []


@pytest.mark.skipif(os.name == "nt", reason="modes are of Unix")
def test_the_file_is_private_before_it_has_a_content(tmp_path, monkeypatch):
    modes = []
    monkeypatch.setattr(os, "fsync", lambda handle: modes.append(stat.S_IMODE(os.fstat(handle).st_mode)))
    old = os.umask(0)
    try:
        write_private(tmp_path / "secret", b"x")
    finally:
        os.umask(old)
    assert modes == [0o600]


@pytest.mark.skipif(os.name == "nt", reason="links of Unix")
def test_a_link_in_its_way_is_replaced_and_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    for name in ("secret", "secret.part"):
        (tmp_path / name).symlink_to(elsewhere)
    write_private(tmp_path / "secret", b"token")
    assert elsewhere.read_text() == "mine"
    assert (tmp_path / "secret").read_text() == "token"


def test_a_keyring_keeps_it_where_there_is_one(access, carryon_home):
    access().keep_token("hf_old")
    keyring = FakeKeyring()
    assert access(keyring=keyring).keep_token(TOKEN) is TokenPlace.KEYRING
    assert list(keyring.kept.values()) == [TOKEN]
    assert not (carryon_home.root / "hub-token").exists()
    assert access(keyring=keyring).site().token == TOKEN


def test_a_locked_keyring_is_no_end(access, caplog):
    broken = FakeKeyring(breaks=True)
    assert access(keyring=broken).keep_token(TOKEN) is TokenPlace.FILE
    assert access(keyring=broken).site().token == TOKEN
    access(keyring=broken).forget_token()
    assert access().site().token is None
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("keyring", [None, FakeKeyring()])
def test_a_forgotten_token_is_gone(access, keyring):
    made = access(keyring=keyring)
    made.keep_token(TOKEN)
    made.forget_token()
    assert made.site().token is None
    assert made.token_place is TokenPlace.NOWHERE
    made.forget_token()  # twice is no error


def test_the_environments_token_counts_where_none_was_kept(access):
    environment = {"HF_TOKEN": "hf_env\n"}
    assert access(environment).site().token == "hf_env"
    assert access(environment).token_place is TokenPlace.ENVIRONMENT
    access().keep_token(TOKEN)
    assert access(environment).site().token == TOKEN


def test_a_token_that_could_not_be_forgotten_is_said(access, carryon_home):
    (carryon_home.root / "hub-token").mkdir(parents=True)
    with pytest.raises(BadFile):
        access().forget_token()


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\nbreak", "hf_ü", "x" * 1001, "hf_\x00"])
def test_what_is_no_token_is_not_kept(access, carryon_home, token):
    with pytest.raises(BadInput):
        access().keep_token(token)
    assert not (carryon_home.root / "hub-token").exists()


@given(st.text(max_size=50))
def test_a_checked_token_can_stand_in_a_header(text):
    try:
        token = checked(text)
    except BadInput:
        return
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token


@given(st.binary(max_size=60))
def test_a_file_with_anything_in_it_is_a_token_or_none(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("token") / "hub-token"
    file.write_bytes(content)
    token, place = TokenKeeping(file, None).read()
    assert (token is None) == (place is TokenPlace.NOWHERE)


def test_a_token_is_never_shown(access, caplog):
    caplog.set_level(logging.DEBUG)
    made = access()
    made.keep_token(TOKEN)
    assert TOKEN not in repr(made.site())
    assert TOKEN not in caplog.text


def test_the_hub_says_whose_token_it_is(access, hub):
    made = access(hub_mirror=hub.url, trusts_mirror=True)
    made.keep_token(TOKEN)
    assert drained(made.checking_token()) == "tester"


def test_a_token_that_the_hub_does_not_know(access, hub):
    made = access(hub_mirror=hub.url, trusts_mirror=True)
    made.keep_token("hf_wrong")
    with pytest.raises(NoAccess, match="does not accept the token"):
        drained(made.checking_token())


def test_a_mirror_is_not_shown_the_token_to_check_it(access, hub):
    made = access(hub_mirror=hub.url)
    made.keep_token(TOKEN)
    with pytest.raises(BadInput, match="mirror"):
        drained(made.checking_token())
    assert hub.log == []


def test_without_a_token_there_is_nothing_to_check(access):
    with pytest.raises(BadInput, match="no token"):
        drained(access().checking_token())


def test_an_answer_that_makes_no_sense_is_said(access, hub):
    hub.fault("status", path="whoami", code=200, body=b'{"name": "a\\nb"}')
    made = access(hub_mirror=hub.url, trusts_mirror=True)
    made.keep_token(TOKEN)
    with pytest.raises(AppError):
        drained(made.checking_token())


def test_a_system_without_the_package_has_no_keyring(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert system_keyring() is None
