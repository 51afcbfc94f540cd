"""Calls from working threads reach the main thread, in their order."""

import threading

from carryon.ui.bridge import MainThread


def test_calls_run_on_the_main_thread_in_order(qtbot):
    bridge, ran = MainThread(), []

    def work():
        for number in range(100):
            bridge.post(lambda number=number: ran.append((number, threading.current_thread())))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == []
    qtbot.waitUntil(lambda: len(ran) == 100)
    assert [number for number, _ in ran] == list(range(100))
    assert {one for _, one in ran} == {threading.main_thread()}


def test_a_call_from_the_main_thread_waits_its_turn(qtbot):
    bridge, ran = MainThread(), []
    bridge.post(lambda: ran.append("posted"))
    ran.append("now")
    qtbot.waitUntil(lambda: len(ran) == 2)
    assert ran == ["now", "posted"]


def test_after_closing_nothing_runs_any_more(qtbot):
    bridge, ran = MainThread(), []
    bridge.post(lambda: ran.append("late"))
    bridge.close()
    qtbot.wait(50)
    assert ran == []
