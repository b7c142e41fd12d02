import importlib
import itertools
import os
import sys

import numpy as np
import pytest
from runs_of import runs_of
from support import jpeg, on_host, require_on_gpu

from dali_rec import Loader, RecordWriter
from dali_rec.errors import DeviceUnavailableError, MissingDependencyError

pytest.importorskip("nvidia.dali", reason="DALI is not installed")


def require(framework):
    try:
        return importlib.import_module(framework)
    except ImportError:
        pytest.skip(f"{framework} is not installed")


def batches(packed, framework, **options):
    options = {"augment": "eval", "shuffle": False, **options}
    return list(Loader(packed, 5, 8, framework=framework, device="cpu", **options))


@pytest.mark.parametrize("framework", ["jax", "tensorflow"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_arrays_are_those_of_numpy(packed, framework, dtype):
    require(framework)
    both = zip(batches(packed, framework, dtype=dtype), batches(packed, "numpy", dtype=dtype), strict=True)
    for (images, labels), (wanted, wanted_labels) in both:
        assert type(images).__module__.split(".")[0].startswith(framework[:3])
        assert np.asarray(images).dtype == dtype
        assert np.array_equal(np.asarray(images), wanted)
        assert np.array_equal(np.asarray(labels), wanted_labels)


@pytest.mark.parametrize("framework", ["jax", "tensorflow"])
def test_arrays_stay_valid_after_later_batches(packed, framework):
    require(framework)
    loader = Loader(packed, 2, 8, framework=framework, device="cpu")
    kept = [(images, np.array(images)) for images, _ in itertools.chain(loader, loader)]
    for images, copy in kept:
        assert np.array_equal(np.asarray(images), copy)


@pytest.mark.parametrize(
    ("framework", "module"), [("jax", "jax"), ("cupy", "cupy"), ("tensorflow", "tensorflow"), ("torch", "torch")]
)
def test_missing_framework_says_what_to_install(packed, monkeypatch, framework, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"dali_rec.loading.{framework}", raising=False)
    with pytest.raises(MissingDependencyError, match="pip install"):
        Loader(packed, 4, 8, framework=framework, device="cpu")


def test_cupy_without_a_gpu_is_an_error_with_the_remedy(packed):
    require("cupy")
    with pytest.raises(DeviceUnavailableError, match="framework='numpy'"):
        batches(packed, "cupy")


@pytest.mark.gpu
@pytest.mark.parametrize("framework", ["torch", "cupy", "jax", "tensorflow"])
def test_arrays_lie_on_the_gpu_and_are_those_of_numpy(packed, framework):
    require_on_gpu(framework)
    loaders = [
        Loader(packed, 5, 8, augment="eval", shuffle=False, framework=name, device="gpu")
        for name in (framework, "numpy")
    ]
    for (images, labels), (wanted, wanted_labels) in zip(*loaders, strict=True):
        assert np.abs(on_host(images) - wanted).max() < 0.05  # two levels: a GPU has several decoders
        assert on_host(labels).tolist() == wanted_labels.tolist()


def test_tf_data_has_static_shapes_and_knows_its_length(packed):
    require("tensorflow")
    from dali_rec.loading.tensorflow import as_dataset

    loader = Loader(packed, 5, 8, framework="tensorflow", device="cpu", last_batch="drop")
    dataset = as_dataset(loader)
    assert [tuple(spec.shape) for spec in dataset.element_spec] == [(5, 3, 8, 8), (5,)]
    assert dataset.cardinality().numpy() == len(loader) == 2
    labels = [batch_labels.numpy().tolist() for _, batch_labels in dataset]
    assert [len(batch) for batch in labels] == [5, 5]


def test_tf_data_yields_every_record_of_an_epoch(packed):
    require("tensorflow")
    from dali_rec.loading.tensorflow import as_dataset

    dataset = as_dataset(Loader(packed, 5, (8, 6), framework="tensorflow", device="cpu", dtype="uint8"))
    assert [tuple(spec.shape) for spec in dataset.element_spec] == [(None, 8, 6, 3), (None,)]
    for _ in range(2):
        labels = np.concatenate([batch_labels.numpy() for _, batch_labels in dataset])
        assert sorted(labels.tolist()) == [0] * 3 + [1] * 4 + [2] * 5


def test_tf_data_wants_one_array_of_each(packed):
    require("tensorflow")
    from dali_rec.loading.tensorflow import as_dataset

    with pytest.raises(ValueError, match="ids, views or ragged labels"):
        as_dataset(Loader(packed, 5, 8, framework="tensorflow", device="cpu", augment="ssl"))


def batches_of_each_epoch(dataset, epochs):
    """How many batches Keras trains on."""
    import keras

    counts = []

    class Count(keras.callbacks.Callback):
        def on_epoch_begin(self, _epoch, logs=None):
            counts.append(0)

        def on_train_batch_end(self, _batch, logs=None):
            counts[-1] += 1

    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(dataset, epochs=epochs, verbose=0, callbacks=[Count()])
    return counts


@pytest.mark.filterwarnings("ignore:Your input ran out of data", "ignore:`shuffle=True` was passed")
def test_keras_goes_on_in_the_middle_of_an_epoch_and_trains_whole_ones_after_it(packed):
    require("tensorflow")
    from dali_rec.loading.tensorflow import as_dataset

    loaders = [Loader(packed, 2, 8, framework="tensorflow", device="cpu", dtype="uint8") for _ in range(2)]
    for _ in zip(range(4), loaders[0], strict=False):
        pass
    loaders[1].load_state_dict(loaders[0].state_dict())
    dataset = as_dataset(loaders[1])
    assert dataset.cardinality().numpy() == 6
    assert batches_of_each_epoch(dataset, 3) == [2, 6, 6]


@pytest.mark.filterwarnings("ignore:Your input ran out of data", "ignore:`shuffle=True` was passed")
def test_keras_takes_epochs_of_different_lengths_on_a_rank(packed):
    require("tensorflow")
    from dali_rec.loading.tensorflow import as_dataset

    options = {"framework": "tensorflow", "device": "cpu", "dtype": "uint8", "shuffle": False}
    loader = Loader(packed, 2, 8, rank=0, world_size=5, **options)  # 12 records: 2 or 3 a rank
    assert batches_of_each_epoch(as_dataset(loader), 5) == [1, 1, 2, 1, 2]


@pytest.mark.parametrize("last_batch", ["drop", "pad"])
def test_tf_data_goes_on_without_images_that_cannot_be_decoded(tmp_path, last_batch):
    require("tensorflow")
    from dali_rec.loading.tensorflow import as_dataset

    bad = {1, 4, 5}
    with RecordWriter(tmp_path / "x.rec") as writer:
        for key in range(8):
            image = b"no image" if key in bad else jpeg(key)
            writer.write_image(image, float(key), key)
    options = {"framework": "tensorflow", "device": "cpu", "last_batch": last_batch, "on_error": "skip"}
    dataset = as_dataset(Loader(tmp_path / "x", 2, 8, shuffle=False, **options))
    for _ in range(2):
        assert [labels.numpy().tolist() for _, labels in dataset] == [[0], [2, 3], [6, 7]]


def plugin_or_skip():
    try:
        importlib.import_module("nvidia.dali.plugin.tf")
    except ImportError:
        pytest.skip("DALI's TensorFlow plugin is not installed")


def keras_loader(packed, runs=(1, 1), **options):
    options = {"last_batch": "pad", "seed": 7, "resizer": "dali", **options}
    with runs_of(*runs):
        return Loader(packed, 5, 8, framework="tensorflow", device="cpu", threads=2, **options)


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"rank": 1, "world_size": 2}, {"dtype": "uint8"}])
def test_the_plugin_makes_the_batches_of_the_loader(packed, caplog, options):
    require("tensorflow")
    plugin_or_skip()
    from dali_rec.loading.tensorflow import as_endless_dataset

    loader = keras_loader(packed, **options)
    with caplog.at_level("INFO", "dali_rec"):
        dataset = as_endless_dataset(keras_loader(packed, **options))
    assert "without DALI's TensorFlow plugin" not in caplog.text
    assert dataset.cardinality().numpy() == -1
    epochs = 3
    wanted = [batch for _ in range(epochs) for batch in loader]
    assert len(wanted) == epochs * len(loader)
    for (images, labels), (expected, classes) in zip(dataset.take(len(wanted)), wanted, strict=True):
        assert np.array_equal(images.numpy(), expected.numpy())
        assert labels.dtype == classes.dtype
        assert np.array_equal(labels.numpy(), classes.numpy())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"last_batch": "partial"}, "not whole"),
        ({"last_batch": "drop"}, "not whole"),
        ({"shuffle": "global"}, "order"),
        ({"on_error": "skip"}, "skips"),
        ({"batch_mix": "mixup"}, "mixed"),
        ({"resizer": "auto"}, "not resized by DALI"),
        ({"runs": (3, 1)}, "at once"),
        ({"runs": (1, 2)}, "at once"),
    ],
)
def test_without_the_plugin_the_loader_makes_the_batches(packed, caplog, options, reason):
    require("tensorflow")
    plugin_or_skip()
    from dali_rec.loading.tensorflow import as_endless_dataset

    loader = keras_loader(packed, **options)
    with caplog.at_level("INFO", "dali_rec"):
        dataset = as_endless_dataset(keras_loader(packed, **options))
    assert reason in caplog.text
    assert dataset.cardinality().numpy() == -1
    wanted = [batch for _ in range(2) for batch in loader]
    for (images, labels), (expected, classes) in zip(dataset.take(len(wanted)), wanted, strict=True):
        assert np.array_equal(images.numpy(), expected.numpy())
        assert np.array_equal(labels.numpy(), classes.numpy())


