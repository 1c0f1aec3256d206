"""Weights to start from: the published key layouts, and what is taken from a file."""

import io
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from segcore.network.erfnet import ERFNet
from segcore.train.pretrained import load_pretrained
from tests.support import published
from tests.support.idd_lite import CLASSES
from tests.support.published import State, network, prefixed, saved, saved_as_before_1_6, saved_as_ours, without

pytestmark = pytest.mark.filterwarnings("error")

ENCODER = "encoder.output_conv"
DECODER = "decoder.output_conv"
FRAMES = torch.rand(2, 3, 16, 32, generator=torch.Generator().manual_seed(3))


@pytest.fixture(autouse=True)
def fixed_start():
    torch.manual_seed(5)


# The layout


def test_names_shapes_and_order_are_those_of_the_published_weights():
    ours = [(name, tuple(value.shape)) for name, value in ERFNet(20).state_dict().items()]
    assert ours == list(published.full(20).items())


def test_the_encoder_for_imagenet_has_the_names_and_shapes_of_ours():
    ours = {
        f"module.features.{name}": tuple(value.shape)
        for name, value in ERFNet(7, encoder_only=True).state_dict().items()
        if not name.startswith(ENCODER)
    }
    linear = {"module.classifier.linear.weight": (1000, 128), "module.classifier.linear.bias": (1000,)}
    assert ours | linear == published.imagenet()


# What is taken


def scores(model: ERFNet) -> Tensor:
    with torch.inference_mode():
        return model.eval()(FRAMES)


def as_safetensors(path: Path, state: State) -> Path:
    path = path.with_suffix(".safetensors")
    save_file(state, path)
    return path


def as_checkpoint(path: Path, state: State) -> Path:
    around = {
        "epoch": 3,
        "arch": "erfnet",
        "best_prec1": 1.5,
        "optimizer": {"state": {}, "param_groups": [{"lr": 1.0}]},
    }
    return saved(path, around | {"state_dict": state})


def replace(path: Path, old: re.Pattern[bytes], new: bytes) -> None:
    """Replace it in the pickle of a file."""
    data = path.read_bytes()
    assert old.search(data)
    if not zipfile.is_zipfile(path):
        path.write_bytes(old.sub(new, data))
        return
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(path, "w") as target:
        for item in source.namelist():
            content = source.read(item)
            target.writestr(item, old.sub(new, content) if item.endswith("/data.pkl") else content)


def from_data_parallel(path: Path, state: State) -> Path:
    return saved(path, prefixed("module.", state))


def as_saved_from_cuda_by_pytorch_0_3(path: Path, state: State) -> Path:
    """Write it like the published files: DataParallel, CUDA storages, tensors rebuilt in the old way, no counters."""

    class Old:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor

        def __reduce__(self) -> tuple:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                storage = self.tensor.storage()
            return torch._utils._rebuild_tensor, (storage, 0, tuple(self.tensor.shape), self.tensor.stride())

    old = {f"module.{name}": Old(value) for name, value in state.items() if not name.endswith("num_batches_tracked")}
    saved_as_before_1_6(path, {"epoch": 3, "state_dict": old})
    data = path.read_bytes()
    for on_cpu, on_cuda in {
        b"ctorch\nFloatStorage": b"ctorch.cuda\nFloatStorage",
        b"X\x03\0\0\0cpu": b"X\x06\0\0\0cuda:0",  # a string, with its length before it
    }.items():
        assert on_cpu in data
        data = data.replace(on_cpu, on_cuda)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("write", "taken"),
    [
        (saved_as_ours, "345 tensors taken"),
        (as_safetensors, "345 tensors taken"),
        (saved, "345 tensors taken"),
        (as_checkpoint, "345 tensors taken from `state_dict`"),
        (from_data_parallel, "345 tensors taken, without the prefix `module.`"),
        (saved_as_before_1_6, "345 tensors taken"),
        # One counter less for each of 39 batch normalisations.
        (as_saved_from_cuda_by_pytorch_0_3, "306 tensors taken from `state_dict`, without the prefix `module.`"),
    ],
)
def test_a_network_of_the_same_classes_is_taken_whole(tmp_path, write, taken):
    source = ERFNet(7)
    source.load_state_dict(network())
    path = write(tmp_path / "weights.pth", source.state_dict())
    model = ERFNet(7)
    assert not torch.equal(scores(model), scores(source))
    assert load_pretrained(path, model, CLASSES) == [f"{path}: {taken}"]
    assert torch.equal(scores(model), scores(source))


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "net.encoder.", "encoder."]
)
@pytest.mark.parametrize("write", [saved, as_safetensors])
def test_a_prefix_of_all_keys_is_taken_off(tmp_path, prefix, write):
    state, model = network(), ERFNet(7)
    said, before = load(model, write(tmp_path / "weights.pth", prefixed(prefix, state)))
    assert said == [f"345 tensors taken, without the prefix `{prefix}`"]
    assert_taken(model, state, before, left=())


def test_encoder_is_no_prefix_where_it_belongs_to_the_key(tmp_path):
    state, model = without(network(), "decoder"), ERFNet(7)
    assert all(name.startswith("encoder.") for name in state)
    said, before = load(model, saved(tmp_path / "weights.pth", prefixed("module.", state)))
    assert said[0] == "257 tensors taken, without the prefix `module.`"
    assert_taken(model, state, before, left=("decoder",))


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net", "ema", "my weights"])
def test_a_state_dict_at_any_key_of_a_checkpoint(tmp_path, key):
    others = {"epoch": 3, "args": {"lr": 0.1}, "rng": torch.zeros(5), "rngs": {"cpu": torch.zeros(5)}, "log": [1.5]}
    state, model = network(), ERFNet(7)
    said, before = load(model, saved(tmp_path / "weights.pth", others | {key: state}))
    assert said == [f"345 tensors taken from `{key}`"]
    assert_taken(model, state, before, left=())


