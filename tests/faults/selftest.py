"""Whether the judges see what they are for: each planted fault must be found, each true history must pass."""
from collections import Counter

from model import FOLDER, Node, Op, Past, Write, apply, judge_past, judge_register, judge_tree

BEFORE = {"w": Node(FOLDER), "w/a": Node("1", "m"), "w/b": Node("2"), "w/d": Node(FOLDER), "w/d/x": Node("3")}


def without(tree, path):
    return {p: n for p, n in tree.items() if p != path}


def tree_cases():
    move = Op("MOVE", "w/d", "w/e")
    onto = Op("MOVE", "w/a", "w/b")
    after = apply(BEFORE, move)
    yield "nothing happened", (BEFORE, None, dict(BEFORE)), "before"
    yield "in flight and not done", (BEFORE, move, dict(BEFORE)), "before"
    yield "in flight and done", (BEFORE, move, after), "after"
    yield "overwrite by MOVE carries the property", (BEFORE, onto, {**without(BEFORE, "w/a"), "w/b": Node("1", "m")}), "after"
    yield "acknowledged file lost", (BEFORE, None, without(BEFORE, "w/a")), "wrong"
    yield "file lost beside an operation in flight", (BEFORE, move, without(after, "w/b")), "wrong"
    yield "torn content", (BEFORE, Op("PUT", "w/a", value="9"), {**BEFORE, "w/a": Node("8", "m")}), "wrong"
    yield "property lost", (BEFORE, None, {**BEFORE, "w/a": Node("1")}), "wrong"
    yield "property lost by overwrite", (BEFORE, Op("PUT", "w/a", value="9"), {**BEFORE, "w/a": Node("9")}), "wrong"
    yield "folder half moved", (BEFORE, move, {**BEFORE, "w/e": Node(FOLDER)}), "wrong"
    yield "folder in both places", (BEFORE, move, {**BEFORE, "w/e": Node(FOLDER), "w/e/x": Node("3")}), "wrong"
    yield "target gone before the source came", (BEFORE, onto, without(BEFORE, "w/b")), "wrong"
    yield "deleted file back", (BEFORE, None, {**BEFORE, "w/z": Node("7")}), "wrong"
    yield "folder half deleted", (BEFORE, Op("DELETE", "w/d"), without(BEFORE, "w/d/x")), "wrong"
    yield "folder half copied", (BEFORE, Op("COPY", "w/d", "w/e"), {**BEFORE, "w/e": Node(FOLDER)}), "wrong"


def register_cases():
    first, second = Write("1", 0, 1), Write("2", 2, 3)
    yield "last acknowledged", ([first, second], "2"), True
    yield "superseded", ([first, second], "1"), False
    yield "concurrent", ([Write("1", 0, 3), Write("2", 2, 4)], "1"), True
    yield "in flight, done", ([first, second, Write(None, 4)], None), True
    yield "in flight, not done", ([first, second, Write(None, 4)], "2"), True
    yield "never written", ([first, second], "9"), False
    yield "lost altogether", ([first, second], None), False


def past_cases():
    """(what is kept before, the change, what is kept after)"""
    kept = Past(versions={"w/a": ("0",), "w/d/x": ("4", "5")})
    both = {("", FOLDER), ("/x", "3")}
    yield "overwritten", kept, Op("PUT", "w/a", value="9"), Past(versions={"w/a": ("1", "0"), "w/d/x": ("4", "5")})
    yield "saved as it was", kept, Op("PUT", "w/a", value="1"), kept
    yield "file deleted", kept, Op("DELETE", "w/a"), Past(Counter({("w/a", frozenset({("", "1")})): 1}), {"w/d/x": ("4", "5")})
    yield "folder deleted", kept, Op("DELETE", "w/d"), Past(Counter({("w/d", frozenset(both)): 1}), {"w/a": ("0",)})
    yield "moved", kept, Op("MOVE", "w/d", "w/e"), Past(versions={"w/a": ("0",), "w/e/x": ("4", "5")})
    yield "moved onto", kept, Op("MOVE", "w/d/x", "w/a"), Past(Counter({("w/a", frozenset({("", "1")})): 1}), {"w/a": ("4", "5")})
    yield "copied onto", kept, Op("COPY", "w/d/x", "w/a"), Past(Counter({("w/a", frozenset({("", "1")})): 1}), {"w/d/x": ("4", "5")})


def run(_bench):
    findings, count = [], 0
    for name, (before, pending, observed), wanted in tree_cases():
        count += 1
        verdict, said = judge_tree(before, pending, observed)
        if verdict != wanted or (verdict == "wrong") != bool(said):
            findings.append(f"{name}: judged {verdict}, {said}")
    for name, (writes, observed), wanted in register_cases():
        count += 1
        if judge_register(writes, observed) != wanted:
            findings.append(f"{name}: judged {not wanted}")
    for name, kept, op, wanted in past_cases():
        count += 1
        after = kept.after(BEFORE, op)
        if judge_past(wanted, after) or (after != kept) != bool(judge_past(kept, after)):
            findings.append(f"{name}: kept {after}")
    return f"{count} histories, true and false", findings
