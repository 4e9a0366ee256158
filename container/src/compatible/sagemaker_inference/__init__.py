"""The modules of AWS's toolkit `sagemaker-inference` that an inference.py may import, reimplemented.

This folder is last on sys.path, so the toolkit itself is imported where it is installed. The module that
starts AWS's server (`model_server`) is missing: `serve` replaces it.
"""