def test_a_checkpoint_of_lightning(tmp_path):
    """Tensors beside the network in its state dict are named and not taken, for example the weights of a loss."""
    state, model = network(), ERFNet(7)
    lightning = {
        "epoch": 3,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": prefixed("model.", state) | {"criterion.weight": torch.ones(7)},
        "callbacks": {"ModelCheckpoint{'mode': 'max'}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}],
        "hyper_parameters": {"lr": 0.1},
    }
    said, before = load(model, saved(tmp_path / "last.ckpt", lightning))
    assert said == [
        "345 tensors taken from `state_dict`, without the prefix `model.`",
        "outside of `model.`, not taken: criterion.weight",
    ]
    assert_taken(model, state, before, left=())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("module", [b"numpy._core.multiarray", b"numpy.core.multiarray"])  # of numpy 2 and 1
def test_numpy_scalars_beside_the_weights(tmp_path, zipped, module):
    numbers = [np.float64(0.5), np.float32(0.5), np.float16(0.5), np.longdouble(0.5), np.int64(3), np.uint8(3)]
    others = [np.bool_(True), np.complex64(1j), np.str_("µ"), np.bytes_(b"a"), np.datetime64("2026-01-01")]
    state, model, path = network(), ERFNet(7), tmp_path / "weights.pth"
    content = {"state_dict": state, "best": numbers[0], "values": numbers + others}
    saved(path, content, _use_new_zipfile_serialization=zipped)
    replace(path, re.compile(rb"numpy\._?core\.multiarray"), module)
    allowed = torch.serialization.get_safe_globals()
    said, before = load(model, path)
    assert said == ["345 tensors taken from `state_dict`"]
    assert_taken(model, state, before, left=())
    assert set(torch.serialization.get_safe_globals()) == set(allowed)


def test_counters_missing_in_the_file_stay_at_zero(tmp_path):
    state = {name: value for name, value in network().items() if not name.endswith("num_batches_tracked")}
    model = ERFNet(7)
    load_pretrained(saved(tmp_path / "weights.pth", state), model, CLASSES)
    assert model.encoder.initial_block.bn.num_batches_tracked == 0


def test_a_network_on_an_encoder_for_imagenet_lacks_a_classifier(tmp_path):
    state, model = without(network(), ENCODER), ERFNet(7)
    said, before = load(model, saved(tmp_path / "weights.pth", state))
    assert said == ["343 tensors taken", f"{ENCODER} keeps its random start: the file has none"]
    assert_taken(model, state, before, left=(ENCODER,))


def test_the_encoder_for_imagenet(tmp_path):
    state, model = published.tensors(published.imagenet()), ERFNet(7)
    reordered = dict(reversed(state.items()))
    said, before = load(model, as_checkpoint(tmp_path / "encoder.pth.tar", reordered))
    assert said == [
        "255 tensors taken from `state_dict`, without the prefix `module.features.`",
        "outside of `module.features.`, not taken: module.classifier.linear.bias, module.classifier.linear.weight",
        "decoder keeps its random start: the file has the encoder only",
        f"{ENCODER} keeps its random start: the file has none",
    ]
    ours = {name.removeprefix("module.features."): value for name, value in state.items() if "features" in name}
    assert_taken(model, ours, before, left=(ENCODER, "decoder"))


def test_our_encoder_in_the_whole_network(tmp_path):
    state, model = without(network(), "decoder"), ERFNet(7)
    said, before = load(model, saved_as_ours(tmp_path / "encoder", state))
    assert said == ["257 tensors taken", "decoder keeps its random start: the file has the encoder only"]
    assert_taken(model, state, before, left=("decoder",))


def test_the_whole_network_in_an_encoder_alone(tmp_path):
    state, model = network(), ERFNet(7, encoder_only=True)
    said, before = load(model, saved(tmp_path / "weights.pth", state))
    assert said == ["257 tensors taken", "decoder not taken: with model.encoder_only there is none"]
    assert_taken(model, without(state, "decoder"), before, left=())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_fp32(tmp_path, dtype):
    state = {name: value.to(dtype) if value.is_floating_point() else value for name, value in network().items()}
    model = ERFNet(7)
    _, before = load(model, saved(tmp_path / "weights.pth", state))
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert_taken(model, {name: value.to(before[name].dtype) for name, value in state.items()}, before, left=())


def test_the_model_keeps_its_tensors_and_their_memory_format(tmp_path):
    def places() -> dict[str, tuple]:
        return {name: (value.data_ptr(), value.stride()) for name, value in model.state_dict().items()}

    state, model = network(), ERFNet(7).to(memory_format=torch.channels_last)
    before = places()
    assert before["encoder.initial_block.conv.weight"][1] == (27, 1, 9, 3)
    load(model, saved(tmp_path / "weights.pth", state))
    assert places() == before
    assert_taken(model, state, {}, left=())


def load(model: ERFNet, path: Path) -> tuple[list[str], State]:
    """Load it; return the lines for the user, without the path, and the model's state before."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, *others = load_pretrained(path, model, CLASSES)
    return [first.removeprefix(f"{path}: "), *others], before


def assert_taken(model: ERFNet, state: State, before: State, left: tuple[str, ...]) -> None:
    """Assert that the layers in ``left`` are as before, and all others as in ``state``, bit for bit."""
    for name, value in model.state_dict().items():
        expected = before if name.startswith(left) else state
        assert torch.equal(value, expected[name]), name
