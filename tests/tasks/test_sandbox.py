"""Each promise of the sandbox has an attack; the sandbox is the real one."""

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox_attack import CHECKOUT, MIB, TRIED, Attack, alive, refused

from tasks.failure import FailureKind, StageError
from tasks.sandbox import (
    INSTALL,
    Mounts,
    available,
    raise_for_failure,
    run,
    run_script,
    same,
)
from tasks.supervise import OUTPUT_LIMIT, OUTPUT_TAIL, Limits


@pytest.fixture(autouse=True)
def _sandbox_works() -> None:
    assert available() is None, available()


@pytest.fixture
def attack(tmp_path: Path) -> Iterator[Attack]:
    with Attack(tmp_path) as prepared:
        yield prepared


@pytest.fixture
def marker() -> Iterator[str]:
    """A word for the command lines of processes that must not survive; survivors are killed."""
    word = f"marker-{uuid.uuid4().hex}"
    yield word
    for pid in alive(word):
        os.kill(pid, signal.SIGKILL)


# An honest script


def test_honest_script_reads_the_corpus_and_writes_its_rows(attack: Attack, tmp_path: Path) -> None:
    finished = attack("""
        import sys
        from pathlib import Path
        import datasets, numpy
        rows = Path("/corpus/rows.jsonl").read_text()
        assert rows == Path(sys.argv[1], "rows.jsonl").read_text()
        Path("data.jsonl").write_text(rows * int(numpy.ones(3).sum()))
        Path("/out/sub").mkdir()
        Path("/tmp/scratch").write_text("x")
        print("done")
        print("a warning", file=sys.stderr)
    """)
    assert (finished.returncode, finished.stopped) == (0, None), finished.stderr
    assert (finished.stdout, finished.stderr) == ("done\n", "a warning\n")
    assert len((tmp_path / "out/data.jsonl").read_text().splitlines()) == 3
    assert not finished.timed_out
    raise_for_failure(finished, "prepare_data")


def test_a_call_costs_less_than_a_second(attack: Attack) -> None:
    assert min(attack("").seconds for _ in range(3)) < 1


def test_sandboxes_run_side_by_side(attack: Attack, tmp_path: Path) -> None:
    attack("open('data.jsonl', 'w')")
    with ThreadPoolExecutor(3) as pool:
        outs = [tmp_path / f"out{n}" for n in range(3)]
        ends = pool.map(lambda out: run_script(tmp_path / "agent.py", tmp_path / "corpus", out), outs)
        assert [end.returncode for end in ends] == [0, 0, 0]
    assert all((out / "data.jsonl").exists() for out in outs)


def test_failure_carries_the_traceback(attack: Attack) -> None:
    finished = attack("raise ValueError('no such column: answer')")
    assert finished.returncode == 1
    with pytest.raises(StageError) as caught:
        raise_for_failure(finished, "prepare_data")
    assert caught.value.failure.kind is FailureKind.SANDBOX
    assert "no such column: answer" in caught.value.failure.message


def test_death_by_signal_is_told_as_a_shell_does(attack: Attack) -> None:
    assert attack("import os; os.kill(os.getpid(), 11)").returncode == 128 + signal.SIGSEGV


def test_missing_corpus_is_a_bug_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run_script(tmp_path / "agent.py", tmp_path / "nowhere", tmp_path / "out")


# Network


def test_attack_network(attack: Attack) -> None:
    abstract = f"\0{uuid.uuid4().hex}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(abstract)
        local.listen()
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=2).close()  # the server does answer
        server.accept()[0].close()
        finished = attack(
            TRIED
            + f"""
    import socket
    attempt("loopback", lambda: str(socket.create_connection(("127.0.0.1", {port}), timeout=2)))
    attempt("outside", lambda: str(socket.create_connection(("1.1.1.1", 53), timeout=2)))
    attempt("udp", lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("1.1.1.1", 53)))
    attempt("names", lambda: str(socket.getaddrinfo("pypi.org", 443)))
    attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect({abstract!r}) or "connected")
    """
        )
        refused(finished)
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


# Reading


