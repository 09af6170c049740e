"""A crash at each system call of each kind of request: the process dies before the first call that changes something, then before the second, and so on."""
import random
import signal

from deeds import DEEDS
from ground import Ground, Held, acknowledged, furnished
from server import Server


def run(bench):
    if reason := bench.cannot_trace():
        return bench.skip(reason)
    chosen, findings, strikes, sides = random.Random(bench.seed), [], 0, {"before": 0, "after": 0}
    for name, deed in DEEDS.items():
        with bench.using(Server(bench.binary, bench.folder())) as server:
            ground = Ground(server)
            calls = rehearse(ground, deed)
            points = list(range(1, len(calls) + 1))
            if not bench.full:
                points = sorted({1, len(calls), chosen.choice(points)})
            for nth in points:
                bench.in_time()
                side, found = strike(ground, deed, nth)
                findings += [f"{name} at call {nth} of {len(calls)} ({calls[nth - 1]}): {f}" for f in found]
                sides[side] = sides.get(side, 0) + 1
                strikes += 1
            server.kill()
            findings += [f"{name}: {f}" for f in ground.agrees()]
    return f"{len(DEEDS)} kinds of request, {strikes} crashes, {sides['before']} left it as before, {sides['after']} as after", findings


def rehearse(ground, deed):
    """The calls of the request when nothing befalls it."""
    ground.fresh()
    furnished(ground)
    with Held(ground.server) as held:
        status = ground.send(made := deed(ground))
    if not acknowledged(status):
        raise RuntimeError(f"{made.op} -> {status}")
    return held.calls


def strike(ground, deed, nth):
    """(side, findings)"""
    ground.fresh()
    furnished(ground)
    made = deed(ground)
    with Held(ground.server, "kill", nth):
        status = ground.send(made)
    crashed = ground.server.ended(patience=5) == -signal.SIGKILL
    findings = [] if crashed else ["blind: the server lives"]
    ground.server.kill()
    findings += ground.start()
    side, found = ground.judge(made, acknowledged(status))
    return side, findings + found
