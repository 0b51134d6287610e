"""From a credential's reference to the secret; secrets are never in the database, a repr or a log.

References: `env:NAME` (environment variable), `file:PATH` (content of a file, one trailing newline cut),
`lab:USER` (the running lab's password for that user, given when the server starts).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from store.errors import TurnupError


class CredentialError(TurnupError):
    """A credential's reference cannot be turned into a secret."""

    code: ClassVar[str] = "CREDENTIAL_MISSING"
    status: ClassVar[int] = 500
    reason: ClassVar[str] = "A device's credential cannot be found"


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that shows itself only when asked by `reveal`."""

    _text: str

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


class Credentials:
    """Resolves references. `lab`: user → password of the running lab."""

    def __init__(self, lab: Mapping[str, str] | None = None) -> None:
        self._lab = {user: Secret(password) for user, password in (lab or {}).items()}

    def __repr__(self) -> str:
        return f"Credentials(lab users: {sorted(self._lab)})"

    def resolve(self, ref: str) -> Secret:
        """Return the secret behind `ref`.

        Raises:
            CredentialError: unknown scheme, or nothing there.
        """
        scheme, _, name = ref.partition(":")
        match scheme:
            case "env":
                return self._environment(name)
            case "file":
                return self._file(name)
            case "lab":
                return self._lab_password(name)
            case _:
                msg = f"credential reference {_scheme_only(ref)} is not understood; write env:NAME, file:PATH or lab:USER"
                raise CredentialError(msg)

    def _environment(self, name: str) -> Secret:
        value = os.environ.get(name)
        if not value:
            msg = f"credential env:{name}: the environment variable {name} is not set; set it and restart"
            raise CredentialError(msg)
        return Secret(value)

    def _file(self, path: str) -> Secret:
        try:
            text = Path(path).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            msg = f"credential file:{path} cannot be read ({type(error).__name__}); check path and rights"
            raise CredentialError(msg) from error
        if not (secret := text.removesuffix("\n").removesuffix("\r")):
            msg = f"credential file:{path} is empty; write the password into it"
            raise CredentialError(msg)
        return Secret(secret)

    def _lab_password(self, user: str) -> Secret:
        if user not in self._lab:
            msg = f"credential lab:{user}: no running lab gave a password for {user}; start with --topology"
            raise CredentialError(msg)
        return self._lab[user]


def _scheme_only(ref: str) -> str:
    # A password typed where the reference belongs must not reach a log.
    scheme, colon, _ = ref.partition(":")
    return f"{scheme}:…" if colon and scheme.isalpha() and scheme.islower() else "(without scheme)"
