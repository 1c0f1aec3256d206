"""Files that are refused as weights to start from: one message, no other output, and the model unchanged."""

import io
import os
import pickle
import resource
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from segcore.network.erfnet import ERFNet
from segcore.runtime.errors import UserError
from segcore.train.pretrained import load_pretrained
from tests.support.idd_lite import CLASSES
from tests.support.published import network, prefixed, saved, saved_as_before_1_6, saved_as_ours, without

BN = "encoder.layers.3.bn1"
ENCODER = "encoder.output_conv"
DECODER = "decoder.output_conv"


@pytest.fixture(autouse=True)
def silent(capfd, recwarn):
    """Assert that nothing is printed or warned about."""
    yield
    assert capfd.readouterr() == ("", "")
    assert recwarn.list == []


def refusal(path: Path, encoder_only: bool = False) -> str:
    """Return the message with which loading fails; the model has to be unchanged."""
    model = ERFNet(7, encoder_only)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError) as caught:
        load_pretrained(path, model, CLASSES)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    said = str(caught.value)
    assert said.startswith(f"train.init: {path}: ")
    assert said.endswith("\nName a different file, or download or save this one again.")
    return said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({f"{BN}.weight": None}, f"missing: {BN}.weight\n"),
        ({f"{DECODER}.bias": None}, f"missing: {DECODER}.bias\n"),
        ({"decoder.layers.5.bn2.bias": None}, "missing: decoder.layers.5.bn2.bias\n"),
        ({"head.weight": torch.ones(2)}, "unknown: head.weight\n"),
        ({"epoch": 3}, "unknown: epoch\n"),
        ({"module.head": torch.ones(2)}, "unknown: module.head\n"),
        ({5: torch.ones(2)}, "unknown: 5\n"),
        (
            {"features.encoder.initial_block.bn.bias": torch.ones(16)},
            "unknown: features.encoder.initial_block.bn.bias\n",
        ),
        ({"encoder.layers.1.conv3x1_1.weight": torch.ones(64, 64, 1, 3)}, "64×64×3×1 was expected; it is 64×64×1×3"),
        ({f"{BN}.num_batches_tracked": torch.ones(2, dtype=torch.int64)}, "a single number was expected; it is 2"),
        ({f"{DECODER}.weight": torch.ones(16, 20, 2, 2)}, "16×7×2×2 was expected; it is 16×20×2×2"),
        ({f"{ENCODER}.bias": torch.ones(())}, "7 was expected; it is a single number"),
        ({f"{BN}.weight": torch.ones(64, dtype=torch.int64)}, "float32 was expected; it is int64"),
        ({f"{BN}.weight": torch.ones(64, dtype=torch.complex64)}, "float32 was expected; it is complex64"),
        ({f"{BN}.num_batches_tracked": torch.ones(())}, "int64 was expected; it is float32"),
        ({f"{BN}.weight": torch.ones(64).to_sparse()}, "a dense tensor was expected"),
        ({f"{BN}.weight": torch.ones(64, device="meta")}, "a dense tensor was expected"),
        ({f"{BN}.weight": "ones"}, "a dense tensor was expected"),
        ({f"{BN}.weight": torch.full((64,), torch.nan)}, f"wrong: {BN}.weight (it has values that are not finite)\n"),
        ({f"{BN}.bias": torch.full((64,), torch.inf)}, f"wrong: {BN}.bias (it has values that are not finite)\n"),
        # Finite, but not in fp32.
        ({f"{BN}.weight": torch.full((64,), 1e300, dtype=torch.float64)}, "it has values that are not finite"),
    ],
)
def test_wrong_keys_shapes_types_and_values(tmp_path, changes, message):
    state = {name: value for name, value in (network() | changes).items() if value is not None}
    said = refusal(saved(tmp_path / "weights.pth", state))
    assert said.splitlines()[0].endswith("these are not ERFNet's weights with the keys of its authors")
    assert message in said
    assert len(said.splitlines()) == 3


