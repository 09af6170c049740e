"""kill -9 at a random moment of a busy server, again and again over the same data folder."""
import random
from collections import Counter

from check import Seen, check
from server import Server
from workload import ACCOUNT, Cut, Site

ROUNDS_PER_FOLDER = 20


def run(bench):
    rounds, seen, findings, counts, done = bench.count(60, 500), Seen(), [], Counter(), 0
    moments = random.Random(bench.seed)
    while done < rounds and len(findings) <= 20:
        with bench.using(Server(bench.binary, bench.folder())) as server:
            site = Site(server, bench.seed + done)
            for _ in range(min(ROUNDS_PER_FOLDER, rounds - done)):
                bench.in_time()
                site.strike(moments.uniform(0.01, 0.3), Cut(acks_after_count=True), server.kill)
                findings += [f"kill {done}: {f}" for f in check(site, seen)]
                done += 1
            counts += site.counts
            if done >= rounds:
                findings += plant(site)
    return (f"{done} kills, {counts.total()} changes acknowledged, {seen.flying} in flight ({seen.done} of them done), "
            f"slowest start {seen.slowest:.2f} s"), findings, counts + Counter(strikes=done)


def plant(site):
    """Loses one acknowledged file and tears another behind the server's back, and claims an upload and a share: the check must say so."""
    site.server.kill()
    worker = max(site.workers, key=lambda w: len(w.tree))
    lost, torn = [p for p, n in worker.tree.items() if not n.is_folder][:2]
    home = site.server.home(ACCOUNT)
    (home / lost).unlink()
    (home / torn).write_bytes(b"torn")
    sharer, uploader = site.actors
    uploader.whole["land ing/never.bin"] = "0" * 64
    offer = sharer.path(0)
    share = f"share came from nowhere or back: {offer}" if sharer.made.pop(offer, None) else f"share lost: {offer}"
    if share.startswith("share lost"):
        sharer.made[offer] = "never"
    found = check(site, Seen())
    missed = {f"lost: {lost}", f"wrong content: {torn}", "upload arrived and is lost: land ing/never.bin", share} - set(found)
    return [f"planted and not found: {m}" for m in missed]
