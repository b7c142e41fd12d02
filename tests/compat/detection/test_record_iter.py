import json

import numpy as np
import pytest
from support import DATA, jpeg

import dali_rec
import dali_rec.compat.mxnet as mx
from dali_rec.errors import DatasetError, LoaderError, SourceError

REC = DATA / "detection.rec"
FACTS = json.loads((DATA / "facts.json").read_text())["detection_labels"]
SMALL = {"data_shape": (3, 16, 20), "batch_size": 4, "preprocess_threads": 1}
CROP = {"rand_crop_prob": 0.9, "min_crop_scales": 0.3, "min_crop_aspect_ratios": 0.5, "max_crop_aspect_ratios": 2.0}
# What MXNet 1.9.1 makes of these is in detection_batches.npz: two epochs over detection.rec with one thread,
# batch_size=5 and data_shape=(3, 16, 20), by tools/peers/mxnet_batches.py.
CASES = {
    "plain": {},
    "grey": {"data_shape": (1, 16, 20), "resize": 40},
    "fit": {"resize_mode": "fit", "mean_r": 100.5, "mean_g": 3.0, "std_b": 50.0, "scale": 0.5},
    "shrink": {"resize_mode": "shrink", "data_shape": (3, 40, 24), "label_pad_width": 30, "label_pad_value": -2},
    "mirror and pad": {"rand_mirror_prob": 0.5, "rand_pad_prob": 0.6, "max_pad_scale": 3.0, "fill_value": 90},
    "crops": {**CROP, "min_crop_overlaps": 0.2, "max_crop_sample_coverages": 0.8},
    "samplers": {
        **CROP,
        "num_crop_sampler": 4,
        "min_crop_overlaps": "(0.1, 0.3, 0.5, 0.7)",
        "min_crop_object_coverages": 0.3,
        "crop_emit_mode": "overlap",
        "max_crop_trials": 5,
    },
    "colours": {
        "random_hue_prob": 0.6,
        "max_random_hue": 18,
        "random_saturation_prob": 0.6,
        "max_random_saturation": 32,
        "random_illumination_prob": 0.6,
        "max_random_illumination": 32,
        "random_contrast_prob": 0.6,
        "max_random_contrast": 0.5,
        "inter_method": 10,
    },
}


def iterator(path=REC, **parameters):
    return mx.io.ImageDetRecordIter(**{"path_imgrec": path, **SMALL, **parameters})


def epoch(one):
    batches = list(one)
    one.reset()
    data, label = (np.concatenate([getattr(batch, name)[0] for batch in batches]) for name in ("data", "label"))
    return data, label, np.concatenate([batch.index for batch in batches])


def test_index_says_which_records_there_are(tmp_path):
    lines = (DATA / "detection.idx").read_text().splitlines(keepends=True)
    (tmp_path / "some.idx").write_text("".join(lines[2:7]))
    batches = list(iterator(path_imgidx=tmp_path / "some.idx", batch_size=5))
    assert batches[0].index.tolist() == [int(line.split()[0]) for line in lines[2:7]]


@pytest.mark.parametrize("case", CASES)
def test_batches_are_mxnets(case):
    with np.load(DATA / "detection_batches.npz") as arrays:
        data, label, index, pad = (arrays[f"{case}/{name}"] for name in ("data", "label", "index", "pad"))
    one = iterator(**{"batch_size": 5, **CASES[case]})
    batches = []
    for _ in range(2):
        batches += list(one)
        one.reset()
    off = np.abs(np.array([batch.data[0] for batch in batches]) - data)
    assert off.max() <= 2
    assert off.mean() <= 0.5
    assert np.array_equal([batch.label[0] for batch in batches], label)
    assert np.array_equal([batch.index for batch in batches], index)
    assert [batch.pad for batch in batches] == pad.tolist()


