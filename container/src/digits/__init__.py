"""The project's own model, which reads handwritten digits. Replace this package to serve another network.

`model.py` is the network, `codec.py` its formats, `schema.py` their JSON Schema, `training.py` and
`dataset.py` how it learns, `handler.py` joins them for serving. `project.py` names what `serving` needs.
"""
