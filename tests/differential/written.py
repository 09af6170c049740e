"""Sequences written by hand: every method, what surrounds it, and how methods meet."""
import functools
import inspect

PAST, FUTURE = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
TEXT = "The quick brown fox jumps over the lazy dog."
OTHER = "urn:uuid:11111111-2222-4333-8444-555555555555"
NAMES = {
    "space": "a b", "percent": "100% sure", "percent20": "a%20b", "unicode": "\u00fcber \u6587\u4ef6", "emoji": "\U0001f40d", "quote": "it's", "double_quote": 'say "hi"',
    "plus": "a+b", "hash": "a#b", "question": "a?b", "ampersand": "a&b", "less": "a<b>c", "semicolon": "a;b=c", "comma": "a,b", "brackets": "[a](b)c",
    "at_colon": "a@b:c", "tilde": "~a~", "dots": "...", "leading_dot": ".hidden", "trailing_dot": "a.", "backslash": "a\\b", "pipe": "a|b^c`d", "dollar": "$a!*", "equals": "a=b", "long": "n" * 200,
}
RANGES = {
    "first": "bytes=0-4", "one": "bytes=0-0", "middle": "bytes=10-19", "open": "bytes=40-", "suffix": "bytes=-5", "suffix_longer": "bytes=-500", "beyond_end": "bytes=40-400",
    "last": "bytes=43-43", "past_end": "bytes=44-", "far": "bytes=1000-2000", "zero_suffix": "bytes=-0", "several": "bytes=0-1,10-11", "several_spaced": "bytes=0-1, 10-11, -2",
    "overlapping": "bytes=0-9,5-14", "one_of_two": "bytes=0-1,900-", "backwards": "bytes=9-5", "other_unit": "lines=0-1", "letters": "bytes=a-b", "empty": "bytes=", "none": "bytes=-",
}
CONDITIONS = {
    "match": ("If-Match", "{etag:a}"), "match_other": ("If-Match", '"other"'), "match_star": ("If-Match", "*"), "match_list": ("If-Match", '"other", {etag:a}'),
    "match_weak": ("If-Match", "W/{etag:a}"), "none_match": ("If-None-Match", "{etag:a}"), "none_match_other": ("If-None-Match", '"other"'), "none_match_star": ("If-None-Match", "*"),
    "none_match_list": ("If-None-Match", '"other", {etag:a}'), "none_match_weak": ("If-None-Match", "W/{etag:a}"),
    "modified_since": ("If-Modified-Since", "{modified:a}"), "modified_since_past": ("If-Modified-Since", PAST), "modified_since_garbage": ("If-Modified-Since", "yesterday"),
    "unmodified_since": ("If-Unmodified-Since", "{modified:a}"), "unmodified_since_past": ("If-Unmodified-Since", PAST), "unmodified_since_future": ("If-Unmodified-Since", FUTURE),
    "unmodified_since_garbage": ("If-Unmodified-Since", "yesterday"),
}
IFS = {
    "token": "(<{token:l}>)", "wrong_token": f"(<{OTHER}>)", "not_wrong_token": f"(Not <{OTHER}>)", "token_or_wrong": "(<%s>) (<{token:l}>)" % OTHER,
    "token_and_wrong": "(<{token:l}> <%s>)" % OTHER, "token_and_tag": "(<{token:l}> [{etag:a}])", "token_and_other_tag": '(<{token:l}> ["other"])', "tag": "([{etag:a}])",
    "other_tag": '(["other"])', "not_other_tag": '(Not ["other"])', "token_not_other_tag": '(<{token:l}> Not ["other"])', "tagged": "<{url:a}> (<{token:l}>)", "tagged_elsewhere": "<{url:b}> (<{token:l}>)",
    "tagged_path": "<{path:a}> (<{token:l}>)", "not_no_lock": "(<{token:l}>) (Not <DAV:no-lock>)", "no_lock": "(<DAV:no-lock>)", "tagged_and_elsewhere": "<{url:a}> (<{token:l}>) <{url:b}> (Not <DAV:no-lock>)",
}
MALFORMED = {
    "if_word": ("If", "garbage"), "if_open": ("If", "("), "if_empty": ("If", "()"), "if_half": ("If", "(<urn:x)"), "if_not": ("If", "(Not)"), "if_after_tag": ("If", "<{url:a}> garbage"),
    "match": ("If-Match", "bare"), "none_match": ("If-None-Match", "bare"), "match_half": ("If-Match", '"half'), "depth": ("Depth", "deep"),
}


def sequences():
    """[(name, function)], those of tables included."""
    found = [(name.replace("_", "-"), function) for name, function in globals().items()
             if inspect.isfunction(function) and function.__module__ == __name__ and list(inspect.signature(function).parameters) == ["s"]]
    for table, maker in ((NAMES, name_round), (RANGES, range_round), (CONDITIONS, condition_round), (IFS, if_round), (MALFORMED, malformed_round)):
        found += [(f"{maker.__name__.removesuffix('_round')}-{key.replace('_', '-')}", functools.partial(maker, given=value)) for key, value in table.items()]
    return found


# Tables

def name_round(s, given):
    s.put(given, "one")
    s.get(given)
    s.find(given, "resourcetype getcontentlength")
    s.put(given, "two")
    s.mkcol("d")
    s.copy(given, f"d/{given}")
    s.move(given, f"d/x{given}")
    s.find("d/", "resourcetype getcontentlength", depth="1")
    s.patch(f"d/{given}", "+<x:a>1</x:a>")
    s.lock(f"d/{given}")
    s.put(f"d/{given}", "three", If="(<{token:l}>)")
    s.unlock(f"d/{given}")
    s.mkcol(f"f{given}/")
    s.put(f"f{given}/in", "four")
    s.move(f"f{given}", f"g{given}")
    s.find(f"g{given}", "resourcetype", depth="1")
    s.delete(f"d/x{given}")
    s.get(f"d/x{given}")


