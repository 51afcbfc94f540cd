"""The Network group: each change counts at once, what cannot be is said in its place, the token is never seen."""

import pytest
from fakes.fakehub import FakeHub
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from carryon.app.hub_access import HubAccess
from carryon.app.token_keeping import TokenPlace
from carryon.base.settings import Settings, SettingsFile
from carryon.ui.settings import network_texts as texts
from carryon.ui.settings.network import NetworkCard
from carryon.ui.settings.network_presenter import limit_parts
from carryon.ui.settings.page import SettingsPage

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def hub():
    with FakeHub() as made:
        made.tokens[TOKEN] = set()
        yield made


@pytest.fixture
def access(carryon_home, services):
    return HubAccess(carryon_home, services.settings, {}, lambda: None)


@pytest.fixture
def card(services, access, qtbot):
    made = NetworkCard(services.settings, access, services.runner)
    qtbot.addWidget(made)
    made.resize(700, 700)
    made.show()
    made.refresh()
    qtbot.waitUntil(lambda: "no token" in said(made))
    return made


def kept(services):
    return SettingsFile(services.home.settings).now


def said(card):
    return card._token_words.text()


def typed(qtbot, field, words):
    field.selectAll()
    qtbot.keyClicks(field, words)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def test_offline_is_one_switch(card, services, access):
    card._offline.click()
    assert kept(services).is_offline
    assert access.is_offline
    assert "would be" in card._asked.text()
    card._offline.click()
    assert not kept(services).is_offline


def test_a_mirror_is_kept_and_named(card, services, qtbot):
    assert card._asked.text() == "Asked now: huggingface.co"
    typed(qtbot, card._mirror, "hf-mirror.example.org/")
    assert kept(services).hub_mirror == "https://hf-mirror.example.org"
    assert card._mirror.text() == "https://hf-mirror.example.org"
    assert card._asked.text() == "Asked now: hf-mirror.example.org"
    typed(qtbot, card._mirror, " ")
    assert kept(services).hub_mirror == ""
    assert card._asked.text() == "Asked now: huggingface.co"


@pytest.mark.parametrize("wrong", ["ftp://mirror", "http://mirror.example.org", "https://", "https://a b", "https://x:y"])
def test_a_mirror_that_cannot_be_is_said_in_its_place(card, services, qtbot, wrong):
    typed(qtbot, card._mirror, wrong)
    assert card._mirror_error.isVisible()
    assert card._mirror.text() == wrong
    assert kept(services).hub_mirror == ""
    typed(qtbot, card._mirror, "https://mirror.example.org")
    assert not card._mirror_error.isVisible()


def test_trust_is_asked_only_of_a_mirror_and_anew_of_another(card, services, qtbot):
    assert not card._trusts.isVisible()
    typed(qtbot, card._mirror, "https://one.example.org")
    card._trusts.click()
    assert kept(services).trusts_mirror
    typed(qtbot, card._mirror, "https://two.example.org")
    assert not kept(services).trusts_mirror
    assert not card._trusts.isChecked()


@pytest.mark.parametrize(
    ("words", "proxy"),
    [("10.0.0.1:3128", "http://10.0.0.1:3128"), ("http://a:b@p.example.org:80/", "http://a:b@p.example.org:80")],
)
def test_a_proxy_is_kept(card, services, qtbot, words, proxy):
    typed(qtbot, card._proxy, words)
    assert kept(services).hub_proxy == proxy


@pytest.mark.parametrize("wrong", ["socks5://p:1", "http://", "p:99999", "http://p/path"])
def test_a_proxy_that_cannot_be_is_said_in_its_place(card, services, qtbot, wrong):
    typed(qtbot, card._proxy, wrong)
    assert card._proxy_error.isVisible()
    assert kept(services).hub_proxy == ""


def test_a_limit_has_a_number_and_a_unit(card, services):
    assert card._limit.text() == texts.NO_LIMIT
    card._limit.setValue(20)
    assert kept(services).download_limit_bytes_per_s == 20_000_000
    card._unit.setCurrentIndex(1)
    assert kept(services).download_limit_bytes_per_s == 20_000
    card._limit.setValue(0)
    assert kept(services).download_limit_bytes_per_s is None
    assert card._unit.currentIndex() == 1