def test_attack_read_files_outside(attack: Attack, tmp_path: Path) -> None:
    secret = tmp_path / "sealed.jsonl"
    secret.write_text("gold")
    mine = [entry for entry in Path.home().iterdir() if not Path(sys.prefix).is_relative_to(entry)]
    mine = [entry for entry in mine if not Path(sys.base_prefix).is_relative_to(entry)]
    targets = [secret, Path(__file__), CHECKOUT / "pyproject.toml", CHECKOUT / "tasks", CHECKOUT / ".git", *mine]
    targets += [Path("/etc/shadow"), Path("/etc/passwd"), Path("/etc/hostname"), Path("/var"), Path("/root/.ssh")]
    targets += [Path(f"/proc/{os.getpid()}/{name}") for name in ("environ", "cwd", "root", "mem")]
    with secret.open() as opened:
        os.set_inheritable(opened.fileno(), True)
        finished = attack(
            TRIED
            + f"""
    for target in {[str(target) for target in targets]!r}:
        attempt(target, lambda: str(os.stat(target)))
        attempt("link " + target, lambda: (os.symlink(target, "link"), os.stat("link"))[1][0])
        os.path.lexists("link") and os.unlink("link")
    attempt("root of the first process", lambda: os.listdir("/proc/1/root{tmp_path}"))
    attempt("up", lambda: os.stat("../../../../../.." + {str(secret)!r}))
    for fd in range(3, 64):
        attempt(fd, lambda: os.read(fd, 10).decode())
    """
        )
    refused(finished)


def test_nothing_of_the_checkout_can_be_imported(attack: Attack) -> None:
    (CHECKOUT / "tasks/sandbox.py").stat()
    finished = attack(
        TRIED
        + f"""
    import importlib
    for name in ("tasks", "tasks.sandbox", "eval", "roles", "memory", "graph", "run_graph"):
        attempt(name, lambda: str(importlib.import_module(name)))
    attempt("path", lambda: [p for p in sys.path if p in ({str(CHECKOUT)!r}, "", "/out", os.getcwd())] or None)
    attempt("checkout", lambda: [n for n in os.listdir({str(CHECKOUT)!r}) if not n.startswith(".venv")] or None)
    """
    )
    refused(finished)


def test_module_beside_the_data_does_not_shadow(attack: Attack, tmp_path: Path) -> None:
    attack("open('json.py', 'w').write('raise SystemExit(7)')")
    assert attack("import json").returncode == 0
    assert (tmp_path / "out/json.py").exists()


def test_attack_processes_of_the_host(attack: Attack) -> None:
    finished = attack(
        TRIED
        + f"""
    attempt("others", lambda: [p for p in os.listdir("/proc") if p.isdigit() and int(p) > 50] or None)
    attempt("signal", lambda: os.kill({os.getpid()}, 0) or "reached")
    """
    )
    refused(finished)


# Environment


