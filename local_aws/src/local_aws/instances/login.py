"""The login to ECR in this run: what GetAuthorizationToken gives out, and what instances pull with."""

import secrets

USER = "AWS"
PASSWORD = secrets.token_urlsafe(24)  # of this process: the registry it guards is on its loopback port
