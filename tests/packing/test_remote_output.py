import json
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from support import make_class_folder

import dali_rec
from dali_rec.errors import DatasetError, MissingDependencyError, OutputExistsError, SourceError, TooManyBadImagesError
from dali_rec.packing import run
from dali_rec.packing.engines import pack_locally
from dali_rec.sources import remote
from dali_rec.sources.remote import filesystem_of

s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

#: What the file system is asked for, and the first file of two shards for which it is.
REQUESTS = {
    "info": "x.json",
    "cat_file": "x.packing/publishing.json",
    "ls": "x.packing",
    "pipe_file": "x.packing/job.json",
    "cp_file": "x-00000-of-00002.rec",
    "rm_file": "x.json",
}


class Interrupted(Exception):  # noqa: N818
    pass


@pytest.fixture
def photos(tmp_path):
    return make_class_folder(tmp_path / "photos", {"ant": 10, "bee": 10})


def contents(bucket):
    filesystem = s3fs.S3FileSystem()
    filesystem.invalidate_cache()
    return {path.partition("/")[2]: filesystem.cat_file(path) for path in filesystem.find(bucket)}


def local_contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_files_as_in_a_folder(photos, tmp_path, bucket):
    report = dali_rec.pack(photos, f"s3://{bucket}/sets/x", shards=3)
    dali_rec.pack(photos, tmp_path / "out" / "x", shards=3)
    assert contents(bucket) == {f"sets/{name}": data for name, data in local_contents(tmp_path / "out").items()}
    assert report.sets[0].location == f"s3://{bucket}/sets/x.json"


def test_downloaded_data_set_opens(photos, tmp_path, bucket):
    dali_rec.pack(photos, f"s3://{bucket}/x", shards=2)
    s3fs.S3FileSystem().get(f"{bucket}/", f"{tmp_path}/copy/", recursive=True)
    assert dali_rec.verify(tmp_path / "copy" / "x").records == 20


def test_nothing_is_left_on_this_machine(photos, tmp_path, bucket, monkeypatch):
    import tempfile

    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    dali_rec.pack(photos, f"s3://{bucket}/x", shards=2)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_interrupted_run_resumes_with_what_is_uploaded(photos, tmp_path, bucket):
    def stop(done, total):
        if done == 15:
            raise Interrupted

    with pytest.raises(Interrupted):
        dali_rec.pack(photos, f"s3://{bucket}/x", shards=4, progress=stop)
    assert all(name.startswith("x.packing/") for name in contents(bucket))
    with pytest.raises(OutputExistsError, match="finished shards of a run that was interrupted"):
        dali_rec.pack(photos, f"s3://{bucket}/x", shards=4)
    with pytest.raises(DatasetError, match="resize was None and is 16"):
        dali_rec.pack(photos, f"s3://{bucket}/x", shards=4, resize=16, resume=True)
    report = dali_rec.pack(photos, f"s3://{bucket}/x", shards=4, resume=True)
    assert report.images == 10
    dali_rec.pack(photos, tmp_path / "out" / "x", shards=4)
    assert contents(bucket) == local_contents(tmp_path / "out")


def test_data_set_there_is_not_replaced_unasked(photos, bucket):
    dali_rec.pack(photos, f"s3://{bucket}/x", shards=4)
    before = contents(bucket)
    with pytest.raises(OutputExistsError, match=f"s3://{bucket}/x.json exists already"):
        dali_rec.pack(photos, f"s3://{bucket}/x")
    assert contents(bucket) == before
    dali_rec.pack(photos, f"s3://{bucket}/x", overwrite=True)
    assert sorted(contents(bucket)) == ["x.idx", "x.json", "x.lst", "x.rec"]


def test_machines_share_a_bucket(photos, tmp_path, bucket):
    reports = [dali_rec.pack(photos, f"s3://{bucket}/x", shards=4, node_rank=rank, num_nodes=2) for rank in (0, 1)]
    assert [len(report.sets) for report in reports] == [0, 1]
    dali_rec.pack(photos, tmp_path / "out" / "x", shards=4)
    assert contents(bucket) == local_contents(tmp_path / "out")


def test_appending(photos, tmp_path, bucket):
    more = make_class_folder(tmp_path / "more", {"bee": 2, "cow": 2})
    dali_rec.pack(photos, f"s3://{bucket}/x")
    report = dali_rec.pack(more, f"s3://{bucket}/x", append=True)
    assert (report.records, report.manifest.records, report.manifest.classes) == (4, 24, ("ant", "bee", "cow"))
    assert len(contents(bucket)["x.lst"].splitlines()) == 24


