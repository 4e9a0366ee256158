"""The delivery steps: publish, plan, deploy, autoscale, verify, promote, rollback, status."""
