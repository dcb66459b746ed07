"""The device that a user asks for."""

from __future__ import annotations

import torch

from maskvid.errors import UserError


def device_of(name: str | None, key: str = "device") -> torch.device:
    """The device asked for, else a GPU if there is one.

    Args:
        name: PyTorch's name of it, for example `cuda:1`.
        key: What it was set by, for the message.

    Raises:
        UserError: There is no such device here.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        if device.type == "meta":
            raise UserError(f"{key}={name}: nothing is computed there; give cpu or cuda.")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # unknown names, and kinds PyTorch was built or finds nothing for
        raise UserError(f"{key}={name}: {str(error).splitlines()[0]}") from error
    return device
