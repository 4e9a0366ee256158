"""Measure the predictions a second of one process without any server: in_process.py SECONDS.

Prints "ready", waits for a line, prints the number of predictions and the seconds they took.
"""

import json
import os
import sys
import time
from pathlib import Path

import torch
import workload

torch.set_num_threads(1)
served = workload.load()
batch = served.decode(json.loads(Path(os.environ["BODY"]).read_bytes()))
for _ in range(5):
    served.predict(batch)
print("ready", flush=True)
sys.stdin.readline()
seconds, count, begin = float(sys.argv[1]), 0, time.perf_counter()
while time.perf_counter() - begin < seconds:
    served.predict(batch)
    count += 1
print(count, time.perf_counter() - begin, flush=True)
