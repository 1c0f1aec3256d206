"""Reading a file runs no code from it: the project unpickles nothing and evaluates no text."""

import ast

import pytest

from tests.support.running import ROOT

UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
UNSAFE_BUILTINS = {"eval", "exec", "compile", "__import__"}  # methods are something else, as a network's eval
UNSAFE_FUNCTIONS = {"read_pickle", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"}
SAFE_LOADERS = {"SafeLoader", "CSafeLoader", "UniqueKeyLoader"}  # the last is a SafeLoader of ours

CODE = sorted(path for folder in ("segcore", "stages", "tools") for path in ROOT.glob(f"{folder}/**/*.py"))


def unsafe(source: str) -> list[str]:
    """Return what in some Python source could run code from a file that it reads, each with its line number."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            used = {alias.name.split(".")[0] for alias in node.names} & UNSAFE_MODULES
        elif isinstance(node, ast.ImportFrom):
            used = {(node.module or "").split(".")[0]} & UNSAFE_MODULES
            used |= {alias.name for alias in node.names} & (UNSAFE_BUILTINS | UNSAFE_FUNCTIONS)
        elif isinstance(node, ast.Call):
            used = {ast.unparse(node.func)} if unsafe_call(node) else set()
        else:
            continue
        found += [f"{node.lineno}: {name}" for name in used]
    return found


def unsafe_call(node: ast.Call) -> bool:
    parts = ast.unparse(node.func).split(".")
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if parts[-1] in UNSAFE_FUNCTIONS or (parts[-1] in UNSAFE_BUILTINS and parts[:-1] in ([], ["builtins"])):
        return True
    if keywords.get("allow_pickle", "False") != "False":
        return True
    if parts[-3:] == ["safetensors", "torch", "load"]:
        return False
    if parts[-2:] in (["torch", "load"], ["hub", "load"]):
        return keywords.get("weights_only") != "True"
    if parts[-2:] in (["yaml", "load"], ["yaml", "load_all"]):
        loaders = [*map(ast.unparse, node.args[1:]), keywords.get("Loader", "")]
        return not any(loader.split(".")[-1] in SAFE_LOADERS for loader in loaders)
    return False


@pytest.mark.parametrize("path", CODE, ids=str)
def test_nothing_that_is_read_can_run_code(path):
    assert unsafe(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "import pickle as p", "from pickle import loads", "import joblib.memory", "import a, marshal",
        "def f():\n    import shelve", "torch.load(p)", "torch.load(p, weights_only=False)",
        "torch.load(p, weights_only=safe)", "torch.load(p, weights_only=1)", "np.load(p, allow_pickle=True)",
        "open_memmap(p, allow_pickle=x)", "yaml.load(t)", "yaml.load(t, yaml.Loader)", "yaml.load(t, Loader=L)",
        "yaml.unsafe_load(t)", "yaml.full_load(t)", "from yaml import unsafe_load", "eval(t)", "builtins.exec(t)",
        "pd.read_pickle(p)", "__import__(t)",
    ],
)  # fmt: skip
def test_code_that_would_run_what_it_reads_is_seen(source):
    assert len(unsafe(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(p, weights_only=True)", "np.load(p, allow_pickle=False)", "np.load(p)", "yaml.safe_load(t)",
        "yaml.load(t, Loader=yaml.SafeLoader)", "safetensors.torch.load(d)", "json.load(f)", "import json",
        "re.compile(p)", "network.eval()",
    ],
)  # fmt: skip
def test_safe_reading_is_not_taken_for_unsafe(source):
    assert unsafe(source) == []
