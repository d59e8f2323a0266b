"""The strange bodies are what they are said to be: else the suite would prove nothing."""

import json
from urllib.parse import parse_qsl

import pytest

from adapters.contract.errors import Unreadable
from adapters.contract.form_bodies import read_multipart
from tests.adapters.contract.strange import is_text, spread, variants

MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
    b'--x\r\nContent-Disposition: form-data; name="b"\r\n\r\n{"to": ["two"]}\r\n--x--\r\n'
)


def test_each_value_of_a_json_body_is_replaced_and_each_key_left_out() -> None:
    made = [json.loads(body) for _, body in variants("json", b'{"a": 1, "b": [{"c": "d"}]}')]
    assert {"a": 1} in made
    assert {"a": None, "b": [{"c": "d"}]} in made
    assert {"a": 1, "b": [{"c": float("inf")}]} in made
    assert {"a": 1, "b": [{}]} in made
    assert {"b": [{"c": "d"}]} in made


def test_each_field_of_a_form_is_replaced_left_out_and_told_twice() -> None:
    bodies = [body.decode() for _, body in variants("form", b"a=1&b=%7B%22c%22%3A%222%22%7D")]
    made = [parse_qsl(body, keep_blank_values=True) for body in bodies]
    assert [("a", "1")] in made
    assert [("a", ""), ("b", '{"c":"2"}')] in made
    assert [("a", "1"), ("a", "x"), ("b", '{"c":"2"}')] in made
    assert [("a", "1"), ("b", '{"c": -1}')] in made


def test_each_part_of_a_multipart_body_is_replaced_left_out_and_told_twice() -> None:
    kind = "multipart/form-data; boundary=x"
    made = []
    for label, body in variants("multipart", MULTIPART):
        assert body != MULTIPART, label
        try:
            parts = read_multipart(body, kind)
        except Unreadable:
            continue
        made.append([(part.name, part.content) for part in parts])
    b = ("b", b'{"to": ["two"]}')
    assert [("a", b""), b] in made
    assert [b] in made
    assert [("a", b"one"), ("a", b"one"), b] in made
    assert [("a", b"one"), ("b", b'{"to": [null]}')] in made


def test_of_a_big_body_there_are_few_variants_and_they_reach_its_end() -> None:
    tree = {"first": "a", **{f"n{n}": "x" * 5000 for n in range(100)}, "last": "z"}
    labels = [label for label, _ in variants("json", json.dumps(tree).encode())]
    assert 50 <= len(labels) <= 110
    assert any("n9" in label for label in labels[-10:])


@pytest.mark.parametrize(("length", "at_most"), [(0, 5), (1, 5), (5, 5), (6, 5), (10_000, 300)])
def test_places_are_spread_evenly_and_bounded(length: int, at_most: int) -> None:
    places = list(spread(length, at_most))
    assert len(places) <= at_most
    assert places == sorted(set(places))
    assert not length or places[-1] >= length - -(-length // at_most)


def test_a_form_of_other_bytes_is_no_text() -> None:
    assert is_text("form", b"a=%C3%A9")
    assert not is_text("form", b"a=%C3")
    assert is_text("json", b"\xff")
