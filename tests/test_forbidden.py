"""No file of the package calls what runs or unpickles what it reads."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import maskvid

ROOT = Path(maskvid.__path__[0])
UNPICKLE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
RUN = {"eval", "exec", "compile", "__import__", "breakpoint"}
NEVER = {
    "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter", "torch.utils.cpp_extension.load", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen", "runpy.run_path", "runpy.run_module",
    "importlib.import_module", "hydra.utils.get_class", "hydra.utils.get_method", "hydra.utils.get_object",
}  # fmt: skip
WITHOUT_WEIGHTS = {"Sam2VideoProcessor", "AutoImageProcessor", "AutoProcessor", "Segmenter", "MaskVidPipeline"}
"""Readers of settings alone, and our own, which read nothing but safetensors files."""
BUILD = {"config.py", "second_stage.py", "train.py", "evaluate.py"}
"""Where a user's own configuration names what is built; of what a file brought, nothing may."""


def faults(path: Path, place: str) -> list[str]:
    """What is forbidden in a file, one sentence each."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            found += [f"{place}:{node.lineno}: {fault}" for fault in call_faults(node, place)]
    return found


def call_faults(call: ast.Call, place: str) -> list[str]:
    name = ast.unparse(call.func)
    owner, _, method = name.rpartition(".")
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    found = []
    if name in RUN or name in NEVER or name.partition(".")[0] in UNPICKLE:
        found.append(f"{name} is called.")
    if name.startswith("subprocess.") and given.get("shell", "False") != "False":
        found.append("a shell is called.")
    if name == "torch.load" and given.get("weights_only") != "True":
        found.append("torch.load without weights_only=True.")
    if given.get("allow_pickle", "False") != "False":
        found.append("allow_pickle is given.")
    if given.get("trust_remote_code", "False") != "False" or "custom_pipeline" in given:
        found.append("code of others is trusted.")
    kind = owner.rpartition(".")[2]
    if method == "from_pretrained" and kind not in WITHOUT_WEIGHTS and given.get("use_safetensors") != "True":
        found.append(f"{name} without use_safetensors=True.")
    if method == "instantiate" and place not in BUILD:
        found.append(f"{name} builds what a configuration names.")
    return found


def test_nothing_that_is_read_is_run():
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 100
    assert [fault for path in files for fault in faults(path, str(path.relative_to(ROOT)))] == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("torch.load(path)", "weights_only"),
        ("torch.load(path, weights_only=False)", "weights_only"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
        ("pickle.loads(content)", "pickle.loads"),
        ("joblib.load(path)", "joblib.load"),
        ("AutoModel.from_pretrained(path)", "use_safetensors"),
        ("AutoModel.from_pretrained(path, use_safetensors=None)", "use_safetensors"),
        ("AutoModel.from_pretrained(path, use_safetensors=True, trust_remote_code=True)", "trusted"),
        ("DiffusionPipeline.from_pretrained(p, use_safetensors=True, custom_pipeline=name)", "trusted"),
        ("eval(text)", "eval is called"),
        ("exec(text)", "exec is called"),
        ("torch.hub.load(repo, name)", "torch.hub.load"),
        ("subprocess.run(command, shell=True)", "shell"),
        ("os.system(command)", "os.system"),
        ("hydra.utils.instantiate(node)", "builds"),
        ("importlib.import_module(name)", "import_module"),
    ],
)
def test_a_file_that_does_is_found(code, words, tmp_path):
    (tmp_path / "new.py").write_text(f"def load(path, name):\n    return {code}\n")
    (fault,) = faults(tmp_path / "new.py", "new.py")
    assert fault.startswith("new.py:2: ")
    assert words in fault


@pytest.mark.parametrize(
    "code",
    [
        "module.eval()",
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "Segmenter.from_pretrained(path)",
        "subprocess.run([program, path])",
    ],
)
def test_a_file_that_does_not_is_left_alone(code, tmp_path):
    (tmp_path / "new.py").write_text(f"x = {code}\n")
    assert faults(tmp_path / "new.py", "new.py") == []
