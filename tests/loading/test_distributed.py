import os
import subprocess
import sys

import pytest

from dali_rec import Loader
from dali_rec.errors import LoaderError
from dali_rec.loading import device
from dali_rec.loading.device import choose_device
from dali_rec.loading.distributed import find_ranks

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")


@pytest.fixture
def environment(monkeypatch):
    for name in (*VARIABLES, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)

    def put(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def test_one_process_is_rank_0_of_1(environment):
    assert find_ranks(None, None)[:3] == (0, 1, 0)


@pytest.mark.parametrize(
    "names",
    [
        ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ],
)
def test_launchers_say_the_rank_in_the_environment(environment, names):
    environment(**dict(zip(names, ("5", "8", "1"), strict=True)))
    assert find_ranks(None, None)[:3] == (5, 8, 1)


def test_a_slurm_job_that_runs_one_process_is_not_taken_for_ranks(environment):
    environment(SLURM_PROCID="0", SLURM_NTASKS="8")
    assert find_ranks(None, None)[:2] == (0, 1)


def test_what_is_given_goes_before_the_environment(environment):
    environment(RANK="5", WORLD_SIZE="8", LOCAL_RANK="1")
    assert find_ranks(1, 2)[:2] == (1, 2)


def test_half_of_an_answer_is_refused(environment):
    with pytest.raises(ValueError, match="give both, or neither"):
        find_ranks(1, None)


def test_nonsense_in_the_environment_is_refused_by_name(environment):
    environment(RANK="one", WORLD_SIZE="2")
    with pytest.raises(ValueError, match="RANK is 'one'"):
        find_ranks(None, None)


def test_torch_distributed_says_the_rank(tmp_path):
    pytest.importorskip("torch")
    program = (
        "import torch.distributed as d; from dali_rec.loading.distributed import find_ranks;"
        f"d.init_process_group('gloo', init_method='file://{tmp_path}/x', rank=0, world_size=1);"
        "print(find_ranks(None, None)); d.destroy_process_group()"
    )
    # The environment says otherwise: what is running goes before it.
    environment = {**os.environ, "RANK": "3", "WORLD_SIZE": "4"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "rank=0, world_size=1" in run.stdout
    assert "torch.distributed" in run.stdout


def test_each_rank_of_a_machine_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(device, "count_gpus", lambda: (4, ""))
    assert [choose_device("auto", rank).index for rank in range(5)] == [0, 1, 2, 3, 0]
    assert choose_device("gpu", 2).index == 2
    assert choose_device(3, 1).index == 3


def connect(monkeypatch, rank, world_size):
    distributed = pytest.importorskip("torch").distributed
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(distributed, "get_world_size", lambda: world_size)


@pytest.mark.parametrize("rank", [0, 1])
def test_processes_that_are_connected_after_the_loader_was_made_do_not_all_load_everything(
    packed, environment, monkeypatch, rank
):
    loader = Loader(packed, 4, 8, device="cpu")
    connect(monkeypatch, rank, 2)
    with pytest.raises(LoaderError, match=f"rank 0 of 1.*this is rank {rank} of 2; make the Loader after that"):
        next(iter(loader))


@pytest.mark.parametrize("options", [{}, {"rank": 0, "world_size": 1}])
def test_ranks_of_the_launcher_and_those_given_hold_when_the_processes_are_connected(
    packed, environment, monkeypatch, options
):
    environment(RANK="1", WORLD_SIZE="2")
    loader = Loader(packed, 4, 8, device="cpu", **options)
    connect(monkeypatch, 1, 2)
    assert sum(len(labels) for _, labels in loader) == (12 if options else 6)
    monkeypatch.undo()  # and when the program disconnects them before its last epoch
    assert sum(len(labels) for _, labels in loader) == (12 if options else 6)