def range_round(s, given):
    s.put("a", TEXT)
    s.get("a", keep="a")
    s.get("a", Range=given)
    s.head("a", Range=given)
    s.get("a", Range=given, If_Range="{etag:a}")
    s.get("a", Range=given, If_Range='"other"')
    s.get("a", Range=given, If_Range="{modified:a}")
    s.get("a", Range=given, If_Range=PAST)
    s.get("a", Range=given, If_Match="{etag:a}")
    s.get("a", Range=given, If_None_Match="{etag:a}")
    s.get("a", Range=given, If_Match='"other"')
    s.get("nothing", Range=given)


def condition_round(s, given):
    header = {given[0].replace("-", "_"): given[1]}
    s.put("a", "one")
    s.mkcol("d")
    s.get("a", keep="a")
    s.get("a", **header)
    s.head("a", **header)
    s.find("a", "getcontentlength", **header)
    s.get("nothing", **header)
    s.patch("a", "+<x:a>1</x:a>", **header)
    s.copy("a", "c", **header)
    s.put("a", "two", **header)
    s.get("a", keep="a")
    s.put("new", "three", **header)
    s.mkcol("e", **header)
    s.lock("a", **header)
    s.unlock("a")
    s.get("a", keep="a")
    s.move("a", "m", **header)
    s.put("a", "four")
    s.get("a", keep="a")
    s.delete("a", **header)


def if_round(s, given):
    s.put("a", "one")
    s.put("b", "one")
    s.get("a", keep="a")
    s.put("a", "two", If=given)
    s.get("a", keep="a")
    s.lock("a")
    s.put("a", "three", If=given)
    s.get("a", keep="a")
    s.patch("a", "+<x:a>1</x:a>", If=given)
    s.find("a", "x:a", If=given)
    s.get("a", If=given)
    s.get("a", keep="a")
    s.copy("a", "c", If=given)
    s.delete("a", If=given)


def malformed_round(s, given):
    header = {given[0].replace("-", "_"): given[1]}
    s.put("a", "one")
    s.get("a", **header)
    s.put("a", "two", **header)


# PUT, GET, HEAD

def put_and_read(s):
    s.put("a", "one")
    s.get("a")
    s.head("a")
    s.put("a", "longer than before")
    s.get("a")
    s.put("a", "x")
    s.get("a")
    s.put("a", "x")
    s.put("a", "")
    s.get("a")
    s.head("a")


def put_chunked(s):
    s.put("a", "chunk by chunk by chunk", chunked=True)
    s.get("a")
    s.put("a", "", chunked=True)
    s.get("a")
    s.put("a", "again in chunks", chunked=True)
    s.get("a")


def put_without_parent(s):
    s.put("d/a", "one")
    s.put("d/e/a", "one")
    s.put("f", "a file")
    s.put("f/a", "in a file")


def put_onto_folder(s):
    s.mkcol("d")
    s.put("d", "one")
    s.find("d", "resourcetype")


def put_onto_folder_with_slash(s):
    s.mkcol("d")
    s.put("d/", "one")
    s.find("d", "resourcetype")


def put_with_slash(s):
    s.put("a/", "one")
    s.get("a")


def put_part(s):
    s.put("a", "one two three")
    s.put("a", "ONE", Content_Range="bytes 0-2/13")
    s.get("a")


def get_nothing(s):
    s.get("a")
    s.head("a")
    s.get("d/")
    s.get("d/a")


def get_folder(s):
    s.mkcol("d")
    s.get("d/")
    s.head("d/")
    s.get("d")
    s.head("d")


def get_file_with_slash(s):
    s.put("a", "one")
    s.get("a/")
    s.head("a/")
    s.find("a/", "resourcetype")


def get_below_file(s):
    s.put("a", "one")
    s.get("a/b")
    s.find("a/b", "resourcetype")
    s.delete("a/b")


def change_below_file(s):
    s.put("a", "one")
    s.put("a/b", "two")
    s.put("a/b/c", "two", If_Match='"other"')
    s.mkcol("a/b")
    s.patch("a/b", "+<x:a>1</x:a>")
    s.find("a/b/c", "resourcetype", depth="1")
    s.delete("a/b/c")
    s.lock("a/b")


def copy_from_below_file(s):
    s.put("a", "one")
    s.copy("a/b", "c")
    s.move("a/b", "c")


def get_empty_ranges(s):
    s.put("a", "")
    s.get("a", Range="bytes=0-")
    s.get("a", Range="bytes=-5")
    s.get("a", Range="bytes=0-0")


def range_of_another_state(s):
    s.put("a", TEXT)
    s.get("a", keep="a")
    s.put("a", TEXT.upper())
    s.get("a", Range="bytes=0-3", If_Range="{etag:a}")
    s.get("a", Range="bytes=0-3", If_Match="{etag:a}")
    s.get("a", If_None_Match="{etag:a}")


def conditions_together(s):
    s.put("a", "one")
    s.get("a", keep="a")
    s.get("a", If_Match="{etag:a}", If_Unmodified_Since=PAST)
    s.get("a", If_None_Match='"other"', If_Modified_Since="{modified:a}")
    s.get("a", If_None_Match="{etag:a}", If_Modified_Since=PAST)
    s.get("a", If_Match='"other"', If_None_Match="{etag:a}")
    s.put("a", "two", If_Match="{etag:a}", If_None_Match='"other"')
    s.put("a", "three", If_Match="{etag:a}")
    s.get("a")