def test_labels_stand_behind_the_shape_of_the_image_and_are_padded():
    one = iterator(label_pad_width=40, label_pad_value=-5)
    assert one.provide_data[0] == ("data", (4, 3, 16, 20))
    assert one.provide_label[0] == ("softmax_label", (4, 44))
    _, labels, index = epoch(one)
    for key, label in zip(index.tolist(), labels, strict=True):
        expected = FACTS[str(key)]
        assert label[:4].tolist() == [3, 16, 20, len(expected)]
        assert label[4 : 4 + len(expected)].tolist() == expected
        assert set(label[4 + len(expected) :].tolist()) == {-5}


def test_label_width_is_that_of_the_longest_in_every_part():
    widths = {iterator(num_parts=3, part_index=part).provide_label[0].shape[1] for part in range(3)}
    assert widths == {4 + max(map(len, FACTS.values()))}


def test_parts_have_each_record_once():
    parts = [epoch(iterator(num_parts=3, part_index=part))[2] for part in range(3)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(12))


@pytest.fixture
def packed(tmp_path):
    """A COCO set of two images, of which one has no object."""
    for seed in range(2):
        (tmp_path / f"{seed}.jpg").write_bytes(jpeg(seed))
    content = {
        "images": [{"id": 4, "file_name": "0.jpg"}, {"id": 9, "file_name": "1.jpg"}],
        "annotations": [{"image_id": 9, "category_id": 1, "bbox": [10, 8, 20, 16]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    dali_rec.pack(tmp_path / "coco.json", tmp_path / "packed")
    return tmp_path / "packed.rec"


def test_packed_coco_is_read_with_images_that_have_no_objects(packed):
    _, labels, index = epoch(iterator(packed, batch_size=2, rand_mirror_prob=1.0))
    assert index.tolist() == [4, 9]
    assert labels.tolist() == [
        [3, 16, 20, 4, 4, 6, 40, 32, -1, -1, -1, -1, -1, -1],
        [3, 16, 20, 10, 4, 6, 40, 32, 0, 0.25, 0.25, 0.75, 0.75, 0],
    ]


def test_crops_of_an_image_without_objects_need_no_object(packed):
    whole = epoch(iterator(packed, batch_size=2))[0]
    data, labels, _ = epoch(
        iterator(packed, batch_size=2, rand_crop_prob=1.0, max_crop_scales=0.5, min_crop_scales=0.3)
    )
    assert not np.array_equal(data[0], whole[0])
    assert labels[0, 3] == 4


def test_boxes_stay_on_their_objects_through_every_augmentation(tmp_path):
    # A white rectangle on black: wherever it comes to lie, the box says so to within a pixel of the small image.
    from PIL import Image
    from support import encoded

    rows = []
    for number in range(24):
        image = Image.new("RGB", (200, 120))
        left, top = 20 + 4 * number, 10 + 2 * number
        image.paste((255, 255, 255), (left, top, left + 60, top + 50))
        (tmp_path / f"{number}.png").write_bytes(encoded(image, "PNG"))
        box = (left / 200, top / 120, (left + 60) / 200, (top + 50) / 120)
        rows.append("\t".join(map(str, (number, 2, 5, 0, *box, f"{number}.png"))) + "\n")
    (tmp_path / "list.lst").write_text("".join(rows))
    dali_rec.pack(tmp_path / "list.lst", tmp_path / "packed")
    one = iterator(
        tmp_path / "packed.rec",
        data_shape=(3, 60, 100),
        preprocess_threads=3,
        shuffle=True,
        rand_mirror_prob=0.5,
        rand_pad_prob=0.5,
        max_pad_scale=2.0,
        fill_value=0,
        rand_crop_prob=0.5,
        min_crop_scales=0.6,
        min_crop_overlaps=0.15,
    )
    for data, label in zip(*epoch(one)[:2], strict=True):
        ys, xs = (data[0] > 127).nonzero()
        seen = [xs.min() / 100, ys.min() / 60, (xs.max() + 1) / 100, (ys.max() + 1) / 60]
        assert np.abs(label[7:11] - seen).max() < 0.03


def test_labels_of_a_list_take_the_place_of_the_records(tmp_path):
    path = tmp_path / "boxes.lst"
    path.write_text("".join(f"{key}\t2\t5\t{key}\t0\t0\t0.5\t0.5\tan image.jpg\n" for key in range(12)))
    _, labels, index = epoch(iterator(path_imglist=path))
    assert labels[:, 4:].tolist() == [[2, 5, key, 0, 0, 0.5, 0.5] for key in index.tolist()]
    path.write_text("0\t2\t5\t1\t0\t0\t1\t1\ta.jpg\n")
    with pytest.raises(DatasetError, match=r"no line for 11 of the 12 records.* id 1 among them"):
        iterator(path_imglist=path)
    for line in ("0\t2\tx\ta.jpg\n", "0\t2\t5\t1\t0\t0\t1\t1_0\ta.jpg\n", "0_0\t2\t5\t1\t0\t0\t1\t1\ta.jpg\n"):
        path.write_text(line)
        with pytest.raises(SourceError, match="line 1"):
            iterator(path_imglist=path)


def test_labels_of_a_list_go_by_the_ids_in_the_records(tmp_path):
    rec = tmp_path / "x.rec"
    with dali_rec.RecordWriter(rec) as writer:
        for key in range(3, 9):
            writer.write_image(jpeg(key, (20, 16)), [2, 5, key, 0, 0, 1, 1], key)
    offsets = [line.split("\t")[1] for line in (tmp_path / "x.idx").read_text().splitlines()]
    (tmp_path / "x.idx").write_text("".join(f"{line}\t{offset}\n" for line, offset in enumerate(offsets)))
    (tmp_path / "x.lst").write_text("".join(f"{key}\t2\t5\t{key}\t0\t0\t1\t1\ta.jpg\n" for key in range(20)))
    batch = iterator(rec, path_imglist=tmp_path / "x.lst").next()
    assert batch.label[0][:, 6].tolist() == batch.index.tolist() == [3, 4, 5, 6]


def test_the_seed_decides_in_any_number_of_threads():
    random = {"rand_crop_prob": 1.0, "min_crop_scales": 0.3, "rand_mirror_prob": 0.5, "shuffle": True}
    first, same, other = (
        epoch(iterator(seed=seed, preprocess_threads=threads, **random)) for seed, threads in ((1, 4), (1, 2), (2, 2))
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert sorted(other[2].tolist()) == sorted(first[2].tolist()) == list(range(12))
    assert not np.array_equal(first[0], other[0])


def test_epochs_differ_where_chance_plays():
    one = iterator(rand_mirror_prob=0.5, preprocess_threads=2)
    assert not np.array_equal(epoch(one)[0], epoch(one)[0])


def test_mean_image_is_made_where_there_is_none_and_read_where_there_is(tmp_path):
    plain = epoch(iterator())[0]
    for _ in range(2):
        data = epoch(iterator(mean_img=tmp_path / "mean.bin", std_r=2.0))[0]
        expected = plain - plain.mean(axis=0)
        expected[:, 0] /= 2
        assert np.abs(data - expected).max() < 1e-3


def test_broken_image_is_named(tmp_path):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(b"no image", [2, 5, 0, 0, 0, 1, 1], 77)
    with pytest.raises(LoaderError, match=r"x\.rec.*id 77 at offset 0"):
        iterator(tmp_path / "x.rec", batch_size=1).next()


@pytest.mark.parametrize(
    "labels",
    [[2, 5, 0], [1, 5, 0, 0, 0, 1, 1], [2, 4, 0, 0, 0, 1], [9, 5, 0, 0, 0, 1, 1], [2], [np.inf, 5, 0, 0, 0, 1, 1], 3.0],
)
def test_labels_that_are_not_boxes_are_named(tmp_path, labels):
    with dali_rec.RecordWriter(tmp_path / "x.rec") as writer:
        writer.write_image(jpeg(), labels, 77)
    with pytest.raises(DatasetError, match=r"the record with id 77: its .* labels"):
        iterator(tmp_path / "x.rec", batch_size=1)


def test_colours_of_which_none_is_drawn_do_nothing_to_grey_images():
    grey = {"data_shape": (1, 16, 20)}
    changed = epoch(iterator(**grey, random_hue_prob=0.5, random_contrast_prob=0.5))  # in MXNet 1.9.1 as well
    assert np.array_equal(changed[0], epoch(iterator(**grey))[0])


def test_nothing_is_done_by_a_parameter_that_does_not_exist():
    with pytest.raises(
        TypeError, match="rand_mirror is no parameter of ImageDetRecordIter; did you mean rand_mirror_prob"
    ):
        iterator(rand_mirror=True)
    with pytest.raises(TypeError, match="needs data_shape, batch_size"):
        mx.io.ImageDetRecordIter(path_imgrec=REC)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"label_pad_width": 5}, "label_pad_width is 5; give at least 22"),
        ({"label_width": 7}, "label_width is 7"),
        ({"batch_size": 13}, "do not fill a batch of 13"),
        ({"num_parts": 13, "round_batch": False}, "cannot be shared among 13 parts"),
        ({"data_shape": (2, 8, 8)}, "data_shape is"),
        ({"data_shape": (1, 8, 8), "random_hue_prob": 0.5, "max_random_hue": 3}, "need 3 channels"),
        ({"max_random_hue": 18}, "max_random_hue: no effect without random_hue_prob above 0"),
        ({"rand_pad_prob": 0.5}, "rand_pad_prob: no effect without max_pad_scale above 1"),
        ({"mean_r": -3.0}, "mean_r: no effect without one of them above 0"),
        ({"mean_r": 3.0, "mean_img": "x"}, "mean_img: no effect with means above 0"),
        ({"dtype": "uint8"}, "dtype is 'uint8'"),
        ({"dtype": "float99"}, "dtype is 'float99'"),
        ({"framework": "mxnet"}, "framework is 'mxnet'"),
        ({"shuffle_chunk_seed": 4}, "shuffle_chunk_seed: no effect without shuffle_chunk_size"),
        ({"resize_mode": "crop"}, "one of 'force', 'shrink', 'fit'"),
        ({"crop_emit_mode": 1}, "one of 'center', 'overlap'"),
        ({"aug_seq": "aug_default"}, "aug_seq"),
        ({"inter_method": 5}, "inter_method is 5"),
        ({"num_crop_sampler": 3, "min_crop_scales": (0.1, 0.2)}, "min_crop_scales has 2 values"),
        ({"min_crop_scales": 0.5, "max_crop_scales": 0.4}, "crop sampler 0: scales"),
        ({"max_crop_scales": 1.5}, "crop sampler 0: scales"),
        ({"min_crop_overlaps": 0.5, "max_crop_overlaps": 0.4}, "crop sampler 0: overlaps"),
        ({"batch_size": "many"}, "batch_size is 'many'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"rand_crop_prob": "nan"}, "rand_crop_prob is 'nan'"),
        ({"min_crop_scales": "(0.1, x)"}, "min_crop_scales is"),
        ({"part_index": 1}, "part_index is 1"),
        ({"fill_value": 256}, "fill_value is 256"),
        ({"resize": 0}, "resize is 0"),
        ({"label_width": 0}, "label_width is 0"),
    ],
)
def test_what_cannot_be_honoured_is_refused(parameters, says):
    with pytest.raises(ValueError, match=says):
        iterator(**parameters)


def test_values_may_be_text_as_mxnet_takes_them():
    one = iterator(data_shape="(3, 16, 20)", batch_size="4", rand_mirror_prob="1", min_crop_overlaps="(0.5,)")
    assert np.array_equal(epoch(one)[0], epoch(iterator(rand_mirror_prob=1.0))[0])


def test_torch_tensors_on_request():
    torch = pytest.importorskip("torch")
    batch = iterator(framework="torch", device="cpu").next()
    assert isinstance(batch.data[0], torch.Tensor)
    assert batch.label[0].shape == (4, 26)


def test_reset_in_the_middle_begins_anew():
    one = iterator(batch_size=5)
    first = one.next()
    one.next()
    one.reset()
    assert np.array_equal(one.next().index, first.index)
    assert len(list(one)) == 2
    with pytest.raises(StopIteration):
        one.next()
