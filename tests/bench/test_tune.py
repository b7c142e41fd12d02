import itertools
import json
import re
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

import dali_rec
from dali_rec.bench import BenchOptions, crop_probe, measure, tune, tuning
from dali_rec.bench.search import Knob, Search, Trial
from dali_rec.bench.stages import Stage
from dali_rec.bench.tuning import advice_knobs, setting_knobs
from dali_rec.cli import main
from dali_rec.errors import DatasetError
from dali_rec.loading import Loader, Tuned, choose_device
from dali_rec.loading.tuned import Entry, machine_key, rec_bytes, save_tuned, tuned_path

pytest.importorskip("nvidia.dali", reason="DALI is not installed")

START = Trial(64, 4096)
THREADS = Knob("threads", 8, (4, 6, 12))
LOAD = Knob("hw_decoder_load", 0.65, (0.1, 0.9))
PREFETCH = Knob("prefetch", 2, (3, 4), paced=True)


class Bench:
    """A machine whose rate for a trial is known; ``slower`` each round, all alike, and noise by turns."""

    def __init__(self, rate, noise=(0.0,), slower=1.0):
        self.rate, self.slower = rate, slower
        self.noise = itertools.cycle(noise)
        self.opened, self.runs = [], 0

    def open_trial(self, trial):
        self.opened.append(trial)

        def measure_round():
            self.runs += 1
            return self.rate(trial) * self.slower**self.runs * (1 + next(self.noise))

        return measure_round


def search(bench, *knobs, rounds=5, progress=None):
    return Search(bench.open_trial, rounds, 100, progress).run(START, knobs)


def rate_of(**factors):
    """1000 images/s times the factor of each value that a trial's settings have."""

    def rate(trial):
        product = 1000.0
        for name, of_value in factors.items():
            product *= of_value.get(getattr(trial.settings, name), 1.0)
        return product

    return rate


def test_the_best_is_found_in_few_runs():
    bench = Bench(rate_of(threads={4: 0.7, 6: 1.1, 12: 1.2}, hw_decoder_load={0.9: 1.3, 0.1: 0.8}))
    found = search(bench, LOAD, THREADS)
    assert found.best.settings == Tuned(threads=12, hw_decoder_load=0.9)
    assert found.confirmation.winner.gain == pytest.approx(1.2 * 1.3 - 1)
    assert bench.runs == 5 * (3 + 4 + 2)  # not 5 for each of the 12 combinations


def test_each_setting_is_searched_from_the_best_of_those_before():
    # 12 threads are only worth it with less for the JPEG engines.
    def rate(trial):
        load, threads = trial.settings.hw_decoder_load, trial.settings.threads
        return 1000 * (1.1 if load == 0.1 else 1) * (1.5 if (load, threads) == (0.1, 12) else 1)

    assert search(Bench(rate), LOAD, THREADS).best.settings == Tuned(threads=12, hw_decoder_load=0.1)


def test_gains_below_the_threshold_change_nothing():
    bench = Bench(rate_of(threads={4: 1.02, 6: 1.029, 12: 1.01}))
    found = search(bench, THREADS)
    assert (found.best, found.confirmation) == (START, None)
    assert bench.runs == 5 * 4


def test_gains_below_the_noise_change_nothing():
    # Some 10 % faster in the median, in rounds that lie 25 % apart.
    bench = Bench(rate_of(threads={4: 1.08, 6: 1.08, 12: 1.08}), noise=(0.0, 0.12, -0.13, 0.05, -0.1, 0.1, -0.02))
    found = search(bench, THREADS)
    assert max(one.gain for one in found.comparisons[0].candidates) > 0.05
    assert found.best == START


def test_a_machine_that_gets_slower_cancels():
    bench = Bench(rate_of(threads={12: 1.1}), slower=0.99)
    found = search(bench, THREADS)
    assert found.best.settings == Tuned(threads=12)
    falling = found.comparisons[0].rates
    assert falling[-1] < 0.9 * falling[0]


