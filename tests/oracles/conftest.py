"""What needs the optional libraries; run by ``./run oracles``, in an environment of its own."""

import warnings

import torchvision_schemas  # noqa: F401  laplace imports torchvision, which does not import without it

with warnings.catch_warnings():
    # Deprecations of torch that these libraries have not caught up with, nor torch's own forward differentiation.
    warnings.simplefilter("ignore")
    import laplace  # noqa: F401
    import torch._decomp.decompositions_for_jvp  # noqa: F401
