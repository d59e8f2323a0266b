"""Password hashing: a refused password costs as much as an accepted one, for every name."""

from hub.gateways.password_hashing import NOBODYS, hash_password, is_outdated, is_password


def test_a_password_is_its_own_hash_s_and_no_other():
    kept = hash_password("lemon otter trail")
    assert is_password("lemon otter trail", kept)
    assert not is_password("lemon otter trails", kept)
    assert not is_password("lemon otter trail", "no hash at all")


def test_nobody_s_hash_costs_what_all_others_cost_and_is_nobody_s():
    assert not is_outdated(NOBODYS)
    assert not is_password("", None)
    assert not is_password("nobody's", None)