def test_the_first_problems_of_each_kind_are_named(tmp_path):
    state = {f"layer{i}.weight": torch.ones(2) for i in range(6)} | {f"{BN}.bias": torch.ones(3)}
    lines = refusal(saved(tmp_path / "resnet.pth", state), encoder_only=True).splitlines()
    names = ", ".join(f"encoder.initial_block.{name}" for name in ("conv.weight", "conv.bias", "bn.weight", "bn.bias"))
    # The encoder without its classifier has 255; 29 are counters, one is in the file, and 5 are named.
    assert lines[1] == f"  missing: {names}, encoder.initial_block.bn.running_mean … and {255 - 29 - 1 - 5} more"
    assert lines[2] == f"  unknown: {', '.join(f'layer{i}.weight' for i in range(5))} … and 1 more"
    assert lines[3] == f"  wrong: {BN}.bias (64 was expected; it is 3)"


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"model": network(), "ema": network(), "epoch": 3}, "`model.*` and `ema.*`"),
        (
            {"state_dict": prefixed("net.", network()), "state_dict_ema": network()},
            "`state_dict.net.*` and `state_dict_ema.*`",
        ),
        (prefixed("student.", network()) | prefixed("teacher.", network()), "`student.*` and `teacher.*`"),
        (network() | prefixed("module.", network()), "`*` and `module.*`"),
        (network() | {"ema": network()}, "`*` and `ema.*`"),
        ({"\x1b[2J": network(), "ema": network()}, r"'`\x1b[2J.*`' and `ema.*`"),
    ],
)
def test_several_networks(tmp_path, content, names):
    """It would be a guess which one is meant."""
    said = refusal(saved(tmp_path / "weights.pth", content))
    assert f"several networks in it: {names}; save the state dict of one of them alone" in said


def test_only_some_layers_have_the_prefix(tmp_path):
    state = prefixed("module.", without(network(), "decoder")) | without(network(), "encoder")
    lines = refusal(saved(tmp_path / "weights.pth", state)).splitlines()
    assert lines[1].startswith("  missing: encoder.initial_block.conv.weight, ")
    assert lines[2].startswith("  unknown: module.encoder.initial_block.conv.weight, ")


def test_wrong_keys_in_a_part_of_a_file(tmp_path):
    state = prefixed("model.", network()) | {"model.aux.weight": torch.ones(2), "criterion.weight": torch.ones(2)}
    lines = refusal(saved(tmp_path / "weights.pth", {"state_dict": state})).splitlines()
    assert "the tensors `state_dict.model.*` are not ERFNet's weights with the keys of its authors" in lines[0]
    assert lines[1:-1] == ["  unknown: aux.weight"]


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"state_dict": {}}, {"state_dict": None}, [torch.ones(2)], 3])
def test_no_weights(tmp_path, content):
    assert "no weights in it; a state dict was expected" in refusal(saved(tmp_path / "weights.pth", content))


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_that_is_missing(tmp_path, name):
    assert "there is no such file" in refusal(tmp_path / name)
    (tmp_path / name).mkdir()
    assert "there is no such file" in refusal(tmp_path / name)


@pytest.mark.parametrize("write", [saved_as_ours, saved, saved_as_before_1_6])
@pytest.mark.parametrize("kept", [0, 7, 1000, -1000, -1])
def test_a_file_that_is_empty_or_truncated(tmp_path, write, kept):
    path = write(tmp_path / "weights.pth", network())
    path.write_bytes(path.read_bytes()[:kept])
    assert "empty, damaged, or neither from torch.save nor a .safetensors" in refusal(path)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("data", [b"<html>not found</html>", b"version https://git-lfs", bytes(100), b"\xff" * 100])
def test_a_file_in_a_different_format(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert "empty, damaged, or neither from torch.save nor a .safetensors" in refusal(tmp_path / name)


def test_a_safetensors_file_whose_header_is_damaged(tmp_path):
    path = saved_as_ours(tmp_path / "weights", network())
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"F99"', 1))
    assert "empty, damaged" in refusal(path)


class Command:
    """An object that runs a command when Python unpickles it."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.made}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(tmp_path, zipped):
    content = {"state_dict": network(), "optimizer": Command(tmp_path / "made")}
    path = saved(tmp_path / "weights.pth", content, _use_new_zipfile_serialization=zipped)
    assert "it holds a posix.system, and only tensors are read, never code" in refusal(path)
    assert not (tmp_path / "made").exists()


SCALAR = ("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar")


def global_(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def dtype(code: str) -> bytes:
    return global_("numpy", "dtype") + text(code) + b"\x89\x88\x87R"  # dtype(code, False, True)


def raw(data: bytes) -> bytes:
    return global_("_codecs", "encode") + text(data.decode("latin1")) + text("latin1") + b"\x86R"


def file_of(path: Path, pickled: bytes) -> Path:
    """Write a file as torch.save does, with this pickle of protocol 2, without its first and last bytes."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in {
            "data.pkl": b"\x80\x02" + pickled + b".",
            "version": b"3\n",
            "byteorder": b"little",
        }.items():
            file.writestr(f"weights/{name}", content)
    return path


