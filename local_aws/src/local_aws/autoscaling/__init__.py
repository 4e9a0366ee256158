"""Application Auto Scaling that acts: targets, tracking, steps, schedules and their activities."""

from local_aws.autoscaling.service import Autoscaling

__all__ = ["Autoscaling"]
