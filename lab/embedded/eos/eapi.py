"""eAPI: JSON-RPC 2.0 `runCmds` over POST /command-api, with the error shape of the real box.

Errors are HTTP 200 with `error: {code, message, data}`; `data` has one entry per command run, the
last with `errors`. https://www.arista.com/en/um-eos/eos-command-api
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from lab.embedded.eos.errors import CliError, Unconverted
from lab.embedded.eos.show import Output

PATH: Final = "/command-api"
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602

Encoding = Literal["json", "text"]
Run = Callable[[str], Awaitable[Output]]
Json = dict[str, Any]


class RpcError(Exception):
    """The request itself is wrong."""

    def __init__(self, code: int, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.request_id = code, message, request_id


@dataclass(frozen=True)
class Call:
    """A request that was understood."""

    commands: tuple[str, ...]
    encoding: Encoding
    request_id: Any


def read_call(body: bytes) -> Call:
    """Understand a body. RpcError: it is no JSON-RPC request for runCmds."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "Request body is not valid JSON") from None
    if not isinstance(request, dict):
        raise RpcError(INVALID_REQUEST, "Request is not an object")
    request_id = request.get("id")
    for name in ("jsonrpc", "method", "params"):
        if name not in request:
            raise RpcError(INVALID_REQUEST, f"Expected field '{name}' not specified", request_id)
    if request["method"] != "runCmds":
        raise RpcError(METHOD_NOT_FOUND, f"Method '{request['method']}' not found", request_id)
    return _params(request["params"], request_id)


def _params(params: Any, request_id: Any) -> Call:
    if isinstance(params, list):
        params = dict(zip(("version", "cmds", "format"), params, strict=False))
    if not isinstance(params, dict) or not isinstance(params.get("cmds"), list):
        raise RpcError(INVALID_PARAMS, "Expected parameter 'cmds' to be a list", request_id)
    commands = tuple(_command(entry, request_id) for entry in params["cmds"])
    match params.get("format") or "json":
        case "json":
            return Call(commands, "json", request_id)
        case "text":
            return Call(commands, "text", request_id)
        case other:
            raise RpcError(INVALID_PARAMS, f"Invalid format '{other}'", request_id)


def _command(entry: Any, request_id: Any) -> str:
    """A string, or `{cmd, input}` of a command that asks for more."""
    text = entry.get("cmd") if isinstance(entry, dict) else entry
    if not isinstance(text, str):
        raise RpcError(INVALID_PARAMS, "A command must be a string or have 'cmd'", request_id)
    return text


async def answer(call: Call, run: Run) -> Json:
    """Run the commands in order; the first that fails ends the request."""
    results: list[Json] = []
    for index, command in enumerate(call.commands):
        try:
            results.append(_result(await run(command), call.encoding))
        except CliError as error:
            return _failure(call, index, results, error)
    return {"jsonrpc": "2.0", "id": call.request_id, "result": results}


def rpc_failure(error: RpcError) -> Json:
    """The answer to a request that was not understood."""
    body = {"code": error.code, "message": error.message}
    return {"jsonrpc": "2.0", "id": error.request_id, "error": body}


def _result(output: Output, encoding: Encoding) -> Json:
    if encoding == "text":
        return {"output": output.text}
    if output.data is None:
        raise Unconverted
    return output.data


def _failure(call: Call, index: int, results: Sequence[Json], error: CliError) -> Json:
    last: Json = {"errors": [error.message]}
    if call.encoding == "text":
        last = {"output": f"% {error.message}\n", **last}
    command = call.commands[index]
    body = {
        "code": error.code,
        "message": f"CLI command {index + 1} of {len(call.commands)} '{command}' failed: {error.summary}",
        "data": [*results, last],
    }
    return {"jsonrpc": "2.0", "id": call.request_id, "error": body}
