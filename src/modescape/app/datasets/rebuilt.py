"""Checksums of seven families of CIFAR-10-C that can be rebuilt from the test images without chance.

Images made by the formulas in ``shifts`` have, all five severities in one file, the MD5 of the published files
(``official.MD5``); ``tests/app/datasets/test_shifts_official.py`` shows it. Below are the checksums of each severity.
"""

PROBE = 100
"""So many first images show, before the rest is made, whether this machine's libraries round as they should."""

REBUILT: dict[str, tuple[tuple[str, str], ...]] = {
    "contrast": (
        ("f2ce2232fb313a416c04e6737606623f", "382b5373ae95eb0575102cb3cab89c65"),
        ("7590105956a834800226d184598d124e", "2c25278fda254b31daf348fb3f290a8c"),
        ("af00abc00110b5990198d31a0d209e56", "66e3b104d6fddace18ff4fbca8570584"),
        ("74cec9102889fad38f80ea0f0a5cc742", "d875badf40f41fb8759e042677137053"),
        ("bf715d06d092e49be5cf2a039641f591", "3fd36b71d42f85c8059a833bfc57b21e"),
    ),
    "brightness": (
        ("55511c6313fb3e223b20333ca8d21e24", "403dcffa175f95481ae4f2c573093f65"),
        ("7c9e5ac120a0e1f8993b8513e9237cbb", "6859327692a8e61ec0df85921b1ac4dc"),
        ("7250ced8c35a3ef8e26d31b6bcce4b27", "ed0246fd4f9913720133b0c331ebd79b"),
        ("041644baa5cd7ce6df05548ed0e29016", "403b53d0cf9604f7e7568a375456ee49"),
        ("c764646be9c874e51ecb61f4c4c7c69c", "4e7504eda83b69f09591ac721f8b450f"),
    ),
    "saturate": (
        ("7453428b4b88466bb5188adbb5437ca8", "d9b14452c7926a51053ba15de138978c"),
        ("f019d492f166a371f395623c7a5c24a0", "308d2bb535b363fa09ef16c7c0c5d139"),
        ("33aa2a64b6b809ea1876a095c64e68fe", "bbfe5efdbf7da9604a501a52f2490f8b"),
        ("4b2b5246f3663c6623ae4081c7d76766", "cc730eb523a6de759377f73c3afe1b9b"),
        ("560e83d3b5c1ae073d7319e5b7796529", "dc0227423c45f41b84864854930dabc3"),
    ),
    "gaussian_blur": (
        ("4b75b9b60131195608ad8a253b3b117a", "0cf7298e4909869a8066dfa92ef8e9a1"),
        ("d4273e74f53763279df1eb1652f5dfed", "edbb95e1d154bed18d427e548f637f3c"),
        ("bf14c13c4a209f86244aa4a5ebb20446", "139214787715d637f9475f4683d44faf"),
        ("e391033f17fa6e68c30a1a3eb2febe5f", "122c32046e86a65978038886fb9f6a18"),
        ("0991b35ba19f7dceebd151d253317155", "e366c5e7ccabd141c970a4b677c75590"),
    ),
    "defocus_blur": (
        ("d3f5ddeb22998f60f8405cd07556d282", "8ecd9ffe5775e41679297e8e5af3cdfd"),
        ("b49196b5b449057e5bb9a58cdec45a2e", "1ca1ee6bea1e5fc34edeb3e03cf53101"),
        ("c120d0d0c2d3224cc22dacee46291c66", "91a070f82e653bc5e466a0566b56977b"),
        ("e881ca0425234a91ac8fe107b2e48ff7", "271297afe8bfbcc8ff4489feb685d30b"),
        ("96f9fc2d00488e6474fd463570f2dd27", "8609039b7b52ff9081c04a4a47954b7f"),
    ),
    "zoom_blur": (
        ("a7fef10d981467899593db82b395c74f", "381fd00700eb2ca37deb8ddfeefbbf8b"),
        ("82b44a41e0a6b363944e6b117a69a506", "e5e816aa92d2ffbd3cc2005345a20a10"),
        ("66224455a91ac8adbacedf8e448a4d04", "35c9df3d04638226988ae16ff6b74712"),
        ("c91970c33b90c742cb24d07b342d8e4f", "91369bab28fc07ba999f88066c706546"),
        ("2e4bf337983c48861363308fc73c7cb6", "a81e76ad0ec66abd88488b3df4fbec25"),
    ),
    "pixelate": (
        ("c6e1120b7ce4656c64b00f12f112714d", "d51f8d07f1a3bf5f39b97f8a67f54fca"),
        ("e5ccc4cab0f64cb4cdee2f733024c4d9", "f4d43bde6f6ac8ea929affe8e656ecb5"),
        ("574e83016bf7756118080ce49462033c", "463976e8e19ac7632874df244e26ef45"),
        ("0b3e56d76a06bc139ad1d5d4e6a755dc", "e3772882db7aa728efae878014160686"),
        ("a725034c4b68ca902222fb9084e944d9", "5edc917cc366bf0e9f0c68b6a617207c"),
    ),
}
"""For severities 1 to 5, half of the SHA-256 of the first ``PROBE`` test images and of all, uint8 [., 32, 32, 3]."""
