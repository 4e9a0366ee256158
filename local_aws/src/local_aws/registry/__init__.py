"""The registry behind ECR.

registry = Registry(settings); await registry.start()   # url is None where instances are processes
ecr = Ecr(registry, front_url)                           # a Service; before moto's first request
proxy = Proxy(registry, ecr)                             # proxy.handle answers /v2/*
await proxy.close(); await registry.stop()
"""

from local_aws.registry.ecr import Ecr
from local_aws.registry.proxy import Proxy
from local_aws.registry.server import Registry, RegistryError

__all__ = ["Ecr", "Proxy", "Registry", "RegistryError"]
