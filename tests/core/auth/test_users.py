"""Accounts, one-time tokens and second factors in the database; the append-only audit log."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DatabaseError

from hub.core.audit import record_action
from hub.core.auth import audit_views, one_time_tokens, second_factor, sessions, sign_in, users
from hub.core.auth.one_time_tokens import GOOD_FOR, Purpose
from hub.core.auth.roles import Role
from hub.core.errors import NotFound, Refused
from hub.core.models import AuditEntry, RecoveryCode, Session, Ticket, User
from tests.core.making import NOW, until_somebody_waits

WHO = {"actor": "tests", "now": NOW}
BROWSER = sign_in.Browser(None, None)


def add(connection, name="jane", role=Role.ADMIN, password_hash="x"):  # noqa: S107 - no hash
    users.add(connection, name, role, password_hash=password_hash, **WHO)
    return users.named(connection, name)


@pytest.fixture
def connection(database):
    with database.write() as connection:
        yield connection


@pytest.mark.parametrize("change", ["demote", "disable"])
def test_the_last_admin_who_can_sign_in_stays_one(connection, change):
    jane = add(connection)
    add(connection, "invited", password_hash=None)
    add(connection, "bob", Role.OPERATOR)
    users.disable(connection, add(connection, "gone"), **WHO)
    with pytest.raises(Refused, match="last admin"):
        take_away(connection, jane, change)
    add(connection, "kim")
    take_away(connection, jane, change)


def take_away(connection, user, change):
    if change == "disable":
        users.disable(connection, user, **WHO)
    else:
        users.change(connection, user, role=Role.VIEWER, sees_personal=False, **WHO)


def test_two_admins_who_disable_each_other_leave_one(database):
    with database.write() as connection:
        pair = [add(connection, "jane"), add(connection, "kim")]

    def disable(user):
        try:
            with database.write() as connection:
                users.disable(connection, user, **WHO)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(disable, pair)) == [False, True]


def test_a_name_is_taken_once_by_one_of_many(database):
    def take(_):
        try:
            with database.write() as connection:
                add(connection)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(take, range(5))) == 1


@pytest.mark.parametrize("name", ["", " ", "a b", "jane\n", "-x", "ünal", "x" * 81, "a<b", "j/d"])
def test_names_that_are_none_are_refused(connection, name):
    if name.strip() == "jane":
        assert users.wanted_name(name) == "jane"
        return
    with pytest.raises(Refused, match="a name is"):
        add(connection, name)


def test_a_reset_leaves_nothing_that_signs_in(connection):
    jane = add(connection)
    second_factor.turn_on(connection, jane.id, "locked", 1, **WHO)
    token = sessions.begin(connection, jane.id, now=NOW)
    users.reset(connection, jane, **WHO)
    jane = users.named(connection, "jane")
    assert not jane.has_password
    assert not jane.has_second_factor
    assert sessions.find(connection, token, now=NOW) is None
    assert connection.execute(select(RecoveryCode)).all() == []


def test_a_disabled_account_is_not_reset_nor_let_in_by_an_old_link(connection):
    add(connection, "boss")
    jane = add(connection, password_hash=None)
    link = users.invite(connection, jane, **WHO)
    users.disable(connection, jane, **WHO)
    assert one_time_tokens.find_token(connection, link, Purpose.PASSWORD, now=NOW) is None
    with pytest.raises(Refused, match="disabled"):
        users.reset(connection, users.named(connection, "jane"), **WHO)


def test_an_account_that_is_enabled_again_has_no_session_from_before(connection):
    add(connection, "boss")
    jane = add(connection)
    token = sessions.begin(connection, jane.id, now=NOW)
    users.disable(connection, jane, **WHO)
    users.enable(connection, users.named(connection, "jane"), **WHO)
    assert sessions.find(connection, token, now=NOW) is None


def test_an_unknown_user_is_not_found(connection):
    with pytest.raises(NotFound, match="no user jane"):
        users.named(connection, "jane")


@pytest.mark.parametrize("purpose", Purpose)
def test_a_ticket_is_good_once_for_its_purpose_and_for_a_while(connection, purpose):
    jane = add(connection)
    secret = one_time_tokens.issue_token(connection, purpose, jane.id, now=NOW)
    late = NOW + GOOD_FOR[purpose]
    [other, *_] = set(Purpose) - {purpose}
    assert one_time_tokens.find_token(connection, secret, purpose, now=late) is None
    assert one_time_tokens.use_token(connection, secret, other, now=NOW) is None
    held = one_time_tokens.use_token(connection, secret, purpose, now=late - timedelta(seconds=1))
    assert held is not None
    assert held.user_id == jane.id
    assert one_time_tokens.use_token(connection, secret, purpose, now=NOW) is None


def test_secrets_are_kept_as_digests_alone(connection):
    jane = add(connection)
    kept = [
        one_time_tokens.issue_token(connection, Purpose.PASSWORD, jane.id, now=NOW),
        sessions.begin(connection, jane.id, now=NOW),
        *second_factor.turn_on(connection, jane.id, "locked", 1, **WHO),
    ]
    tables = (Ticket, Session, RecoveryCode)
    rows = repr([connection.execute(select(table.__table__)).all() for table in tables])
    assert not [secret for secret in kept if secret in rows]


def test_one_ticket_used_by_many_at_once_is_used_once(database):
    with database.write() as connection:
        secret = one_time_tokens.issue_token(connection, Purpose.FIRST, None, now=NOW)

    def use(_):
        with database.write() as connection:
            return one_time_tokens.use_token(connection, secret, Purpose.FIRST, now=NOW) is not None

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(use, range(16))) == 1


def test_a_code_of_the_telephone_is_used_once_by_many_at_once(database):
    with database.write() as connection:
        jane = add(connection)
        codes = second_factor.turn_on(connection, jane.id, "locked", 100, **WHO)

    def use(n):
        with database.write() as connection:
            if n % 2:
                return ("step", second_factor.use_step(connection, jane.id, 101))
            return ("code", second_factor.use_code(connection, jane.id, codes[0], now=NOW))

    with ThreadPoolExecutor(8) as threads:
        used = [kind for kind, good in threads.map(use, range(16)) if good]
    assert sorted(used) == ["code", "step"]


def test_a_step_that_is_past_is_not_good(connection):
    jane = add(connection)
    second_factor.turn_on(connection, jane.id, "locked", 100, **WHO)
    good = [second_factor.use_step(connection, jane.id, step) for step in (99, 100, 101, 100, 102)]
    assert good == [False, False, True, False, True]


def test_new_recovery_codes_end_the_old_ones(connection):
    jane = add(connection)
    [old, *_] = second_factor.turn_on(connection, jane.id, "locked", 1, **WHO)
    new = second_factor.renew_codes(connection, jane.id, **WHO)
    assert not second_factor.use_code(connection, jane.id, old, now=NOW)
    assert second_factor.codes_left(connection, jane.id) == 10
    assert second_factor.use_code(connection, jane.id, new[9], now=NOW)
    assert second_factor.codes_left(connection, jane.id) == 9


def meanwhile(database, first, then):
    """Run `first`, and `then` in another thread before that commits; return both results."""

    def beside():
        with database.write() as connection:
            return then(connection)

    with ThreadPoolExecutor(1) as threads:
        with database.write() as connection:
            result = first(connection)
            other = threads.submit(beside)
            until_somebody_waits(database, or_has_ended=other)
        return result, other.result()


@pytest.fixture
def jane(database):
    with database.write() as connection:
        return add(connection)


def test_recovery_codes_that_are_renewed_twice_at_once_are_ten(database, jane):
    with database.write() as connection:
        second_factor.turn_on(connection, jane.id, "locked", 1, **WHO)

    def renew(connection):
        return second_factor.renew_codes(connection, jane.id, **WHO)

    _, [code, *_] = meanwhile(database, renew, renew)
    with database.write() as connection:
        assert second_factor.codes_left(connection, jane.id) == 10
        assert second_factor.use_code(connection, jane.id, code, now=NOW)


@pytest.mark.parametrize("purpose", [Purpose.FIRST, Purpose.PASSWORD])
def test_of_two_links_that_are_given_out_at_once_one_is_good(database, jane, purpose):
    user_id = None if purpose is Purpose.FIRST else jane.id

    def issue(connection):
        return one_time_tokens.issue_token(connection, purpose, user_id, now=NOW)

    links = meanwhile(database, issue, issue)
    with database.read() as connection:
        good = [
            one_time_tokens.find_token(connection, link, purpose, now=NOW) is not None
            for link in links
        ]
    assert good == [False, True]


@pytest.mark.parametrize("what", ["password", "second factor"])
def test_what_is_reset_is_not_set_anew_by_whoever_is_being_put_out(database, jane, what):
    """The session and the old password of the user who is put out were valid a moment before."""
    with database.write() as connection:
        theirs = sessions.find(connection, sessions.begin(connection, jane.id, now=NOW), now=NOW)

    def reset(connection):
        return users.reset(connection, jane, **WHO)

    def set_anew(connection):
        try:
            if what == "password":
                sign_in.change_password(
                    connection, jane.id, "x", "mine", session_id=theirs.session_id, **WHO
                )
            else:
                second_factor.turn_on(connection, jane.id, "mine", 1, **WHO)
        except Refused:
            return False
        return True

    link, is_set = meanwhile(database, reset, set_anew)
    assert not is_set
    with database.read() as connection:
        found = users.named(connection, "jane")
        assert (found.has_password, found.has_second_factor) == (False, False)
        assert one_time_tokens.find_token(connection, link, Purpose.PASSWORD, now=NOW)


def test_an_account_that_is_being_disabled_is_not_reset(database, jane):
    """A new link would let the user in although the account is disabled."""
    with database.write() as connection:
        add(connection, "kim")

    def reset(connection):
        with pytest.raises(Refused, match="is disabled"):
            users.reset(connection, jane, **WHO)

    meanwhile(database, lambda connection: users.disable(connection, jane, **WHO), reset)


def test_of_two_changes_at_once_neither_takes_the_other_back(database, jane):
    def change(connection, **changes):
        kept = {"role": jane.role, "sees_personal": jane.sees_personal}
        users.change(connection, jane, **kept | changes, **WHO)

    with database.write() as connection:
        add(connection, "kim")
    meanwhile(
        database,
        lambda connection: change(connection, sees_personal=True),
        lambda connection: change(connection, role=Role.VIEWER),
    )
    with database.read() as connection:
        jane = users.named(connection, "jane")
    assert (jane.role, jane.sees_personal) == (Role.VIEWER, True)


def is_good(database, link):
    with database.read() as connection:
        return one_time_tokens.find_token(connection, link, Purpose.PASSWORD, now=NOW) is not None


@pytest.fixture
def three(database):
    """Return admins with and without the right to personal data, and a viewer without."""
    with database.write() as connection:
        eyed, masked = add(connection, "eyed"), add(connection, "masked")
        users.change(connection, eyed, role=Role.ADMIN, sees_personal=True, **WHO)
        bob = add(connection, "bob", Role.VIEWER)
        return users.named(connection, "eyed"), masked, bob


def gain(connection, user, by):
    users.change(connection, user, role=user.role, sees_personal=True, by=by.id, **WHO)


@pytest.mark.parametrize("gained", [{"sees_personal": True}, {"role": Role.OPERATOR}])
def test_a_link_from_before_a_right_is_not_good_after_it(database, three, gained):
    """Its maker may lack the right that the account has got since."""
    _, masked, bob = three
    kept = {"role": bob.role, "sees_personal": False}
    with database.write() as connection:
        link = users.reset(connection, bob, by=masked.id, **WHO)
        users.change(connection, bob, **kept, **WHO)
    assert is_good(database, link)
    with database.write() as connection:
        users.change(connection, bob, **kept | gained, **WHO)
    assert not is_good(database, link)


@pytest.mark.parametrize("is_reset_first", [True, False])
def test_who_lacks_a_right_that_is_being_given_gets_no_link_to_it(database, three, is_reset_first):
    eyed, masked, bob = three
    steps = [
        lambda connection: users.reset(connection, bob, by=masked.id, **WHO),
        lambda connection: gain(connection, bob, eyed),
    ]
    results = meanwhile(database, *(steps if is_reset_first else reversed(steps)))
    with database.read() as connection:
        assert users.named(connection, "bob").sees_personal is is_reset_first
    link = next(one for one in results if isinstance(one, str))
    assert is_good(database, link) is not is_reset_first


@pytest.mark.parametrize("is_reset_first", [True, False])
def test_an_admin_who_is_losing_a_right_gets_no_link_to_it(database, three, is_reset_first):
    eyed, _, bob = three
    with database.write() as connection:
        gain(connection, bob, eyed)
        bob = users.named(connection, "bob")
    steps = [
        lambda connection: users.reset(connection, bob, by=eyed.id, **WHO | {"actor": eyed.actor}),
        lambda connection: users.change(
            connection, eyed, role=Role.ADMIN, sees_personal=False, **WHO
        ),
    ]
    results = meanwhile(database, *(steps if is_reset_first else reversed(steps)))
    with database.read() as connection:
        assert users.named(connection, "bob").sees_personal is is_reset_first
    link = next(one for one in results if isinstance(one, str))
    assert is_good(database, link) is not is_reset_first


def test_whoever_uses_a_link_does_not_block_whoever_cancels_it(database, jane):
    """Each would wait for a row that the other has locked."""
    with database.write() as connection:
        link = users.invite(connection, jane, **WHO)

    def use():
        with database.write() as connection, pytest.raises(Refused, match="used already"):
            sign_in.set_password(connection, link, "new", BROWSER, now=NOW)

    with ThreadPoolExecutor(1) as threads:
        with database.write() as connection:
            connection.execute(update(User).where(User.id == jane.id).values(role=Role.VIEWER))
            using = threads.submit(use)
            until_somebody_waits(database, or_has_ended=using)
            one_time_tokens.cancel_tokens(connection, Purpose.PASSWORD, jane.id, now=NOW)
        using.result()


@pytest.mark.parametrize("change", ["reset", "second factor"])
def test_a_password_that_was_right_before_a_change_leads_no_further(database, jane, change):
    """The password was being checked meanwhile: what begins with it later was not ended."""
    with database.write() as connection:
        attempt = sign_in.begin_attempt(connection, "jane", BROWSER, now=NOW)
        if change == "reset":
            users.reset(connection, jane, **WHO)
        else:
            second_factor.turn_on(connection, jane.id, "locked", 1, **WHO)
    with database.write() as connection:
        with pytest.raises(Refused, match="changed just now"):
            sign_in.issue_mfa_ticket(connection, attempt, now=NOW)
        with pytest.raises(Refused, match="changed just now"):
            sign_in.complete_attempt(connection, attempt, jane.id, BROWSER, by="x", now=NOW)


def test_a_second_factor_is_not_replaced_while_it_is_on(connection):
    jane = add(connection)
    second_factor.turn_on(connection, jane.id, "locked", 1, **WHO)
    with pytest.raises(Refused, match="on already"):
        second_factor.turn_on(connection, jane.id, "another", 1, **WHO)


def test_a_changed_password_ends_all_other_sessions(connection):
    jane = add(connection)
    tokens = [sessions.begin(connection, jane.id, now=NOW) for _ in range(3)]
    mine = sessions.find(connection, tokens[0], now=NOW)
    sign_in.change_password(connection, jane.id, "x", "new", session_id=mine.session_id, **WHO)
    alive = [sessions.find(connection, token, now=NOW) is not None for token in tokens]
    assert alive == [True, False, False]


@pytest.mark.parametrize(
    "change",
    [
        update(AuditEntry).values(actor="somebody else"),
        delete(AuditEntry),
        text("TRUNCATE audit_log"),
    ],
    ids=["update", "delete", "truncate"],
)
def test_the_audit_log_is_only_ever_added_to(database, change):
    if database.dialect == "sqlite" and "TRUNCATE" in str(change):
        change = text("DELETE FROM audit_log WHERE 1")
    with database.write() as connection:
        record_action(connection, action="x", subject="y", **WHO)
    with pytest.raises(DatabaseError, match="only ever added to"), database.write() as connection:
        connection.execute(change)
    with database.read() as connection:
        assert len(audit_views.list_entries(connection, filters={}, limit=9)) == 1


def test_the_log_is_filtered_and_paged(connection):
    for n in range(30):
        record_action(
            connection, actor=f"user:{n % 3}", action=f"a{n % 2}", subject="s",
            now=NOW + timedelta(seconds=n),
        )  # fmt: skip
    seen, before = [], None
    while page := audit_views.list_entries(
        connection, filters={"actor": "user:1", "action": "a0"}, limit=2, before=before
    ):
        seen += [row["at"] for row in page]
        before = page[-1]["id"]
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5


def test_sessions_of_last_year_are_swept(connection):
    jane = add(connection)
    sessions.begin(connection, jane.id, now=NOW - timedelta(days=365))
    kept = sessions.begin(connection, jane.id, now=NOW - timedelta(days=89))
    sessions.begin(connection, jane.id, now=NOW)
    assert len(connection.execute(select(Session.id)).all()) == 2
    assert sessions.find(connection, kept, now=NOW - timedelta(days=89)) is not None
