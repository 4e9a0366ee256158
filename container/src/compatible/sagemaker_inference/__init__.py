"""The modules of AWS's toolkit `sagemaker-inference` that an inference.py may import, reimplemented.

This folder is last on sys.path, so the toolkit itself is imported where it is installed. The modules that
start AWS's servers (`model_server`, `transformer`, `default_handler_service`) are missing: `serve`
replaces them.
"""