def conditions_on_stale_tag(s):
    s.put("a", "one")
    s.get("a", keep="a")
    s.put("a", "two")
    s.put("a", "three", If_Match="{etag:a}")
    s.delete("a", If_Match="{etag:a}")
    s.move("a", "b", If_Match="{etag:a}")
    s.copy("a", "b", If_Match="{etag:a}")
    s.patch("a", "+<x:a>1</x:a>", If_Match="{etag:a}")
    s.lock("a", If_Match="{etag:a}")
    s.get("a", keep="b")
    s.put("a", "four", If_Match="{etag:b}")
    s.get("a")


def create_only_when_new(s):
    s.put("a", "one", If_None_Match="*")
    s.put("a", "two", If_None_Match="*")
    s.get("a")
    s.mkcol("d", If_None_Match="*")
    s.put("b", "one", If_Match="*")
    s.get("b")


def tags_over_time(s):
    s.put("a", "one")
    s.get("a", keep="a")
    s.patch("a", "+<x:a>1</x:a>")
    s.lock("a")
    s.unlock("a")
    s.get("a", If_None_Match="{etag:a}")
    s.copy("a", "b")
    s.get("b", If_None_Match="{etag:a}")
    s.put("a", "one")
    s.get("a", If_None_Match="{etag:a}")


# MKCOL

def mkcol_plain(s):
    s.mkcol("d")
    s.mkcol("d")
    s.mkcol("d/")
    s.mkcol("e/")
    s.mkcol("d/f/")
    s.mkcol("x/y")
    s.put("a", "one")
    s.mkcol("a")
    s.mkcol("a/b")
    s.find("", "resourcetype", depth="1")


def mkcol_with_body(s):
    s.ask("MKCOL", "d", "<x/>", Content_Type="application/xml")
    s.ask("MKCOL", "e", "something", Content_Type="text/plain")
    s.ask("MKCOL", "f", "something")
    s.mkcol("g", Content_Type="text/xml")


# DELETE

def delete_plain(s):
    s.put("a", "one")
    s.delete("a")
    s.delete("a")
    s.get("a")
    s.mkcol("d")
    s.put("d/a", "one")
    s.mkcol("d/e")
    s.put("d/e/a", "one")
    s.delete("d")
    s.find("d/e", "resourcetype")
    s.mkcol("d")
    s.find("d", "resourcetype", depth="1")
    s.delete("d/")
    s.delete("d/")


def delete_file_with_slash(s):
    s.put("a", "one")
    s.delete("a/")
    s.get("a")


def delete_depths(s):
    for depth in ("infinity", "0", "1", "2"):
        s.mkcol("d")
        s.put("d/a", "one")
        s.delete("d", Depth=depth)
        s.find("d/a", "resourcetype")


def delete_file_depths(s):
    for depth in ("infinity", "0", "1"):
        s.put("a", "one")
        s.delete("a", Depth=depth)


def delete_locked(s):
    s.put("a", "one")
    s.lock("a")
    s.delete("a")
    s.get("a")
    s.delete("a", If="(<{token:l}>)")
    s.get("a")
    s.put("a", "two")
    s.find("a", "lockdiscovery")
    s.unlock("a")


def delete_locked_member(s):
    s.mkcol("d")
    s.put("d/a", "one")
    s.put("d/b", "one")
    s.lock("d/a")
    s.delete("d")
    s.get("d/a")


def delete_locked_member_with_token(s):
    s.mkcol("d")
    s.put("d/a", "one")
    s.lock("d/a")
    s.delete("d", If="<{url:d/a}> (<{token:l}>)")
    s.find("d", "resourcetype")


def delete_from_locked_folder(s):
    s.mkcol("d")
    s.put("d/a", "one")
    s.put("d/b", "one")
    s.lock("d", Depth="0")
    s.delete("d/a")
    s.put("d/b", "two")
    s.put("d/c", "new")
    s.delete("d/a", If="<{url:d}> (<{token:l}>)")
    s.put("d/c", "new", If="<{url:d}> (<{token:l}>)")


