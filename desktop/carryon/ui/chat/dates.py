"""When a conversation was last used, in the groups of the list: today, yesterday, this week, then by month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from itertools import groupby

from carryon.chat.message import Conversation


class Day(Enum):
    """The near groups."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    THIS_WEEK = "this_week"


@dataclass(frozen=True)
class Month:
    """Everything older, by calendar month."""

    year: int
    month: int


Period = Day | Month


def period_of(then: date, today: date) -> Period:
    """The group of a day; what lies in the future (a clock set back) counts as today."""
    days = (today - then).days
    if days <= 0:
        return Day.TODAY
    if days == 1:
        return Day.YESTERDAY
    return Day.THIS_WEEK if days < 7 else Month(then.year, then.month)


def grouped(conversations: Sequence[Conversation], now: datetime) -> list[tuple[Period, tuple[Conversation, ...]]]:
    """Conversations, which come latest first, by their groups in local time."""

    def period(one: Conversation) -> Period:
        return period_of(datetime.fromtimestamp(one.updated_s).date(), now.date())

    return [(when, tuple(group)) for when, group in groupby(conversations, period)]
