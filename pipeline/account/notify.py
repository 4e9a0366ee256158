"""A message to the people of an environment, by the topic that its alarms notify."""

from pipeline.aws import Call
from pipeline.aws.refusals import is_not_found
from pipeline.ci import github_run_url
from pipeline.deployment.live_alarms import alerts_topic, topic_of
from pipeline.errors import AwsRefused, ConfigError
from pipeline.model import Model
from pipeline.run import Run

LONGEST_SUBJECT = 100  # SNS takes no more


class NotifyResult(Model):
    """The topic that was notified, by its ARN."""

    topic: str


def notify(run: Run, message: str) -> NotifyResult:
    """Publish a message, with the address of the GitHub run that sends it. Raises ConfigError without a topic."""
    env = run.env
    topic = topic_of(env) or alerts_topic(env)
    first = f"{env.aws.model_package_group} {env.name}: {message}".splitlines()[0]
    subject = first.encode("ascii", "replace").decode()[:LONGEST_SUBJECT]
    text = "\n".join(line for line in (message, github_run_url()) if line)
    params = {"TopicArn": topic, "Subject": subject, "Message": text}
    try:
        run.apply([Call("sns", "publish", params, f"notify {topic}")])
    except AwsRefused as error:
        if not is_not_found(error):
            raise
        raise ConfigError(
            f"There is no topic {topic}: nobody was notified.",
            fix="`bootstrap --github-repo` makes it; or name another in alarms.notify.",
        ) from error
    return NotifyResult(topic=topic)