def test_what_only_seemed_faster_is_dropped():
    found_out = []

    def rate(trial):
        found_out.append(trial)
        return 1200.0 if trial.settings.threads and len(found_out) <= 20 else 1000.0

    found = search(Bench(rate), THREADS)
    assert found.comparisons[0].winner is not None
    assert found.confirmation.winner is None
    assert found.best == START


def test_prefetch_is_measured_with_a_step_as_long_as_a_batch():
    bench = Bench(lambda trial: 800.0 if not trial.step else {None: 700.0, 3: 760.0, 4: 740.0}[trial.settings.prefetch])
    found = search(bench, PREFETCH)
    assert [trial.step for trial in bench.opened if trial.step] == [64 / 800] * 3
    assert found.best == replace(START, settings=Tuned(prefetch=3))
    assert found.confirmation is None  # at full speed nothing has changed


def test_a_trial_that_fails_never_wins_and_says_why():
    def rate(trial):
        if trial.settings.threads == 12:
            raise RuntimeError("out of memory\ndetails")
        return 2000.0 if trial.settings.threads == 6 else 1000.0

    found = search(Bench(rate), THREADS)
    assert found.comparisons[0].candidates[-1].failure == "out of memory"
    assert found.best.settings == Tuned(threads=6)


def test_failing_defaults_are_an_error():
    def rate(trial):
        if trial.settings.threads is None:
            raise RuntimeError("no such thing")
        return 1.0

    with pytest.raises(RuntimeError, match="no such thing"):
        search(Bench(rate), THREADS)


def test_progress_counts_to_the_end():
    seen = []
    search(Bench(rate_of()), THREADS, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 100) for number in range(1, 21)]


def test_gpu_settings_are_tried_on_a_gpu_alone(packed, monkeypatch):
    dataset, cpu = dali_rec.open(packed), choose_device("cpu")
    gpu = type(cpu)(0, "pretended")
    monkeypatch.setattr(tuning, "why_not_in_decoder", lambda *_: None)

    def names(device, **options):
        return [knob.name for knob in setting_knobs(dataset, device, BenchOptions(**options))]

    assert names(cpu) == ["threads", "prefetch"]
    assert names(cpu, threads=3) == ["prefetch"]
    on_gpu = ["hw_decoder_load", "preallocate", "threads", "prefetch"]
    assert names(gpu) == ["crop_in_decoder", *on_gpu]
    assert names(gpu, augment="eval") == on_gpu
    monkeypatch.setattr(tuning, "why_not_in_decoder", lambda *_: "killed by signal 11")
    assert names(gpu) == on_gpu
    large = dali_rec.Dataset(dataset.shards, replace(dataset.manifest, max_width=4000, max_height=3000))
    assert "pad_memory" in [knob.name for knob in setting_knobs(large, gpu, BenchOptions())]


def test_more_batches_ahead_are_tried_than_are_made_at_once(packed):
    def tried(device, batch_size):
        options = BenchOptions(batch_size, threads=1)
        return next(knob.values for knob in setting_knobs(dali_rec.open(packed), device, options) if knob.paced)

    cpu = choose_device("cpu")
    assert [tried(cpu, size) for size in (8, 64, 1000)] == [(60,), (6,), (3, 4)]
    assert tried(type(cpu)(0, "pretended"), 8) == (3, 4)


@pytest.mark.parametrize(("cores", "values"), [(1, (2,)), (2, (1, 3)), (16, (8, 12, 24))])
def test_threads_are_tried_around_the_number_of_cores(packed, monkeypatch, cores, values):
    monkeypatch.setattr(tuning, "default_threads", lambda _device: cores)
    assert setting_knobs(dali_rec.open(packed), choose_device("cpu"), BenchOptions())[0].values == values