def test_the_endless_dataset_works_without_the_plugin(packed, caplog, monkeypatch):
    require("tensorflow")
    from dali_rec.loading.tensorflow import as_endless_dataset

    monkeypatch.setitem(sys.modules, "nvidia.dali.plugin.tf", None)
    with caplog.at_level("INFO", "dali_rec"):
        dataset = as_endless_dataset(keras_loader(packed))
    assert "without DALI's TensorFlow plugin" in caplog.text
    labels = np.concatenate([classes.numpy() for _, classes in dataset.take(6)])
    assert len(labels) == 30


def test_keras_fits_the_endless_dataset(packed):
    keras = require("keras")
    require("tensorflow")
    from dali_rec.loading.tensorflow import as_endless_dataset

    loader = keras_loader(packed, dtype="uint8")
    model = keras.Sequential([keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(as_endless_dataset(loader), steps_per_epoch=len(loader), epochs=3, shuffle=False, verbose=0)
    assert len(history.history["loss"]) == 3


def test_folder_of_the_plugin_is_removed_by_the_process_that_made_it(tmp_path):
    require("tensorflow")
    from dali_rec.loading.tensorflow import _remove

    folder = tmp_path / "folder"
    folder.mkdir()
    _remove(str(folder), os.getpid() + 1)  # as a forked process sees it
    assert folder.exists()
    _remove(str(folder), os.getpid())
    assert not folder.exists()


@pytest.mark.filterwarnings("ignore")  # Lightning's advice
@pytest.mark.parametrize("steps", [2, 4, 3], ids=["within an epoch", "within the next", "between two"])
def test_lightning_goes_on_from_a_checkpoint(packed, tmp_path, steps):
    lightning, torch = require("lightning"), require("torch")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 3)
            self.seen = []

        def on_train_epoch_start(self):
            self.trainer.train_dataloader.set_epoch(self.current_epoch)

        def training_step(self, batch, _number):
            self.seen.append(batch[2].tolist())
            return self.layer(batch[0].mean((2, 3))).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    def seen(checkpoint=None, **options):
        module = Module()
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = lightning.Trainer(max_epochs=3, accelerator="cpu", default_root_dir=tmp_path, **quiet, **options)
        loader = Loader(packed, 4, 8, shuffle="global", device="cpu", with_ids=True)
        trainer.fit(module, loader, ckpt_path=checkpoint)
        return module.seen

    moment = {"every_n_epochs": 1} if steps == 3 else {"every_n_train_steps": steps}
    save = lightning.pytorch.callbacks.ModelCheckpoint(
        tmp_path, filename="{step}", auto_insert_metric_name=False, save_top_k=-1, **moment
    )
    whole = seen(callbacks=[save])
    assert [sorted(itertools.chain(*whole[at : at + 3])) for at in (0, 3, 6)] == [list(range(12))] * 3
    assert seen(tmp_path / f"{steps}.ckpt", enable_checkpointing=False) == whole[steps:]
