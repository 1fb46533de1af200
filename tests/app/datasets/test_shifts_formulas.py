"""Every formula against its slow twin."""

import io

import numpy as np
import pytest
import slow_shifts as slow
from PIL import Image
from pretend import scenes
from scipy.ndimage import gaussian_filter

from modescape.app.datasets.shifts import blur, colour, digital, noise, spatter, warp, weather
from modescape.app.datasets.shifts.catalogue import IMAGES
from modescape.app.datasets.shifts.chance import Chance

SEVERITIES = range(5)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return scenes(3, 32, 32, 3).numpy().transpose(0, 2, 3, 1) / 255


def chance() -> Chance:
    return Chance(3, "twin")


def parameters(family: str, severity: int) -> tuple:
    return IMAGES[family].severities[severity]


def close(fast: np.ndarray, images: np.ndarray, twin, within: float = 1e-9) -> None:
    expected = np.stack([twin(image) for image in images])
    assert np.abs(fast - expected).max() < within
    assert np.abs(fast - images).max() > 0.01 > within


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast(images: np.ndarray, severity: int) -> None:
    (factor,) = parameters("contrast", severity)
    close(colour.contrast(images, (factor,), chance()), images, lambda image: slow.contrast(image, factor))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_and_saturation(images: np.ndarray, severity: int) -> None:
    images = np.concatenate([images, np.zeros_like(images[:1]), np.full_like(images[:1], 0.3), images[:1] * [1, 0, 0]])
    (added,) = parameters("brightness", severity)
    brighter = colour.brightness(images, (added,), chance())
    close(brighter, images, lambda image: slow.in_hsv(image, lambda h, s, v: (h, s, min(v + added, 1))))
    times, plus = parameters("saturate", severity)
    richer = colour.saturate(images, (times, plus), chance())
    close(richer, images, lambda image: slow.in_hsv(image, lambda h, s, v: (h, min(s * times + plus, 1), v)))


@pytest.mark.parametrize("severity", [0, 4])
def test_gaussian_and_defocus_blur(images: np.ndarray, severity: int) -> None:
    (sigma,) = parameters("gaussian_blur", severity)
    close(blur.gaussian_blur(images, (sigma,), chance()), images, lambda image: slow.gaussian_blur(image, sigma))
    radius, soft = parameters("defocus_blur", severity)
    blurred = blur.defocus_blur(images, (radius, soft), chance())
    close(blurred, images, lambda image: slow.defocus_blur(image, radius, soft), within=1e-6)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_zoom_blur(images: np.ndarray, severity: int) -> None:
    (below,) = parameters("zoom_blur", severity)
    close(blur.zoom_blur(images, (below,), chance()), images, lambda image: slow.zoom_blur(image, below), within=1e-6)


@pytest.mark.parametrize("severity", [0, 3])
def test_glass_blur(images: np.ndarray, severity: int) -> None:
    sigma, reach, rounds = parameters("glass_blur", severity)
    fast, draws = blur.glass_blur(images, (sigma, reach, rounds), chance()), chance()
    moves = [draws.whole(-1, 1, 2, len(images), 30, 30) for _ in range(rounds)]
    for row, image in enumerate(images):
        levels = np.trunc(slow.gaussian_blur(image, sigma) * 255)
        for move in moves:
            levels = slow.moved_about(levels, move[:, row].transpose(1, 2, 0))
        assert np.abs(fast[row] - slow.gaussian_blur(levels / 255, sigma)).max() < 1 / 200
        assert np.abs(fast[row] - slow.gaussian_blur(levels / 255, sigma)).mean() < 1e-4


@pytest.mark.parametrize("severity", [0, 4])
def test_motion_blur(images: np.ndarray, severity: int) -> None:
    reach, sigma = parameters("motion_blur", severity)
    fast = blur.motion_blur(images, (reach, sigma), chance())
    angles = np.radians(chance().uniform(-45, 45, len(images)))
    for row, image in enumerate(images):
        assert np.abs(fast[row] - slow.streak(image, reach, sigma, angles[row])).max() < 0.51 / 255
    assert np.array_equal(fast * 255, np.rint(fast * 255))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_pixelate(images: np.ndarray, severity: int) -> None:
    (share,) = parameters("pixelate", severity)
    fast = digital.pixelate(images, (share,), chance()) * 255
    for row, image in enumerate(images):
        assert np.abs(fast[row] - slow.shrunk_and_enlarged(image * 255, int(32 * share))).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_compression(images: np.ndarray, channels: int) -> None:
    images = images[..., :channels]
    fast = digital.jpeg_compression(images, (40,), chance())
    for row, image in enumerate(images):
        saved = io.BytesIO()
        Image.fromarray(np.uint8(np.rint(image * 255)).squeeze()).save(saved, "JPEG", quality=40)
        with Image.open(saved) as read:
            assert np.array_equal(fast[row].squeeze() * 255, np.asarray(read))


