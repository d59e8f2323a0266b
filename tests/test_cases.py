"""Cases of one test: all are tried, and the report names those that failed."""

from functools import partial

import pytest

from tests.cases import each_of, try_each


def test_every_case_is_tried_and_each_that_fails_is_named():
    tried = []

    @each_of("text", ["a", "b", "c"])
    @each_of(("number", "other"), [(1, 1), (2, 3)])
    def case(text, number, other, shared):
        tried.append((shared, text, number, other))
        assert text != "a"
        with pytest.raises(ValueError, match="no number"):
            raise ValueError("no number" if number == other or text == "c" else "another")

    with pytest.raises(BaseExceptionGroup, match="2 of 3 cases failed") as caught:
        case(shared="it")
    assert tried == [("it", text, *row) for text in "abc" for row in ((1, 1), (2, 3))]
    a, b = caught.value.exceptions
    assert (a.__notes__, b.__notes__) == (["case: 0: ('a',)"], ["case: 1: ('b',)"])
    assert [one.__notes__ for one in a.exceptions] == [["case: 0: (1, 1)"], ["case: 1: (2, 3)"]]
    assert [one.__notes__ for one in b.exceptions] == [["case: 1: (2, 3)"]]


def test_a_failure_that_pytest_tells_is_one_of_a_case():
    inner = partial(try_each, {"inner": partial(pytest.fail, "told")})
    with pytest.raises(BaseExceptionGroup, match="1 of 2 cases") as caught:
        try_each({"outer": inner, "good": bool})
    assert caught.value.exceptions[0].exceptions[0].__notes__ == ["case: inner"]


def test_what_no_case_fails_passes():
    each_of("text", ["a", "b"])(lambda text: None)()


def test_no_cases_are_no_proof():
    with pytest.raises(AssertionError, match="no case"):
        try_each({})


@each_of("number", [1, 2])
def test_fixtures_are_given_and_shared(number, tmp_path):
    made = tmp_path / "made"
    assert made.exists() is (number == 2)
    made.touch()