@pytest.mark.parametrize("scalar", SCALAR)
def test_a_numpy_scalar_that_holds_a_pickle(tmp_path, scalar):
    """A scalar that is a Python object is refused, whatever its value."""
    made = tmp_path / "made"
    held = raw(pickle.dumps(Command(made), 2))
    said = refusal(file_of(tmp_path / "weights.pth", global_(*scalar) + dtype("O8") + held + b"\x86R"))
    assert "it holds a numpy.dtype('O8'), and only tensors are read, never code" in said
    assert not made.exists()


@pytest.mark.parametrize("scalar", SCALAR)
def test_a_numpy_scalar_that_takes_its_bytes_for_a_pointer(tmp_path, scalar):
    """With numpy's own functions, this file crashes Python when the field is read: its type hides an object."""
    field = b"}" + text("a") + dtype("O8") + b"K\x00\x86s"
    state = b"(K\x03" + text("|") + b"N" + text("a") + b"\x85" + field + b"K\x08K\x01K\x00t"
    value = global_(*scalar) + dtype("V8") + state + b"b" + raw(b"A" * 8) + b"\x86R"
    assert "it holds a numpy.dtype('V8')" in refusal(file_of(tmp_path / "weights.pth", value))


@pytest.mark.parametrize("scalar", SCALAR)
@pytest.mark.parametrize("state", [b"K\x01", b"(K\x03K\x08t", b"}" + text("__class__") + text("x") + b"s"])
def test_the_state_of_a_numpy_type_is_not_used(tmp_path, scalar, state):
    value = global_(*scalar) + dtype("f8") + state + b"b" + raw(b"A" * 3) + b"\x86R"
    assert "no weights in it" in refusal(file_of(tmp_path / "weights.pth", value))


@pytest.mark.parametrize(
    "name", ["numpy._core.multiarray _reconstruct", "numpy ndarray", "numpy load", "numpy frombuffer"]
)
def test_nothing_else_of_numpy_is_called(tmp_path, name):
    value = global_(*name.split()) + text("a") + b"\x85R"
    assert f"it holds a {name.replace(' ', '.')}, and only tensors" in refusal(file_of(tmp_path / "weights.pth", value))


def test_attributes_of_what_stands_for_numpy_are_not_reached(tmp_path):
    made = tmp_path / "made"
    reached = global_("numpy.dtype", "__init__.__globals__") + text(f"touch {made}") + b"\x85R"
    assert "it holds a numpy.dtype.__init__.__globals__" in refusal(file_of(tmp_path / "weights.pth", reached))


def test_a_whole_model_in_a_pickle(tmp_path):
    assert "it holds a segcore.network.erfnet.ERFNet, and only tensors are read" in refusal(
        saved(tmp_path / "m.pt", ERFNet(7))
    )


def test_a_scripted_model(tmp_path):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    (tmp_path / "m.pt").write_bytes(buffer.getvalue())
    assert "only tensors are read, never code" in refusal(tmp_path / "m.pt")


def test_a_few_bytes_that_ask_for_much_memory(tmp_path):
    path = tmp_path / "weights.pth"
    wanted = 1_900_000_000
    file_of(path, global_("__builtin__", "bytearray") + b"J" + wanted.to_bytes(4, "little") + b"\x85R")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "empty, damaged, or neither" in refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < wanted / 1024 / 2


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    path = tmp_path / "weights.pth"
    with path.open("wb") as file:
        file.truncate(60 << 30)
    assert "more than 268,435,456 bytes" in refusal(path)
