"""The 19 families of image corruptions, with the parameters of CIFAR-10-C at each severity.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
ICLR 2019, and the parameters for 32 x 32 images in the authors' repository hendrycks/robustness (Apache-2.0).
"""

from modescape.app.datasets.shifts import blur, colour, digital, noise, spatter, warp, weather
from modescape.app.datasets.shifts.family import Family
from modescape.app.datasets.shifts.signals import SIGNALS as SIGNALS

IMAGES: dict[str, Family] = {
    "gaussian_noise": Family(noise.gaussian_noise, ((0.04,), (0.06,), (0.08,), (0.09,), (0.10,))),
    "shot_noise": Family(noise.shot_noise, ((500,), (250,), (100,), (75,), (50,))),
    "impulse_noise": Family(noise.impulse_noise, ((0.01,), (0.02,), (0.03,), (0.05,), (0.07,))),
    "speckle_noise": Family(noise.speckle_noise, ((0.06,), (0.1,), (0.12,), (0.16,), (0.2,))),
    "gaussian_blur": Family(blur.gaussian_blur, ((0.4,), (0.6,), (0.7,), (0.8,), (1,))),
    "defocus_blur": Family(blur.defocus_blur, ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))),
    "glass_blur": Family(blur.glass_blur, ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2))),
    "motion_blur": Family(blur.motion_blur, ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))),
    "zoom_blur": Family(blur.zoom_blur, ((1.06,), (1.11,), (1.16,), (1.21,), (1.26,))),
    "snow": Family(
        weather.snow,
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
        grey="through colour",
    ),
    "frost": Family(weather.frost, ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))),
    "fog": Family(weather.fog, ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))),
    "spatter": Family(
        spatter.spatter,
        (
            (0.62, 0.1, 0.7, 0.7, 0.5, 0),
            (0.65, 0.1, 0.8, 0.7, 0.5, 0),
            (0.65, 0.3, 1, 0.69, 0.5, 0),
            (0.65, 0.1, 0.7, 0.69, 0.6, 1),
            (0.65, 0.1, 0.5, 0.68, 0.6, 1),
        ),
        grey="through colour",
    ),
    "brightness": Family(colour.brightness, ((0.05,), (0.1,), (0.15,), (0.2,), (0.3,)), grey="through colour"),
    "contrast": Family(colour.contrast, ((0.75,), (0.5,), (0.4,), (0.3,), (0.15,))),
    "saturate": Family(colour.saturate, ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)), grey="left out"),
    "elastic_transform": Family(
        warp.elastic_transform,
        ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    ),
    "pixelate": Family(digital.pixelate, ((0.95,), (0.9,), (0.85,), (0.75,), (0.65,))),
    "jpeg_compression": Family(digital.jpeg_compression, ((80,), (65,), (58,), (50,), (40,))),
}
"""The families of images."""
