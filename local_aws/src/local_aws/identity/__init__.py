"""Identity: STS for the tokens of OIDC providers by IAM's trust policies, and simulations of IAM's policies."""

from collections.abc import Mapping

from local_aws.identity import simulation, web_identity


def install(issuers: Mapping[str, str]) -> None:
    """Install both in moto, before the first request; `issuers` as `web_identity.install` takes them."""
    web_identity.install(issuers)
    simulation.install()
