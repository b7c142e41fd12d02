"""The parameters of mx.io.ImageDetRecordIter: names and defaults of MXNet 1.9.1, and which of them go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dali_rec.compat.mxnet.io.base_parameters import MEANS, STDS, BaseParameters

if TYPE_CHECKING:
    from typing_extensions import Self

_CROP_RANGES = ("scales", "aspect_ratios", "overlaps", "sample_coverages", "object_coverages")
#: In the order in which they are drawn.
COLOUR_EFFECTS = ("hue", "saturation", "illumination", "contrast")


@dataclass(frozen=True, slots=True)
class CropSampler:
    """One way to draw crops: each range is (least, largest).

    scales: of the square root of the area, in parts of the image. aspect_ratios: width to height, in pixels. overlaps:
    intersection over union of the crop and an object. sample_coverages: intersection over the crop. object_coverages:
    intersection over the object. trials: how many crops are drawn before the next sampler has its turn.
    """

    scales: tuple[float, float]
    aspect_ratios: tuple[float, float]
    overlaps: tuple[float, float]
    sample_coverages: tuple[float, float]
    object_coverages: tuple[float, float]
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionParameters(BaseParameters):
    """All parameters of ImageDetRecordIter; ``framework`` and ``device`` are ours, the others MXNet's.

    framework: what the arrays are, "numpy", "torch", "cupy", "jax" or "tensorflow". device: "auto" (a GPU where there
    is one), "gpu", "cpu", or the number of a GPU; ctx="cpu" means "cpu" too.

    Raises ValueError for values that MXNet refuses, and, as ``raise_or_warn`` does, for those without effect.
    """

    iterator: ClassVar[str] = "ImageDetRecordIter"

    aug_seq: str = "det_aug_default"
    label_width: int = -1
    label_pad_width: int = 0
    label_pad_value: float = -1.0
    rand_crop_prob: float = 0.0
    min_crop_scales: tuple[float, ...] = (0.0,)
    max_crop_scales: tuple[float, ...] = (1.0,)
    min_crop_aspect_ratios: tuple[float, ...] = (1.0,)
    max_crop_aspect_ratios: tuple[float, ...] = (1.0,)
    min_crop_overlaps: tuple[float, ...] = (0.0,)
    max_crop_overlaps: tuple[float, ...] = (1.0,)
    min_crop_sample_coverages: tuple[float, ...] = (0.0,)
    max_crop_sample_coverages: tuple[float, ...] = (1.0,)
    min_crop_object_coverages: tuple[float, ...] = (0.0,)
    max_crop_object_coverages: tuple[float, ...] = (1.0,)
    num_crop_sampler: int = 1
    crop_emit_mode: str = "center"
    emit_overlap_thresh: float = 0.3
    max_crop_trials: tuple[int, ...] = (25,)
    rand_pad_prob: float = 0.0
    max_pad_scale: float = 1.0
    max_random_hue: int = 0
    random_hue_prob: float = 0.0
    max_random_saturation: int = 0
    random_saturation_prob: float = 0.0
    max_random_illumination: int = 0
    random_illumination_prob: float = 0.0
    max_random_contrast: float = 0.0
    random_contrast_prob: float = 0.0
    rand_mirror_prob: float = 0.0
    fill_value: int = 127
    resize_mode: str = "force"
    std_r: float = 0.0
    std_g: float = 0.0
    std_b: float = 0.0
    std_a: float = 0.0

    def __post_init__(self) -> None:
        self.check_common()
        self.check_choice("dtype", None, "float32")
        self.check_choice("aug_seq", "det_aug_default")
        self.check_choice("crop_emit_mode", "center", "overlap")
        self.check_choice("resize_mode", "force", "shrink", "fit")
        self._check_labels()
        self._check_crops()
        self._check_pad()
        self._check_colours()
        self._check_normalisation()

    @property
    def means(self) -> tuple[float, ...]:
        """What is subtracted from each channel: MXNet does so where any mean is above 0."""
        means = tuple(getattr(self, name) for name in MEANS)
        return means[: self.channels] if max(means) > 0 else (0.0,) * self.channels

    @property
    def stds(self) -> tuple[float, ...]:
        """What each channel is divided by: MXNet does so where the deviation is above 0."""
        stds = (getattr(self, name) for name in STDS[: self.channels])
        return tuple(std if std > 0 else 1.0 for std in stds)

    @property
    def changes_colour(self) -> bool:
        """Whether hue, saturation, illumination or contrast may change."""
        return any(getattr(self, f"random_{name}_prob") > 0 for name in COLOUR_EFFECTS)

    @property
    def draws_in_sequence(self) -> bool:
        """Whether the random numbers are those of MXNet's single thread: one sequence, image after image."""
        return self.preprocess_threads == 1 and not self.shuffle and not self.shuffle_chunk_size

    @property
    def crop_samplers(self) -> tuple[CropSampler, ...]:
        """The samplers of crops; a parameter with one value has it for all of them."""

        def of(name: str, number: int) -> Any:
            values = getattr(self, name)
            return values[number if len(values) > 1 else 0]

        return tuple(
            CropSampler(
                trials=of("max_crop_trials", number),
                **{name: (of(f"min_crop_{name}", number), of(f"max_crop_{name}", number)) for name in _CROP_RANGES},
            )
            for number in range(self.num_crop_sampler)
        )

    def without_normalisation(self) -> Self:
        """The parameters of the same images before they are normalised."""
        return self.with_defaults(*MEANS, *STDS, "mean_img", "scale")

    def _check_labels(self) -> None:
        if self.label_width != -1 and self.label_width < 1:
            raise ValueError(f"label_width is {self.label_width}: -1 (as many as a record has), or from 1 up")
        if self.label_pad_width < -1:
            raise ValueError(f"label_pad_width is {self.label_pad_width}: -1 (the longest label), or from 0 up")

    def _check_crops(self) -> None:
        self.check_least(0, "emit_overlap_thresh")
        for name in (*(f"{end}_crop_{what}" for what in _CROP_RANGES for end in ("min", "max")), "max_crop_trials"):
            count = len(getattr(self, name))
            if self.num_crop_sampler > 0 and count not in (1, self.num_crop_sampler):
                raise ValueError(
                    f"{name} has {count} values: one, or num_crop_sampler, which is {self.num_crop_sampler}"
                )
        for number, sampler in enumerate(self.crop_samplers):
            for what in _CROP_RANGES:
                low, high = getattr(sampler, what)
                if low > high:
                    raise ValueError(f"crop sampler {number}: {what} from {low} to {high}: not in order")
            low, high = sampler.scales
            if not 0 <= low < high <= 1:
                raise ValueError(f"crop sampler {number}: scales from {low} to {high}: within 0 and 1, not equal")
            if sampler.aspect_ratios[0] < 0:
                raise ValueError(f"crop sampler {number}: aspect_ratios from {sampler.aspect_ratios[0]}: from 0 up")

    def _check_pad(self) -> None:
        if self.rand_pad_prob > 0 and self.max_pad_scale <= 1:
            self.without_effect("without max_pad_scale above 1", "rand_pad_prob")

    def _check_colours(self) -> None:
        for name in COLOUR_EFFECTS:
            if getattr(self, f"random_{name}_prob") <= 0:
                self.without_effect(f"without random_{name}_prob above 0", f"max_random_{name}")
        if self.channels != 3 and any(getattr(self, f"max_random_{name}") for name in COLOUR_EFFECTS):
            raise ValueError(
                "random hue, saturation, illumination and contrast change colours: they need 3 channels, data_shape "
                f"has {self.channels}"
            )

    def _check_normalisation(self) -> None:
        if max(getattr(self, name) for name in MEANS) > 0:
            self.without_effect("with means above 0", "mean_img")
        else:
            self.without_effect("without one of them above 0", *MEANS)
