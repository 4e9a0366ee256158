"""The `gh` commands that set up a repository: environments, the branch that may deploy to them, variables."""

from collections.abc import Iterator, Sequence

from pipeline.config import Environment

BRANCH = "main"
REVIEWER = "$(gh api user --jq .id)"


def approval_of(env: Environment) -> str | None:
    """Return the GitHub environment whose reviewers approve a promotion; None where nothing is promoted to.

    It is one of its own, which no role trusts: a job that changes the environment, as a rollback, waits for nobody.
    """
    return f"{env.name}-approval" if env.promotes_from else None


def environment_command(repository: str, name: str, *, reviewed: bool) -> str:
    """Return the command that makes a GitHub environment, or gives one that is there its protection."""
    reviewers = f" -F 'reviewers[][type]=User' -F \"reviewers[][id]={REVIEWER}\"" if reviewed else ""
    return (
        f"gh api --method PUT repos/{repository}/environments/{name} "
        "-F 'deployment_branch_policy[protected_branches]=false' "
        f"-F 'deployment_branch_policy[custom_branch_policies]=true'{reviewers}"
    )


def branch_command(repository: str, name: str) -> str:
    """Return the command that lets `main` deploy to an environment that has no other branch."""
    return (
        f"gh api --method POST repos/{repository}/environments/{name}/deployment-branch-policies "
        f"-f name={BRANCH} -f type=branch"
    )


def variable_command(repository: str, name: str, value: str, env: str | None = None) -> str:
    """Return the command that sets a variable of an environment, or of the repository."""
    where = f"--repo {repository} --env {env}" if env else f"--repo {repository}"
    return f"gh variable set {name} {where} --body {value}"


def role_arn(env: Environment) -> str:
    """Return the ARN of the environment's deploy role, as `bootstrap --github-repo` names it."""
    return f"arn:aws:iam::{env.aws.account_id}:role/{env.aws.model_package_group}-deploy-{env.name}"


def variables_of(env: Environment, role: str) -> dict[str, str]:
    """Return the variables by which the environment's jobs find their role."""
    return {"AWS_ROLE_ARN": role, "AWS_REGION": env.aws.region, "AWS_ACCOUNT_ID": env.aws.account_id}


def protection_commands(repository: str, name: str, *, reviewed: bool) -> tuple[str, str]:
    """List the commands that make a GitHub environment to which `main` alone may deploy."""
    return environment_command(repository, name, reviewed=reviewed), branch_command(repository, name)


def setup_commands(repository: str, env: Environment, role: str) -> tuple[str, ...]:
    """List the commands that make the environment on GitHub, for `main` alone, with its reviewers and variables."""
    return (
        *protection_commands(repository, env.name, reviewed=False),
        *(protection_commands(repository, approval, reviewed=True) if (approval := approval_of(env)) else ()),
        *(
            variable_command(repository, name, value, env.name)
            for name, value in variables_of(env, role).items()
        ),
    )


def instructions(
    repository: str, envs: Sequence[Environment], commands: Sequence[str], *, mailed_to: str | None
) -> Iterator[str]:
    """Yield what a person does after `bootstrap`, line by line; `commands` are to be pasted as they are."""
    if mailed_to:
        yield f"Confirm the mail of AWS Notifications to {mailed_to}: until then nobody is told of alarms."
    yield "Paste these lines: they let nothing but main take a role on AWS."
    yield from (f"  {line}" for line in commands)
    for env in envs:
        if (approval := approval_of(env)) is None:
            continue
        yield (
            f"You are the reviewer of {approval} now; name others on its page, Settings → Environments. "
            "Did GitHub answer 422? Private repositories have reviewers with GitHub Enterprise alone. Then paste:"
        )
        yield from (f"  {line}" for line in protection_commands(repository, approval, reviewed=False))
        yield f"  {variable_command(repository, 'PROMOTION', 'by-hand')}"
        yield f"and start each promotion to {env.name} by hand, by the workflow `promote`."
    yield f"Then check everything: python -m pipeline github-check --github-repo {repository}"
