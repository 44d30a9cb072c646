"""The language of filters: what is read, what is refused and how, and the form for a shell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import QueryError
from lsr.retrieval.filter import Filter, FilterLimits, both, parse_filter
from lsr.retrieval.filter_text import filter_from_texts


def nested(depth: int) -> dict[str, Any]:
    where: dict[str, Any] = {"a": 1}
    for _ in range(depth - 1):
        where = {"must": [where, {"b": 1}]}
    return where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ([], "filter is a list; it must be an object"),
        ("x", "filter is 'x'; it must be an object"),
        ({1: 2}, "filter names a field 1; names must be text"),
        ({"\ud800": 2}, r"filter names a field '\\ud800'"),
        ({"year": [1]}, r'filter.year is a list; write {"any": \[...\]}'),
        ({"year": {}}, "filter.year is empty; give text, a number"),
        ({"year": {"from": 3}}, "filter.year has the condition 'from'; there are any, exists, not"),
        ({"year": float("nan")}, "filter.year is nan, which is no number of JSON"),
        ({"year": {"gte": float("inf")}}, "filter.year.gte is inf, which is no number"),
        ({"year": 10**5000}, "filter.year is a number of thousands of digits"),
        ({"year": {"gt": 10**5000}}, "filter.year.gt is a number of thousands of digits"),
        ({"year": {"exists": 10**5000}}, "filter.year.exists is a number of many digits"),
        ({"year": {"exists": "yes"}}, "filter.year.exists is 'yes'; it must be true or false"),
        ({"year": "\ud800"}, "filter.year holds half a surrogate pair"),
        ({"year": {"any": ["\ud800"]}}, "filter.year.any holds half a surrogate pair"),
        ({"year": {"any": 3}}, "filter.year.any is 3; it must be a list of values"),
        ({"year": {"any": "ab"}}, "filter.year.any is 'ab'; it must be a list of values"),
        ({"year": {"any": [[1]]}}, "filter.year.any is a list; it needs text, a number, true"),
        ({"year": {"any": [b"x"]}}, "filter.year.any is bytes; it needs text, a number"),
        ({"year": {"not": [1]}}, "filter.year.not is a list; it needs text"),
        ({"year": {"not": {"gte": 1}}}, 'filter.year.not must be a value or {"any"'),
        ({"year": {"gte": True}}, "filter.year.gte is true; it must be a number or a date"),
        ({"year": {"gte": None}}, "filter.year.gte is null; it must be a number or a date"),
        ({"year": {"gte": "may"}}, "filter.year.gte is 'may'; it must be a number or a date"),
        ({"year": {"lt": "2020-02-30"}}, "filter.year.lt is '2020-02-30'; it must be a number"),
        ({"year": {"gte": 1, "gt": 0}}, "filter.year has both gte and gt"),
        ({"year": {"gte": 1, "lt": "2020-01-01"}}, "filter.year has a number and a date"),
        ({"must": {"a": 1}}, "filter.must is an object; it must be a list of clauses"),
        ({"should": "a"}, "filter.should is 'a'; it must be a list of clauses, and no field"),
        ({"must": [], "must_not": None}, "filter.must_not is null; it must be a list of clauses"),
        ({"must": [{"a": 1}, 3]}, r"filter.must\[1\] is 3; it must be an object"),
        ({"must": [{"a": 1}, {}]}, r"filter.must\[1\] is empty"),
        ({"should": []}, "filter.should is empty, so nothing could hold"),
        ({"must_not": [{"should": [{"a": {"any": 1}}]}]}, r"must_not\[0\].should\[0\].a.any is 1"),
        (nested(9), "is nested deeper than 8 levels"),
        (nested(400), "is nested deeper than 8 levels"),
        ({"must": [{"a": i} for i in range(257)]}, "more than 256 clauses; put values of one"),
        ({f"{i}": 1 for i in range(257)}, "more than 256 clauses"),
        ({"a": {"any": list(range(10_001))}}, "more than 10,000 values"),
    ],
)
def test_what_is_refused(where: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        parse_filter(where)
    assert len(str(caught.value)) < 400


def test_limits_are_reached() -> None:
    assert parse_filter(nested(8))
    assert parse_filter({"must": [{"a": i} for i in range(256)]})
    assert parse_filter({"a": {"any": list(range(10_000))}})
    with pytest.raises(QueryError, match="more than 2 clauses"):
        parse_filter({"a": 1, "b": 1, "c": 1}, FilterLimits(clauses=2))
    with pytest.raises(QueryError, match=r"key.filter.must\[0\] is 1"):
        parse_filter({"must": [1]}, path="key.filter")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["must", "should", "must_not", "any", "not", "gte", "lt", "exists"])
            | st.text(max_size=2),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(where=st.dictionaries(st.sampled_from(["must", "should", "a"]), json_values))
def test_anything_is_read_or_refused(where: dict[str, Any]) -> None:
    try:
        parsed = parse_filter(where)
    except QueryError:
        return
    again = parse_filter(json.loads(json.dumps(parsed.as_json(), allow_nan=False)))
    assert again.as_json() == parsed.as_json()


def test_equal_filters_are_one_and_others_are_not() -> None:
    def of(**where: object) -> Filter:
        return parse_filter(where)

    assert of(a=2) == of(a=2.0)
    assert len({of(a=1), of(a=True), of(a="1"), of(a="true"), of(b=1), of(a=None)}) == 6
    assert of(a={"gte": 1}) == of(a={"gte": 1.0})
    assert of(a={"gte": 1}) != of(a={"gt": 1})
    assert of(a=1).fields == {"a"}
    assert not of()


def test_written_back() -> None:
    for where in (
        {"year": 2020, "lang": {"any": ["en", "de"]}},
        {"year": {"gte": "2020-05", "lt": "2021-01-01"}},
        {"a": {"exists": False}},
        {"must": [{"a": 1}, {"a": 2}], "must_not": [{"b": {"not": {"any": [None, True]}}}]},
        {"should": [{"a": 1, "b": 2}, {"must_not": [{"c": "x"}]}]},
        {},
    ):
        assert parse_filter(where).as_json() == where


def test_both() -> None:
    key, own = parse_filter({"tenant": "a"}), parse_filter({"should": [{"tenant": "b"}]})
    joined = both(own, key)
    assert joined.as_json() == {"must": [{"should": [{"tenant": "b"}]}, {"tenant": "a"}]}
    assert joined.fields == {"tenant"}
    assert both(Filter(), key) == key
    assert both(Filter(), key).fields == set()
    assert both(own, Filter()) == own
    assert not both(Filter(), Filter())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("year=2020", {"year": "2020"}),
        ("zip=01234", {"zip": "01234"}),
        ("v=1.10", {"v": "1.10"}),
        ("draft=true", {"draft": "true"}),
        ("draft=null", {"draft": None}),
        ('draft="null"', {"draft": "null"}),
        ("lang=en|de", {"lang": {"any": ["en", "de"]}}),
        ('a="x|y"|z', {"a": {"any": ["x|y", "z"]}}),
        ('a="x \\"y\\""', {"a": 'x "y"'}),
        ('a="x', {"a": '"x'}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=|", {"a": {"any": ["", ""]}}),
        ("year>=2019", {"year": {"gte": "2019"}}),
        ("year > 2019", {"year": {"gt": "2019"}}),
        ("at<2020-05-31", {"at": {"lt": "2020-05-31"}}),
        ("at<=2020-05-31T10:00", {"at": {"lte": "2020-05-31T10:00"}}),
        ("lang!=en", {"lang": {"not": {"any": ["en"]}}}),
        ("lang!=en|de", {"lang": {"not": {"any": ["en", "de"]}}}),
        ("!draft", {"draft": {"not": {"any": [True]}}}),
        ("author.name=Kim Lee", {"author.name": "Kim Lee"}),
        ('{"year": {"gte": 2019}}', {"year": {"gte": 2019}}),
    ],
)
def test_the_form_for_a_shell(text: str, where: dict[str, Any]) -> None:
    assert filter_from_texts([text]).as_json() == where


def test_filters_on_one_field_must_all_hold() -> None:
    parsed = filter_from_texts(["year>=2019", "year<2021"])
    assert parsed.as_json() == {"must": [{"year": {"gte": "2019"}}, {"year": {"lt": "2021"}}]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topic", "'topic' is not a filter; write field=value"),
        ("", "'' is not a filter"),
        ("=1", "'=1' is not a filter"),
        ("!", "'!' is not a filter"),
        ("year>=", "filter.year.gte is ''; it must be a number or a date"),
        ("year>1|2", "compares with several values"),
        ("{", "is no JSON object"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("{" * 100_000, "is no JSON object"),
        ('{"a":' * 100_000, "nested too deep|is no JSON object"),
        ("a=\ud800", "half a surrogate pair"),
    ],
)
def test_texts_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        filter_from_texts([text])
    assert len(str(caught.value)) < 300
