"""A crash at each system call of each kind of request: the process dies before the first call that changes something, then before the second, and so on."""
import random
import shutil
import signal
from collections import Counter

from deeds import DEEDS
from ground import Ground, Held, acknowledged, strike_all
from server import Server
from workload import ACCOUNT


def run(bench):
    if reason := bench.cannot_trace():
        return bench.skip(reason)
    chosen, sides = random.Random(bench.seed), Counter()

    def choose(calls):
        every = range(1, len(calls) + 1)
        return list(every) if bench.full else sorted(chosen.sample(every, min(2, len(every))))

    def strike(ground, deed, nth):
        side, findings = crash(ground, deed, nth)
        sides[side] += 1
        return findings
    findings, counts = strike_all(bench, DEEDS, choose, strike)
    findings += plant(bench)
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


def plant(bench):
    """Former contents gone, something in the trash that nobody knows of, a file torn: judge and `sarang check` must say so."""
    with bench.using(Server(bench.binary, bench.folder())) as server:
        ground = Ground(server)
        made = ground.ready(DEEDS["PUT overwrite"])
        done = acknowledged(ground.send(made))
        server.kill()
        home = server.home(ACCOUNT)
        shutil.rmtree(home / ".sarang/versions")
        (home / ".sarang/trash/files/stray").touch()
        (home / ground.top / "fol der/in.txt").write_bytes(b"torn")
        ground.start()
        found = ground.judge(made, done)[1]
        server.kill()
        found += ground.agrees()
    wanted = ("nowhere any more", "in the trash without a note: stray", f"wrong content: {ground.top}/fol der/in.txt", "sarang check")
    return [f"planted and not found: {w}" for w in wanted if not any(f.startswith(w) for f in found)]
