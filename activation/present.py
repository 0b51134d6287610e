"""Plans as people and programs see them: native text, secrets as `***digest`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from activation.fingerprint import digest
from activation.model import DevicePlan
from activation.platform import Platform, is_secret

_SHOWN = 8


def present_device(plan: DevicePlan, platform: Platform) -> dict[str, Any]:
    """Return {device, platform, mode, edits, inverse}."""
    secrets = _secrets(plan, platform)
    return {
        "device": plan.device,
        "platform": plan.platform,
        "mode": plan.mode,
        "edits": masked(plan.edits, secrets),
        "inverse": masked(plan.inverse, secrets),
    }


def masked(texts: Iterable[str], secrets: Iterable[str]) -> list[str]:
    """Return texts with every secret replaced by stars and a part of its hash."""
    secrets = sorted(secrets, key=len, reverse=True)
    return [_masked(text, secrets) for text in texts]


def _masked(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, f"***{digest(secret)[:_SHOWN]}")
    return text


def _secrets(plan: DevicePlan, platform: Platform) -> set[str]:
    return {
        leaf.value
        for leaf in (*plan.before, *plan.after)
        if leaf.value and is_secret(leaf.path, platform.secrets)
    }
