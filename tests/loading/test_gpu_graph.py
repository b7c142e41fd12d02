"""The graphs for a GPU, defined and checked against DALI's schemas where there is none: all but running them."""

import importlib
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

import dali_rec
import dali_rec.compat.mxnet as mx
from dali_rec import Loader
from dali_rec.bench import BenchOptions, stages
from dali_rec.loading import Augmentation, BoxAugmentation, Tuned, choose_device, decoding
from dali_rec.packing import batches
from dali_rec.packing.options import ImageOptions

dali = pytest.importorskip("nvidia.dali", reason="DALI is not installed")

GPU = type(choose_device("cpu"))(0, "pretended")
EVERYTHING = Augmentation(jitter=(0.1, 0.1, 0.1, 0.1), grey=0.2, blur=0.5, erase=0.5, views=2)
IN_DECODER = Tuned(crop_in_decoder=True, hw_decoder_load=0.5, preallocate=True, pad_memory=True)


@pytest.fixture
def graphs(monkeypatch):
    """The pipelines that are built; there seems to be a GPU, and they end with the definition."""
    built = []

    def define(self):
        self._build_graph()
        self._device_id = None  # as far as that goes without a driver
        self._init_pipeline_backend()
        built.append(self)

    monkeypatch.setattr(dali.Pipeline, "build", define)
    for module in ("dali_rec.loading.loader", "dali_rec.compat.mxnet.io.base_iter", "dali_rec.bench.stages"):
        monkeypatch.setattr(importlib.import_module(module), "device_for", lambda *_args: GPU)
    monkeypatch.setattr(importlib.import_module("dali_rec.loading.image_pipeline"), "choose_device", lambda *_args: GPU)
    return built


def operators(graph):
    """(name, device, devices of inputs) of the graph's operators; what DALI would not take is an error."""
    for operator in graph._ops:
        operator.check_args()
        assert operator._op.device in operator._op.schema.GetSupportedBackends()
    return [
        (operator._op.schema.Name(), operator._op.device, tuple(node.device for node in operator.inputs))
        for operator in graph._ops
    ]


def assert_images_stay_on_the_gpu(graph):
    """From the decoder, which takes what lies in host memory, to the output; of images the host knows the shape."""
    found = operators(graph)
    decoders = [one for one in found if one[0].startswith("decoders__")]
    assert decoders
    assert all(device == "mixed" and set(inputs) == {"cpu"} for _, device, inputs in decoders)
    assert {name for name, device, inputs in found if device == "cpu" and "gpu" in inputs} <= {"_Shape"}
    assert graph._graph_outputs[0].device == "gpu"
    assert graph.exec_dynamic  # what asks for the shape of images on the GPU, and takes a stream, needs this executor


@pytest.mark.parametrize(
    ("augment", "options"),
    [
        ("train", {}),
        ("train", {"tuned": IN_DECODER, "dtype": "uint8"}),
        ("train", {"shuffle": "global", "with_ids": True}),
        ("eval", {}),
        (None, {"dtype": "float16"}),
        ("ssl", {"tuned": IN_DECODER}),
        ("randaugment", {}),
        ("trivialaugment", {}),
        ("autoaugment", {}),
        (EVERYTHING, {}),
        (lambda images: images, {}),
    ],
)
def test_images_stay_on_the_gpu(packed, graphs, augment, options):
    loader = Loader(packed, 4, 32, framework="numpy", augment=augment, **options)
    assert_images_stay_on_the_gpu(graphs[0])
    devices = [node.device for node in graphs[0]._graph_outputs]
    views = loader._runs.image.views
    assert devices == ["gpu"] * views + ["cpu"] * (len(devices) - views)


@pytest.mark.parametrize("tuned", [False, IN_DECODER])
@pytest.mark.parametrize(
    "augment", ["train", None, BoxAugmentation(zoom_out=2.0, fit="pad", jitter=(0.1, 0.1, 0.1, 0.0))]
)
def test_boxes_stay_on_the_host(class_folder, tmp_path, graphs, augment, tuned):
    names = sorted(path.relative_to(class_folder).as_posix() for path in class_folder.rglob("*.jpg"))
    rows = [f"{key}\t2\t5\t{key}\t0.1\t0.1\t0.9\t0.8\t{name}\n" for key, name in enumerate(names)]
    (tmp_path / "boxes.lst").write_text("".join(rows))
    dali_rec.pack(tmp_path / "boxes.lst", tmp_path / "x", root=class_folder)
    Loader(tmp_path / "x", 4, 32, framework="numpy", augment=augment, boxes="pad", tuned=tuned)
    assert_images_stay_on_the_gpu(graphs[0])
    assert {node.device for node in graphs[0]._graph_outputs[1:]} == {"cpu"}


