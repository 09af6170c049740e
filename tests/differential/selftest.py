"""Whether a difference is seen and reported, and whether the list of intended ones is held to its rules."""
import intended
import written
from play import Ended, Play

GOOD = '[[difference]]\nid = "a"\nmethod = ["PUT"]\nwhen = { target = "file" }\nfield = "status"\napache = "204"\nsarang = "201"\nreason = "RFC 4918 9.7: said."\n'
BAD = {
    "no reason": GOOD.replace("RFC 4918 9.7: said.", ""),
    "a reason without a section": GOOD.replace("RFC 4918 9.7: said.", "Because."),
    "a status without a condition": GOOD.replace('{ target = "file" }', "{}"),
    "no method": GOOD.replace('["PUT"]', "[]"),
    "a value on both sides": GOOD.replace('"201"', '["201", "204"]'),
    "an unknown key": GOOD + "maybe = true\n",
    "an id twice": GOOD + GOOD,
    "another table": GOOD + "[other]\n",
}


def changed(field, text):
    """Alters one field of sarang's answer where it has it."""
    return lambda seen: {**seen, **{key: text for key in seen if key == field or (isinstance(key, tuple) and key[0] == field)}}


def without(*names):
    return lambda seen: {key: value for key, value in seen.items() if not (isinstance(key, tuple) and key[0] in names)}


# What is altered: the sequence, the method, how, and the field that must be reported.
ALTERED = [
    ("put-and-read", "PUT", changed("status", "200"), "status"),
    ("put-and-read", "GET", changed("body", "b'torn'"), "body"),
    ("put-and-read", "GET", changed("header Content-Length", "999"), "header Content-Length"),
    ("put-and-read", "HEAD", changed("tag now", "kept"), "tag now"),
    ("put-and-read", "HEAD", changed("tag of PUT", "stale"), "tag of PUT"),
    ("put-and-read", "GET", changed("header ETag", "weak"), "header ETag"),
    ("range-first", "GET", changed("header Content-Range", "bytes 0-5/44"), "header Content-Range"),
    ("options-everywhere", "OPTIONS", changed("header DAV", "1"), "header DAV"),
    ("find-named", "PROPFIND", changed("prop {DAV:}getetag", "404"), "prop {DAV:}getetag"),
    ("find-named", "PROPFIND", changed("value {DAV:}resourcetype", "empty "), "value {DAV:}resourcetype"),
    ("find-named", "PROPFIND", without("href"), "href"),
    ("lock-and-unlock", "LOCK", changed("header Lock-Token", "absent"), "header Lock-Token"),
    ("lock-and-unlock", "PROPFIND", changed("locks", "none "), "locks"),
    ("lock-and-unlock", "LOCK", changed("lock depth", "0"), "lock depth"),
    ("properties-set-and-removed", "PROPFIND", changed("value {urn:x}a", "<{urn:x}a>9</>"), "value {urn:x}a"),
    ("properties-set-and-removed", "tree", without("dead {urn:x}b"), "dead {urn:x}b"),
    ("copy-folder", "tree", without("is"), "is"),
    ("copy-folder", "tree", changed("is", "file torn"), "is"),
]


def of_the_list():
    """What is wrong with how the list is read."""
    wrong = []
    if len(intended.load(GOOD)) != 1:
        wrong.append("selftest: a good list is refused")
    for name, text in BAD.items():
        try:
            intended.load(text)
            wrong.append(f"selftest: the list may have {name}")
        except ValueError:
            pass
    return wrong


def run(apache, sarang):
    wrong, sequences = [], dict(written.sequences())
    for number, (name, method, alter, field) in enumerate(ALTERED):
        entries, found = intended.load(), []
        play = Play(f"selftest-{number}", apache, sarang, lambda difference: None if any(e.matches(difference) for e in entries) else found.append(difference),
                    alter=lambda _, asked, seen: alter(seen) if asked == method else seen)
        try:
            play.mkcol("{path:}")
            sequences[name](play)
            play.compare_trees()
        except Ended:
            pass
        if field not in {difference.field for difference in found}:
            wrong.append(f"selftest: {field} altered in {method} of {name} was not noticed")
    print("\n".join(wrong) or f"selftest: {len(ALTERED)} altered answers noticed, {len(BAD)} bad lists refused")
    return 1 if wrong else 0
