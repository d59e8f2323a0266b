"""Let the assertions that are shared say what they compared, as those of a test do."""

import pytest

pytest.register_assert_rewrite("tests.adapters.contract.checking")
