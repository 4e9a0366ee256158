"""Application Auto Scaling that acts: scalable targets, target tracking, its alarms and its activities."""

from local_aws.autoscaling.service import Autoscaling

__all__ = ["Autoscaling"]