def test_batches_and_buffers_stay_within_the_data_and_the_memory(packed, monkeypatch):
    dataset = dali_rec.open(packed)  # 12 records
    assert [(knob.name, knob.values) for knob in advice_knobs(dataset, Trial(4, 40))] == [
        ("batch_size", (2, 8)),
        ("shuffle_buffer", (10,)),
    ]
    monkeypatch.setattr(tuning, "MOST_BUFFERED", 1)
    assert [knob.name for knob in advice_knobs(dataset, Trial(12, 40))] == ["batch_size"]


@pytest.fixture
def brief(monkeypatch):
    """Rounds of a moment: what comes out is noise, and how it is dealt with is what counts."""
    monkeypatch.setattr(tuning, "SHORTEST_ROUND", 0.01)
    monkeypatch.setattr(measure, "LONGEST_WAIT", 0.05)


BRIEF = ["--batch-size", "4", "--image-size", "16", "--rounds", "3", "--seconds", "0.01", "--device", "cpu"]


def test_a_real_sweep_from_end_to_end(packed, brief, capsys):
    assert main(["bench", str(packed), "--tune", "--json", *BRIEF]) == 0
    report = json.loads(capsys.readouterr().out)
    (kept,) = json.loads(packed.with_name("photos.tuned.json").read_text())["machines"]
    assert kept["machine"] == report["key"]
    assert kept["settings"] == {name: value for name, value in report["settings"].items() if value is not None}
    assert all(len(one["rates"]) == 3 for one in report["comparisons"])
    assert {"threads", "prefetch"} <= {one["name"] for one in report["comparisons"]}
    assert {one["name"] for one in report["advice"]} == {"batch_size"}
    loader = Loader(packed, 4, 16, framework="numpy", device="cpu")
    assert loader.tuned == Tuned(**kept["settings"])


def test_threads_that_are_given_are_not_searched_for(packed, brief, capsys):
    before = sorted(path.name for path in packed.parent.iterdir())
    assert main(["bench", str(packed), "--tune", "--threads", "1", *BRIEF]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("prefetch, with a training step", "batch_size", "CPU"))
    assert "photos.tuned.json; the Loader takes it on this machine by itself." in out
    assert sorted(path.name for path in packed.parent.iterdir()) == sorted([*before, "photos.tuned.json"])
    (kept,) = json.loads(packed.with_name("photos.tuned.json").read_text())["machines"]
    assert "threads" not in kept["settings"]
    assert not re.search(r"^threads ", out, re.MULTILINE)


class Clock:
    """One that nobody waits for."""

    now = 0.0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_the_faster_setting_is_kept_and_said(packed, brief, monkeypatch):
    def stage(_name, _dataset, options, step=0.0, *, tuned, shuffle_buffer):
        assert shuffle_buffer == 4096
        pause = 0.004 if tuned.threads == 3 else 0.012
        ahead = 0.5 if tuned.prefetch == 126 else 1.0

        def next_batch():
            clock.sleep(pause + ahead * step)
            return options.batch_size

        return Stage("trial", next_batch, lambda: None)

    clock = Clock()
    monkeypatch.setattr(measure, "time", clock)
    monkeypatch.setattr(tuning, "loader_stage", stage)
    monkeypatch.setattr(tuning, "default_threads", lambda _device: 2)
    report = tune(packed, BenchOptions(4, 16, device="cpu", rounds=3, seconds=0.05))
    assert report.settings == Tuned(threads=3, prefetch=126)
    assert report.gain > 0.5
    text = " ".join(report.summary())
    assert "threads 3: " in text
    assert "images/s with the defaults" in text
    assert "prefetch 126: +" in text
    report.save()
    assert Loader(packed, 4, 16, framework="numpy", device="cpu", tuned=True).dataset is not None
    (kept,) = json.loads(packed.with_name("photos.tuned.json").read_text())["machines"]
    assert (kept["settings"], kept["measured"]["batch_size"]) == ({"threads": 3, "prefetch": 126}, 4)


