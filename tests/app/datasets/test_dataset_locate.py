import subprocess
import sys
from pathlib import Path

import pytest
from small_cifar import SmallCifar, dump_python2, write_archive

from modescape.app.datasets import locate
from modescape.errors import DataError, SettingsError


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys; from modescape.app.datasets import download, locate; locate.status(); "
        "assert not {'torch', 'sklearn', 'mnist1d', 'modescape.core'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_checking_needs_no_torch(cifar10: SmallCifar, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from modescape.app.datasets import locate\n"
        "try: locate.check_files('cifar10', Path(sys.argv[1]))\n"
        "except Exception as problem: print(problem)\n"
        "assert 'torch' not in sys.modules"
    )
    cifar10.write_binary(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert "is truncated" in done.stdout


def test_which_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODESCAPE_DATA", str(tmp_path / "named"))
    assert locate.data_folder(tmp_path) == tmp_path
    assert locate.data_folder() == tmp_path / "named"
    monkeypatch.setenv("MODESCAPE_DATA", "")
    assert locate.data_folder().parts[-2:] == ("modescape", "data")
    assert locate.data_folder(Path("~")) == Path.home()


def test_find_in_the_named_folder(cifar10: SmallCifar, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODESCAPE_DATA", str(tmp_path))
    assert locate.find("cifar10") is None
    folder = cifar10.write_binary(tmp_path)
    assert locate.find("cifar10") == folder == locate.find("cifar10", folder)
    assert locate.find("cifar10", tmp_path / "empty") is None
    assert locate.find("digits") is None
    with pytest.raises(SettingsError, match="did you mean 'cifar100'"):
        locate.find("cifar1000")


def test_an_incomplete_folder_is_passed_over(cifar10: SmallCifar, tmp_path: Path) -> None:
    folder = cifar10.write_binary(tmp_path)
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"cifar-10-batches-bin \(lacks data_batch_4\.bin\); "):
        locate.check_files("cifar10", tmp_path)
    python = cifar10.write_python(tmp_path, dump_python2)
    assert locate.find("cifar10", tmp_path) == python
    archive = write_archive(tmp_path / cifar10.binary.archive, cifar10.members())
    assert locate.find("cifar10", tmp_path) == archive


def test_status_lists_every_dataset(cifar10: SmallCifar, tmp_path: Path) -> None:
    folder = cifar10.write_binary(tmp_path)
    lines = {line.name: line for line in locate.status(tmp_path)}
    assert list(lines) == ["digits", "mnist1d", "cifar10", "cifar100", "imagenet"]
    assert lines["digits"].found and "scikit-learn" in lines["digits"].how
    assert lines["cifar10"].where == folder and lines["cifar10"].size == 33 * 3073
    assert not lines["cifar100"].found and lines["cifar100"].where is None
    assert "modescape data fetch cifar100" in lines["cifar100"].how and "169 MB" in lines["cifar100"].how


def test_check_files(any_cifar: tuple[str, SmallCifar], tmp_path: Path) -> None:
    name, small = any_cifar
    folder = small.write_binary(tmp_path)
    checked = locate.check_files(name, tmp_path)
    assert checked.where == folder and checked.files == tuple(batch.name for batch in small.binary.batches)
    path = folder / checked.files[-1]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=f"{path.name} is damaged"):
        locate.check_files(name, tmp_path)


def test_check_files_of_an_archive(cifar10: SmallCifar, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / cifar10.binary.archive, cifar10.members())
    checked = locate.check_files("cifar10", tmp_path)
    assert checked.where == archive and len(checked.files) == 6


def test_built_in_needs_no_files() -> None:
    assert locate.check_files("digits").files == ()