def test_attack_environment(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_API_KEY", "sk-planted")
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    finished = attack("""
        import os
        from pathlib import Path
        print(sorted(os.environ))
        seen = 0
        for place in Path("/proc").glob("[0-9]*"):
            for name in ("environ", "cmdline"):
                try:
                    print((place / name).read_bytes())
                    seen += 1
                except OSError:
                    pass
        assert seen >= 2
    """)
    assert finished.returncode == 0, finished.stderr
    assert "sk-planted" not in finished.stdout
    assert "PROVIDER_API_KEY" not in finished.stdout
    assert finished.stdout.splitlines()[0] == "['HOME', 'LANG', 'PATH', 'PWD']"


def test_given_environment_arrives_and_stays_out_of_the_process_list(tmp_path: Path) -> None:
    code = "import os; print(os.environ['TOKEN']); print(open('/proc/1/cmdline').read())"
    finished = run([sys.executable, "-c", code], Mounts(writable={Path("/out"): tmp_path}), env={"TOKEN": "abc"})
    assert finished.stdout.count("abc") == 1


# Writing


def test_attack_write_outside(attack: Attack, tmp_path: Path) -> None:
    victim = tmp_path / "host.txt"
    victim.write_text("unharmed")
    out = tmp_path / "out"
    out.mkdir()
    (out / "planted").symlink_to(victim)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if not path.is_relative_to(out)}
    before[tmp_path / "agent.py"] = 0
    # A checkout in /tmp is a folder of the sandbox's own scratch there, which may be written; the host's may not.
    checkout = [] if CHECKOUT.is_relative_to("/tmp") else [str(CHECKOUT)]
    finished = attack(
        TRIED
        + f"""
    import ctypes
    remount = lambda folder: ctypes.CDLL(None).mount(b"none", folder.encode(), None, 4096 | 32, None) or "done"
    folders = ["/", "/corpus", "/usr", "/usr/lib", "/etc", "/dev", "/proc", "/var", "/home", "/root", {sys.prefix!r}]
    for folder in [*folders, {sys.base_prefix!r}, {str(tmp_path)!r}, *{checkout!r}]:
        attempt(folder, lambda: open(folder + "/intruder", "w").write("x"))
        attempt("remount " + folder, lambda: {{"done": "done", -1: None}}[remount(folder)])
    attempt("link of an earlier run", lambda: os.readlink("planted"))
    for file in ["/script.py", "/corpus/rows.jsonl", {str(victim)!r}]:
        attempt(file, lambda: open(file, "r+").write("harmed"))
        attempt("append " + file, lambda: open(file, "a").write("harmed"))
    attempt("chmod", lambda: os.chmod("/corpus/rows.jsonl", 0o777) or "done")
    attempt("unlink", lambda: os.unlink("/corpus/rows.jsonl") or "done")
    attempt("hard link", lambda: os.link("/corpus/rows.jsonl", "hard") or "done")
    attempt("device", lambda: os.mknod("disk", 0o60660, os.makedev(8, 0)) or "done")
    attempt("chroot", lambda: os.chroot("/corpus") or "done")
    os.symlink({str(victim)!r}, "/out/mine")
    attempt("through my link", lambda: open("/out/mine", "w").write("harmed"))
    """
    )
    refused(finished)
    assert victim.read_text() == "unharmed"
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if not path.is_relative_to(out)}
    after[tmp_path / "agent.py"] = 0
    assert after == before
    assert not Path("/tmp/intruder").exists()
    assert not (CHECKOUT / "intruder").exists()


def test_attack_kernel_settings(attack: Attack) -> None:
    """Opened for writing and never written: if the sandbox fails, this machine must not."""
    finished = attack(
        TRIED
        + """
    files = [f"/proc/{name}" for name in os.listdir("/proc") if os.path.isfile(f"/proc/{name}")]
    for top in ("/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/self"):
        files += [os.path.join(place, name) for place, _, names in os.walk(top) for name in names]
    assert len(files) > 100
    writable = []
    for file in files:
        try:
            os.close(os.open(file, os.O_WRONLY))
            writable.append(file)
        except OSError:
            pass
    attempt("open for writing", lambda: [file for file in writable if "/fd/" not in file] or None)
    attempt("devices and cgroups", lambda: os.listdir("/sys"))
    """
    )
    refused(finished)


@pytest.fixture
def _no_deep_folders(tmp_path: Path) -> Iterator[None]:
    """The clean-up of pytest recurses, and stops the next session where a folder is deeper than the stack."""
    yield
    subprocess.run(["rm", "-rf", "out"], cwd=tmp_path, check=True)


@pytest.mark.usefixtures("_no_deep_folders")
def test_attack_lead_the_reader_of_the_results_elsewhere(attack: Attack, tmp_path: Path) -> None:
    (tmp_path / "sealed.jsonl").write_text("gold")
    finished = attack(f"""
        import os, socket
        os.makedirs("deep/er")
        open("deep/er/honest.txt", "w").write("kept")
        os.symlink({str(tmp_path / "sealed.jsonl")!r}, "data.jsonl")
        os.symlink({str(tmp_path)!r}, "deep/folder")
        os.mkfifo("deep/er/pipe")
        socket.socket(socket.AF_UNIX).bind("deep/socket")
        open("tool", "w").close()
        os.chmod("tool", 0o4755)
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
        os.mkfifo("pipe")
    """)
    assert finished.returncode == 0, finished.stderr
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["d", "deep", "tool"]
    assert sorted(str(path.relative_to(out)) for path in (out / "deep").rglob("*")) == ["deep/er", "deep/er/honest.txt"]
    assert stat.S_IMODE((out / "tool").stat().st_mode) == 0o755
    left = subprocess.run(["find", "d", "-type", "p"], cwd=out, capture_output=True, text=True, check=True).stdout
    assert left == ""