def test_failed_run_leaves_only_the_rejections(photos, bucket):
    (photos / "ant" / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(TooManyBadImagesError, match=f"the list is in s3://{bucket}/x.rejected.jsonl"):
        dali_rec.pack(photos, f"s3://{bucket}/x")
    assert [json.loads(line)["path"] for line in contents(bucket)["x.rejected.jsonl"].splitlines()] == ["ant/bad.jpg"]
    assert list(contents(bucket)) == ["x.rejected.jsonl"]


def test_bucket_that_is_not_there_is_an_error(photos, bucket):
    with pytest.raises(OSError, match=r"(?i)bucket"):
        dali_rec.pack(photos, "s3://none-of-that-name/x")


def test_images_and_output_both_on_s3(photos, tmp_path, bucket):
    s3fs.S3FileSystem().put(f"{photos}/", f"{bucket}/images/", recursive=True)
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    lines = (f"{number}\t0\ts3://{bucket}/images/{name}\n" for number, name in enumerate(names))
    (tmp_path / "x.lst").write_text("".join(lines))
    report = dali_rec.pack(tmp_path / "x.lst", f"s3://{bucket}/x", shards=2)
    assert report.records == 20


@pytest.mark.parametrize("out", ["s3://bucket", "s3://bucket/"])
def test_output_needs_a_name_in_the_bucket(photos, out):
    with pytest.raises(SourceError, match="the output needs a name after the bucket"):
        dali_rec.pack(photos, out)


def test_web_server_is_no_output(photos):
    with pytest.raises(SourceError, match="web servers cannot be written to"):
        dali_rec.pack(photos, "https://example.org/x/y")


def test_missing_package_is_named_before_any_work(photos, monkeypatch):
    import sys

    remote.filesystem_for.cache_clear()
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "dali-rec\[gcs\]"'):
        dali_rec.pack(photos, "gs://bucket/x")


def test_upload_that_fails_says_where_to(photos, bucket, monkeypatch):
    def fail(*_arguments):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(filesystem_of("s3://x"), "put_file", fail)
    with pytest.raises(PermissionError, match=f"s3://{bucket}/x.packing/x.rec: Access Denied"):
        dali_rec.pack(photos, f"s3://{bucket}/x")


@pytest.mark.parametrize("asked", REQUESTS)
def test_any_error_of_a_store_names_the_file(photos, bucket, monkeypatch, asked):
    class NoCredentialsError(Exception):  # as those of botocore, which are no OSError
        pass

    def fail(*_arguments, **_options):
        raise NoCredentialsError("Unable to locate credentials")

    with monkeypatch.context() as patch:
        patch.setattr(filesystem_of("s3://x"), asked, fail)
        with pytest.raises(OSError, match=f"^s3://{bucket}/{REQUESTS[asked]}: Unable to locate credentials$"):
            dali_rec.pack(photos, f"s3://{bucket}/x", shards=2)
    dali_rec.pack(photos, f"s3://{bucket}/x", shards=2, resume=True)
    assert len(contents(bucket)) == 6


def test_names_may_hold_what_stands_for_others_in_patterns(photos, tmp_path, bucket):
    name = "run[1]*?"
    dali_rec.pack(photos, f"s3://{bucket}/{name}", shards=2)
    dali_rec.pack(photos, tmp_path / "out" / name, shards=2)
    assert contents(bucket) == local_contents(tmp_path / "out")


def test_store_that_renames_is_let_rename(photos, tmp_path):
    class Renaming(MemoryFileSystem):
        protocol = "renaming"
        cachable = False
        store: ClassVar[dict] = {}
        pseudo_dirs: ClassVar[list] = [""]

        def mv(self, path1, path2, **_options):
            self.store[self._strip_protocol(path2)] = self.store.pop(self._strip_protocol(path1))

        def cp_file(self, *_arguments, **_options):
            raise NotImplementedError

    fsspec.register_implementation("renaming", Renaming, clobber=True)
    dali_rec.pack(photos, "renaming://sets/x")
    dali_rec.pack(photos, tmp_path / "out" / "x")
    assert {path.rpartition("/")[2]: file.getvalue() for path, file in Renaming.store.items()} == local_contents(
        tmp_path / "out"
    )


def test_protocol_may_stand_in_capitals(photos, bucket):
    report = dali_rec.pack(photos, f"S3://{bucket}/x")
    assert report.sets[0].location == f"s3://{bucket}/x.json"
    assert "x.json" in contents(bucket)


@pytest.mark.parametrize("out", ["s3://bucket//x", "s3://bucket//sets/x"])
def test_folder_without_a_name_is_refused(photos, out):
    with pytest.raises(SourceError, match="two slashes follow the bucket"):
        dali_rec.pack(photos, out)


def test_work_that_is_gone_is_not_taken_for_done(photos, bucket, monkeypatch):
    def pack_and_lose(*arguments):
        reports = pack_locally(*arguments)
        filesystem = filesystem_of("s3://x")
        filesystem.rm(filesystem.find(f"{bucket}/x.packing"))
        return reports

    monkeypatch.setattr(run, "pack_locally", pack_and_lose)
    with pytest.raises(DatasetError, match=f"s3://{bucket}/x.packing is gone"):
        dali_rec.pack(photos, f"s3://{bucket}/x")
