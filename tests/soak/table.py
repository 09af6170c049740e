"""What was asked and answered, as a table."""


def requests(tally, markdown=False):
    """A line for each kind of request: how many, how long they took, what they were answered."""
    rows = [("request", "count", "p50 ms", "p99 ms", "longest ms", "repeated", "answers")]
    for kind in sorted(tally.times, key=str.casefold):
        times = sorted(tally.times[kind])
        answers = ", ".join(f"{status}: {count:,}" for status, count in sorted(tally.statuses[kind].items()))
        told = (f"{1000 * percentile(times, part):.1f}" for part in (50, 99, 100))
        rows.append((kind, f"{len(times):,}", *told, str(tally.repeated[kind] or ""), answers))
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return [lines[0], "|---|--:|--:|--:|--:|--:|---|", *lines[1:]]
    widths = [max(len(row[at]) for row in rows) for at in range(6)]
    return [f"{row[0]:{widths[0]}} " + " ".join(f"{row[at]:>{widths[at]}}" for at in range(1, 6)) + f"  {row[6]}" for row in rows]


def percentile(times, part):
    return times[min(len(times) * part // 100, len(times) - 1)]