@pytest.mark.parametrize(
    ("limit", "parts"), [(None, (0, 0)), (5_000_000, (5, 0)), (5_500_000, (5500, 1)), (1, (1, 1)), (10**14, (9999, 0))]
)
def test_a_limit_is_shown_in_the_unit_that_fits(limit, parts):
    assert limit_parts(limit) == parts


def test_drawing_a_limit_that_nobody_could_have_typed_changes_nothing(card, services):
    services.settings.change(lambda _: Settings(download_limit_bytes_per_s=1234))
    card.refresh()
    assert kept(services).download_limit_bytes_per_s == 1234


def test_numbers_stay_within_their_bounds(card, services):
    card._at_once.setValue(99)
    card._connections.setValue(0)
    assert (kept(services).downloads_at_once, kept(services).connections_per_download) == (6, 1)


def test_it_is_said_where_a_token_will_be_kept_before_it_is(card, carryon_home):
    assert str(carryon_home.root / "hub-token") in said(card)
    assert not card._check.isEnabled()
    assert not card._forget.isEnabled()


def test_a_token_is_saved_and_forgotten(card, access, qtbot):
    typed(qtbot, card._token, TOKEN)
    qtbot.waitUntil(lambda: "Saved" in said(card))
    assert access.site().token == TOKEN
    assert card._token.text() == ""
    qtbot.waitUntil(card._forget.isEnabled)
    card._forget.click()
    qtbot.waitUntil(lambda: "forgotten" in said(card))
    assert access.token_place is TokenPlace.NOWHERE
    assert not card._forget.isEnabled()


def test_a_token_is_never_on_the_screen(card, qtbot):
    assert card._token.echoMode() is QLineEdit.EchoMode.Password
    typed(qtbot, card._token, TOKEN)
    qtbot.waitUntil(lambda: "Saved" in said(card))
    assert not any(TOKEN in one.text() for one in card.findChildren(QLabel))
    assert not any(TOKEN in one.displayText() for one in card.findChildren(QLineEdit))


def test_what_is_no_token_is_said(card, qtbot, carryon_home):
    typed(qtbot, card._token, "two words")
    qtbot.waitUntil(lambda: "no access token" in said(card))
    assert card._token_words.objectName() == "bad"
    assert not (carryon_home.root / "hub-token").exists()


def test_a_token_is_checked_by_the_hub(card, services, access, hub, qtbot):
    services.settings.change(lambda _: Settings(hub_mirror=hub.url, trusts_mirror=True))
    typed(qtbot, card._token, TOKEN)
    qtbot.waitUntil(card._check.isEnabled)
    card._check.click()
    qtbot.waitUntil(lambda: "tester" in said(card))
    access.keep_token("hf_wrong")
    card._check.click()
    qtbot.waitUntil(lambda: "does not accept" in said(card))


def test_offline_checks_no_token(card, services, hub, qtbot):
    services.settings.change(lambda _: Settings(hub_mirror=hub.url, trusts_mirror=True, is_offline=True))
    typed(qtbot, card._token, TOKEN)
    qtbot.waitUntil(card._check.isEnabled)
    card._check.click()
    qtbot.waitUntil(lambda: "switched to offline" in said(card))
    assert hub.log == []


def test_what_cannot_be_kept_is_said(card, services, qtbot):
    services.settings._path.unlink(missing_ok=True)
    services.settings._path.mkdir(parents=True)
    with qtbot.waitSignal(card.notice_wanted) as told:
        card._offline.click()
    assert "settings.toml" in told.args[0]
    assert not card._offline.isChecked()


def test_every_control_has_a_name(card):
    by_tab = [one for one in card.findChildren(QWidget) if one.focusPolicy() & Qt.FocusPolicy.TabFocus]
    reached = [one for one in by_tab if one.isVisible()]
    nameless = [one for one in reached if not (one.accessibleName() or getattr(one, "text", str)())]
    assert len(reached) >= 10
    assert nameless == []


def test_the_settings_page_has_the_group_and_passes_its_notices_on(services, qtbot):
    page = SettingsPage(services)
    qtbot.addWidget(page)
    page.show()
    page.refresh()
    card = page.findChild(NetworkCard)
    qtbot.waitUntil(lambda: said(card) != "")
    with qtbot.waitSignal(page.notice_wanted):
        card.notice_wanted.emit("words", None)
