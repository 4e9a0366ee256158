"""Do the action's work: OIDC token → AssumeRoleWithWebIdentity → variables for the following steps.

act has neither the variables nor the identity of a GitHub environment. $TARGET replaces both: every job that signs
in sets it, which test_workflows.py checks. `{environment}` in the role is replaced by it.
"""

import json
import os
import sys
import urllib.request

import boto3
from botocore import UNSIGNED
from botocore.config import Config

target, region = os.environ["TARGET"], os.environ["REGION"]
role = os.environ["ROLE"].replace("{environment}", target)
request = urllib.request.Request(
    f"{os.environ['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience=sts.amazonaws.com",
    headers={"Authorization": f"Bearer {os.environ['FAKE_BEARER_' + target.upper()]}"},
)
with urllib.request.urlopen(request, timeout=10) as answer:
    token = json.load(answer)["value"]
sts = boto3.client("sts", region_name=region, config=Config(signature_version=UNSIGNED))
taken = sts.assume_role_with_web_identity(
    RoleArn=role,
    RoleSessionName="GitHubActions",
    WebIdentityToken=token,
    DurationSeconds=int(os.environ["SECONDS_WANTED"]),
)
account = taken["AssumedRoleUser"]["Arn"].split(":")[4]
if account != os.environ["ACCOUNT"]:
    sys.exit(f"The role belongs to account {account}; allowed is {os.environ['ACCOUNT']}")
credentials = taken["Credentials"]
print(f"AWS_ACCESS_KEY_ID={credentials['AccessKeyId']}")
print(f"AWS_SECRET_ACCESS_KEY={credentials['SecretAccessKey']}")
print(f"AWS_SESSION_TOKEN={credentials['SessionToken']}")
print(f"AWS_REGION={region}\nAWS_DEFAULT_REGION={region}")
