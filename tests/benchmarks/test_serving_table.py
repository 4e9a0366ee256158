"""The table of `make bench-serving` in docs/performance.md."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import serving
from benchmarks.comparison import summary_file, table, workloads
from benchmarks.comparison.load import Measurement
from benchmarks.comparison.measuring import ServerMeasurement, recorded_engine_choice
from benchmarks.comparison.summary import summarise
from benchmarks.comparison.trials import Trial, TrialLog
from tests.benchmarks.trials import SERVERS, T1, trial


def test_the_table_has_rates_ratios_and_missing_servers() -> None:
    log = TrialLog(
        8,
        {"processor": "2 × some"},
        [
            *[trial("ours-torch", n, rate, p99=1.0) for n, rate in enumerate([300, 400])],
            trial("flask", 0, 100),
            trial("fastapi", 0, 70, errors=3),
        ],
        {"T1 bentoml": "no such package"},
    )

    text = table.page(summarise(log), SERVERS, {"T1": T1})

    assert (
        "| **this project** | torch fp32 | 350 (300–400) | 2,800 (2,400–3,200) | 1.0 · 1.0 ms | 100 |" in text
    )
    assert "| 3.5× nginx + gunicorn + Flask, OMP_NUM_THREADS=1; p99 0.50 |" in text
    assert "70, 3 errors" in text
    assert "- T1 bentoml: no such package" in text
    assert "- T1, not run: ours-auto, flask-default-threads, torchserve," in text
    assert "at commit abc1234: runs of 8 s, 1 to 2 a server" in text
    assert "Other programs used 50% of the CPUs meanwhile in the median, 50% at most" in text


def test_a_row_of_engine_auto_names_its_choice() -> None:
    chosen = trial("ours-auto", 0, 100)
    chosen = replace(chosen, measured=replace(chosen.measured, engine="onnxruntime fp32"))

    text = table.page(summarise(TrialLog(8, {}, [chosen])), SERVERS, {"T1": T1})

    assert "| **this project** | auto: onnxruntime fp32 | 100 |" in text
    engine = recorded_engine_choice(SERVERS["ours-auto"], T1).split()[0]
    assert engine in ("torch", "onnxruntime", "openvino")
    assert recorded_engine_choice(SERVERS["ours-torch"], T1) == ""


def test_the_table_compares_with_prediction_in_process_and_with_torchserves_memory() -> None:
    def of(server: str, rate: float, *, at: int = 8, pss: float = 100.0) -> Trial:
        measured = ServerMeasurement((Measurement(at, rate, None, None, 0),), None, pss, 0.5)
        return Trial("M", server, 0, "m", "2026-01-01 10:00 UTC", measured)

    trials = [of("ours-torch", 38), of("in-process", 40, at=0), of("torchserve", 20, pss=400)]
    encoder = replace(T1, name="M", concurrencies=(8, 32))

    text = table.page(summarise(TrialLog(8, {}, trials)), SERVERS, {"M": encoder})

    assert "- torch fp32: 0.25 of TorchServe's memory" in text
    assert "- torch fp32: 95% at 8 of the predictions of two processes without a server" in text


def test_the_table_goes_between_its_marks(tmp_path: Path) -> None:
    document = tmp_path / "p.md"
    document.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")

    table.write("new", document)

    assert document.read_text() == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"
    document.write_text("no marks")
    with pytest.raises(ValueError, match="once each"):
        table.write("new", document)


def test_the_committed_page_is_made_from_the_committed_summary() -> None:
    t32 = workloads.digits("T32", 32, (8, 32))
    encoder = replace(t32, name="M", title=workloads.ENCODER_TITLE)
    measured = {"T1": workloads.digits("T1", 1, (1, 8, 32, 128)), "T32": t32, "M": encoder}

    text = table.page(summary_file.load(serving.SUMMARY, 8), SERVERS, measured)

    assert f"{table.BEGIN}\n{text}\n{table.END}" in serving.DOCUMENT.read_text()
