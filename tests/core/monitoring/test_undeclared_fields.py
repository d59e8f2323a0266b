"""Names of undeclared fields: counted by post, and never more of them than a page can show."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import func, select

from hub.core.models import UndeclaredField
from hub.core.monitoring.source_counters import SourceNews, add_up
from hub.core.monitoring.undeclared_fields import (
    FORGOTTEN_AFTER,
    LONGEST_NAME,
    MOST_KEPT,
    MOST_OF_A_POST,
    MOST_REMEMBERED,
    UndeclaredNames,
    undeclared_fields,
)
from tests.core.making import NOW


def posted(database, posts: Iterable[Iterable[str]], at: datetime = NOW, source: str = "a") -> None:
    """Count posts, each with the names of its undeclared fields, and write the counts."""
    news = SourceNews()
    for names in posts:
        news.undeclared.note(list(names), at)
    with database.write() as connection:
        add_up(connection, {source: news})


def shown(database, source: str = "a", declared: Iterable[str] = ()) -> list[tuple[str, int]]:
    with database.read() as connection:
        found = undeclared_fields(connection, source, declared=set(declared))
    return [(one.name, one.posts) for one in found]


def test_posts_are_counted_and_the_most_frequent_name_comes_first(database):
    posted(database, [["company"], ["company", "budget"], ["company", "company"]])
    posted(database, [["budget"], ["company"]], NOW + timedelta(hours=1))
    posted(database, [["other"]], source="b")
    assert shown(database) == [("company", 4), ("budget", 2)]
    with database.read() as connection:
        assert undeclared_fields(connection, "a", declared=())[0].last_seen_at == NOW + timedelta(
            hours=1
        )


def test_a_name_that_is_declared_by_now_is_not_shown(database):
    posted(database, [["company", "budget"]])
    assert shown(database, declared=["company"]) == [("budget", 1)]


def test_a_name_that_no_post_had_for_long_is_forgotten(database):
    posted(database, [["old"]] * 9)
    posted(database, [["other"]], source="b")
    posted(database, [["new"]], NOW + FORGOTTEN_AFTER)
    assert shown(database) == [("old", 9), ("new", 1)]
    posted(database, [["new"]], NOW + FORGOTTEN_AFTER + timedelta(seconds=1))
    assert shown(database) == [("new", 2)]
    assert shown(database, "b") == [("other", 1)]


def test_a_flood_of_names_becomes_few_rows_and_hides_none_that_comes_often(database):
    posted(database, [["company"]] * 17)
    for flood in range(30):
        names = [[f"{flood}-{post}-{n}" for n in range(1000)] for post in range(20)]
        posted(database, names, NOW + timedelta(seconds=flood))
    assert shown(database)[0] == ("company", 17)
    with database.read() as connection:
        rows = connection.execute(select(func.count()).select_from(UndeclaredField)).scalar_one()
    assert rows == len(shown(database)) == MOST_KEPT


def test_between_two_writes_a_process_remembers_so_many_names():
    names = UndeclaredNames()
    for post in range(100):
        names.note([f"{post}-{n}" for n in range(1000)], NOW)
        assert len(names.posts) <= min((post + 1) * MOST_OF_A_POST, MOST_REMEMBERED)
    names.note(["0-0", "yet another"], NOW)
    assert names.posts["0-0"] == 2
    assert "yet another" not in names.posts


def test_a_name_is_cut_and_made_fit_for_a_database(database):
    posted(database, [["x" * 500_000, "a\x00b\ud800", "", "<script>"]])
    assert sorted(shown(database)) == [
        ("<script>", 1),
        ("a\ufffdb\ufffd", 1),
        ("x" * LONGEST_NAME, 1),
    ]