def test_rounds_that_tell_nothing_are_refused(packed, capsys):
    with pytest.raises(ValueError, match="at least 3 to tell gain from noise"):
        tune(packed, BenchOptions(rounds=2))
    with pytest.raises(ValueError, match="rounds of at least 1"):
        tune(packed, BenchOptions(seconds=0.5))
    assert main(["bench", str(packed), "--tune", "--rounds", "1"]) == 1
    assert "tell gain from noise" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "said"), [([], "name one"), (["--plot", "x.png"], "leave it out")])
def test_wrong_usage_is_refused(packed, capsys, arguments, said):
    dataset = [str(packed)] if arguments else []
    assert main(["bench", *dataset, "--tune", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_files_of_several_data_sets_are_refused(packed, tmp_path, class_folder):
    dali_rec.pack(class_folder, tmp_path / "x")
    with pytest.raises(DatasetError, match="tune each by itself"):
        tune(dali_rec.open([packed, tmp_path / "x"]))


def test_plain_bench_says_which_settings_were_taken(packed, capsys):
    arguments = ["bench", str(packed), *BRIEF, "--seconds", "0.05"]
    assert main(arguments) == 0
    assert "settings: defaults (not tuned)" in capsys.readouterr().out
    keep(packed, Tuned(threads=1))
    assert main(arguments) == 0
    assert "settings: threads 1 (photos.tuned.json" in capsys.readouterr().out


def keep(prefix, settings):
    dataset = dali_rec.open(prefix)
    key = machine_key(choose_device("cpu"))
    save_tuned(tuned_path(dataset), Entry(key, rec_bytes(dataset), settings, {}))


def test_other_commands_do_not_stumble_over_the_file(packed, class_folder, tmp_path, capsys):
    keep(packed, Tuned(threads=1))
    kept = packed.with_name("photos.tuned.json").read_bytes()
    out = str(tmp_path / "new")
    for arguments in (
        ["info", str(packed)],
        ["verify", str(packed)],
        ["merge", str(packed), f"{out}-merged"],
        ["split", str(packed), f"{out}-split", "--split", "train=0.5,val=0.5"],
        ["shuffle", str(packed), f"{out}-shuffled"],
        ["unpack", str(packed), f"{out}-files"],
        ["pack", str(class_folder), str(packed), "--overwrite"],
        ["verify", str(packed)],
    ):
        assert main(arguments) == 0, capsys.readouterr().err
    assert packed.with_name("photos.tuned.json").read_bytes() == kept
    assert not list(tmp_path.glob("new*.tuned.json"))


def test_gpu_check_has_a_page_about_the_sweep(packed, brief):
    script = runpy.run_path(str(Path(dali_rec.__file__).parents[1] / "tools" / "gpu_check"))
    report = tune(packed, BenchOptions(4, 16, device="cpu", rounds=3, seconds=0.01))
    lines = script["page"].tuning_page({**json.loads(json.dumps(report.as_json())), "summary": report.summary()})
    rows = [line for line in lines if line.startswith("|")]
    assert any(line.startswith("| threads |") for line in rows)
    assert {line.count("|") for line in rows} == {7}
    assert lines[-1] == report.summary()[-1]


def test_probe_of_the_decoder_says_what_became_of_it(packed, monkeypatch):
    cpu, dataset = choose_device("cpu"), dali_rec.open(packed)
    assert crop_probe.why_not_in_decoder(dataset, cpu) is None
    for command, reason in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by signal 11"),
        ("raise RuntimeError('nvImageCodec failure')", "RuntimeError: nvImageCodec failure"),
        ("raise SystemExit(3)", "ended with status 3"),
        ("import time; time.sleep(60)", "no answer within 1 s"),
    ):
        monkeypatch.setattr(crop_probe, "_COMMAND", command)
        monkeypatch.setattr(crop_probe, "_SECONDS", 1)
        assert crop_probe.why_not_in_decoder(dataset, cpu) == reason
