"""Asking language models through the gateway: the client of who starts it, and of who only has its socket."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eval.chat_records import ChatError, ChatFailure, ChatReply, ChatRequest, Limits, Spent
from eval.providers import gateway_environment
from eval.service import Progress, Service, call
from tasks.failure import FailureKind, StageError

SILENCE = 60.0
"""Seconds without a word after which a gateway is held for dead; it says something every few seconds."""


class Asker:
    """What can be asked of a gateway, however it is reached."""

    def __init__(self, send: Callable[..., Any]) -> None:
        """
        Args:
            send: calls a method of the service: its name, a progress callback or None, and parameters by name.
        """
        self._send = send

    def ask(self, request: ChatRequest) -> ChatReply:
        """The answer to one request.

        Raises:
            ChatError: PROVIDER when no answer came, BUDGET when a cap is reached; `trouble` says why.
            InputError: the gateway was not started for this model, or the model does not take a setting.
            StageError: ENVIRONMENT when there is no gateway.
        """
        (found,) = self.ask_many([request])
        if isinstance(found, ChatFailure):
            raise ChatError(found)
        return found

    def ask_many(
        self, requests: Sequence[ChatRequest], progress: Progress | None = None
    ) -> list[ChatReply | ChatFailure]:
        """The answers to many requests, in their order; the place of a request that failed holds the failure.

        Answers are kept as they come, so asking again after a crash buys what is missing.

        Args:
            progress: is told how many are done, now and then; it may hear the same number twice.

        Raises:
            InputError, StageError: as `ask`; no request of this call is tried again then.
        """
        found = self._send("ask", progress, requests=[request.model_dump(mode="json") for request in requests])
        return [_outcome(one) for one in found]

    def known(self, requests: Sequence[ChatRequest]) -> list[bool]:
        """Whether each request was answered before, so that its answer costs nothing."""
        return self._send("known", None, requests=[request.model_dump(mode="json") for request in requests])

    def forget(self, requests: Sequence[ChatRequest]) -> None:
        """Drop answers that turned out to be of no use, so that the same requests get others."""
        self._send("forget", None, requests=[request.model_dump(mode="json") for request in requests])

    def spent(self) -> Spent:
        """What has been spent so far, also before the run was resumed."""
        return Spent.model_validate(self._send("spent", None))


class GatewayClient(Asker):
    """A gateway of one's own, which starts at the first call and ends with `close` or with this process."""

    def __init__(
        self,
        specs: Sequence[str],
        cache: Path,
        ledger: Path,
        log: Path,
        limits: Limits = Limits(),  # noqa: B008  frozen
        prices: Sequence[str] = (),
        transcript: Path | None = None,
    ) -> None:
        """
        Args:
            specs: the models that may be asked: `provider:model[@base_url]`.
            cache: folder of the answers, shared by runs.
            ledger: JSON Lines file of what was spent; a resumed run goes on with it.
            prices: `SPEC=IN,OUT` in dollars per million tokens.
            transcript: JSON Lines file to which every call is added.

        Raises:
            InputError: a spec is wrong, a package or a key is missing.
        """
        arguments: list[str | Path] = ["--cache", cache, "--ledger", ledger]
        arguments += [part for spec in specs for part in ("--spec", spec)]
        arguments += [part for price in prices for part in ("--price", price)]
        arguments += ["--transcript", transcript] if transcript else []
        chosen = limits.model_dump(exclude_none=True)
        arguments += [part for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        self.service = Service("gateway", "eval.gateway", arguments, log=log, environment=gateway_environment(specs))
        super().__init__(self.service.call)

    @property
    def socket(self) -> Path:
        """Where others reach the gateway while it runs."""
        return self.service.socket

    def close(self) -> None:
        """End the process."""
        self.service.close()


class GatewaySocket(Asker):
    """A gateway that another process owns; needs no keys and no network."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        super().__init__(self._call)

    def _call(self, method: str, progress: Progress | None, **parameters: Any) -> Any:
        try:
            return call(self._socket, method, progress, silence=SILENCE, **parameters)
        except (EOFError, OSError) as error:
            message = f"the gateway does not answer ({type(error).__name__}: {error})"
            raise StageError("gateway", FailureKind.ENVIRONMENT, message) from None


def _outcome(found: dict[str, Any]) -> ChatReply | ChatFailure:
    ((kind, content),) = found.items()
    return (ChatReply if kind == "ChatReply" else ChatFailure).model_validate(content)
