"""The server, whatever the model: nothing here imports `digits`.

Packages, each importing only those before it: `platform` (the container, its settings and processes),
`engines` (what computes a prediction), `handlers` (a model with its formats), `http` (requests and answers).
"""
