"""The checked-in list of differences that are meant (intended.toml): strict, and each entry must be needed."""
import pathlib
import re
import tomllib

LIST = pathlib.Path(__file__).with_name("intended.toml")
KEYS = {"id": str, "method": list, "when": dict, "field": (str, list), "apache": (str, list), "sarang": (str, list), "reason": str}
OPTIONAL = {"sequence": list}


class Entry:
    def __init__(self, given):
        self.id, self.method, self.when, self.reason = given["id"], given["method"], given["when"], given["reason"]
        self.field, self.apache, self.sarang = (listed(given[key]) for key in ("field", "apache", "sarang"))
        self.sequence, self.matched = given.get("sequence"), 0

    def matches(self, found):
        return (found.method in self.method and found.field in self.field and found.apache in self.apache and found.sarang in self.sarang
                and (self.sequence is None or found.sequence in self.sequence)
                and all(holds(wanted, found.facts.get(name, "absent")) for name, wanted in self.when.items()))


def listed(value):
    return value if isinstance(value, list) else [value]


def holds(wanted, fact):
    """A list of values, or "present" for a header whatever it says."""
    return fact != "absent" if wanted == "present" else fact in listed(wanted)


def load(text=None):
    """The entries; a ValueError says what is wrong with the list."""
    given = tomllib.loads(LIST.read_text() if text is None else text)
    if set(given) != {"difference"}:
        raise ValueError("the list holds [[difference]] tables and nothing else")
    for entry in given["difference"]:
        check(entry)
    ids = [entry["id"] for entry in given["difference"]]
    if repeated := {name for name in ids if ids.count(name) > 1}:
        raise ValueError(f"ids stand twice: {', '.join(sorted(repeated))}")
    return [Entry(entry) for entry in given["difference"]]


def check(entry):
    name = entry.get("id", "an entry without an id")
    for key, kind in KEYS.items():
        if not isinstance(entry.get(key), kind) or not (entry[key] or key == "when"):
            raise ValueError(f"{name}: {key} is missing, empty or of the wrong kind")
    for key in set(entry) - set(KEYS):
        if not isinstance(entry[key], OPTIONAL.get(key, ())):
            raise ValueError(f"{name}: {key} does not belong there")
    if "status" in listed(entry["field"]) and not entry["when"]:
        raise ValueError(f"{name}: a status needs a condition")
    if set(listed(entry["apache"])) & set(listed(entry["sarang"])):
        raise ValueError(f"{name}: a value stands on both sides")
    if not re.search(r"RFC \d{4} \d|clients\.md|product\.md", entry["reason"]) or not entry["reason"].endswith("."):
        raise ValueError(f"{name}: the reason is a sentence that names an RFC and its section")
