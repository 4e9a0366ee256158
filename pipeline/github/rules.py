"""The rules that a repository's settings must keep; each yields what is wrong, with its fix."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from pipeline.config import Environment
from pipeline.errors import PipelineError
from pipeline.github.settings import GithubSettings
from pipeline.github.setup import (
    BRANCH,
    approval_of,
    environment_command,
    protection_commands,
    role_arn,
    variable_command,
    variables_of,
)
from pipeline.model import Model

CHECK = "all green"
BY_HAND = "by-hand"
ENTERPRISE = "Private repositories have required reviewers with GitHub Enterprise alone."


class Broken(Model):
    """A setting that does not hold, and what to do about it."""

    what: str
    fix: str


Rule = Callable[[GithubSettings], Iterator[Broken]]


def check_environment(settings: GithubSettings, env: Environment, *, by_hand: bool) -> Iterator[Broken]:
    """Yield what lets more than `main`, or `main` without an approval, deploy to an environment.

    `by_hand`: whether a person starts each promotion, which stands for the reviewer of a private repository.
    """
    yield from _check_branches(settings, env.name)
    approval = approval_of(env)
    if approval is None or (by_hand and settings.is_private):
        return
    yield from _check_branches(settings, approval)
    found = settings.environment(approval)
    if found is not None and not found.reviewers:
        repository = settings.api.repository
        yield Broken(
            what=f"Nobody has to approve a promotion to {env.name}: {approval} has no required reviewers.",
            fix=environment_command(repository, approval, reviewed=True)
            if not settings.is_private
            else f"{ENTERPRISE} Without it, start each promotion by hand, by the workflow `promote`, and say "
            f"so: {variable_command(repository, 'PROMOTION', BY_HAND)}",
        )


def _check_branches(settings: GithubSettings, name: str) -> Iterator[Broken]:
    found = settings.environment(name)
    if found is not None and found.branches == (BRANCH,):
        return
    others = [branch for branch in (found.branches if found else None) or () if branch != BRANCH]
    if found is None:
        what = f"There is no GitHub environment {name}."
    elif found.branches is None:
        what = f"Every branch may deploy to {name}."
    elif others:
        what = f"More than {BRANCH} may deploy to {name}: {', '.join(others)}."
    else:
        what = f"No branch may deploy to {name}."
    page = f"Settings → Environments → {name} → Deployment branches and tags: {BRANCH} alone."
    reviewed = found is None and name.endswith("-approval")
    commands = protection_commands(settings.api.repository, name, reviewed=reviewed)
    yield Broken(what=what, fix=page if found and (others or found.reviewers) else " && ".join(commands))


def check_rollback(settings: GithubSettings, env: Environment) -> Iterator[Broken]:
    """Yield what makes a rollback wait for a reviewer, and everything else wait behind it."""
    found = settings.environment(env.name)
    if found is not None and found.reviewers:
        yield Broken(
            what=f"Each job that changes {env.name}, a rollback too, waits for its required reviewers.",
            fix=f"Settings → Environments → {env.name}: remove them; those of {approval_of(env)} approve.",
        )


def check_variables(settings: GithubSettings, env: Environment) -> Iterator[Broken]:
    """Yield the variables of an environment that are missing, or lead to another role, region or account."""
    found = settings.variables(env.name)
    for name, wanted in variables_of(env, role_arn(env)).items():
        if found.get(name) != wanted:
            state = f"is {found[name]}, not {wanted}" if name in found else "is not set"
            yield Broken(
                what=f"{name} of environment {env.name} {state}.",
                fix=variable_command(settings.api.repository, name, wanted, env.name),
            )


def check_required_check(settings: GithubSettings) -> Iterator[Broken]:
    """Yield what lets a change into `main` that has not passed `ci`."""
    if CHECK not in settings.required_checks(BRANCH):
        yield Broken(
            what=f"{BRANCH} takes changes that have not passed the check `{CHECK}`.",
            fix=f"Settings → Rules → Rulesets: for {BRANCH}, require a pull request and the status check "
            f"`{CHECK}`.",
        )


def check_workflow_permissions(settings: GithubSettings) -> Iterator[Broken]:
    """Yield what lets jobs that name no permissions write."""
    found = settings.workflow_permissions
    if found != "read":
        where = f"repos/{settings.api.repository}/actions/permissions/workflow"
        yield Broken(
            what=f"The default permissions of workflows are `{found}`, not `read`.",
            fix=f"gh api --method PUT {where} -f default_workflow_permissions=read",
        )


def check_immutable_releases(settings: GithubSettings) -> Iterator[Broken]:
    """Yield what lets the record of a release be changed afterwards."""
    if not settings.has_immutable_releases:
        yield Broken(
            what="GitHub releases, the record of what went to production, can be changed afterwards.",
            fix=f"gh api --method PUT repos/{settings.api.repository}/immutable-releases",
        )


def check_attestations(settings: GithubSettings) -> Iterator[Broken]:
    """Yield what leaves open, or turns off without need, that images are attested."""
    value = settings.variables().get("ATTESTATIONS")
    setting = variable_command(settings.api.repository, "ATTESTATIONS", "on")
    if settings.is_private and value is None:
        yield Broken(
            what="ATTESTATIONS is not set: private repositories have attestations with GitHub Enterprise Cloud "
            "alone.",
            fix=f"{setting}, or --body off without Enterprise Cloud.",
        )
    elif value not in {None, "on", "off"}:
        yield Broken(what=f"ATTESTATIONS is {value}, not on or off.", fix=setting)
    elif not settings.is_private and value == "off":
        yield Broken(what="Images are not attested, although public repositories can.", fix=setting)


def rules_of(envs: Sequence[Environment]) -> Mapping[str, Rule]:
    """Return every rule of a repository that deploys to these environments, by name."""

    def environment(env: Environment) -> Rule:
        return lambda settings: check_environment(
            settings, env, by_hand=settings.variables().get("PROMOTION") == BY_HAND
        )

    def rollback(env: Environment) -> Rule:
        return lambda settings: check_rollback(settings, env)

    def variables(env: Environment) -> Rule:
        return lambda settings: check_variables(settings, env)

    return {
        **{f"environment {env.name}": environment(env) for env in envs},
        **{f"rollback of {env.name}": rollback(env) for env in envs if approval_of(env)},
        **{f"variables of {env.name}": variables(env) for env in envs},
        f"check `{CHECK}`": check_required_check,
        "workflow permissions": check_workflow_permissions,
        "immutable releases": check_immutable_releases,
        "attestations": check_attestations,
    }


def broken_rules(rules: Mapping[str, Rule], settings: GithubSettings) -> dict[str, tuple[Broken, ...]]:
    """Return what is broken by rule. A rule whose setting cannot be read is broken too: silence is no consent."""
    found = {name: tuple(_applied(rule, settings)) for name, rule in rules.items()}
    return {name: broken for name, broken in found.items() if broken}


def _applied(rule: Rule, settings: GithubSettings) -> Iterator[Broken]:
    try:
        yield from rule(settings)
    except PipelineError as error:
        yield Broken(what=f"This could not be checked: {error.what}", fix=error.fix)
