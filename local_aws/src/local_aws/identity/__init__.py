"""Who may take which role, and what a role may do: STS for the tokens of OIDC providers, by the trust
policies of IAM; simulations of its other policies.
"""

from collections.abc import Mapping

from local_aws.identity import simulation, web_identity


def install(issuers: Mapping[str, str]) -> None:
    """Put both behind moto, before the first request; `issuers` as `web_identity.install` takes them."""
    web_identity.install(issuers)
    simulation.install()
