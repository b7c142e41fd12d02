import pytest

from dali_rec import _cores
from dali_rec._cores import available_cores


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Sixteen cores, and a function that puts this process into groups, with files of these contents."""
    monkeypatch.setattr(_cores.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(_cores, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(_cores, "_GROUPS", tmp_path / "cgroup")

    def make(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return make


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "3200000 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
        ("0::/\n", {}, 16),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n", "a/cpu.max": "300000 100000\n"}, 2),
        # A container that is shown the path outside of it, where there is nothing, and its own group as the topmost.
        ("0::/kubepods/x\n", {"cpu.max": "500000 100000\n"}, 5),
        ("0::/../other\n", {"cpu.max": "500000 100000\n"}, 5),
        ("4:cpu:/a\n0::/\n", {"cpu/a/cpu.cfs_quota_us": "250000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 3),
        ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 16),
        (
            "4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/cpu.cfs_period_us": "50000\n"},
            1,
        ),
        ("3:cpuset:/a\n", {"cpuset/a/cpu.max": "100000 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 16),
        ("0::/\n", {"cpu.max": "100000 0\n"}, 16),
    ],
)
def test_a_share_of_time_counts_as_so_many_cores(groups, own, files, cores):
    groups(own, files)
    assert available_cores() == cores


def test_without_groups_cores_are_counted(groups):
    assert available_cores() == 16


@pytest.mark.posix
def test_group_may_have_any_name(groups, tmp_path):
    groups("", {"cpu.max": "200000 100000\n"})
    (tmp_path / "own").write_bytes(b"0::/\xfc\n")
    assert available_cores() == 2
