"""The environments of other accounts: who copies from here, what is copied to here, and whom one may look at (pure)."""

from collections.abc import Sequence

from pipeline.config import AwsPlace, Environment


def deploy_role_name(env: Environment) -> str:
    """Return the name of the role of an environment's jobs."""
    return f"{env.aws.model_package_group}-deploy-{env.name}"


def read_role_arn(place: AwsPlace) -> str:
    """Return the ARN of the role by which other accounts see what is live in this one."""
    return f"arn:aws:iam::{place.account_id}:role/{place.model_package_group}-read"


def readers_of(place: AwsPlace, every: Sequence[Environment]) -> tuple[Environment, ...]:
    """Return the environments of other accounts that promote from one of this account."""
    here = {env.name for env in every if env.aws.account_id == place.account_id}
    return tuple(env for env in every if env.aws.account_id != place.account_id and env.promotes_from in here)


def source_of(env: Environment, every: Sequence[Environment]) -> Environment | None:
    """Return the environment that `env` promotes from, where that one is in another account."""
    found = next((each for each in every if each.name == env.promotes_from), None)
    return found if found and found.aws.account_id != env.aws.account_id else None


def other_places(place: AwsPlace, every: Sequence[Environment]) -> tuple[AwsPlace, ...]:
    """Return one place of each other account of the config."""
    found = {env.aws.account_id: env.aws for env in every if env.aws.account_id != place.account_id}
    return tuple(found.values())


def account_parameters(place: AwsPlace, every: Sequence[Environment]) -> dict[str, str]:
    """Return the parameters of the account's stack by which other accounts get in."""
    readers = readers_of(place, every)
    arns = (f"arn:aws:iam::{env.aws.account_id}:role/{deploy_role_name(env)}" for env in readers)
    return {
        "ReaderAccounts": ",".join(dict.fromkeys(env.aws.account_id for env in readers)),
        "ReaderRoleArns": ",".join(arns),
        "OtherAccounts": ",".join(each.account_id for each in other_places(place, every)),
    }


def role_parameters(env: Environment, every: Sequence[Environment]) -> dict[str, str]:
    """Return the parameters of a deploy role by which it gets into other accounts."""
    source = source_of(env, every)
    there = source.aws if source else None
    repository = (
        f"arn:aws:ecr:{there.region}:{there.account_id}:repository/{there.repository}" if there else ""
    )
    return {
        "SourceBucketName": there.bucket if there else "",
        "SourceRepositoryArn": repository,
        "SourceEnvironment": source.name if source else "",
        "ReadRoleArns": ",".join(read_role_arn(each) for each in other_places(env.aws, every)),
    }