# Time


FAMILY = """
    import os, signal, subprocess, sys, time
    child = "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {how}; time.sleep(600)"
    hows = ["os.setsid()", "os.fork()", "os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0)"]
    for how in hows:
        subprocess.Popen([sys.executable, "-S", "-c", child.replace("{how}", how), "MARKER"])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    def count():
        return sum(b"MARKER" in open(f"/proc/{p}/cmdline", "rb").read() for p in os.listdir("/proc") if p.isdigit())
    time.sleep(0.3)
    while count() < 4:
        time.sleep(0.05)
    print(count())
"""


def test_attack_sleep_for_ever_with_stubborn_children(attack: Attack, marker: str) -> None:
    started = time.monotonic()
    finished = attack(FAMILY.replace("MARKER", marker) + "    sys.stdout.flush(); time.sleep(600)", wall_seconds=3)
    assert time.monotonic() - started < 3 + 2
    assert alive(marker) == []
    assert int(finished.stdout) >= 3
    assert finished.timed_out
    assert finished.returncode != 0
    with pytest.raises(StageError) as caught:
        raise_for_failure(finished, "prepare_data")
    assert caught.value.failure.kind is FailureKind.TIMEOUT


def test_attack_leave_daemons_behind(attack: Attack, marker: str) -> None:
    finished = attack(FAMILY.replace("MARKER", marker))
    assert alive(marker) == []
    assert (finished.returncode, finished.stopped) == (0, None)
    assert int(finished.stdout) >= 3


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_caller_that_ends_takes_the_sandbox_along(tmp_path: Path, marker: str, blow: signal.Signals) -> None:
    code = textwrap.dedent(FAMILY.replace("MARKER", marker)) + "time.sleep(600)"
    (tmp_path / "agent.py").write_text(code)
    call = "from pathlib import Path; from tasks.sandbox import run_script; run_script(*map(Path, %r))"
    places = [str(tmp_path / name) for name in ("agent.py", ".", "out")]
    caller = subprocess.Popen([sys.executable, "-c", call % places], cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while len(alive(marker)) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(alive(marker)) >= 3  # a parent that was only passing may be gone
    caller.send_signal(blow)
    assert caller.wait(timeout=10) != 0
    while blow is signal.SIGKILL and alive(marker) and time.monotonic() < deadline:
        time.sleep(0.02)  # the kernel does it, a moment later
    assert alive(marker) == []


def test_attack_burn_the_processor(attack: Attack) -> None:
    finished = attack("while True: pass", cpu_seconds=1, wall_seconds=60)
    assert finished.stopped == "CPU time"
    assert finished.timed_out


# Memory, disk, processes, output


def test_attack_memory_of_one_process(attack: Attack) -> None:
    finished = attack("block = bytearray(2 << 30)", memory_bytes=512 * MIB)
    assert finished.returncode == 1
    assert "MemoryError" in finished.stderr


def test_attack_memory_of_many_processes(attack: Attack) -> None:
    finished = attack(
        """
        import ctypes, os, time
        ctypes.CDLL(None).prctl(4, 0)  # forbid to look inside
        for _ in range(6):
            if os.fork() == 0:
                break
        block = bytearray(os.urandom(1 << 20) * 100)
        time.sleep(600)
        """,
        memory_bytes=400 * MIB,
    )
    assert finished.stopped == "memory"
    with pytest.raises(StageError, match="limit of memory"):
        raise_for_failure(finished, "prepare_data")


def test_memory_that_forks_share_counts_once(attack: Attack) -> None:
    finished = attack(
        """
        import os, time
        block = os.urandom(100 << 20)
        for _ in range(7):
            if os.fork() == 0:
                break
        time.sleep(1)
        """,
        memory_bytes=400 * MIB,
    )
    assert (finished.returncode, finished.stopped) == (0, None)


def test_attack_huge_files(attack: Attack, tmp_path: Path) -> None:
    finished = attack(
        TRIED
        + """
    def fill(folder, files):
        for n in range(files):
            with open(f"{folder}/huge{n}", "wb") as file:
                for _ in range(64):
                    file.write(bytes(1 << 20))
        return files
    attempt("one file", lambda: fill("/out", 1))
    attempt("a hole", lambda: os.truncate("/out/huge0", 1 << 40))
    attempt("scratch", lambda: fill("/tmp", 2))
    attempt("shared memory", lambda: fill("/dev/shm", 2))
    """,
        file_bytes=16 * MIB,
    )
    refused(finished)
    assert (tmp_path / "out/huge0").stat().st_size <= 16 * MIB


def test_scratch_space_is_bounded_as_a_whole(attack: Attack) -> None:
    code = TRIED + "    block = bytes(10 << 20)\n"
    for folder in ("/tmp", "/dev/shm"):
        write = f'lambda: [open(f"{folder}/{{n}}", "wb").write(block) for n in range(4)]'
        code += f'    attempt("{folder}", {write})\n'
    refused(attack(code, file_bytes=16 * MIB))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_attack_print_without_end(attack: Attack, stream: str) -> None:
    finished = attack(f"import sys\nwhile True: sys.{stream}.write('all work and no play ' * 1000)")
    assert finished.stopped == "output"
    assert len(finished.stdout) <= OUTPUT_TAIL
    assert len(finished.stderr) <= OUTPUT_TAIL


def test_tail_of_the_output_is_kept(attack: Attack) -> None:
    finished = attack(f"print('x' * {OUTPUT_LIMIT // 8}); print(b'\\xff'.decode('latin-1') + 'the end')")
    assert len(finished.stdout.encode()) <= OUTPUT_TAIL
    assert finished.stdout.endswith("the end\n")


# Our own data steps


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a package, its sealed data, and a folder that data steps have no business in."""
    data = tmp_path / "checkout/tasks/starter/data"
    data.mkdir(parents=True)
    (data / "gold.jsonl").write_text("gold")
    (tmp_path / "checkout/tasks/__init__.py").write_text("WORD = 'ours'")
    (tmp_path / "checkout/tasks/starter/__init__.py").write_text("")
    (tmp_path / "checkout/graph").mkdir()
    return tmp_path / "checkout"


def test_data_step_process(checkout: Path, tmp_path: Path) -> None:
    experiment = tmp_path / "runs/1/experiments/003"
    experiment.mkdir(parents=True)
    (experiment / "tasks.py").write_text("raise SystemExit('shadowed')")
    recipe = tmp_path / "recipe.json"
    recipe.write_text("{}")
    tasks = checkout / "tasks"
    mounts = Mounts(readonly=same(tasks, recipe), writable=same(experiment), masked=(checkout / "tasks/starter/data",))
    code = f"""
    import tasks, tasks.starter
    assert tasks.WORD == "ours"
    data = {str(tasks / "starter/data")!r}
    attempt("masked", lambda: os.listdir(data) or None)
    attempt("masked file", lambda: open(data + "/gold.jsonl").read())
    attempt("write into the mask", lambda: open(data + "/x", "w").write("x"))
    attempt("unmask", lambda: {{0: "done", -1: None}}[__import__("ctypes").CDLL(None).umount2(data.encode(), 2)])
    attempt("beside", lambda: os.listdir({str(checkout / "graph")!r}))
    attempt("write to the package", lambda: open({str(tasks)!r} + "/x", "w").write("x"))
    attempt("recipe", lambda: open({str(recipe)!r}, "w").write("x"))
    attempt("other experiments", lambda: os.listdir("..") != ["003"] or None)
    assert open({str(recipe)!r}).read() == "{{}}"
    assert os.getcwd() == {str(experiment)!r}
    open("data.jsonl", "w").write("row")
    """
    argv = [sys.executable, "-P", "-c", textwrap.dedent(TRIED + code)]
    finished = run(argv, mounts, Limits(wall_seconds=10), env={"PYTHONPATH": str(checkout)})
    assert finished.returncode == 0, finished.stderr
    refused(finished)
    assert (experiment / "data.jsonl").read_text() == "row"
    assert (tasks / "starter/data/gold.jsonl").read_text() == "gold"


def test_mask_that_covers_nothing_stops_the_start(checkout: Path) -> None:
    mounts = Mounts(readonly=same(checkout / "tasks"), masked=(checkout / "tasks/moved/data",))
    assert run(["true"], mounts).returncode != 0


def test_writable_folder_shows_inside_a_masked_one(tmp_path: Path) -> None:
    mine, other = tmp_path / "runs/mine", tmp_path / "runs/other"
    mine.mkdir(parents=True)
    other.mkdir()
    mounts = Mounts(readonly=same(tmp_path), masked=(tmp_path / "runs",), writable=same(mine))
    finished = run(["sh", "-c", "ls ..; touch made"], mounts)
    assert (finished.stdout, finished.returncode) == ("mine\n", 0), finished.stderr
    assert (mine / "made").exists()


def test_socket_in_a_bound_folder_reaches_its_server(tmp_path: Path) -> None:
    """How a data step talks to the warm engine, without a network."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        code = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/engine/s'); s.send(b'hello')"
        finished = run([sys.executable, "-c", code], Mounts(readonly={Path("/engine"): tmp_path}))
        assert finished.returncode == 0, finished.stderr
        server.settimeout(2)
        assert server.accept()[0].recv(5) == b"hello"


def test_command_that_does_not_exist_fails() -> None:
    finished = run(["no-such-command"], Mounts())
    assert finished.returncode != 0
    assert "no-such-command" in finished.stderr or "FileNotFoundError" in finished.stderr


# No bubblewrap


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def test_without_bubblewrap_scripts_are_refused(no_bubblewrap: Path, attack: Attack, tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        attack("open('ran', 'w')")
    failure = caught.value.failure
    assert failure.kind is FailureKind.SANDBOX
    assert INSTALL in failure.message
    assert "--unsafe-scripts" in failure.message
    assert not (tmp_path / "out/ran").exists()


def test_bubblewrap_that_may_not_work_says_why(no_bubblewrap: Path) -> None:
    bwrap = no_bubblewrap / "bwrap"
    bwrap.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    bwrap.chmod(0o755)
    complaint = available()
    assert complaint is not None
    assert "No permissions to create new namespace" in complaint
    assert INSTALL in complaint
    with pytest.raises(StageError, match="No permissions"):
        run(["true"], Mounts())


def test_bubblewrap_that_does_not_start_says_why(no_bubblewrap: Path) -> None:
    bwrap = no_bubblewrap / "bwrap"
    bwrap.write_bytes(b"\x7fELF of another machine")
    bwrap.chmod(0o755)
    assert "does not start" in (available() or "")


def test_unsafe_script_runs_with_limits_and_without_secrets(
    no_bubblewrap: Path, attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_API_KEY", "sk-planted")
    finished = attack(
        """
        import os, resource, sys
        from pathlib import Path
        Path("data.jsonl").write_text(Path(sys.argv[1], "rows.jsonl").read_text())
        Path("link").symlink_to("/etc/passwd")
        print(sorted(os.environ), resource.getrlimit(resource.RLIMIT_FSIZE)[0])
        """,
        unsafe=True,
        file_bytes=MIB,
    )
    assert (finished.returncode, finished.isolated) == (0, False), finished.stderr
    assert finished.stdout == f"['HOME', 'LANG', 'PATH'] {MIB}\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["data.jsonl"]


def test_unsafe_script_is_killed_with_its_children(no_bubblewrap: Path, attack: Attack, marker: str) -> None:
    code = f"""
        import subprocess, sys, time
        for new in (False, True):
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "{marker}"], start_new_session=new)
        time.sleep(600)
    """
    finished = attack(code, unsafe=True, wall_seconds=1)
    assert alive(marker) == []
    assert (finished.timed_out, finished.returncode) == (True, 128 + signal.SIGKILL)


def test_unsafe_permits_and_does_not_demand(attack: Attack) -> None:
    assert attack("", unsafe=True).isolated
