"""The machine is looked at once, in the background, and told to everyone."""

from fakes import machines
from fakes.main_thread import MainThread

from carryon.base.jobs import Runner
from carryon.ui.machine_watch import MachineWatch


def watching(probing):
    main = MainThread()
    runner = Runner(main.post)
    return main, runner, MachineWatch(runner, probing)


def test_listeners_hear_none_first_and_then_the_machine():
    main, runner, watch = watching(machines.probing(machines.CPU_ONLY))
    heard = []
    watch.listen(heard.append)
    watch.look()
    main.run_until(lambda: watch.machine is not None)
    assert heard == [None, machines.CPU_ONLY]
    runner.end()


def test_a_second_look_while_one_is_under_way_is_no_second_probe():
    probes = []

    def probing():
        probes.append(1)
        for _ in range(3):
            yield None
        return machines.CPU_ONLY

    main, runner, watch = watching(probing)
    watch.look()
    watch.look()
    main.run_until(lambda: watch.machine is not None)
    assert len(probes) == 1
    runner.end()


def test_looking_again_replaces_the_machine():
    found = iter([machines.CPU_ONLY, machines.WITH_GPU])

    def probing():
        yield None
        return next(found)

    main, runner, watch = watching(probing)
    watch.look()
    main.run_until(lambda: watch.machine == machines.CPU_ONLY and not watch._job.is_running)
    watch.look()
    main.run_until(lambda: watch.machine == machines.WITH_GPU)
    runner.end()


def test_a_probe_that_fails_leaves_what_was_known():
    def probing():
        yield None
        raise RuntimeError("a bug")

    _, runner, watch = watching(probing)
    watch.look()
    watch._job.wait(5)
    runner.end()
    assert watch.machine is None