@pytest.mark.parametrize("severity", [0, 4])
def test_fog(images: np.ndarray, severity: int) -> None:
    strength, decay = parameters("fog", severity)
    fast, draws = weather.fog(images[:1], (strength, decay), chance()), chance()
    field = slow.plasma(32, decay, lambda wobble, rows, columns: draws.uniform(-wobble, wobble, 1, rows, columns)[0])
    brightest = images[0].max()
    expected = (images[0] + strength * field[..., None]) * brightest / (brightest + strength)
    assert np.abs(fast[0] - expected).max() < 1e-5


@pytest.mark.parametrize("severity", [0, 2])
def test_snow(images: np.ndarray, severity: int) -> None:
    mean, spread, enlarged, least, reach, blown, kept = parameters("snow", severity)
    fast, draws = weather.snow(images, parameters("snow", severity), chance()), chance()
    flakes = mean + spread * draws.normal(len(images), 32, 32, 1)
    angles = np.radians(draws.uniform(-135, -45, len(images)))
    for row, image in enumerate(images):
        layer = slow.centre_zoom(flakes[row], enlarged)
        layer = np.floor(np.clip(np.where(layer < least, 0, layer), 0, 1) * 255) / 255
        layer = slow.streak(layer, reach, blown, angles[row])
        grey = image @ [0.299, 0.587, 0.114]
        white = np.maximum(image, grey[..., None] * 1.5 + 0.5)
        expected = kept * image + (1 - kept) * white + layer + np.rot90(layer, 2)
        assert np.abs(fast[row] - expected).max() < 2.5 / 255


def test_frost_is_a_mixture_with_ice(images: np.ndarray) -> None:
    black, white = np.zeros((200, 32, 32, 3)), np.ones((200, 32, 32, 3))
    ice = weather.frost(black, (0.9, 0.4), chance())
    assert np.allclose(weather.frost(white, (0.9, 0.4), chance()), 0.9 + ice)
    assert ice.min() >= 0 and ice.max() <= 0.4
    assert np.abs(ice.mean(axis=(0, 1, 2)) / 0.4 - weather.ICE.mean(axis=0)).max() < 0.05
    along = np.abs(np.diff(ice[..., 0], axis=2)).mean()
    assert 0.002 < along < ice[..., 0].std()


def test_canny_edges() -> None:
    fields = np.random.default_rng(2).integers(0, 2, (6, 9, 9)).repeat(3, 1).repeat(3, 2)[:, :20, :23]
    rough = np.random.default_rng(3).integers(0, 60, fields.shape)
    fields = np.clip(fields * 130.0 + rough, 0, 255)
    fast = spatter.edges(fields)
    assert 0.05 < fast.mean() < 0.5
    for row, field in enumerate(fields):
        assert np.array_equal(fast[row], slow.canny(field))


def test_equalised_histogram() -> None:
    levels = np.random.default_rng(4).choice([3.0, 4, 9, 20], (2, 6, 6), p=[0.1, 0.2, 0.3, 0.4])
    levels = np.concatenate([levels, np.full((1, 6, 6), 7.0)])
    fast = spatter.equalised(levels)
    for field, expected in zip(fast[:2], levels, strict=False):
        lowest = (expected == expected.min()).sum()
        for at in np.ndindex(6, 6):
            share = ((expected <= expected[at]).sum() - lowest) / (36 - lowest)
            assert abs(field[at] - 255 * share) <= 0.5
    assert (fast[2] == 7).all()


