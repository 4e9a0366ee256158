"""What `benchmarks/serving.py` compares: the servers, the workloads, and how they are measured."""
