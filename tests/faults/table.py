"""The results of full runs, kept beside the suite, and the table that is made of them."""
import datetime
import json
import pathlib
import re

RESULTS = pathlib.Path(__file__).with_name("results.json")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/reliability.md"
BEGIN, END = "<!-- tests/faults/run --table -->", "<!-- end of the table -->"
COLUMNS = ("PUT", "MOVE", "COPY", "DELETE", "MKCOL", "PROPPATCH", "LOCK", "account", "share", "tus", "reads")
ROWS = {
    "kill": "`kill -9` under load",
    "power-ext4": "power cut under load, ext4",
    "power-xfs": "power cut under load, xfs",
    "syscall": "crash at each system call of a request",
    "eio": "EIO at each system call of a request",
    "full": "disk full, restarted while full, then freed",
    "hang": "a home's disk hangs under load",
    "emfile": "no file descriptors left, under load",
    "readonly": "file system turns read-only under load",
    "sigterm": "SIGTERM under load",
    "between": "moves into another drive under writers, half of them crashed",
    "gone": "a home goes under load and comes back",
    "removal": "crash at each system call of an account's removal",
    "clock": "clock jumps by a day, under load",
    "cut": "client cut off at 0 to 100 % of an upload, server in a large part",
    "bitflip": "bits flipped in the state store",
}
CONTROLS = {"control-ext4": "ext4", "control-xfs": "xfs"}
READS = ("GET", "PROPFIND")


def keep(name, said, counts, took):
    """A fault that was struck in full and left nothing to find."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    counts = dict(counts)
    counts["reads"] = sum(counts.pop(read, 0) for read in READS)
    results[name] = {"day": datetime.date.today().isoformat(), "said": said, "counts": {k: n for k, n in counts.items() if n}, "seconds": round(took)}
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def table():
    """Markdown; also put into the page that shows it."""
    results = json.loads(RESULTS.read_text())
    lines = [f"| fault | times | {' | '.join(COLUMNS)} | lost | torn | steps by hand |", "|---|" + "--:|" * (len(COLUMNS) + 4)]
    for name, label in ROWS.items():
        if not (result := results.get(name)):
            lines.append(f"| {label} | not run | {' | ' * (len(COLUMNS) + 2)} |")
            continue
        counts = result["counts"]
        cells = " | ".join(f"{counts[c]:,}" if c in counts else "" for c in COLUMNS)
        lines.append(f"| {label} | {counts['strikes']:,} | {cells} | 0 | 0 | 0 |")
    lines += ["", "What each of them said:", ""]
    lines += [f"- **{name}** ({results[name]['day']}): {results[name]['said']}" for name in (*ROWS, *CONTROLS) if name in results]
    text = "\n".join(lines)
    page = PAGE.read_text()
    PAGE.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.DOTALL))
    return text
