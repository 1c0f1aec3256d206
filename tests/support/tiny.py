"""Data sets in IDD-Lite's layout, as dictionaries from path to bytes: one of 5 frames of 8×6 pixels, and the sample."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SAMPLE = Path(__file__).parents[2] / "data/sample.tar.gz"
FRAMES = {"train": ("a/000001", "a/000002", "b/000003"), "val": ("c/000004",), "test": ("d/000005",)}


def published() -> dict[str, bytes]:
    """The data set in the published layout."""
    files = {}
    for split, names in FRAMES.items():
        for name in names:
            files[f"leftImg8bit/{split}/{name}_image.jpg"] = jpeg(seed=int(name[-6:]))
            if split != "test":
                files[f"gtFine/{split}/{name}_label.png"] = png(ids(seed=int(name[-6:])))
    return files


def older(flat: bool = False, endings: bool = True) -> dict[str, bytes]:
    """The train and val frames of :func:`published` in the layout of the 2019 edition."""
    files = {}
    for path, data in published().items():
        tree, split, drive, file = path.split("/")
        if split != "test":
            tree = {"leftImg8bit": "images", "gtFine": "labels"}[tree]
            file = file if endings else file.replace("_image", "").replace("_label", "")
            files[f"{tree}/{split}/{file}" if flat else f"{tree}/{split}/{drive}/{file}"] = data
    return files


def sample() -> dict[str, bytes]:
    """Return all files of the built-in sample."""
    return read_tar(SAMPLE)


def scenes(train: int, val: int, test: int) -> dict[str, bytes]:
    """Return the first frames of each split of the built-in sample, with their labels."""
    files = sample()
    chosen = {}
    for split, count in (("train", train), ("val", val), ("test", test)):
        images = sorted(name for name in files if name.startswith(f"leftImg8bit/{split}/"))
        assert len(images) >= count, f"the sample has {len(images)} {split} frames"
        for image in images[:count]:
            label = image.replace("leftImg8bit", "gtFine").replace("_image.jpg", "_label.png")
            chosen |= {name: files[name] for name in (image, label) if name in files}
    return chosen


def ids(size: tuple[int, int] = (8, 6), seed: int = 0) -> np.ndarray:
    """A label, H×W, uint8: class ids, and some void."""
    label = np.random.default_rng(seed).integers(0, 7, size[::-1], dtype=np.uint8)
    label[0, 0] = 255
    return label


def jpeg(size: tuple[int, int] = (8, 6), mode: str = "RGB", seed: int = 0) -> bytes:
    """A frame of noise, encoded."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return _encoded(Image.fromarray(noise).convert(mode), "JPEG")


def png(array: np.ndarray, mode: str | None = None) -> bytes:
    """An array H×W or H×W×3, encoded."""
    picture = Image.fromarray(array)
    return _encoded(picture.convert(mode) if mode else picture, "PNG")


def palette_png(array: np.ndarray) -> bytes:
    """A uint8 array H×W, encoded with a palette whose indices are the array's values."""
    picture = Image.frombytes("P", array.shape[::-1], array.tobytes())
    picture.putpalette([value for level in range(256) for value in (255 - level, level, 7)])
    return _encoded(picture, "PNG")


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    """Write the files below the folder ``path``."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_tar(path: Path, files: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    """Write a tar, gzipped unless its name ends in .tar, with ``extra`` empty members; the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    data = buffer.getvalue()
    path.write_bytes(data if path.suffix == ".tar" else gzip.compress(data, mtime=0))
    return path


def read_tar(path: Path) -> dict[str, bytes]:
    """Return the content of each file of a tar, in order."""
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def write_zip(path: Path, files: dict[str, bytes], extra: tuple[zipfile.ZipInfo, ...] = ()) -> Path:
    """Write a zip, with ``extra`` members at its end."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for info in extra:
            archive.writestr(info, b"anything")
    return path


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    """A member of no content: a file, a link to ``target``, a device."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_member(name: str, mode: int = 0) -> zipfile.ZipInfo:
    """A member with a Unix file mode."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def under(top: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files in the folder ``top``."""
    return {f"{top}/{name}": data for name, data in files.items()}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, hidden ones too."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()
