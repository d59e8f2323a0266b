"""Keys that tell which of GitHub's events a payload is of: the header that names it is unsigned.

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
