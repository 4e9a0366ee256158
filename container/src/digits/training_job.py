"""One training job: read the channel, train, judge, write and export the model."""

import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from digits import artifacts, dataset, hyperparameters, model, training
from digits.project import DIGITS
from serving import engines
from serving.engines import archive, pytorch
from serving.engines.archive import ExportInput
from serving.platform import paths

logger = logging.getLogger(__name__)
CHANNEL = "training"


def run(base: Path) -> None:
    """Run one job over SageMaker's tree at `base`. Raises BadHyperparameter and BadData."""
    started = time.monotonic()
    settings = hyperparameters.read(paths.hyperparameters_file(base))
    train_set, held_out = dataset.split(dataset.read(paths.channel_dir(base, CHANNEL)))
    logger.info("training on %d images, %d held out; %s", len(train_set), len(held_out), asdict(settings))

    net = training.fit(train_set, settings)
    metrics: dict[str, Any] = {
        "accuracy": round(training.accuracy(net, held_out), 6),
        "training_accuracy": round(training.accuracy(net, train_set), 6),
        "training_images": len(train_set),
        "held_out_images": len(held_out),
        "hyperparameters": asdict(settings),
    }
    directory = paths.model_dir(base)
    directory.mkdir(parents=True, exist_ok=True)
    model.save(net, directory)
    engine = pytorch.load(directory, engines.FP32, DIGITS.load_network)
    artifacts.write(directory, engine, held_out, metrics)
    source = ExportInput(engine.net, artifacts.golden_images(held_out))
    archive.write(source, directory, request_response=DIGITS.interface_digest)
    seconds = time.monotonic() - started
    logger.info("accuracy=%.4f on held-out images, %.1f s", metrics["accuracy"], seconds)
