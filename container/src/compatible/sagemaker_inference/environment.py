"""The model's folders and the container's settings, from SageMaker's environment variables."""

import os

from . import content_types, parameters

DEFAULT_MODULE_NAME = "inference.py"
DEFAULT_MODEL_SERVER_TIMEOUT = "60"
DEFAULT_STARTUP_TIMEOUT = "600"
DEFAULT_HTTP_PORT = "8080"
SAGEMAKER_BASE_PATH = "/opt/ml"

base_dir = os.environ.get(parameters.BASE_PATH_ENV) or SAGEMAKER_BASE_PATH
model_dir = f"{base_dir}/model"
code_dir = f"{model_dir}/code"


class Environment:
    """A snapshot of the settings; times in seconds, sizes in bytes."""

    def __init__(self) -> None:
        read = os.environ.get
        timeout = read(parameters.MODEL_SERVER_TIMEOUT_ENV) or DEFAULT_MODEL_SERVER_TIMEOUT
        seconds = read(parameters.MODEL_SERVER_TIMEOUT_SECONDS_ENV)
        megabytes = read(parameters.MAX_REQUEST_SIZE)
        port = read(parameters.BIND_TO_PORT_ENV) or DEFAULT_HTTP_PORT

        self.module_name = (read(parameters.USER_PROGRAM_ENV) or DEFAULT_MODULE_NAME).removesuffix(".py")
        self.model_server_timeout = int(timeout)
        self.model_server_timeout_seconds = int(seconds) if seconds else None
        self.model_server_workers = read(parameters.MODEL_SERVER_WORKERS_ENV)
        self.startup_timeout = int(read(parameters.STARTUP_TIMEOUT_ENV) or DEFAULT_STARTUP_TIMEOUT)
        self.default_accept = read(parameters.DEFAULT_INVOCATIONS_ACCEPT_ENV) or content_types.JSON
        self.inference_http_port = port
        self.management_http_port = port
        self.safe_port_range = read(parameters.SAFE_PORT_RANGE_ENV)
        self.max_request_size = int(megabytes) * 1024 * 1024 if megabytes else None