def delete_then_reuse(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>1</x:a>")
    s.delete("a")
    s.put("a", "two")
    s.find("a", "x:a")
    s.delete("a")
    s.mkcol("a")
    s.find("a", "resourcetype x:a")


# COPY and MOVE

def copy_file(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>1</x:a>")
    s.copy("a", "b")
    s.find("b", "x:a getcontentlength")
    s.put("a", "two")
    s.get("b")
    s.copy("a", "b")
    s.get("b")
    s.copy("a", "b", Overwrite="T")
    s.copy("a", "b", Overwrite="F")
    s.copy("a", "c", Overwrite="F")
    s.copy("nothing", "c")
    s.copy("a", "x/y")


def move_file(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>1</x:a>")
    s.move("a", "b")
    s.get("a")
    s.find("b", "x:a getcontentlength")
    s.put("a", "two")
    s.move("a", "b", Overwrite="F")
    s.get("b")
    s.move("a", "b")
    s.get("b")
    s.find("b", "x:a")
    s.move("nothing", "c")
    s.move("b", "x/y")
    s.get("b")


def copy_folder(s):
    folder_with_things(s)
    s.copy("d", "e")
    s.find("e", "resourcetype x:a", depth="1")
    s.get("e/f/b")
    s.copy("d", "e", Overwrite="F")
    s.put("e/extra", "extra")
    s.copy("d", "e")
    s.get("e/extra")


def copy_folder_shallow(s):
    folder_with_things(s)
    s.copy("d", "e", Depth="0")
    s.find("e", "resourcetype x:a", depth="1")
    s.copy("d/a", "g", Depth="0")
    s.get("g")


def copy_depth_one(s):
    folder_with_things(s)
    s.copy("d", "e", Depth="1")
    s.find("e", "resourcetype")


def copy_depth_infinity(s):
    folder_with_things(s)
    s.copy("d/", "e/", Depth="infinity")
    s.get("e/f/b")


def move_folder(s):
    folder_with_things(s)
    s.move("d", "e")
    s.find("d", "resourcetype")
    s.find("e", "resourcetype x:a", depth="1")
    s.get("e/f/b")
    s.find("e/a", "x:a")


def move_folder_slashes(s):
    folder_with_things(s)
    s.move("d/", "e")
    s.move("e", "g/")
    s.move("g/", "h/")
    s.get("h/f/b")


def move_depths(s):
    folder_with_things(s)
    s.move("d", "e", Depth="infinity")
    s.move("e", "g", Depth="1")
    s.find("g", "resourcetype")


def move_depth_zero(s):
    folder_with_things(s)
    s.move("d", "e", Depth="0")
    s.find("e", "resourcetype", depth="1")


def move_file_depth_zero(s):
    s.put("a", "one")
    s.move("a", "b", Depth="0")
    s.get("b")


def file_onto_its_folder(s):
    folder_with_things(s)
    s.copy("d/a", "d", Overwrite="F")
    s.move("d/a", "d", Overwrite="F")
    s.copy("d/a", "d")


def file_moved_onto_its_folder(s):
    folder_with_things(s)
    s.move("d/a", "d")


def locked_file_onto_its_folder(s):
    folder_with_things(s)
    s.lock("d/f/b")
    s.copy("d/a", "d")


def locked_folder_into_itself(s):
    folder_with_things(s)
    s.lock("d")
    s.move("d", "d/g")
    s.copy("d", "d/g")


def locked_folder_and_what_is_refused_anyway(s):
    folder_with_things(s)
    s.lock("d")
    s.put("d/x/a", "one")
    s.put("d/a/b", "one")
    s.mkcol("d/f")
    s.mkcol("d/a")
    s.lock("d/x/a", "m")
    s.move("d", "x/d")


def put_onto_folder_under_condition(s):
    s.mkcol("d")
    s.put("d", "one", If_Match='"other"')
    s.put("d", "one", If_None_Match="*")


def onto_itself(s):
    s.put("a", "one")
    s.mkcol("d")
    s.copy("a", "a")
    s.get("a")
    s.move("a", "a")
    s.get("a")


def folder_onto_itself(s):
    folder_with_things(s)
    s.copy("d", "d")
    s.move("d", "d")
    s.get("d/a")


def copy_into_itself(s):
    folder_with_things(s)
    s.copy("d", "d/g")
    s.find("d", "resourcetype", depth="1")


def move_into_itself(s):
    folder_with_things(s)
    s.move("d", "d/g")
    s.find("d", "resourcetype", depth="1")


def copy_onto_parent(s):
    folder_with_things(s)
    s.copy("d/f", "d")
    s.find("d", "resourcetype", depth="1")
    s.get("d/f/b")


def move_onto_parent(s):
    folder_with_things(s)
    s.move("d/f", "d")
    s.find("d", "resourcetype", depth="1")
    s.get("d/f/b")


def copy_file_onto_folder(s):
    folder_with_things(s)
    s.put("a", "one")
    s.copy("a", "d", Overwrite="F")
    s.copy("a", "d")
    s.find("d", "resourcetype")


def move_file_onto_folder(s):
    folder_with_things(s)
    s.put("a", "one")
    s.move("a", "d", Overwrite="F")
    s.move("a", "d")
    s.find("d", "resourcetype")


def copy_folder_onto_file(s):
    folder_with_things(s)
    s.put("a", "one")
    s.copy("d", "a", Overwrite="F")
    s.copy("d", "a")
    s.find("a", "resourcetype")


def move_folder_onto_file(s):
    folder_with_things(s)
    s.put("a", "one")
    s.move("d", "a")
    s.find("a", "resourcetype", depth="1")


def move_folder_onto_folder(s):
    folder_with_things(s)
    s.mkcol("e")
    s.put("e/old", "old")
    s.move("d", "e", Overwrite="F")
    s.move("d", "e")
    s.get("e/old")
    s.get("e/f/b")


def copy_file_to_slash(s):
    s.put("a", "one")
    s.copy("a", "b/")
    s.get("b")


def move_file_to_slash(s):
    s.put("a", "one")
    s.move("a", "b/")
    s.get("b")


def copy_without_destination(s):
    s.put("a", "one")
    s.ask("COPY", "a")
    s.ask("MOVE", "a")
    s.get("a")


def destination_forms(s):
    s.put("a", "one")
    s.ask("COPY", "a", Destination="{path:b}")
    s.get("b")


def destination_elsewhere(s):
    s.put("a", "one")
    s.copy("a", "http://elsewhere.example/dav/b")
    s.move("a", "http://elsewhere.example/dav/b")
    s.get("a")


def destination_outside(s):
    s.put("a", "one")
    s.copy("a", "http://{host}/elsewhere")
    s.get("a")


def destination_garbage(s):
    s.put("a", "one")
    s.ask("COPY", "a", Destination="")
    s.get("a")


def destination_with_user(s):
    s.put("a", "one")
    s.ask("COPY", "a", Destination="http://ana:secret@{host}/dav/destination-with-user/b")
    s.get("a")


def overwrite_garbage(s):
    s.put("a", "one")
    s.copy("a", "b", Overwrite="maybe")
    s.copy("a", "b", Overwrite="t")
    s.copy("a", "b", Overwrite="f")


def overwrite_keeps_no_properties(s):
    s.put("a", "one")
    s.put("b", "two")
    s.patch("b", "+<x:b>old</x:b>")
    s.copy("a", "b")
    s.find("b", "x:b")
    s.patch("b", "+<x:b>old</x:b>")
    s.move("a", "b")
    s.find("b", "x:b")


def copy_to_missing_parent(s):
    folder_with_things(s)
    s.put("a", "one")
    s.copy("a", "x/a")
    s.copy("d", "x/d")
    s.copy("a", "a/b")
    s.copy("d", "a/b")
    s.put("b", "two")
    s.copy("a", "b/c")
    s.move("d/a", "b/c")
    s.move("d", "d/a/b")
    s.get("b")


def move_folder_to_missing_parent(s):
    folder_with_things(s)
    s.move("d", "x/d")
    s.get("d/f/b")


def safe_save(s):
    s.put("doc", "old")
    s.patch("doc", "+<x:a>1</x:a>")
    s.put("doc.tmp", "new")
    s.move("doc", "doc.bak")
    s.move("doc.tmp", "doc")
    s.delete("doc.bak")
    s.get("doc")
    s.find("doc", "x:a")


def folder_with_things(s):
    """`d` with a, f/ and f/b, and properties."""
    s.mkcol("d")
    s.put("d/a", "one")
    s.mkcol("d/f")
    s.put("d/f/b", "two")
    s.patch("d", "+<x:a>folder</x:a>")
    s.patch("d/a", "+<x:a>file</x:a>")


# PROPPATCH and PROPFIND

def properties_set_and_removed(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>1</x:a>", "+<x:b>2</x:b>", "+<y:a>3</y:a>")
    s.find("a", "x:a x:b y:a y:b")
    s.patch("a", "-<x:a/>")
    s.find("a", "x:a x:b y:a")
    s.patch("a", "-<x:a/>")
    s.patch("a", "+<x:b>changed</x:b>", "-<y:a/>")
    s.find("a", "x:a x:b y:a")
    s.find("a", inner="<D:allprop/>")


def properties_in_order(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>1</x:a>", "+<x:a>2</x:a>")
    s.find("a", "x:a")
    s.patch("a", "+<x:a>3</x:a>", "-<x:a/>")
    s.find("a", "x:a")
    s.patch("a", "-<x:a/>", "+<x:a>4</x:a>")
    s.find("a", "x:a")


def properties_of_folders(s):
    s.mkcol("d")
    s.patch("d", "+<x:a>1</x:a>")
    s.patch("d/", "+<x:b>2</x:b>")
    s.find("d", "x:a x:b", depth="1")
    s.patch("nothing", "+<x:a>1</x:a>")
    s.patch("d/nothing", "+<x:a>1</x:a>")


def properties_with_structure(s):
    s.put("a", "one")
    s.patch("a", '+<x:a><y:b c="d">text<e xmlns=""/>tail</y:b> </x:a>', '+<x:c attr="v"/>', "+<x:d>&lt;&amp;&gt;</x:d>", "+<x:e><![CDATA[<raw>]]></x:e>")
    s.find("a", "x:a x:c x:d x:e")
    s.patch("a", '+<x:lang xml:lang="de">deutsch</x:lang>', "+<none xmlns=\"\">no namespace</none>", "+<x:empty/>", "+<x:white>  a\n b </x:white>")
    s.find("a", "x:lang x:empty x:white")
    s.find("a", inner='<D:prop><none xmlns=""/></D:prop>')


def properties_in_unicode(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>\u00fcber \u6587 \U0001f40d</x:a>", "+<x:\u00fc>1</x:\u00fc>", "+<x:b>&#252;&#x1F40D;</x:b>")
    s.find("a", "x:a x:\u00fc x:b")


def properties_in_many_namespaces(s):
    s.put("a", "one")
    for n in range(8):
        s.patch("a", f'+<n{n}:p xmlns:n{n}="urn:n{n}">{n}</n{n}:p>')
    s.find("a", inner="<D:prop>" + "".join(f'<p xmlns="urn:n{n}"/>' for n in range(10)) + "</D:prop>")
    s.copy("a", "b")
    s.find("b", inner="<D:prop>" + "".join(f'<p xmlns="urn:n{n}"/>' for n in range(10)) + "</D:prop>")


def properties_many(s):
    s.put("a", "one")
    s.patch("a", *(f"+<x:p{n}>{n}</x:p{n}>" for n in range(24)))
    s.find("a", " ".join(f"x:p{n}" for n in range(26)))
    s.patch("a", *(f"-<x:p{n}/>" for n in range(0, 24, 2)))
    s.find("a", " ".join(f"x:p{n}" for n in range(26)))


def properties_that_live(s):
    s.put("a", "one")
    for name in ("getetag", "getcontentlength", "resourcetype", "lockdiscovery", "supportedlock", "getlastmodified", "creationdate"):
        s.patch("a", f"+<D:{name}>x</D:{name}>")
    s.get("a")


def properties_that_live_removed(s):
    s.put("a", "one")
    for name in ("getetag", "getcontentlength", "resourcetype", "lockdiscovery"):
        s.patch("a", f"-<D:{name}/>")


def properties_all_or_nothing(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>1</x:a>", "+<D:getetag>x</D:getetag>", "+<x:b>2</x:b>")
    s.find("a", "x:a x:b")
    s.patch("a", "+<x:a>1</x:a>")
    s.patch("a", "-<x:a/>", "+<D:resourcetype/>")
    s.find("a", "x:a")


def properties_that_live_under_a_lock(s):
    s.put("a", "one")
    s.lock("a")
    s.patch("a", "+<D:getetag>x</D:getetag>")
    s.find("a", "getetag")


def properties_displayname(s):
    s.put("a", "one")
    s.patch("a", "+<D:displayname>Another name</D:displayname>")
    s.find("a", "displayname")
    s.patch("a", "-<D:displayname/>")


def properties_language_and_source(s):
    s.put("a", "one")
    s.patch("a", "+<D:getcontentlanguage>de</D:getcontentlanguage>", "+<D:source>x</D:source>")
    s.find("a", "getcontentlanguage source")


def properties_malformed(s):
    s.put("a", "one")
    for body in ("", "<", "<x/>", '<D:propertyupdate xmlns:D="DAV:">', '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><u:a/></D:prop></D:set></D:propertyupdate>'):
        s.ask("PROPPATCH", "a", body, Content_Type="application/xml")


def properties_nothing_to_do(s):
    s.put("a", "one")
    s.ask("PROPPATCH", "a", '<D:propertyupdate xmlns:D="DAV:"/>', Content_Type="application/xml")
    s.find("a", "x:a")


def properties_survive_put(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>1</x:a>")
    s.put("a", "two")
    s.find("a", "x:a")
    s.lock("a")
    s.put("a", "three", If="(<{token:l}>)")
    s.find("a", "x:a")
    s.unlock("a")


def properties_locked(s):
    s.put("a", "one")
    s.lock("a")
    s.patch("a", "+<x:a>1</x:a>")
    s.patch("a", "+<x:a>1</x:a>", If="(<{token:l}>)")
    s.find("a", "x:a")
    s.unlock("a")
    s.patch("a", "-<x:a/>")


def find_all(s):
    s.put("a", "one")
    s.mkcol("d")
    s.find("a")
    s.find("d")
    s.find("", depth="1")


def find_all_without_body(s):
    s.put("a", "one")
    s.mkcol("d")
    s.ask("PROPFIND", "a", Depth="0")
    s.ask("PROPFIND", "", Depth="1")


def find_names(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>1</x:a>")
    s.mkcol("d")
    s.find("a", inner="<D:propname/>")
    s.find("d", inner="<D:propname/>")
    s.find("", inner="<D:propname/>", depth="1")


def find_named(s):
    s.put("a", "one")
    s.mkcol("d")
    for where in ("a", "d", "d/"):
        s.get("a", keep="a")
        s.find(where, "resourcetype getcontentlength getlastmodified creationdate getetag supportedlock lockdiscovery x:none nonsense")
    s.find("", "resourcetype getcontentlength", depth="1")


def find_other_names(s):
    s.put("a.txt", "one")
    s.mkcol("d")
    for where in ("a.txt", "d"):
        s.find(where, "displayname getcontenttype getcontentlanguage")
        s.find(where, "quota-available-bytes quota-used-bytes")


def find_include(s):
    s.put("a", "one")
    s.patch("a", "+<x:a>1</x:a>")
    s.find("a", inner="<D:allprop/><D:include><x:none/><D:supportedlock/></D:include>")


def find_depths(s):
    folder_with_things(s)
    s.find("d", "resourcetype", depth="0")
    s.find("d", "resourcetype", depth="1")
    s.find("d/", "resourcetype", depth="1")
    s.find("d/a", "resourcetype", depth="1")
    s.find("d", "resourcetype", depth="infinity")
    s.find("d", "resourcetype", depth="2")
    s.find("d", "resourcetype", depth="x")
    s.find("nothing", "resourcetype", depth="1")
    s.find("nothing/", "resourcetype", depth="0")


def find_file_depth_infinity(s):
    s.put("a", "one")
    s.find("a", "resourcetype", depth="infinity")


def find_without_depth(s):
    folder_with_things(s)
    s.find("d", "resourcetype", depth=None)
    s.find("d/a", "resourcetype", depth=None)


def find_malformed(s):
    s.put("a", "one")
    for body in ("<", "<x/>", '<D:propfind xmlns:D="DAV:"', '<D:propfind xmlns:D="DAV:"><D:prop><u:a/></D:prop></D:propfind>', "plain", '<D:propfind xmlns:D="DAV:"/>',
                 '<D:propfind xmlns:D="DAV:"><D:prop><a xmlns:e=""/><e:b xmlns:e=""/></D:prop></D:propfind>'):
        s.ask("PROPFIND", "a", body, Depth="0", Content_Type="application/xml")


def find_unknown_elements(s):
    s.put("a", "one")
    s.find("a", inner="<x:extension/><D:prop><D:resourcetype/></D:prop>")
    s.find("a", inner="<D:prop/>")
    s.find("a", inner="<D:prop><D:resourcetype/><D:resourcetype/></D:prop>")
    s.find("a", inner="<D:prop><D:resourcetype>text<x:child/></D:resourcetype></D:prop>")


def find_and_query(s):
    s.put("a", "one")
    s.get("{path:a}?query=1")
    s.find("{path:a}?query=1", "resourcetype")


def find_double_slashes(s):
    folder_with_things(s)
    s.get("{path:d}//a")
    s.get("{path:d}/./a")
    s.get("{path:d}/f/../a")
    s.find("{path:d}//a", "resourcetype")


# LOCK and UNLOCK

def lock_and_unlock(s):
    s.put("a", "one")
    s.lock("a")
    s.find("a", "lockdiscovery")
    s.put("a", "two")
    s.put("a", "two", If="(<{token:l}>)")
    s.get("a")
    s.unlock("a")
    s.put("a", "three")
    s.find("a", "lockdiscovery")


def lock_exclusive_twice(s):
    s.put("a", "one")
    s.lock("a", "l")
    s.lock("a", "m")
    s.lock("a", "m", scope="shared")
    s.find("a", "lockdiscovery")
    s.unlock("a", "l")
    s.lock("a", "m")


def lock_shared(s):
    s.put("a", "one")
    s.lock("a", "l", scope="shared")
    s.lock("a", "m", scope="shared")
    s.lock("a", "n")
    s.find("a", "lockdiscovery")
    s.put("a", "two")
    s.put("a", "two", If="(<{token:l}>)")
    s.put("a", "three", If="(<{token:m}>)")
    s.unlock("a", "l")
    s.put("a", "four", If="(<{token:l}>)")
    s.put("a", "four", If="(<{token:m}>)")
    s.unlock("a", "m")
    s.find("a", "lockdiscovery")
    s.put("a", "five")


def lock_refreshed(s):
    s.put("a", "one")
    s.lock("a")
    s.refresh("a")
    s.find("a", "lockdiscovery")
    s.ask("LOCK", "a", If="<{url:a}> (<{token:l}>)", Timeout="Second-300")
    s.find("a", "lockdiscovery")
    s.unlock("a")
    s.refresh("a")


def lock_refreshed_wrongly(s):
    s.put("a", "one")
    s.put("b", "one")
    s.lock("a")
    s.ask("LOCK", "a", If=f"(<{OTHER}>)", Timeout="Second-300")
    s.ask("LOCK", "b", If="(<{token:l}>)", Timeout="Second-300")
    s.ask("LOCK", "a", Timeout="Second-300")
    s.find("a", "lockdiscovery")


def lock_timeouts(s):
    s.put("a", "one")
    for timeout in ("Second-60", "Second-3600", "Second-100, Second-200", "Infinite, Second-500"):
        s.lock("a", timeout=timeout)
        s.unlock("a")


def lock_timeout_infinite(s):
    s.put("a", "one")
    s.lock("a", timeout="Infinite")
    s.unlock("a")
    s.lock("a", timeout=None)
    s.unlock("a")
    s.lock("a", timeout="garbage")
    s.unlock("a")


def lock_timeout_huge(s):
    s.put("a", "one")
    s.lock("a", timeout="Second-4100000000")
    s.unlock("a")


def lock_owners(s):
    s.put("a", "one")
    for owner in ("", "<D:owner/>", "<D:owner>plain &amp; simple</D:owner>", '<D:owner><D:href>http://a.example/?b&amp;c</D:href></D:owner>',
                  '<D:owner xml:lang="de"><x:a xmlns:x="urn:x" y="z">t</x:a> tail</D:owner>', "<D:owner>\u00fc \U0001f40d</D:owner>"):
        s.lock("a", owner=owner)
        s.find("a", "lockdiscovery")
        s.unlock("a")


def lock_depths(s):
    folder_with_things(s)
    s.lock("d", Depth="0")
    s.find("d", "lockdiscovery", depth="1")
    s.put("d/a", "new")
    s.unlock("d")
    s.lock("d", Depth="infinity")
    s.find("d", "lockdiscovery", depth="1")
    s.put("d/a", "newer")
    s.put("d/a", "newer", If="(<{token:l}>)")
    s.put("d/f/b", "newer", If="(<{token:l}>)")
    s.unlock("d")
    s.lock("d", Depth="1")


def lock_file_depths(s):
    s.put("a", "one")
    s.lock("a", Depth="0")
    s.unlock("a")
    s.lock("a", Depth="infinity")
    s.unlock("a")
    s.lock("a", Depth="1")


def lock_folder_and_add(s):
    folder_with_things(s)
    s.lock("d", Depth="infinity")
    s.put("d/new", "new")
    s.put("d/new", "new", If="<{url:d}> (<{token:l}>)")
    s.find("d/new", "lockdiscovery")
    s.mkcol("d/g", If="<{url:d}> (<{token:l}>)")
    s.delete("d/new", If="<{url:d}> (<{token:l}>)")
    s.unlock("d")


def lock_folder_untagged(s):
    folder_with_things(s)
    s.lock("d", Depth="infinity")
    s.mkcol("d/g")
    s.put("d/a", "two", If="(<{token:l}>)")
    s.patch("d/a", "+<x:b>1</x:b>", If="(<{token:l}>)")
    s.delete("d/f/b", If="(<{token:l}>)")


def lock_folder_over_locked_member(s):
    folder_with_things(s)
    s.lock("d/a", "l")
    s.lock("d", "m", Depth="infinity")
    s.find("d", "lockdiscovery", depth="1")


def lock_folder_shallow_over_locked_member(s):
    folder_with_things(s)
    s.lock("d/a", "l")
    s.lock("d", "m", Depth="0")
    s.find("d", "lockdiscovery", depth="1")


def lock_member_of_locked_folder(s):
    folder_with_things(s)
    s.lock("d", "l", Depth="infinity")
    s.lock("d/a", "m")
    s.lock("d/f", "m", scope="shared")
    s.unlock("d", "l")
    s.lock("d/a", "m")


def lock_unlocked_at_member(s):
    folder_with_things(s)
    s.lock("d", Depth="infinity")
    s.unlock("d/a")
    s.find("d", "lockdiscovery")


def lock_unmapped(s):
    s.lock("a")
    s.put("a", "one", If="(<{token:l}>)")
    s.get("a")
    s.find("a", "lockdiscovery")
    s.unlock("a")


def lock_unmapped_without_parent(s):
    s.lock("d/a")
    s.find("d", "resourcetype")


def lock_unmapped_in_locked_folder(s):
    s.mkcol("d")
    s.lock("d", Depth="0")
    s.lock("d/a", "m")
    s.unlock("d")
    s.lock("d", scope="shared")
    s.lock("d/a", "m", scope="shared")


def lock_unmapped_only_when_new(s):
    s.put("a", "one")
    s.lock("a", If_None_Match="*")
    s.get("a")


def lock_and_copy(s):
    s.put("a", "one")
    s.put("b", "two")
    s.lock("a")
    s.copy("a", "c")
    s.find("c", "lockdiscovery")
    s.copy("b", "a")
    s.get("a")


def lock_destination_with_token(s):
    s.put("a", "one")
    s.put("b", "two")
    s.lock("a")
    s.copy("b", "a", If="<{url:a}> (<{token:l}>)")
    s.get("a")
    s.find("a", "lockdiscovery")


def lock_destination_of_move_with_token(s):
    s.put("a", "one")
    s.put("b", "two")
    s.lock("a")
    s.move("b", "a", If="<{url:a}> (<{token:l}>)")
    s.find("a", "lockdiscovery")


def lock_destination_and_lock_again(s):
    s.put("a", "one")
    s.put("b", "two")
    s.lock("a")
    s.move("b", "a", If="<{url:a}> (<{token:l}>)")
    s.lock("a", "m")


def lock_folder_refreshed(s):
    folder_with_things(s)
    s.lock("d", Depth="0")
    s.refresh("d")


def missing_source_and_containment(s):
    s.mkcol("d")
    s.move("nothing", "nothing")
    s.move("nothing/", "nothing/in")
    s.move("d/nothing", "d")
    s.copy("nothing", "nothing")


def copy_shallow_into_itself(s):
    folder_with_things(s)
    s.copy("d", "d/g", Depth="0")


def lock_and_move(s):
    s.put("a", "one")
    s.lock("a")
    s.move("a", "b")
    s.get("a")


def lock_and_move_tagged(s):
    s.put("a", "one")
    s.lock("a")
    s.move("a", "b", If="<{url:a}> (<{token:l}>)")
    s.find("b", "lockdiscovery")


def lock_and_move_untagged(s):
    s.put("a", "one")
    s.lock("a")
    s.move("a", "b", If="(<{token:l}>)")
    s.find("b", "lockdiscovery")


def lock_and_move_into_locked_folder(s):
    folder_with_things(s)
    s.put("a", "one")
    s.lock("d", Depth="infinity")
    s.move("a", "d/new")
    s.copy("a", "d/new")
    s.move("a", "d/new", If="<{url:d}> (<{token:l}>)")
    s.find("d/new", "lockdiscovery")


def lock_and_move_out_of_locked_folder(s):
    folder_with_things(s)
    s.lock("d", Depth="infinity")
    s.move("d/a", "a")
    s.copy("d/a", "a")
    s.move("d/a", "b", If="<{url:d}> (<{token:l}>)")
    s.find("b", "lockdiscovery")


def lock_malformed(s):
    s.put("a", "one")
    for body in ("<", "<x/>", '<D:lockinfo xmlns:D="DAV:"/>', '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope></D:lockinfo>',
                 '<D:lockinfo xmlns:D="DAV:"><D:locktype><D:write/></D:locktype></D:lockinfo>'):
        s.ask("LOCK", "a", body, Content_Type="application/xml")
    s.find("a", "lockdiscovery")


def unlock_wrongly(s):
    s.put("a", "one")
    s.put("b", "one")
    s.lock("a")
    s.ask("UNLOCK", "a", Lock_Token=f"<{OTHER}>")
    s.ask("UNLOCK", "a")
    s.unlock("b")
    s.unlock("nothing")
    s.find("a", "lockdiscovery")
    s.unlock("a")
    s.unlock("a")


def unlock_bare_token(s):
    s.put("a", "one")
    s.lock("a")
    s.ask("UNLOCK", "a", Lock_Token="{token:l}")


# The rest

def options_everywhere(s):
    s.put("a", "one")
    s.mkcol("d")
    s.options("a")
    s.options("d")
    s.options("d/")
    s.options("nothing")


def methods_unknown(s):
    s.put("a", "one")
    s.ask("POST", "a", "x")
    s.ask("BREW", "a")
    s.ask("TRACE", "a")


def methods_of_versioning(s):
    s.put("a", "one")
    for method in ("REPORT", "CHECKOUT", "VERSION-CONTROL", "SEARCH"):
        s.ask(method, "a")


def whole_life_of_a_document(s):
    s.mkcol("docs")
    s.put("docs/report", "", If_None_Match="*")
    s.lock("docs/report")
    s.put("docs/report", "first draft", If="(<{token:l}>)")
    s.patch("docs/report", "+<x:author>ana</x:author>", If="(<{token:l}>)")
    s.refresh("docs/report")
    s.unlock("docs/report")
    s.copy("docs/report", "docs/report.bak", Overwrite="F")
    s.move("docs/report", "docs/final", Overwrite="F")
    s.find("docs/", "resourcetype getcontentlength x:author", depth="1")
    s.delete("docs/report.bak")
    s.get("docs/final")