@pytest.mark.parametrize("channels", [1, 3])
def test_iterators_of_mxnet_decode_as_opencv_does(packed, graphs, channels):
    settings = {"path_imgrec": f"{packed}.rec", "data_shape": (channels, 24, 28), "batch_size": 4, "resize": 30}
    mx.io.ImageRecordIter(**settings, rand_crop=1, rand_mirror=1, engine="dali")
    assert_images_stay_on_the_gpu(graphs[0])
    assert "jpeg_fancy_upsampling: True" in decoder_of(graphs[0])


@pytest.mark.parametrize("augment", ["train", "eval", None])
def test_the_pipeline_by_itself_stays_on_the_gpu(packed, graphs, augment):
    dali_rec.loading.image_pipeline(packed, 4, 32, augment=augment, dtype="float16")
    assert_images_stay_on_the_gpu(graphs[0])
    assert [node.device for node in graphs[0]._graph_outputs] == ["gpu", "cpu"]


def test_the_pipeline_of_tensorflow_s_plugin_has_all_on_the_gpu(packed, graphs, tmp_path):
    loader = Loader(packed, 4, 32, framework="numpy", last_batch="pad")
    loader.plugin_pipeline(tmp_path / "derived.idx")
    assert_images_stay_on_the_gpu(graphs[1])
    assert [node.device for node in graphs[1]._graph_outputs] == ["gpu", "gpu"]


@pytest.mark.parametrize("cuts", [False, True])
@pytest.mark.parametrize("augment", ["train", "eval"])
def test_the_bare_decoder_decodes_as_the_pipeline_does(packed, graphs, monkeypatch, augment, cuts):
    settings = Tuned(crop_in_decoder=cuts, hw_decoder_load=0.5, preallocate=True)
    monkeypatch.setattr(stages, "choose_tuned", lambda **_options: (settings, "given"))
    options = BenchOptions(4, 32, augment, "float16")
    stages.reading_stage(dali_rec.open(packed), options)
    stages.decoding_stage(dali_rec.open(packed), options)
    Loader(packed, 4, 32, framework="numpy", augment=augment, tuned=settings)
    reading, decoding, whole = ([one[0] for one in operators(graph)] for graph in graphs)
    assert not [name for name in reading if name.startswith("decoders__")]
    assert_images_stay_on_the_gpu(graphs[1])
    steps = iter(whole)
    assert all(name in steps for name in decoding)  # and no others before what comes after them
    told = [re.findall(r"^ *((?:hw|preallocate)_.*)$", decoder_of(graph), re.MULTILINE) for graph in graphs[1:]]
    assert told[0] == told[1]
    assert len(told[0]) == 3


@pytest.mark.parametrize("knows", [False, True])
@pytest.mark.parametrize("tuned", [False, IN_DECODER])
def test_cores_near_the_gpu_are_asked_for_only_where_they_are_known(packed, graphs, monkeypatch, knows, tuned):
    monkeypatch.setattr(decoding, "knows_near_cores", lambda _number: knows)
    Loader(packed, 4, 32, framework="numpy", tuned=tuned)
    assert ("affine: False" in decoder_of(graphs[0])) == (not knows)


def decoder_of(graph):
    """What the graph's decoder is told, as DALI prints it."""
    (decoder,) = [one for one in graph._ops if one._op.schema.Name().startswith("decoders__")]
    return str(decoder.spec)


@pytest.mark.parametrize("interpolation", ["bicubic", "area", "nearest", "lanczos"])
def test_packing_decodes_and_scales_on_the_gpu(graphs, monkeypatch, interpolation):
    encoders = []
    codec = pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not installed")
    monkeypatch.setattr(codec, "Encoder", lambda **options: encoders.append(options))
    image = ImageOptions(resize=64, interpolation=interpolation)
    batches.BatchTransformer(image, ThreadPoolExecutor(1), on_gpu=True, threads=4)._define()
    assert_images_stay_on_the_gpu(graphs[0])
    assert "jpeg_fancy_upsampling: True" in decoder_of(graphs[0])
    assert [options["device_id"] for options in encoders] == [0]