@pytest.mark.parametrize("severity", [0, 2])
def test_water_shines_and_mud_covers(images: np.ndarray, severity: int) -> None:
    wet = spatter.spatter(images, parameters("spatter", severity), chance())
    light = (wet - images) / np.array(spatter.WATER)
    assert np.allclose(light, light[..., :1]) and light.min() >= 0
    assert np.allclose(light.max(axis=(1, 2, 3)), parameters("spatter", severity)[4])
    white = np.ones_like(images)
    cover = (1 - spatter.spatter(white, parameters("spatter", 4), chance())) / (1 - np.array(spatter.MUD))
    assert np.allclose(cover, cover[..., :1])
    assert 0.5 < (cover[..., 0] == 0).mean() < 0.99 and cover[cover > 0].min() > 0.79


def test_no_drop_leaves_the_image(images: np.ndarray) -> None:
    assert np.array_equal(spatter.spatter(images, (0.1, 0.01, 0.7, 0.7, 0.5, 0), chance()), images)


@pytest.mark.parametrize("twice", [False, True])
def test_bilinear_sampling(images: np.ndarray, twice: bool) -> None:
    places = np.random.default_rng(5).uniform(-20, 50, (2, len(images), 6, 7))
    places[0, 0, 0] = [0, 31, -1, 32, 5, 5.5, -0.5]
    fast = warp.sample(images, *places, edge_twice=twice)
    mirror = slow.mirror_twice if twice else slow.mirror_once
    for at in np.ndindex(len(images), 6, 7):
        assert np.allclose(fast[at], slow.bilinear(images[at[0]], *places[(slice(None), *at)], mirror))


def test_elastic_transform_moves_three_points(images: np.ndarray) -> None:
    draws = chance().uniform(-2.5, 2.5, 3, 3, 2)
    maps = warp._affine_maps(3, 32, 32, 2.5, chance())
    old = np.array([[26, 26], [26, 6], [6, 6]])
    assert np.allclose(np.concatenate([old + draws, np.ones((3, 3, 1))], axis=-1) @ maps, old)
    still = warp.elastic_transform(images, (0, 0, 0), chance())
    assert np.allclose(still, images, atol=1e-6)


def test_elastic_transform(images: np.ndarray) -> None:
    image = images[:1]
    fast, draws = warp.elastic_transform(image, (0.3, 0.03, 0.06), chance()), chance()
    new = np.array([[26, 26], [26, 6], [6, 6]]) + draws.uniform(-0.06 * 32, 0.06 * 32, 1, 3, 2)[0]
    back = np.linalg.solve(np.column_stack([new, np.ones(3)]), [[26, 26], [26, 6], [6, 6]])
    fields = [gaussian_filter(draws.uniform(-1, 1, 1, 32, 32)[0].astype(float), 0.96, truncate=3) for _ in range(2)]
    moved, expected = np.zeros_like(image[0]), np.zeros_like(image[0])
    for row, column in np.ndindex(32, 32):
        across, down = np.array([column, row, 1]) @ back
        moved[row, column] = slow.bilinear(image[0], down, across, slow.mirror_once)
    for at in np.ndindex(32, 32):
        places = [place + 0.3 * 32 * field[at] for place, field in zip(at, fields, strict=True)]
        expected[at] = slow.bilinear(moved, *places, slow.mirror_twice)
    assert np.abs(fast[0] - expected).max() < 1e-4


def test_noise_has_its_mean_and_spread() -> None:
    grey = np.full((100, 32, 32, 3), 0.4)
    normal = noise.gaussian_noise(grey, (0.08,), chance())
    assert abs(normal.mean() - 0.4) < 1e-3 and abs(normal.std() - 0.08) < 1e-3
    shot = noise.shot_noise(grey, (60,), chance())
    assert abs(shot.mean() - 0.4) < 1e-3 and abs(shot.std() - (0.4 / 60) ** 0.5) < 1e-3
    assert np.allclose(shot * 60, np.rint(shot * 60), atol=1e-3)
    speckle = noise.speckle_noise(grey, (0.2,), chance())
    assert abs(speckle.mean() - 0.4) < 1e-3 and abs(speckle.std() - 0.08) < 1e-3
    impulse = noise.impulse_noise(grey, (0.07,), chance())
    shares = [(impulse == value).mean() for value in (0, 1, 0.4)]
    assert np.allclose(shares, [0.035, 0.035, 0.93], atol=2e-3)
