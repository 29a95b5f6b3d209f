"""A service of ours: a child process behind a Unix socket that answers JSON requests.

The evaluator and the engine are services. A call opens a connection, sends one request, receives any number of
progress messages and one reply. If the process dies in the middle it is started again and the call repeated, so
methods must be idempotent.
"""

import json
import os
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from eval.socket_folder import SocketFolder
from tasks.child import child_environment, kill_group, log_tail, start_child
from tasks.failure import Failure, FailureKind, InputError, StageError

Progress = Callable[[int, int], None]
Method = Callable[..., Any]
RESTARTS = 2
"""Times that one call may find its process dead and start it again."""
REFUSED = 2
"""Exit code of a process that cannot start with the input it was given."""
_REFUSAL = "ft-dojo-refused "


def _unheard(seconds: float) -> None:
    """Nobody wants to know."""


class Service:
    """The parent's handle on a service process."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        start_timeout: float = 300.0,
    ) -> None:
        """
        Args:
            module: started as `python -P -m module *arguments --socket PATH`.
            log: file that receives the process's output, appended over restarts.
            start_timeout: seconds until the socket must answer.
        """
        self.name = name
        self.log = log
        self.waited: Callable[[float], None] = _unheard
        """Told how many seconds a call has waited for the process to start."""
        self._module = module
        self._arguments = list(arguments)
        self._start_timeout = start_timeout
        self._folder = SocketFolder()
        # Its temporary files go with it, also after a kill.
        self._environment = {**(environment or child_environment()), "TMPDIR": str(self._folder.path)}
        self.socket = self._folder.path / "socket"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process without waiting for it; does nothing while it runs."""
        with self._lock:
            if self._process and self._process.poll() is None:
                return
            if self._process:
                kill_group(self._process)
            self.socket.unlink(missing_ok=True)
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                self._process = start_child(
                    self._module,
                    [*self._arguments, "--socket", self.socket],
                    log=log,
                    cwd=self._folder.path,
                    environment=self._environment,
                )

    def call(self, method: str, progress: Progress | None = None, **parameters: Any) -> Any:
        """Call a method and return its result.

        Raises:
            InputError, StageError: as raised by the method.
            InputError: the process refuses to start; the message says why.
            StageError: ENVIRONMENT when the process cannot be kept alive; the message has the end of its log.
        """
        for _ in range(RESTARTS + 1):
            try:
                with self._connect() as connection:
                    return _exchange(connection, {"method": method, "parameters": parameters}, progress)
            except (EOFError, ConnectionError, BrokenPipeError):
                time.sleep(0.1)  # let the dead process become reapable
        raise self._gone("died again and again")

    def stop(self) -> None:
        """Kill the process group; the next call starts it again."""
        with self._lock:
            if self._process:
                kill_group(self._process)
                self._process = None

    def close(self) -> None:
        """Kill the process group and remove the socket."""
        self.stop()
        self._folder.remove()

    def _connect(self) -> Connection:
        self.start()
        began = time.monotonic()
        waiting, killed = False, 0
        while time.monotonic() < began + self._start_timeout:
            try:
                connection = Client(str(self.socket), family="AF_UNIX")
                if waiting:
                    self.waited(time.monotonic() - began)
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                waiting = True
                code = self._process.poll() if self._process else None
                if code is not None and code > 0:
                    raise self._failed_to_start(code) from None
                killed += code is not None
                if killed > RESTARTS:
                    raise self._gone("is killed whenever it starts; is memory short?") from None
                self.start()
                time.sleep(0.05)
        raise self._gone(f"did not start within {self._start_timeout:.0f} s")

    def _failed_to_start(self, code: int) -> InputError | StageError:
        _, refusal, reason = log_tail(self.log, 10_000).rpartition(_REFUSAL)
        if code == REFUSED and refusal:
            return InputError(json.loads(reason.splitlines()[0]))
        return self._gone(f"ended with exit code {code}")

    def _gone(self, what: str) -> StageError:
        return StageError(self.name, FailureKind.ENVIRONMENT, f"the {self.name} {what}:\n{log_tail(self.log)}")


def call(
    socket: Path, method: str, progress: Progress | None = None, *, silence: float | None = None, **parameters: Any
) -> Any:
    """Call a method of a service that another process owns.

    Args:
        silence: seconds without a message after which the process is held for dead.

    Raises:
        EOFError, OSError: the process is not there, died, or was silent for too long (`TimeoutError`).
    """
    with Client(str(socket), family="AF_UNIX") as connection:
        return _exchange(connection, {"method": method, "parameters": parameters}, progress, silence)


def _exchange(
    connection: Connection, request: dict[str, Any], progress: Progress | None, silence: float | None = None
) -> Any:
    connection.send_bytes(json.dumps(request).encode())
    while True:
        if not connection.poll(silence):
            raise TimeoutError(f"no word for {silence:.0f} s")
        reply = json.loads(connection.recv_bytes())
        if "progress" in reply:
            if progress:
                progress(*reply["progress"])
        elif "input_error" in reply:
            raise InputError(reply["input_error"])
        elif "failure" in reply:
            failure = Failure.model_validate(reply["failure"])
            raise StageError(failure.stage, failure.kind, failure.message)
        else:
            return reply["result"]


def serve(socket: Path, prepare: Callable[[], Mapping[str, Method]]) -> None:
    """Answer requests until the parent dies; a thread a connection.

    Args:
        prepare: returns the methods; `InputError` from it reaches the caller.

    Each method takes a progress callback, then its parameters by name, and returns JSON data. `InputError` and
    `StageError` travel to the caller. Anything else is a bug: its traceback goes to the log and the process ends.
    """
    try:
        methods = prepare()
    except InputError as error:
        print(f"\n{_REFUSAL}{json.dumps(str(error))}", flush=True)
        os._exit(REFUSED)  # threads of a half-loaded library may keep the process alive
    with Listener(str(socket), family="AF_UNIX", backlog=16) as listener:
        while True:
            connection = listener.accept()
            threading.Thread(target=_answer, args=(connection, methods), daemon=True).start()


def _answer(connection: Connection, methods: Mapping[str, Method]) -> None:
    def send(reply: dict[str, Any]) -> None:
        connection.send_bytes(json.dumps(reply).encode())

    try:
        with connection:
            request = json.loads(connection.recv_bytes())

            def progress(done: int, total: int) -> None:
                send({"progress": [done, total]})

            try:
                send({"result": methods[request["method"]](progress, **request["parameters"])})
            except InputError as error:
                send({"input_error": str(error)})
            except StageError as error:
                send({"failure": error.failure.model_dump(mode="json")})
    except (EOFError, BrokenPipeError, ConnectionError):
        return  # the caller died or gave up; what was computed is in the cache
    except BaseException:  # noqa: BLE001  a bug: say so and die, the caller reads the log
        traceback.print_exc()
        os._exit(70)
