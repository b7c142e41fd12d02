import json
import sys
from dataclasses import replace

import pytest
from PIL import Image

from dali_rec.bench import BenchOptions, BenchReport, Round, StageResult, bench, explain
from dali_rec.bench.chart import bar_charts, draw
from dali_rec.bench.machine import Machine
from dali_rec.bench.stages import device_of
from dali_rec.cli import main
from dali_rec.errors import DeviceUnavailableError, MissingDependencyError
from dali_rec.loading import device

pytest.importorskip("nvidia.dali", reason="DALI is not installed")


def stage(name, rate, busy=2.0, seconds=2.0):
    return StageResult(name, (Round(int(rate * seconds), 100, seconds, busy * seconds),))


def stages(read=100_000, decode=2000, pipeline=1000, train=950, busy=2.0):
    return tuple(
        stage(name, rate, busy)
        for name, rate in (("read", read), ("decode", decode), ("pipeline", pipeline), ("train", train))
    )


def test_rates_are_medians_with_the_spread():
    rounds = tuple(Round(images, 20, 2.0, 3.0) for images in (100, 300, 160))
    result = StageResult("read", rounds)
    assert (result.images_per_second, result.rates[0], result.rates[-1]) == (80.0, 50.0, 150.0)
    assert result.busy_cores() == 1.5
    assert result.processor_seconds_per_image == pytest.approx(9 / 560)


@pytest.mark.parametrize(("batches", "seconds", "quotable"), [(10, 1.0, True), (9, 5.0, False), (500, 0.9, False)])
def test_too_short_a_round_cannot_be_quoted(batches, seconds, quotable):
    assert StageResult("read", (Round(100, batches, seconds, 1.0),)).is_quotable is quotable


def test_processor_is_named_as_the_limit_with_where_its_time_goes():
    text = explain(stages(), 2, on_gpu=False, pace=1000)
    assert "50% of the bare decoder's rate" in text
    assert "reading takes 1% of its time, decoding 49%, resizing and normalising 50%" in text
    assert "95% of that pace" in text


def test_reading_is_named_as_the_limit():
    assert "Reading is the limit" in explain(stages(read=1200), 2, on_gpu=False, pace=1000)


def test_gpu_is_named_as_the_limit():
    assert "The GPU is the limit: the processor is only 25% busy" in explain(
        stages(busy=0.5), 2, on_gpu=True, pace=1000
    )


def test_stages_are_measured_where_the_loader_works(monkeypatch):
    torch = pytest.importorskip("dali_rec.loading.torch")
    monkeypatch.setattr(device, "count_gpus", lambda: (1, ""))
    monkeypatch.setattr(torch, "why_no_gpu", lambda: None)
    assert device_of(BenchOptions()).index == 0
    monkeypatch.setattr(torch, "why_no_gpu", lambda: "PyTorch is built for the CPU")
    assert device_of(BenchOptions()).index is None
    with pytest.raises(DeviceUnavailableError, match="PyTorch is built for the CPU"):
        device_of(BenchOptions(device="gpu"))


def test_idle_processor_is_said():
    assert "Neither disk nor processor (25% busy)" in explain(stages(busy=0.5), 2, on_gpu=False, pace=1000)


def test_every_stage_is_measured_in_turn(packed):
    seen = []
    options = BenchOptions(batch_size=4, image_size=16, device="cpu", threads=1, rounds=2, seconds=0.05)
    report = bench(packed, options, progress=lambda done, total: seen.append((done, total)))
    assert [one.name for one in report.stages] == ["read", "decode", "pipeline", "train"]
    assert all(len(one.rounds) == 2 and one.images_per_second > 0 for one in report.stages)
    assert seen == [(number, 8) for number in range(1, 9)]
    assert report.bytes_per_image == packed.with_name("photos.rec").stat().st_size / 12


def test_simulated_step_holds_training_to_its_pace(packed):
    options = BenchOptions(batch_size=4, image_size=16, device="cpu", threads=1, rounds=1, seconds=0.4, step=0.02)
    report = bench(packed, options)
    assert report.stage("train").images_per_second <= 4 / 0.02 * 1.01 < report.stage("pipeline").images_per_second


def test_short_run_quotes_nothing(capsys, packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packed = packed.parent.rename("[v1]") / packed.name  # which a console could take for a style
    arguments = ["bench", str(packed), "--rounds", "1", "--seconds", "0.05", "--image-size", "16", "--device", "cpu"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.count("too short to quote") == 4
    assert out.startswith(f"{packed}.rec: 12 records")
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["images_per_second"] for one in report["stages"]] == [None] * 4
    assert main([*arguments, "--plot", str(packed.with_suffix(".png"))]) == 1
    captured = capsys.readouterr()
    assert captured.out.count("too short to quote") == 4  # what was measured is not lost
    assert "Loader" not in captured.err


@pytest.fixture
def report():
    machine = Machine("2026-01-01", "a processor", 2, (), "3.11", {"dali-rec": "1"})
    return BenchReport(machine, "CPU", "x.rec", 1000, 1e5, BenchOptions(), stages(), "")


def test_chart_is_drawn_of_what_can_be_quoted(report, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    draw(report, tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as chart:
        assert chart.width > 600
    short = tuple(stage(name, 10, seconds=0.5) for name in ("read", "decode", "pipeline", "train"))
    with pytest.raises(ValueError, match="measure longer"):
        draw(replace(report, stages=short), tmp_path / "nothing.png")
    assert not (tmp_path / "nothing.png").exists()


def test_charts_grow_with_what_is_in_them(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    bars = [("one", 10.0, 9.0, 12.0), ("two", 5.0, 5.0, 5.0)]
    bar_charts(tmp_path / "one.png", "a note", [("title", bars)])
    bar_charts(tmp_path / "two.png", "a note", [("title", bars), ("other", bars)])
    heights = []
    for name in ("one", "two"):
        with Image.open(tmp_path / f"{name}.png") as chart:
            heights.append(chart.height)
    assert heights[1] > 1.5 * heights[0]


def test_missing_matplotlib_is_one_line_that_says_what_to_install(report, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "dali-rec\[plots\]"'):
        draw(report, tmp_path / "chart.png")


@pytest.mark.parametrize("option", [{"rounds": 0}, {"seconds": 0}])
def test_senseless_options_are_refused(option):
    with pytest.raises(ValueError, match="is 0"):
        BenchOptions(**option)
