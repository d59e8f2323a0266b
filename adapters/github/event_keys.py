"""Keys of GitHub's payloads: which event one is of, and whether a second event would differ.

The header that names the event is not signed, so that both follow from the payload alone.
https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from collections.abc import Mapping

# The keys of each event's payload that tell it from others, apart from those that all may have.
SUBJECTS: Mapping[str, frozenset[str]] = {
    **{
        event: frozenset({event})
        for event in (
            "check_run check_suite deployment discussion label marketplace_purchase member "
            "merge_group milestone package project project_card project_column projects_v2_item "
            "pull_request release repository_ruleset security_advisory sponsorship team "
            "workflow_job"
        ).split()
    },
    "branch_protection_rule": frozenset({"rule"}),
    "code_scanning_alert": frozenset({"alert", "commit_oid", "ref"}),
    "commit_comment": frozenset({"comment"}),
    "create": frozenset({"ref", "ref_type", "pusher_type", "master_branch"}),
    "delete": frozenset({"ref", "ref_type", "pusher_type"}),
    "dependabot_alert": frozenset({"alert"}),
    "deploy_key": frozenset({"key"}),
    "deployment_review": frozenset({"reviewers", "workflow_run"}),
    "deployment_status": frozenset({"deployment", "deployment_status"}),
    "discussion_comment": frozenset({"discussion", "comment"}),
    "fork": frozenset({"forkee"}),
    "gollum": frozenset({"pages"}),
    "installation_repositories": frozenset({"repositories_added", "repositories_removed"}),
    "issue_comment": frozenset({"issue", "comment"}),
    "issues": frozenset({"issue"}),
    "membership": frozenset({"member", "team", "scope"}),
    "meta": frozenset({"hook_id"}),
    "org_block": frozenset({"blocked_user"}),
    "page_build": frozenset({"build"}),
    "ping": frozenset({"hook_id", "zen"}),
    "pull_request_review": frozenset({"pull_request", "review"}),
    "pull_request_review_comment": frozenset({"pull_request", "comment"}),
    "pull_request_review_thread": frozenset({"pull_request", "thread"}),
    "push": frozenset({"ref", "before", "after", "commits"}),
    "repository_dispatch": frozenset({"branch", "client_payload"}),
    "repository_vulnerability_alert": frozenset({"alert"}),
    "secret_scanning_alert": frozenset({"alert"}),
    "secret_scanning_alert_location": frozenset({"alert", "location"}),
    "star": frozenset({"starred_at"}),
    "status": frozenset({"sha", "context", "state"}),
    "team_add": frozenset({"team"}),
    "workflow_dispatch": frozenset({"inputs", "workflow", "ref"}),
    "workflow_run": frozenset({"workflow", "workflow_run"}),
    # Nothing but who did it, and where.
    **dict.fromkeys(
        "github_app_authorization installation organization public repository watch".split(),
        frozenset(),
    ),
}

_CHANGES = frozenset(
    "opened edited closed reopened deleted labeled unlabeled assigned unassigned milestoned "
    "demilestoned".split()
)
# Actions with which an object appears, ends or changes its `updated_at`: no two are the same bytes.
# The first key that a payload has decides. Whatever is not here may come again, byte for byte: a
# dispatch, a member who is added once more, a pin that is set again.
ONCE: Mapping[str, frozenset[str]] = {
    "comment": frozenset({"created", "edited", "deleted"}),
    "review": frozenset({"submitted", "dismissed"}),
    "thread": frozenset(),
    "reviewers": frozenset(),
    "deployment_status": frozenset({"created"}),
    "workflow_job": frozenset({"queued", "in_progress", "completed"}),
    "workflow_run": frozenset({"requested", "in_progress", "completed"}),
    "check_run": frozenset({"created", "completed"}),
    "check_suite": frozenset({"requested", "completed"}),
    "deployment": frozenset({"created"}),
    "release": frozenset({"created", "published", "deleted"}),
    "discussion": frozenset({"created", "deleted"}),
    "pull_request": _CHANGES | {"synchronize"},
    "issue": _CHANGES | {"transferred"},
    "sponsorship": frozenset({"created", "cancelled"}),
    "marketplace_purchase": frozenset({"purchased", "changed", "cancelled"}),
    "starred_at": frozenset({"created"}),
}


def is_unique(payload: Mapping[str, object]) -> bool:
    """Return whether a second event with this very payload is impossible.

    Its times and ids are then those of this event. A repository's `updated_at`, or the
    `created_at` of a person, are not.
    """
    keys = payload.keys()
    if SUBJECTS["push"] <= keys:
        repository = payload["repository"] if "repository" in keys else None
        return isinstance(repository, dict) and type(repository.get("pushed_at")) is int
    if "action" not in keys:
        # Each has an id and a time of its own.
        return {"forkee"} <= keys or {"build"} <= keys or SUBJECTS["status"] <= keys
    subject = next((name for name in ONCE if name in keys), None)
    return subject is not None and str(payload["action"]) in ONCE[subject]


def contradiction(event: str, payload: Mapping[str, object]) -> str | None:
    """Return the event that a payload is of instead of `event`; None if it may be of that one.

    Of an event that is not in the table it may be if no other one's name is a key of it.
    """
    keys = payload.keys()
    own = SUBJECTS.get(event)
    others = {name: subject for name, subject in SUBJECTS.items() if subject and subject <= keys}
    if own is None:
        others = {
            name: subject
            for name, subject in others.items()
            if subject in ({name}, {name.removesuffix("s")})
            and not event.startswith(name.removesuffix("s"))
        }
    elif own <= keys:
        others = {name: subject for name, subject in others.items() if subject > own}
    return max(others, key=lambda name: len(others[name]), default=None)
