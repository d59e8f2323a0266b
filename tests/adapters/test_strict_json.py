"""Reading strangers' JSON strictly, and making what came of it fit for a database."""

import contextlib
import json
import math
from codecs import BOM_UTF8
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.contract.errors import Unreadable
from adapters.contract.strict_json import (
    KEY_LIMIT,
    digest,
    fingerprint,
    read_json,
    storable,
)
from tests.cases import each_of
from tests.exploring import examples
from tests.timing import little_work

JSON_SUITE = sorted((Path(__file__).parents[1] / "fixtures/JSONTestSuite/test_parsing").iterdir())
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(VALUES, st.booleans())
def test_what_is_json_is_read_as_python_reads_it(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert read_json(text.encode("utf-8", "surrogatepass" if escaped else "strict")) == value


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_unreadable(body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        read_json(body)


def strictly(body: bytes) -> str:
    """Return what the standard library reads, told to the letter; "refused" for what is."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    def integer(text: str) -> int:
        assert -(2**63) <= int(text) < 2**64
        return int(text)

    def no_constant(name: str) -> None:
        raise AssertionError(name)

    decoder = json.JSONDecoder(
        object_pairs_hook=once, parse_int=integer, parse_constant=no_constant
    )
    try:
        return repr(decoder.decode(body.decode()))
    except (ValueError, AssertionError):
        return "refused"


def read(body: bytes) -> str:
    try:
        return repr(read_json(body))
    except Unreadable:
        return "refused"


@st.composite
def json_texts(draw: st.DrawFn, deepest: int = 3) -> str:
    """Texts as somebody might write them: any spaces, keys twice, numbers of any length."""
    space = st.sampled_from(["", "", " ", "\n", "\t\r"])
    kinds = ["number", "string", "word", *(["object", "list"] if deepest else [])]
    match draw(st.sampled_from(kinds)):
        case "number":
            text = draw(st.from_regex(r"-?[0-9]{1,22}(\.[0-9]{1,22})?([eE][-+]?[0-9]{1,3})?\Z"))
        case "string":
            escapes = st.sampled_from(
                [r"\u003a", r"\ud800", r"\u0000", r"\"", r"\\", ":", ",[0", "9" * 19]
            )
            text = '"' + "".join(draw(st.lists(escapes | st.text("ab:é", max_size=3)))) + '"'
        case "word":
            text = draw(st.sampled_from(["null", "true", "false", "NaN", "-Infinity", "nul"]))
        case "list":
            text = "[" + ",".join(draw(st.lists(json_texts(deepest - 1), max_size=4))) + "]"
        case _:
            key = st.sampled_from(['"a"', '"b"', '"a:"', r'"\u0061"', '""'])
            pair = st.tuples(key, space, json_texts(deepest - 1)).map(
                lambda p: f"{p[0]}{p[1]}:{p[2]}"
            )
            text = "{" + ",".join(draw(st.lists(pair, max_size=4))) + "}"
    return f"{draw(space)}{text}{draw(space)}"


@given(json_texts())
def test_a_text_is_read_to_the_letter_as_the_strict_reader_does(text: str) -> None:
    assert read(text.encode()) == strictly(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"a": {"b": ":"}, "a": "::"}',
        r'{"a": 1, "a": "\u003a"}',
        r'{"a": ":", "a": "\\u003a\u003a"}',
        '[{"x": 18446744073709551616}]',
        '[{"x":18446744073709551616}]',
        '{"x":-9223372036854775809}',
        '["pi_18446744073709551616", -0, -0.0, 1E5, 0.1e1]',
        "[18446744073709551616.5]",
        '{"a": 1e400}',
    ],
)
def test_what_a_lenient_reader_gets_wrong_is_read_strictly(text: str) -> None:
    assert read(text.encode()) == strictly(text.encode())


@each_of("path", JSON_SUITE)
def test_files_that_passed_for_json_somewhere_are_read_strictly(path: Path) -> None:
    body = path.read_bytes()
    if body.startswith(BOM_UTF8):
        body = body.removeprefix(BOM_UTF8)
    try:
        expected = strictly(body)
    except RecursionError:
        expected = "refused"
    found = read(body)
    assert found == expected or (found == "refused" and body.count(b"[") > 64)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"   ", "not JSON"),
        (b'{"id":"evt_1"', "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": "\x00"}', "not JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        ("{}".encode("utf-16-le"), "not JSON"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b'{"id": "a", "id": "b"}', "key id twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "key b twice"),
        (b"9" * 5000, "64 bits"),
        (b"-" + b"9" * 5000, "64 bits"),
        (b"1" * 21, "64 bits"),
        (b"18446744073709551616", "64 bits"),
        (b"[" * 100_000, "deeper than 64"),
        (b'{"a":' * 100_000, "deeper than 64"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 64"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64"),
    ],
)
def test_what_a_lenient_reader_would_guess_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_json(body)


def test_the_limits_themselves_are_read() -> None:
    assert read_json(b"18446744073709551615") == 2**64 - 1
    assert read_json(b"-9223372036854775808") == -(2**63)
    assert read_json(b"1e400") == math.inf
    assert read_json(b"[" * 64 + b"]" * 64)
    assert len(read_json(b"[" + b"[]," * 500 + b"[]]")) == 501


def test_a_byte_order_mark_is_accepted_once() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    with pytest.raises(Unreadable):
        read_json(b"\xef\xbb\xbf\xef\xbb\xbf{}")


def test_brackets_inside_strings_are_not_depth() -> None:
    assert read_json(json.dumps("[" * 5000).encode()) == "[" * 5000


def test_a_message_never_carries_the_body() -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(b'{"card": "4242-secret" oops')
    assert "4242" not in str(caught.value)


def keys(count: int) -> bytes:
    return json.dumps({f"key{number}": number for number in range(count)}).encode()


def test_an_object_has_ten_thousand_keys_at_most() -> None:
    """B50: two hundred thousand are refused, and in time."""
    assert len(read_json(keys(KEY_LIMIT))) == KEY_LIMIT == 10_000
    assert len(read_json(b"[" + b",".join([keys(100)] * 200) + b"]")) == 200
    for body in (keys(KEY_LIMIT + 1), b'[[{"a":' + keys(KEY_LIMIT + 1) + b"}]]"):
        with pytest.raises(Unreadable, match="more than 10,000 keys"):
            read_json(body)
    with little_work(), pytest.raises(Unreadable, match="more than 10,000 keys"):
        read_json(keys(200_000))


@pytest.mark.parametrize(("text", "values"), [
    ("[]", 0), ('{"a": 1, "b": 2}', 2), ("[1, 2, 3]", 3), ('{"a": [1, 2]}', 3),
    ('["a,b,{[", "\\",{", "\\\\"]', 3), ('{"a": {"b": {"c": 1}}}', 3),
])  # fmt: skip
def test_a_text_of_more_values_than_asked_for_is_refused(text: str, values: int) -> None:
    lists = text.count("[]")
    assert read_json(text.encode(), most_values=values + lists) == json.loads(text)
    if values:
        with pytest.raises(Unreadable, match="more than"):
            read_json(text.encode(), most_values=values - 1)


@given(json_texts(), st.integers(0, 30))
def test_a_bound_on_values_refuses_no_text_that_keeps_it(text: str, bound: int) -> None:
    try:
        value = read_json(text.encode())
    except Unreadable:
        return
    if count_nodes(value) <= bound:
        assert read_json(text.encode(), most_values=bound) == value


def count_nodes(value: Any) -> int:
    """Return the members and elements of a JSON value, and one for each empty list or object."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    is_empty = isinstance(value, dict | list) and not value
    return is_empty + sum(1 + count_nodes(one) for one in inner)


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 250_000, b'"' * 499_999, b'"\\' * 250_000])
def test_a_text_of_quotes_is_counted_in_one_pass(body: bytes) -> None:
    with little_work(), pytest.raises(Unreadable):
        read_json(body, most_values=1000)


