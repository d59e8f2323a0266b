"""`wsgi.py` under a plain WSGI server, gunicorn as it comes, with every bad input.

The tests are those of the hub's own server; `web` is another one here. Left out are those of what
a WSGI server answers by itself, in its own words, and those of clients that are slow.
"""

from collections.abc import Iterator

import pytest

from tests.forked import Forked
from tests.running import READY_WITHIN_S, RunningHub, until
from tests.web import test_bodies, test_http, test_targets
from tests.web.conftest import assert_no_defect
from tests.web.serving import Web

OF_THE_SERVER = {
    # gunicorn answers these itself, and here in its own words.
    "test_what_is_not_http_is_refused_in_our_words",
    "test_a_body_of_doubtful_length_is_400",
    "test_what_has_no_end_is_refused_soon",
    "test_a_body_that_breaks_is_answered_once",
    "test_requests_without_end_on_one_connection_are_cut_off",
    "test_a_request_to_upgrade_is_answered_as_if_it_asked_for_nothing",
    "test_what_is_whole_is_answered_whatever_comes_behind_it",
    # A WSGI application has no say in when a connection is closed.
    "test_whoever_asks_to_close_is_told_so_and_closed",
    "test_after_an_error_in_answer_to_chunks_the_connection_is_closed",
    # gunicorn believes a proxy on its own machine.
    "test_what_a_proxy_would_say_is_not_believed",
}


@pytest.fixture(scope="module")
def web(postgresql_hub: RunningHub) -> Iterator[Web]:
    """Run `gunicorn wsgi:app`."""
    with (postgresql_hub.folder / "web.log").open("ab") as log:
        postgresql_hub.processes["web"] = Forked(
            "gunicorn",
            [f"--bind=127.0.0.1:{postgresql_hub.port}", "--threads=8", "wsgi:app"],
            cwd=postgresql_hub.folder,
            env=postgresql_hub.environ,
            stdout=log,
            stderr=log,
        )
    until(lambda: postgresql_hub.get("/healthz") == 200, READY_WITHIN_S, "gunicorn to answer")
    web = Web(postgresql_hub, postgresql_hub.environ["DATABASE_URL"])
    yield web
    web.store.engine.dispose()
    assert_no_defect(postgresql_hub)


app = test_targets.app

for module in (test_http, test_bodies, test_targets):
    for test_name, test in vars(module).items():
        if test_name.startswith("test_") and test_name not in OF_THE_SERVER:
            globals()[test_name] = test


@pytest.mark.parametrize("raw", test_http.FRAMINGS.values(), ids=test_http.FRAMINGS)
def test_a_body_of_doubtful_length_is_refused(web: Web, raw: bytes) -> None:
    test_http.assert_refused(web, raw, 400, 417, 501)
