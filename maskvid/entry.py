"""What every program does around its work: it checks what was asked before, and turns mistakes into messages."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import wraps
from types import MappingProxyType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from maskvid.bounds import ARGUMENTS, Bounds, check_value, declared
from maskvid.errors import UserError, said
from maskvid.files import DISK, expanded
from maskvid.stopping import Stopped, leave, stopping


def check_config(config: DictConfig, usage: str, *, others: Mapping[str, Bounds] = MappingProxyType({})) -> None:
    """What every program does before any work: keys, values and paths are looked at, `~` is the home folder.

    Args:
        config: Of an entry point; its `~/...` are replaced.
        usage: Of the program, for the message where something must be set.
        others: Ranges of what no dataclass declares.

    Raises:
        UserError: An unknown key, a value out of range, or something that must be set.
    """
    check_keys(config)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(f"{', '.join(missing)} must be set: {usage}")
    expand_home(config)
    check_ranges(config, others=others)


def ranges_of(config: DictConfig) -> Mapping[str, Bounds]:
    """Ranges of what a node holds: of its dataclass, or of what its `_target_` takes."""
    kind = OmegaConf.get_type(config)
    return declared(kind) if is_dataclass(kind) else ARGUMENTS.get(str(config.get("_target_", "")), {})


def check_ranges(config: DictConfig, place: str = "", *, others: Mapping[str, Bounds] = MappingProxyType({})) -> None:
    """Refuse values out of range, and numbers that are none, at every level.

    Args:
        config: A node.
        place: Its place in the whole, with a dot behind it, for the message.
        others: Ranges of what nothing declares, by name, whatever its level.

    Raises:
        UserError: Names the full key, the value and what it may be.
    """
    bounds = {**others, **ranges_of(config)}
    for name in map(str, config):
        if OmegaConf.is_missing(config, name):
            continue
        if isinstance(config[name], DictConfig):
            check_ranges(config[name], f"{place}{name}.", others=others)
        else:
            check_value(f"{place}{name}", config[name], bounds.get(name))


def expand_home(config: DictConfig | ListConfig) -> None:
    """Replace `~/` at the front of every text: shells do so only for whole words, not behind `key=`."""
    keys: Iterable[Any] = config if isinstance(config, DictConfig) else range(len(config))
    for key in keys:
        node = config._get_node(key)
        if isinstance(node, (DictConfig, ListConfig)):
            if not (node._is_none() or node._is_missing() or node._is_interpolation()):
                expand_home(node)
        elif isinstance(text := node._value(), str) and text.startswith("~/"):  # type: ignore[union-attr]
            config[key] = str(expanded(text))


def refuse_given(config: DictConfig, keys: Iterable[str], why: str) -> None:
    """Refuse keys that have no effect with what was asked, where they were given all the same.

    Args:
        config: Of an entry point.
        keys: Those without an effect; a node stands for all its keys.
        why: Ends the sentence "it has no effect".

    Raises:
        UserError: Names the first that is not what it is by default.
    """
    defaults = OmegaConf.structured(OmegaConf.get_type(config))
    for key in keys:
        value, default = OmegaConf.select(config, key), OmegaConf.select(defaults, key)
        if isinstance(value, DictConfig) and isinstance(default, DictConfig) and default:
            refuse_given(value, map(str, value), why)
        elif value != default:
            raise UserError(f"{config._get_full_key(key)}={value}: it has no effect {why}; leave it out.")


def check_keys(config: DictConfig, place: str = "") -> None:
    """Refuse keys that a typed level does not have; Hydra lets `+key=value` add them.

    Raises:
        UserError: Names the key and those that exist.
    """
    kind = OmegaConf.get_type(config)
    known = {entry.name for entry in fields(kind)} if is_dataclass(kind) else None
    for key in map(str, config):
        if known is not None and key not in known:
            raise UserError(f"unknown key {place}{key}: choose one of {', '.join(sorted(known))}.")
        node = None if OmegaConf.is_missing(config, key) else config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none():
            check_keys(node, f"{place}{key}.")


TEXTS = ("prompt", "source_prompt", "caption", "subject", "text")
"""Keys whose values are words, never lists, numbers or choices of Hydra's, unless they are quoted already."""


def quote_values(arguments: list[str]) -> list[str]:
    """Quote what Hydra's grammar would not take as it is typed: prompts, and paths with blanks, brackets and the like.

    A value that is quoted already, a list of quoted prompts and whatever Hydra's grammar understands stay as they are;
    a comma is a sweep in a multirun alone.
    """
    sweeping = bool({"-m", "--multirun"} & set(arguments))
    return [_quoted(argument, sweeping=sweeping) for argument in arguments]


def _quoted(argument: str, *, sweeping: bool) -> str:
    key, equals, value = argument.partition("=")
    if not equals or key.startswith("-") or not value:
        return argument
    if value != value.strip():
        as_typed = False  # Hydra would strip it
    elif key in TEXTS:
        as_typed = re.match(r"""\s*\[?\s*["']""", value) is not None and _understood(argument, sweeping=True)
    else:
        as_typed = not value.startswith("~/") and _understood(argument, sweeping=sweeping)
    if as_typed:
        return argument
    # backslashes are doubled where they stand before what is escaped, and nowhere else
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if key in TEXTS else value
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', escaped)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f'{key}="{escaped}"'


