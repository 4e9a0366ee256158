"""CloudFormation whose resources are made by this AWS's own APIs; moto reads the templates and keeps the stacks."""

from local_aws.cloudformation.stacks import install

__all__ = ["install"]
