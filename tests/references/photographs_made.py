"""JPEG files made on the fly in ImageNet's layout, and how Pillow alone shows one."""

import numpy as np
from PIL import Image

CLASSES = ("n01", "n02", "n03")


def picture(seed, width, height):
    """Colour that changes slowly, with a little noise: JPEG keeps it, and no two are alike."""
    chance = np.random.default_rng(seed)
    corners = chance.integers(0, 256, (3, 3, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + chance.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8))


def folder(root, train=6, val=3, sizes=((40, 30), (30, 44), (64, 64))):
    """So many images of each class, landscapes, portraits and squares."""
    seed = 0
    for part, count in (("train", train), ("val", val)):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                seed += 1
                file = f"{name}_{number}.JPEG" if part == "train" else f"ILSVRC2012_val_{seed:08}.JPEG"
                picture(seed, *sizes[seed % len(sizes)]).save(root / part / name / file, quality=92)
    return root


def flat(root):
    """The validation images moved into one folder; gives their classes by name."""
    labels = {}
    for path in sorted((root / "val").glob("*/*")):
        labels[path.name] = path.parent.name
        path.rename(root / "val" / path.name)
    for name in CLASSES:
        (root / "val" / name).rmdir()
    return dict(sorted(labels.items()))


def shown(path, size, box=None):
    """[channel, height, width] by Pillow alone, step by step."""
    with Image.open(path) as stored:
        image = stored.convert("RGB")
    if box is not None:
        image = image.crop((box.left, box.top, box.left + box.width, box.top + box.height))
        pixels = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
        return (pixels[:, ::-1] if box.mirrored else pixels).transpose(2, 0, 1)
    short = round(size * 256 / 224)
    width, height = image.size
    factor = short / min(width, height)
    wanted = [
        short if side == min(width, height) else int(short * side / min(width, height)) for side in (width, height)
    ]
    assert abs(wanted[0] - width * factor) < 1 and abs(wanted[1] - height * factor) < 1
    pixels = np.asarray(image.resize(wanted, Image.Resampling.BILINEAR))
    top, left = round((pixels.shape[0] - size) / 2), round((pixels.shape[1] - size) / 2)
    return pixels[top : top + size, left : left + size].transpose(2, 0, 1)
