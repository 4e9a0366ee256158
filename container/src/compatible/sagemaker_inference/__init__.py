"""What an inference.py may import of AWS's toolkit `sagemaker-inference`: the same names, our own code.

The folder stands last on the path, so the toolkit itself, where it is installed, is what is imported.
What starts AWS's servers (`model_server`, `transformer`, `default_handler_service`) is not here:
`serve` takes their place.
"""