def test_the_place_of_what_cannot_be_stored_is_told_in_brief_however_long_its_keys() -> None:
    deepest: Any = ["\x00"] * 20_000
    for _ in range(60):
        deepest = {"k" * 7_000: deepest}
    with little_work():
        _, reason = storable({"a": deepest})
    assert reason
    assert len(reason) < 500


def test_good_data_is_stored_as_it_is() -> None:
    data = {"text": "Zoë 🎉 \\u0000 as typed", "list": [1, 1.5, None, True], "in": {"a": "b"}}
    assert storable(data) == (data, None)


def test_nul_and_lone_surrogates_are_replaced_and_named() -> None:
    data = {"name": "a\x00b", "native": {"items": ["ok", "\ud800"], "ke\x00y": 1}}
    cleaned, reason = storable(data)
    assert cleaned == {
        "name": "a\ufffdb",
        "native": {"items": ["ok", "\ufffd"], "ke\ufffdy": 1},
    }
    assert reason
    for path in ("name", "native.items.1", "native.ke"):
        assert path in reason
    assert data["name"] == "a\x00b"


def test_numbers_that_are_none_are_left_out_and_named() -> None:
    cleaned, reason = storable({"a": math.nan, "b": {"c": math.inf}, "list": [1.0, -math.inf]})
    assert cleaned == {"b": {}, "list": [1.0, None]}
    assert reason
    assert all(path in reason for path in ("a", "b.c", "list.1"))


def test_a_reason_names_a_few_and_counts_the_rest() -> None:
    _, reason = storable({f"field{number}": "\x00" for number in range(100)})
    assert reason
    assert "and 95 more" in reason
    assert len(reason) < 500


@settings(max_examples=examples(100))
@given(
    st.dictionaries(
        st.text(st.characters()),
        st.recursive(
            st.text(st.characters()) | st.floats() | st.integers() | st.none(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
        ),
    )
)
def test_whatever_was_cleaned_can_be_stored(data: dict[str, Any]) -> None:
    cleaned, reason = storable(data)
    text = json.dumps(cleaned, ensure_ascii=False, allow_nan=False)
    assert "\x00" not in text
    text.encode("utf-8")
    assert storable(cleaned) == (cleaned, None)
    assert reason is not None or cleaned == data


def shuffled(value: Any, order: Random) -> Any:
    """Return the same JSON with the keys of its objects in another order."""
    if isinstance(value, dict):
        names = order.sample(list(value), len(value))
        return {name: shuffled(value[name], order) for name in names}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("of", [digest, fingerprint])
@given(value=VALUES, other=VALUES, order=st.randoms())
def test_a_digest_is_of_what_is_said_and_not_of_how(of, value, other, order) -> None:
    assert of(shuffled(value, order)) == of(value)
    said, other_said = json.dumps(value, sort_keys=True), json.dumps(other, sort_keys=True)
    assert (of(value) == of(other)) == (said == other_said)
    assert len(of(value)) == 32


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@example("\x7f")
def test_the_quick_way_is_the_same_value(value: Any) -> None:
    assert fingerprint(value) == digest(value)
