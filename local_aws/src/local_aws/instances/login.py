"""The ECR login of this run, given out by GetAuthorizationToken and used to pull images."""

import secrets

USER = "AWS"
PASSWORD = secrets.token_urlsafe(24)  # of this process: the registry it guards is on its loopback port
