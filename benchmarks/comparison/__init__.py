"""The comparison of `benchmarks/serving.py`: its servers, workloads, measurements and table."""
