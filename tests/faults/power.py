"""Power cuts: the file system stops taking anything at a random moment, is mounted again, and must hold what was acknowledged before."""
import random
from collections import Counter

from check import Seen, check
from mounts import Mount, missing
from server import Server
from workload import Cut, Site

CUTS_PER_FOLDER = 15
MEGABYTES = 512
NOT_ABOUT_FILES = ("account", "healthy")


def run(bench, kind):
    """Durability "strict": nothing acknowledged may be gone."""
    return strike(bench, kind, "strict", bench.count(20, 200))


def control(bench, kind):
    """The same with fsync of files switched off: unless the check finds losses, it is blind. Accounts must survive even so."""
    said, findings, counts = strike(bench, kind, "relaxed", bench.count(5, 20))
    losses = [f for f in findings if not about(f).startswith(NOT_ABOUT_FILES)]
    cuts = {f.split(":")[0] for f in losses if not about(f).startswith(("refused", "left in"))}
    other = [f for f in findings if f not in losses]
    return f"{said}; found losses in {len(cuts)} of them, as it must", other + ([] if cuts else ["blind: fsync is off and nothing was missed"]), counts


def about(found):
    return found.split(": ", 1)[1]


def strike(bench, kind, durability, cuts):
    if reason := missing("xfs_io", f"mkfs.{kind}"):
        return bench.skip(reason)
    seen, findings, counts, done = Seen(), [], Counter(), 0
    moments = random.Random(bench.seed)
    while done < cuts and (durability == "relaxed" or len(findings) <= 20):
        folder = bench.folder()
        with bench.using(Mount(folder, kind, MEGABYTES)) as mount:
            server = Server(bench.binary, folder, durability=durability, data=mount.point / "data")
            with bench.using(server):
                site = Site(server, bench.seed + done)
                for _ in range(min(CUTS_PER_FOLDER, cuts - done)):
                    bench.in_time()
                    site.strike(moments.uniform(0.01, 0.3), Cut(acks_after_count=False), mount.cut_power)
                    mount.again()
                    findings += [f"cut {done}: {f}" for f in check(site, seen, power=True)]
                    findings += [] if site.furnish() else [f"cut {done}: lost: shared"]
                    done += 1
                counts += site.counts
    return (f"{done} cuts, {counts.total()} changes acknowledged, {seen.flying} in flight ({seen.done} of them done), "
            f"slowest start {seen.slowest:.2f} s"), findings, counts + Counter(strikes=done)