def _understood(argument: str, *, sweeping: bool) -> bool:
    """Whether Hydra takes an argument, and for no sweep where none is asked for."""
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException:
        return False
    return sweeping or not override.is_sweep_override()


LOST = (
    "Application timeout caused pair closure", "Connection closed by peer", "Connection reset by peer",
    "Timed out waiting",
)  # fmt: skip
"""What gloo says in a plain RuntimeError where it waited for another process in vain; others have their own errors."""


SWITCHES = (
    ("method.unet.gradient_checkpointing", True), ("backbone.dtype", "bfloat16"), ("trainer.precision", "bf16-mixed"),
    ("data.batch_size", 1),
)  # fmt: skip
"""What takes less memory, in the order of what it costs; a program has those of them that it can do something with."""
PACKED = (("backbone.dtype", "float8"),)
"""What does besides where nothing is trained."""


def roomier(config: DictConfig | None) -> str:
    """The next switch that takes less memory, and is not on yet."""
    halves = ("bfloat16", "float16", "bf16-mixed", "16-mixed", "bf16-true", "16-true")
    samples = config is not None and "run" in config
    for key, wanted in (*SWITCHES, *(PACKED if samples else ())):
        path, _, name = key.rpartition(".")
        node = None if config is None else OmegaConf.select(config, path)
        value = node[name] if isinstance(node, DictConfig) and name in node else wanted
        if value != wanted and not (wanted in halves and value in (*halves, "float8")):
            return f"give {key}={str(wanted).lower() if isinstance(wanted, bool) else wanted}, or ask for fewer frames"
    return "ask for fewer frames, a smaller size, or half precision"


def mistake(error: Exception, config: DictConfig | None = None) -> str | None:
    """What to tell a user whose mistake an error is, or whose disk's; None where it is the program's own.

    Args:
        error: Whatever was raised.
        config: Of the program, as far as it is known.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in DISK:
        place = f" {error.filename}" if error.filename else ""
        return f"cannot write{place}: {error.strerror}; free some space, or write elsewhere."
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # PyTorch's, by name: it is slow
        return f"out of memory: {said(error)}; {roomier(config)}."
    plain = type(error) is RuntimeError and any(words in str(error) for words in LOST)
    if plain or type(error).__name__ in ("DistError", "DistBackendError", "DistNetworkError", "DistStoreError"):
        return (
            f"another process of this run has ended or stands still: {said(error)}; see what it said itself, end what "
            "is left of it, and go on by run_dir=RUN ckpt_path=auto."
        )
    if isinstance(error, ValueError) and str(error).startswith("Config group override"):  # Hydra does not say which
        numbers = [argument for argument in sys.argv[1:] if re.fullmatch(r"\+?[\w/]+=[-\d.]+", argument)]
        return f"configuration: a number where a choice is asked for: {', '.join(numbers)}; see --help."
    if isinstance(error, (OmegaConfBaseException, HydraException)):
        return f"configuration: {' '.join(str(error).split())}"
    return None


def print_error(message: str) -> None:
    """Print to standard error; brackets are words here, not styles."""
    Console(stderr=True, soft_wrap=True, highlight=False).print("[bold red]error:[/]", escape(message))


def print_warning(message: str) -> None:
    """Print to standard error what a person should know who may go on all the same."""
    Console(stderr=True, soft_wrap=True, highlight=False).print("[bold yellow]note:[/]", escape(message))


@contextmanager
def mistakes_told(config: DictConfig | None = None) -> Iterator[None]:
    """Turn a user's mistake into one message and status 1, a signal into a sentence; the rest keeps its traceback."""
    try:
        yield
    except Stopped as stopped:
        leave(stopped)
    except Exception as error:
        message = mistake(error, config)
        if message is None:
            raise
        print_error(message)
        sys.exit(1)


def run(main: Callable[[], Any], *, bare: str | None = None) -> None:
    """What `python -m maskvid.PROGRAM` does: arguments are taken as they are typed, Hydra's errors told as ours.

    Args:
        main: Hydra's entry.
        bare: The key of an argument that is typed alone, without `key=`.
    """
    if bare is not None:
        alone = ["=" not in word and word[:1] not in "-+~" for word in sys.argv[1:]]
        sys.argv[1:] = [f"{bare}={word}" if named else word for word, named in zip(sys.argv[1:], alone, strict=True)]
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # else Hydra prints what goes wrong before it comes here
    sys.argv[1:] = quote_values(sys.argv[1:])
    with mistakes_told():
        main()


def entry_point(function: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """What a program does around its work, see `mistakes_told`."""

    @wraps(function)
    def wrapped(config: DictConfig) -> Any:
        stopping.begin()
        with mistakes_told(config):
            return function(config)

    return wrapped
