"""A workshop for tests: sources, a bench of a temporary home, orders that are run to their end."""

import sys
from contextlib import contextmanager
from pathlib import Path

from fakes import machines, sites

from carryon.app.download_work import Terms
from carryon.app.hub_access import HubAccess
from carryon.app.preflight import Inspector
from carryon.app.workshop_list import Order, Source, SourceKind
from carryon.app.workshop_pace import Paces
from carryon.app.workshop_places import id_of, settled
from carryon.app.workshop_run import Bench, working
from carryon.app.workshop_store import WorkshopStore
from carryon.base.jobs import drained
from carryon.base.settings import SettingsFile

sys.path.append(str(Path(__file__).resolve().parents[1] / "convert"))  # the builders of model folders
GUIDE = Path(__file__).resolve().parents[2] / "resources" / "guide"


@contextmanager
def bench_of(home):
    """What runs need; closed at the end."""
    settings = SettingsFile(home.settings)
    store = WorkshopStore(home.library)
    try:
        yield Bench(home, Terms(HubAccess(home, settings), settings), store)
    finally:
        store.close()


def inspector_of(home, machine=machines.WITH_GPU, units_per_s=lambda kind, quant: None):
    """Finds out about sources for a machine that is known."""

    def locating():
        yield None
        return sites.site(machine)

    access = HubAccess(home, SettingsFile(home.settings))
    return Inspector(home, lambda: access, locating, Paces(units_per_s))


def folder_source(folder=GUIDE):
    return Source(SourceKind.FOLDER, str(folder))


def made(bench, order):
    """Runs an order to its end, as a new run, and returns its files."""
    order = settled(order)
    bench.store.add(id_of(order), order)
    return drained(working(id_of(order), order, bench))


def order_of(source, folder, *quants, **more):
    return settled(Order(source, quants, folder, more.pop("name", source.name), **more))


def everything_in(folder):
    """All files and folders below, by their names."""
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*")) if folder.is_dir() else []
