"""The resource types of CloudFormation that exist here, with the API calls that make, change and delete each.

Properties go to the call that creates the resource, under the names that CloudFormation and the API share (except
for case); a property that the call lacks is an error. `further` are properties with calls of their own.
"""

from local_aws.cloudformation.resource_kind import (
    Kind,
    arn_of,
    bucket_encryption,
    bucket_lifecycle,
    call_each,
    removed_by,
    scaling_target,
    set_by,
    split_target,
    topic_policy,
)
from local_aws.places import account_id, region

KINDS = (
    Kind(
        type="AWS::CloudWatch::Alarm",
        service="cloudwatch",
        name="AlarmName",
        create="put_metric_alarm",
        puts=True,
        identity=lambda properties, _: str(properties["AlarmName"]),
        delete=lambda identity, _: [("delete_alarms", {"AlarmNames": [identity]})],
        attributes={"Arn": arn_of("cloudwatch", "alarm:")},
    ),
    Kind(
        type="AWS::ApplicationAutoScaling::ScalableTarget",
        service="application-autoscaling",
        create="register_scalable_target",
        puts=True,
        identity=lambda properties, _: "|".join(scaling_target(properties).values()),
        delete=lambda _, properties: [("deregister_scalable_target", scaling_target(properties))],
    ),
    Kind(
        type="AWS::ApplicationAutoScaling::ScalingPolicy",
        service="application-autoscaling",
        create="put_scaling_policy",
        puts=True,
        prepare=split_target,
        identity=lambda _, answer: str(answer["PolicyARN"]),
        delete=lambda _, properties: [("delete_scaling_policy", scaling_target(properties, "PolicyName"))],
    ),
    Kind(
        type="AWS::IAM::OIDCProvider",
        service="iam",
        create="create_open_id_connect_provider",
        identity=lambda _, answer: str(answer["OpenIDConnectProviderArn"]),
        delete=removed_by("delete_open_id_connect_provider", "OpenIDConnectProviderArn"),
        attributes={"Arn": lambda identity, _: identity},
    ),
    Kind(
        type="AWS::IAM::Role",
        service="iam",
        name="RoleName",
        create="create_role",
        identity=lambda properties, _: str(properties["RoleName"]),
        delete=removed_by("delete_role", "RoleName"),
        attributes={
            "Arn": lambda _, answer: str(answer["Role"]["Arn"]),
            "RoleId": lambda _, answer: str(answer["Role"]["RoleId"]),
        },
        further={
            "Policies": call_each("put_role_policy", "RoleName"),
            "ManagedPolicyArns": call_each("attach_role_policy", "RoleName", "PolicyArn"),
        },
        undo={
            "Policies": lambda name, policies: [
                ("delete_role_policy", {"RoleName": name, "PolicyName": policy["PolicyName"]})
                for policy in policies
            ],
            "ManagedPolicyArns": call_each("detach_role_policy", "RoleName", "PolicyArn"),
        },
        changes={
            "AssumeRolePolicyDocument": set_by("update_assume_role_policy", "RoleName", "PolicyDocument"),
            "MaxSessionDuration": set_by("update_role", "RoleName", "MaxSessionDuration"),
        },
    ),
    Kind(
        type="AWS::S3::Bucket",
        service="s3",
        name="BucketName",
        rename={"BucketName": "Bucket"},
        create="create_bucket",
        prepare=lambda properties: (
            properties | {"CreateBucketConfiguration": {"LocationConstraint": region()}}
        ),
        identity=lambda properties, _: str(properties["BucketName"]),
        delete=removed_by("delete_bucket", "Bucket"),
        attributes={"Arn": arn_of("s3", "")},
        further={
            "VersioningConfiguration": set_by("put_bucket_versioning", "Bucket", "VersioningConfiguration"),
            "PublicAccessBlockConfiguration": set_by(
                "put_public_access_block", "Bucket", "PublicAccessBlockConfiguration"
            ),
            "OwnershipControls": set_by("put_bucket_ownership_controls", "Bucket", "OwnershipControls"),
            "BucketEncryption": lambda name, value: [
                (
                    "put_bucket_encryption",
                    {"Bucket": name, "ServerSideEncryptionConfiguration": bucket_encryption(value)},
                )
            ],
            "LifecycleConfiguration": lambda name, value: [
                (
                    "put_bucket_lifecycle_configuration",
                    {"Bucket": name, "LifecycleConfiguration": bucket_lifecycle(value)},
                )
            ],
            "Tags": lambda name, tags: [
                ("put_bucket_tagging", {"Bucket": name, "Tagging": {"TagSet": tags}})
            ],
        },
    ),
    Kind(
        type="AWS::S3::BucketPolicy",
        service="s3",
        rename={"PolicyDocument": "Policy"},
        create="put_bucket_policy",
        puts=True,
        identity=lambda properties, _: str(properties["Bucket"]),
        delete=removed_by("delete_bucket_policy", "Bucket"),
    ),
    Kind(
        type="AWS::ECR::Repository",
        service="ecr",
        name="RepositoryName",
        create="create_repository",
        identity=lambda properties, _: str(properties["RepositoryName"]),
        prepare=lambda properties: {n: v for n, v in properties.items() if n != "EmptyOnDelete"},
        delete=lambda name, properties: [
            (
                "delete_repository",
                {"repositoryName": name, "force": properties.get("EmptyOnDelete", False)},
            )
        ],
        attributes={
            "Arn": lambda _, answer: str(answer["repository"]["repositoryArn"]),
            "RepositoryUri": lambda _, answer: str(answer["repository"]["repositoryUri"]),
        },
        further={
            "LifecyclePolicy": lambda name, value: [
                ("put_lifecycle_policy", {"repositoryName": name, **value})
            ],
            "RepositoryPolicyText": set_by("set_repository_policy", "repositoryName", "policyText"),
        },
        undo={
            "RepositoryPolicyText": lambda name, _: [("delete_repository_policy", {"repositoryName": name})],
        },
        changes={
            "ImageTagMutability": set_by("put_image_tag_mutability", "repositoryName", "imageTagMutability")
        },
    ),
    Kind(
        type="AWS::SNS::Topic",
        service="sns",
        name="TopicName",
        rename={"TopicName": "Name"},
        create="create_topic",
        identity=lambda _, answer: str(answer["TopicArn"]),
        delete=removed_by("delete_topic", "TopicArn"),
        attributes={
            "TopicArn": lambda identity, _: identity,
            "TopicName": lambda identity, _: identity.rpartition(":")[2],
        },
        further={"Subscription": call_each("subscribe", "TopicArn")},
        once=frozenset({"Subscription"}),
    ),
    Kind(
        type="AWS::SNS::TopicPolicy",
        service="sns",
        create="set_topic_attributes",
        puts=True,
        prepare=topic_policy,
        identity=lambda properties, _: str(properties["Topics"][0]),
        delete=lambda *_: [],  # it goes with its topic
    ),
    Kind(
        type="AWS::SNS::Subscription",
        service="sns",
        create="subscribe",
        identity=lambda _, answer: str(answer["SubscriptionArn"]),
        delete=removed_by("unsubscribe", "SubscriptionArn"),
    ),
    Kind(
        type="AWS::SageMaker::ModelPackageGroup",
        service="sagemaker",
        create="create_model_package_group",
        identity=lambda _, answer: str(answer["ModelPackageGroupArn"]),
        delete=removed_by("delete_model_package_group", "ModelPackageGroupName"),
        attributes={"ModelPackageGroupArn": lambda identity, _: identity},
    ),
    Kind(
        type="AWS::Budgets::Budget",
        service="budgets",
        create="create_budget",
        prepare=lambda properties: {"AccountId": account_id(), **properties},
        identity=lambda properties, _: str(properties["Budget"]["BudgetName"]),
        delete=lambda name, _: [("delete_budget", {"AccountId": account_id(), "BudgetName": name})],
    ),
)
