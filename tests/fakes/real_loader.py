"""A child that really loads what it is asked, says what that holds and lets go of it: many loads in one process.

It speaks the planner's language, so what asks for plans can ask for loads.
"""

import sys

COMMAND = (sys.executable, "-P", __file__)
BY_THE_LOG = (*COMMAND, "by-the-log")  # as in builds with another C++ library, where the account cannot be read


def main():
    from carryon.worker import asked, memory, tie
    from carryon.worker.capi import L
    from carryon.worker.engine_log import EngineLog

    if "by-the-log" in sys.argv:
        memory._TENSOR_MAP = memory._TENSOR_MAP.replace("B5cxx11", "")  # libstdc++'s mark
    asked.found_devices = only_once(asked.found_devices)
    out = tie.take_stdout()
    log = EngineLog()
    log.attach()
    L.llama_backend_init()
    for line in sys.stdin.buffer:
        log.lines.clear()
        out.write(answer(line, log))


def only_once(look):
    """An RPC server that is registered twice is two devices."""
    found = []

    def looked(request):
        found.append(found[0] if found else look(request))
        return found[0]

    return looked


def answer(line, log):
    from carryon.engine.protocol import Planned, decode_request, encode_answer
    from carryon.worker.loading import load
    from carryon.worker.memory import memory_per_device
    from carryon.worker.refusals import LoadRefused

    try:
        loaded = load(decode_request(line), log, lambda _: None)
    except LoadRefused as refusal:
        return encode_answer(refusal.refused)
    memory = memory_per_device(loaded.model, loaded.context, loaded.devices, log.texts())
    told = Planned("a load", loaded.context.n_ctx, memory)
    loaded.context.free()
    loaded.model.free()
    return encode_answer(told)


if __name__ == "__main__":
    main()
