"""`--help` of every program: usage, choices, and every key with its value, range and explanation.

Each explanation has one source: the docstring of what takes the setting, or the comment beside its value in conf/.
Nothing heavy is imported; docstrings of rooms that would be are read from their source.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from maskvid.bounds import PRETRAINING, Bounds
from maskvid.config import CONF, ROOT, register
from maskvid.entry import mistakes_told, quote_values, ranges_of

WIDTH = 110  # columns of a line


def answer_help(program: str) -> None:
    """Print the help and leave, where it is asked for; further arguments choose the configuration that is shown.

    Every program calls it before its imports; so it is here that libraries are told to draw no bars into a log file.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported
    flags = {"--help", "-h"}
    if not flags & set(sys.argv[1:]):
        return
    with mistakes_told():
        print(help_text(program, quote_values([text for text in sys.argv[1:] if not text.startswith("-")])))
    sys.exit()


def help_text(program: str, overrides: list[str]) -> str:
    """The help of a program, with the values in force under some overrides."""
    register()
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose(program, overrides=overrides, return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        choices = {k: v for k, v in config.hydra.runtime.choices.items() if not k.startswith("hydra/") and "@" not in k}
        head, comments = _comments(loader, program, overrides)
        extra = sorted(set(re.findall(r"\+(\w+)=", head)) & set(loader.list_groups("")))
        options = {group: _options(loader, program, group) for group in [*reversed(choices), *extra]}
    about = ast.get_docstring(ast.parse((ROOT / f"{program}.py").read_text())) or ""
    lines = [about.split(": ")[-1].strip().splitlines()[0], "", *head.splitlines(), ""]
    if options:
        lines += ["Choices (group=option; +group=option adds one that has no default):"]
        lines += _wrapped("  ", [(g, f"{' | '.join(names)}{_chosen(choices.get(g))}") for g, names in options.items()])
        lines += [""]
    lines += ["Settings (key=value), their values and what they mean; ??? must be set:"]
    for key, value, bounds, meaning in _settings(config, comments, PRETRAINING if program == "pretrain" else {}):
        lines.append(f"  {key}={value}" + (f"    ({bounds})" if bounds else ""))
        for text in meaning:
            lines += textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join([*lines, "", "Hydra's own flags (sweeps, --cfg, launchers): --hydra-help"])


def _chosen(option: str | None) -> str:
    return "" if option is None else f"; now {option}"


def _wrapped(indent: str, rows: list[tuple[str, str]]) -> list[str]:
    return [
        line
        for name, text in rows
        for line in textwrap.wrap(f"{name}: {text}", WIDTH, initial_indent=indent, subsequent_indent=indent * 3)
    ]


def _options(loader: ConfigLoader, program: str, group: str) -> list[str]:
    """The options of a group, but for those whose head names other programs alone."""
    names = loader.get_group_options(group)
    heads = [set(re.findall(r"python -m maskvid\.(\w+)", _source(f"{group}/{name}"))) for name in names]
    return [name for name, programs in zip(names, heads, strict=True) if not programs or program in programs]


def _source(config_path: str) -> str:
    path = Path(CONF, f"{config_path}.yaml")
    return path.read_text() if path.is_file() else ""


def _comments(loader: ConfigLoader, program: str, overrides: list[str]) -> tuple[str, dict[str, str]]:
    """Head of the program's file, and the comments beside values by full key, of all files in force."""
    files = loader.compute_defaults_list(program, overrides, RunMode.RUN).defaults
    comments: dict[str, str] = {}
    for entry in files:
        if entry.config_path is None or entry.config_path.startswith("hydra"):
            continue
        source, place = _source(entry.config_path), (entry.package or "").replace("_global_", "")
        about = _head(source)
        if place and about and not entry.is_self:
            comments[place] = about
        comments.update(_beside(source, [part for part in place.split(".") if part]))
    return _head(_source(program)), comments


def _head(source: str) -> str:
    """The comment that a file begins with, but for Hydra's directive and tables."""
    lines = []
    for line in source.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith(("# @package", "# |")):
            lines.append(line.removeprefix("#").strip())
    return "\n".join(lines).strip()


def _beside(source: str, place: list[str]) -> dict[str, str]:
    """`key: value # comment` -> comment by full key."""
    found: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in source.splitlines():
        match = re.match(r"( *)([\w/]+):(?:\s.*?)?(?:\s#\s*(.*))?$", line)
        if match is None:
            continue
        depth = len(match[1])
        above = [*(part for part in above if part[0] < depth), (depth, match[2])]
        if match[3] and above[0][1] not in ("defaults", "hydra"):
            found[".".join([*place, *(name for _, name in above)])] = match[3].strip()
    return found


def _settings(
    config: DictConfig, comments: dict[str, str], others: Mapping[str, Bounds]
) -> list[tuple[str, str, str, list[str]]]:
    """Key, value, range and meaning of every leaf, and of every node that has a meaning as a whole.

    `others` are the ranges of what nothing declares, by name.
    """
    rows: list[tuple[str, str, str, list[str]]] = []

    def walk(node: DictConfig, place: str) -> None:
        bounds = {**others, **ranges_of(node)}
        meanings = _documented(node)
        for key in map(str, node):
            if key == "hydra" and not place:
                continue
            full, child = f"{place}{key}", node._get_node(key)
            said = [meanings[key]] if key in meanings else []
            said += [f"# {comments[full]}"] if full in comments else []
            if isinstance(child, DictConfig) and not (child._is_none() or child._is_missing()) and len(child):
                rows.append((full, "...", "", said))
                walk(child, f"{full}.")
            elif not key.startswith("_"):
                rows.append((full, _shown(child), _range(bounds.get(key)), said))

    walk(config, "")
    return rows


def _range(bounds: Bounds | None) -> str:
    """What a value may be; that a text is not empty goes without saying."""
    return "" if bounds is None or bounds.text else str(bounds)


def _shown(node: Any) -> str:
    """A value as it is typed."""
    value = node._value()
    if re.fullmatch(r"\$\{backbone\.\w+\}", str(value)):  # a number of the backbone
        return f"{_shown(node._dereference_node())}  ={value}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(OmegaConf.to_container(node, resolve=False) if hasattr(node, "_content") else value)


def _documented(node: DictConfig) -> dict[str, str]:
    """Meanings of a node's keys: of its dataclass, of what that says it is the arguments of, or of its `_target_`."""
    kind = OmegaConf.get_type(node)
    if is_dataclass(kind):
        meanings: dict[str, str] = {}
        for base in reversed(inspect.getmro(kind)):
            text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
            meanings |= _entries(text)
            if target := re.search(r"(?:Arguments of|see) `(maskvid[\w.]+)`", text.split("Attributes:")[0]):
                meanings |= _entries(_docstring(target[1]))
        return meanings
    target_name = node.get("_target_") if "_target_" in node else None
    return _entries(_docstring(str(target_name))) if str(target_name).startswith("maskvid.") else {}


def _docstring(name: str) -> str:
    """Docstring of a class (with that of its `__init__`) or a function by its full name, from the source."""
    room, _, symbol = name.rpartition(".")
    path = ROOT.joinpath(*room.split(".")[1:])
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and symbol in {alias.name for alias in node.names}:
            return _docstring(f"{node.module}.{symbol}")
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == symbol:
            inner = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
            return "\n\n".join(ast.get_docstring(part) or "" for part in [node, *inner])
    raise LookupError(f"{name} is not in {path}")


def _entries(docstring: str) -> dict[str, str]:
    """What the sections `Args` and `Attributes` of a Google-style docstring say of each name."""
    found: dict[str, str] = {}
    inside, name = False, ""
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            inside = line.strip() in ("Args:", "Attributes:")
        elif inside and (match := re.match(r" {4}(\w+): (.*)", line)):
            name = match[1]
            found[name] = match[2]
        elif inside and line.strip() and name:
            found[name] += f" {line.strip()}"
    return found
