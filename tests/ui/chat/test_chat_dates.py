"""The list of chats groups them by day, then by month."""

from datetime import date, datetime, timedelta

import pytest

from carryon.chat.message import Conversation
from carryon.ui.chat.dates import Day, Month, grouped, period_of

TODAY = date(2026, 3, 4)


@pytest.mark.parametrize(
    ("days", "period"),
    [
        (-1, Day.TODAY),
        (0, Day.TODAY),
        (1, Day.YESTERDAY),
        (2, Day.THIS_WEEK),
        (6, Day.THIS_WEEK),
        (7, Month(2026, 2)),
        (70, Month(2025, 12)),
    ],
)
def test_the_group_of_a_day(days, period):
    assert period_of(TODAY - timedelta(days=days), TODAY) == period


def test_groups_keep_the_order():
    now = datetime(2026, 3, 4, 0, 30)
    hours = [0.2, 1, 30, 50, 24 * 20, 24 * 21]
    chats = [Conversation(n, str(n), 0, now.timestamp() - 3600 * one) for n, one in enumerate(hours)]
    assert [(when, [one.id for one in group]) for when, group in grouped(chats, now)] == [
        (Day.TODAY, [0]),
        (Day.YESTERDAY, [1]),
        (Day.THIS_WEEK, [2, 3]),
        (Month(2026, 2), [4, 5]),
    ]
