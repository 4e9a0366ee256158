"""One training job: read the channel, train, judge, write and export the model."""

from dataclasses import asdict
from pathlib import Path

from digits import artifacts, dataset, hyperparameters, model, training
from digits.project import DIGITS
from serving import engines
from serving.engines import archive, pytorch
from serving.engines.archive import ExportInput
from serving.platform import paths


def run(base: Path) -> None:
    """Run one job over SageMaker's tree at `base`. Raises BadHyperparameter and BadData."""
    settings = hyperparameters.read(paths.hyperparameters_file(base))
    train_set, held_out = dataset.split(dataset.read(paths.channel_dir(base, "training")))
    net = training.fit(train_set, settings)
    error = round(training.mean_squared_error(net, held_out), 6)
    directory = paths.model_dir(base)
    directory.mkdir(parents=True, exist_ok=True)
    model.save(net, directory)
    engine = pytorch.load(directory, engines.FP32, DIGITS.load_network)
    artifacts.write(
        directory, engine, held_out, {"mean_squared_error": error, "hyperparameters": asdict(settings)}
    )
    source = ExportInput(engine.net, held_out.rows[: artifacts.GOLDEN_CASES])
    archive.write(source, directory, request_response=DIGITS.interface_digest)
