"""A crash at each system call of each kind of request: the process dies before the first call that changes something, then before the second, and so on."""
import random
import signal
from collections import Counter

from deeds import DEEDS
from ground import Held, acknowledged, strike_all


def run(bench):
    if reason := bench.cannot_trace():
        return bench.skip(reason)
    chosen, sides = random.Random(bench.seed), Counter()

    def choose(calls):
        every = range(1, len(calls) + 1)
        return list(every) if bench.full else sorted(chosen.sample(every, 2))

    def strike(ground, deed, nth):
        side, findings = crash(ground, deed, nth)
        sides[side] += 1
        return findings
    findings, counts = strike_all(bench, DEEDS, choose, strike)
    if not sides["before"] or not sides["after"]:
        findings.append(f"blind: all crashes left it {set(sides)}")
    return f"{counts.total()} crashes in {len(DEEDS)} kinds of request, {sides['before']} left it as before, {sides['after']} as after", findings, counts + Counter(strikes=counts.total())


def crash(ground, deed, nth):
    """(side, findings)"""
    made = ground.ready(deed)
    with Held(ground.server, "kill", nth):
        status = ground.send(made)
        crashed = ground.server.ended(patience=5) == -signal.SIGKILL
    findings = [] if crashed else ["blind: the server lives"]
    ground.server.kill()
    findings += ground.start()
    side, found = ground.judge(made, acknowledged(status))
    return side, findings + found
