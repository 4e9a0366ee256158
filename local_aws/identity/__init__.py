"""Who may take which role: STS for the tokens of OIDC providers, by the trust policies of IAM."""

from local_aws.identity.web_identity import install

__all__ = ["install"]
