"""Page frame that all dashboard pages share, in a real browser."""

import pytest

from tests.browser.conftest import assert_accessible


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
def test_the_frame_is_for_everybody(running, visit, dark, narrow):
    page = visit(running(), "/", dark=dark, narrow=narrow)
    assert page.get_by_role("navigation", name="Main").is_visible()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
