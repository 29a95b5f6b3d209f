"""Attacks on the sandbox, beside those of `test_sandbox.py`: none succeeds, and the host is as before (`Attack`)."""

import ctypes
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_attack import CHECKOUT, INSIDE, MIB, TRIED, Attack, refused, tried

from tasks import bubblewrap, control_group, sandbox, supervise
from tasks.failure import StageError
from tasks.sandbox import Mounts, available, raise_for_failure, run, run_script
from tasks.supervise import Finished
from tasks.system_calls import REFUSED, REFUSED_EVERYWHERE

MACHINE = os.uname().machine
ADD_KEY, KEYCTL = ({"x86_64": 248, "aarch64": 217}.get(MACHINE, 0), {"x86_64": 250, "aarch64": 219}.get(MACHINE, 0))
filtered = pytest.mark.skipif(MACHINE not in REFUSED, reason=f"there is no filter of system calls for {MACHINE}")


@pytest.fixture(autouse=True)
def _sandbox_works() -> None:
    assert available() is None, available()


@pytest.fixture
def attack(tmp_path: Path) -> Iterator[Attack]:
    with Attack(tmp_path) as prepared:
        yield prepared


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How processes and memory are bounded: as this machine does, as another user, or by the supervisor alone."""
    if request.param != "as here":
        if os.geteuid() != 0:
            pytest.skip("only root becomes another user, and RLIMIT_NPROC binds everybody else")
        for module in (control_group, bubblewrap, sandbox):
            monkeypatch.setattr(module, "kernel_binds", frozenset)
        assert bubblewrap.best_way().other_user
        assert sandbox.process_bound() == "other user"
    if request.param == "looked at":
        plain = bubblewrap.best_way()._replace(other_user=False)
        monkeypatch.setattr(sandbox, "best_way", lambda: plain)
    return request.param


every_way = pytest.mark.parametrize("way", ["as here", "as another user", "looked at"], indirect=True)
where_bound = pytest.mark.parametrize("way", ["as here", "as another user"], indirect=True)


# Honest code


@where_bound
def test_honest_program_runs(way: str, attack: Attack, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (attack.corpus / "rows.jsonl").chmod(0o600)
    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    (out / "data.jsonl").write_text("of an earlier step")
    finished = attack(
        """
        import multiprocessing, os, sqlite3, subprocess, tempfile, threading
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        if __name__ == "__main__":
            import numpy, pandas
            rows = pandas.read_json("/corpus/rows.jsonl", lines=True)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(numpy.sqrt, [4.0, 9.0]) == [2.0, 3.0]
            with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
                assert list(pool.map(abs, [-1])) == [1]
            with multiprocessing.Manager() as manager:
                assert manager.list([1])[0] == 1
            with ThreadPoolExecutor(8) as pool:
                assert sum(pool.map(numpy.square, range(100))) == 328350
            with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile(dir=".") as file:
                rows.to_csv(f"{folder}/rows.csv")
                file.write(b"x")
                assert len(pandas.read_csv(f"{folder}/rows.csv")) == 1
            sqlite3.connect("/tmp/rows.db").execute("create table t (x)")
            assert subprocess.run(["sh", "-c", "echo $((1 + 1))"], capture_output=True, text=True).stdout == "2\\n"
            os.makedirs("folder/inside")
            rows.to_json("data.jsonl", orient="records", lines=True)
            os.rename("data.jsonl", "folder/inside/data.jsonl")
            print(numpy.linalg.norm(numpy.ones((64, 64)) @ numpy.ones(64)))
        """,
        processes=64,
        wall_seconds=180,
    )
    assert (finished.returncode, finished.stopped, finished.stdout) == (0, None, "512.0\n"), finished.stderr
    assert json.loads((out / "folder/inside/data.jsonl").read_text())["answer"] == 2
    assert {path.stat().st_uid for path in out.rglob("*")} == {os.getuid()}
    attack("import shutil; shutil.rmtree('/out/folder'); open('/out/again', 'w')")  # what an earlier run wrote
    assert [path.name for path in out.iterdir()] == ["again"]
    (out / "again").unlink()
    out.rmdir()


# Processes


@where_bound
def test_attack_fork_bomb_is_refused_by_the_kernel(way: str, attack: Attack) -> None:
    finished = attack(
        """
        import errno, os, sys, time
        made, refused = 0, 0
        while refused < 5 and made < 200:
            try:
                if os.fork() == 0:
                    time.sleep(600)
                made += 1
            except OSError as error:
                assert error.errno == errno.EAGAIN
                refused += 1
                time.sleep(0.1)  # the supervisor looks, too
        print(made)
        """,
        processes=20,
    )
    assert (finished.returncode, finished.stopped) == (0, None), finished.stderr
    assert 15 <= int(finished.stdout) <= 20


def test_attack_bomb_of_threads(attack: Attack) -> None:
    finished = attack(
        "import threading, time\n"
        "for _ in range(200): threading.Thread(target=time.sleep, args=[600], daemon=True).start()",
        processes=20,
    )
    assert finished.returncode == 1
    assert "can't start new thread" in finished.stderr


@pytest.mark.parametrize("way", ["looked at"], indirect=True)
def test_attack_fork_bomb_that_only_the_supervisor_sees(way: str, attack: Attack) -> None:
    bomb = "import os, time\nfor _ in range(200): os.fork() or time.sleep(600)\ntime.sleep(600)"
    finished = attack(bomb, processes=20)
    assert finished.stopped == "processes"


@every_way
def test_attack_kill_the_parent_and_the_first_process(way: str, attack: Attack) -> None:
    outside = [pid for pid in (os.getpid(), os.getppid(), attack.bystander.pid) if pid > 50]  # nobody inside has these
    finished = attack(
        INSIDE
        + TRIED
        + f"""
    import signal, subprocess
    child = subprocess.Popen(["sleep", "600"])
    for pid in {outside}:
        attempt(f"process {{pid}} of the host", lambda: os.kill(pid, 0) or "reached")
        attempt(f"group {{pid}} of the host", lambda: os.killpg(pid, 0) or "reached")
        attempt(f"handle {{pid}} of the host", lambda: os.pidfd_open(pid))
    for pid in (os.getppid(), 1, -1):
        for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL, signal.SIGSEGV, 34, 64):
            try:
                os.kill(pid, number)
            except PermissionError:
                pass
    assert child.wait(5) == -signal.SIGTERM  # those inside are reached
    open("survived", "w")
    """
    )
    refused(finished)
    assert (attack.folder / "out/survived").exists()
    assert (finished.returncode, finished.stopped) == (0, None)


def test_attack_kill_the_own_group(attack: Attack) -> None:
    finished = attack(INSIDE + "    os.killpg(0, 9)")
    assert (finished.returncode, finished.stopped) == (128 + signal.SIGKILL, None)


def test_attack_stop_and_hang(attack: Attack) -> None:
    finished = attack("import os, signal; os.fork(); os.kill(os.getpid(), signal.SIGSTOP)", wall_seconds=1)
    assert finished.stopped == "wall clock"


def test_attack_trace_and_read_other_processes(attack: Attack) -> None:
    calls = REFUSED.get(MACHINE, {})
    finished = attack(
        TRIED
        + f"""
    for pid in (1, os.getppid(), {os.getpid()}):
        attempt(f"attach {{pid}}", lambda: call({calls.get("ptrace", 101)}, 16, pid, 0, 0))
        attempt(f"seize {{pid}}", lambda: call({calls.get("ptrace", 101)}, 0x4206, pid, 0, 0))
    attempt("memory", lambda: call({calls.get("process_vm_readv", 310)}, 1, 0, 0, 0, 0, 0))
    attempt("files", lambda: call(438, os.pidfd_open(1), 0, 0))
    """
    )
    refused(finished)


def test_attack_environment_of_the_supervisor(attack: Attack) -> None:
    """The supervisor is a process whose environment holds a secret from its start."""
    (attack.folder / "agent.py").write_text(
        "import glob\nfor name in glob.glob('/proc/*/environ') + glob.glob('/proc/*/task/*/environ'):\n"
        "    print(open(name, 'rb').read())\n"
    )
    code = "from pathlib import Path; from tasks.sandbox import run_script; print(run_script(*map(Path, %r)).stdout)"
    places = [str(attack.folder / name) for name in ("agent.py", "corpus", "out")]
    path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PROVIDER_API_KEY": "sk-planted", "PYTHONPATH": path}
    command = [sys.executable, "-c", code % places]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "LANG=C.UTF-8" in done.stdout
    assert "sk-planted" not in done.stdout


def test_attack_inherited_files(attack: Attack, tmp_path: Path) -> None:
    secret = tmp_path / "sealed.jsonl"
    secret.write_text("gold")
    with secret.open() as opened, socket.socket() as connection:
        os.set_inheritable(opened.fileno(), True)
        os.set_inheritable(connection.fileno(), True)
        finished = attack("""
            import os
            with os.scandir("/proc/self/fd") as entries:
                print(sorted(int(entry.name) for entry in entries))
            for pid in (1, os.getpid()):
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    try:
                        print(os.read(os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK), 99))
                    except OSError:
                        pass
        """)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[0] == "[0, 1, 2, 3]"  # the last is the listing itself
    assert "gold" not in finished.stdout


# More rights


@every_way
def test_own_rights_are_few(way: str, attack: Attack) -> None:
    finished = attack("""
        status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
        print(*(int(status[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")))
        print(status["NoNewPrivs"].strip(), status["Seccomp"].strip(), status["Groups"].strip())
    """)
    capabilities, rest = finished.stdout.splitlines()
    pass_over_permissions = 1 << 1
    assert set(map(int, capabilities.split())) == {pass_over_permissions if way == "as another user" else 0}
    assert rest.split()[:2] == ["1", "2" if MACHINE in REFUSED else "0"]
    assert set(rest.split()[2:]) <= {"65534"}  # groups that have no name in here


@every_way
def test_attack_raise_the_own_limits(way: str, attack: Attack) -> None:
    finished = attack(
        TRIED
        + """
    import resource, socket, time
    for name in ("CPU", "AS", "FSIZE", "NPROC", "CORE"):
        kind = getattr(resource, f"RLIMIT_{name}")
        assert resource.getrlimit(kind)[1] != resource.RLIM_INFINITY
        attempt(name, lambda: resource.setrlimit(kind, (resource.RLIM_INFINITY,) * 2) or "raised")
        attempt(f"{name} of the first process", lambda: resource.prlimit(1, kind, (1 << 62,) * 2) and None)
    attempt("nice", lambda: os.nice(-1))
    attempt("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) or "done")
    attempt("out-of-memory score", lambda: open("/proc/self/oom_score_adj", "w").write("-1000"))
    attempt("clock", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()) or "done")
    attempt("name", lambda: socket.sethostname(socket.gethostname()) or "done")
    attempt("user", lambda: os.setresuid(1, 1, 1) or "done")
    attempt("group", lambda: os.setgroups([1]) or "done")
    """
    )
    refused(finished)


def test_attack_programs_that_run_as_root(attack: Attack, tmp_path: Path) -> None:
    finished = attack(
        TRIED
        + """
    import shutil, subprocess
    shutil.copy("/bin/sh", "root-shell")
    os.chmod("root-shell", 0o6755)
    for command in ("su -c id", "sudo -n id", "mount -t proc proc /tmp", "pkexec id"):
        if shutil.which(command.split()[0]):
            end = subprocess.run(command.split(), capture_output=True, stdin=subprocess.DEVNULL)
            attempt(command, lambda: "done" if end.returncode == 0 else None)
    own = subprocess.run(["id", "-u"], capture_output=True).stdout
    copied = subprocess.run(["./root-shell", "-p", "-c", "id -u"], capture_output=True).stdout
    attempt("copied shell", lambda: None if copied == own else "other user")
    """
    )
    refused(finished)
    assert not (tmp_path / "out/root-shell").stat().st_mode & 0o6000


def test_attack_make_namespaces_and_mounts(attack: Attack) -> None:
    calls = {"unshare": 272, "setns": 308, "mount": 165} | REFUSED.get(MACHINE, {})
    finished = attack(
        INSIDE
        + TRIED
        + f"""
    import subprocess
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        attempt(f"unshare {{flag:x}}", lambda: call({calls["unshare"]}, flag))
        attempt(f"user and {{flag:x}}", lambda: call({calls["unshare"]}, flag | 0x10000000))
    for name in os.listdir("/proc/1/ns"):
        attempt(f"enter {{name}}", lambda: call({calls["setns"]}, os.open(f"/proc/1/ns/{{name}}", os.O_RDONLY), 0))
    attempt("tmpfs", lambda: call({calls["mount"]}, b"none", b"/tmp", b"tmpfs", 0, 0))
    attempt("cgroup", lambda: call({calls["mount"]}, b"none", b"/tmp", b"cgroup2", 0, 0))
    for number in (428, 430, 442):
        attempt(number, lambda: call(number, b"tmpfs", 0, 0, 0, 0))
    for tool in (["unshare", "-Ur", "true"], ["bwrap", "--ro-bind", "/", "/", "--unshare-user", "true"]):
        attempt(tool[0], lambda: "done" if subprocess.run(tool, capture_output=True).returncode == 0 else None)
    """
    )
    refused(finished)


# The kernel


@filtered
def test_refused_system_calls_do_not_exist(attack: Attack) -> None:
    numbers = REFUSED[MACHINE] | REFUSED_EVERYWHERE
    finished = attack(
        INSIDE
        + TRIED
        + f"""
    import errno
    for name, number in {numbers!r}.items():
        ctypes.set_errno(0)
        libc.syscall(number, -1, -1, -1, -1, -1, -1)
        attempt(name, lambda: None if ctypes.get_errno() == errno.ENOSYS else ctypes.get_errno())
    attempt("clone", lambda: call({{"x86_64": 56, "aarch64": 220}}[{MACHINE!r}], 0x10000000 | 17, 0, 0, 0, 0))
    """
    )
    refused(finished)
    assert len(tried(finished)) > 45


@pytest.mark.skipif(MACHINE != "x86_64", reason="machine code for x86-64")
@pytest.mark.parametrize(
    ("code", "reach"),
    [
        (b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", "32 bit"),  # mov eax, getpid; int 0x80; ret
        (b"\xb8\x27\x00\x00\x40\x0f\x05\xc3", "x32"),  # mov eax, __X32_SYSCALL_BIT + getpid; syscall; ret
    ],
    ids=["32 bit", "x32"],
)
def test_attack_call_the_kernel_by_other_numbers(attack: Attack, code: bytes, reach: str) -> None:
    finished = attack(f"""
        import ctypes, mmap
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write({code!r})
        print("calling", flush=True)
        print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
    """)
    assert (finished.returncode, finished.stdout) == (128 + signal.SIGSYS, "calling\n")


@filtered
def test_attack_read_the_keyring(attack: Attack) -> None:
    libc = ctypes.CDLL(None)
    process, session, user = -2, -3, -4
    keys = [libc.syscall(ADD_KEY, b"user", b"ft-dojo-secret", b"sk-planted", 10, ring) for ring in (session, user)]
    try:
        finished = attack(
            TRIED
            + f"""
    buffer = ctypes.create_string_buffer(64)
    for key in {[*keys, session, user]!r}:
        attempt(f"read {{key}}", lambda: call({KEYCTL}, 11, key, buffer, 64))
    for ring in {[process, session, user]!r}:
        attempt(f"search {{ring}}", lambda: call({KEYCTL}, 10, ring, b"user", b"ft-dojo-secret", 0))
    attempt("request", lambda: call({REFUSED[MACHINE]["request_key"]}, b"user", b"ft-dojo-secret", 0, 0))
    attempt("plant", lambda: call({ADD_KEY}, b"user", b"ft-dojo-owned", b"x", 1, {user}))
    attempt("bytes", lambda: buffer.value.decode() or None)
    """
        )
        refused(finished)
    finally:
        for key in keys:
            libc.syscall(KEYCTL, 21, key)  # KEYCTL_INVALIDATE


# Devices and terminals


@every_way
def test_attack_device_files(way: str, attack: Attack) -> None:
    finished = attack(
        TRIED
        + """
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "core", "shm"}
    attempt("others", lambda: [name for name in os.listdir("/dev") if name not in harmless | {"pts", "ptmx"}] or None)
    for name in ("mem", "kmem", "kmsg", "port", "kvm", "sda", "vda", "nvme0n1", "loop-control", "fuse", "console"):
        attempt(name, lambda: os.open(f"/dev/{name}", os.O_RDONLY))
    for folder in ("/tmp", "/out", "/dev/shm"):
        for kind, *numbers in ((0o60600, 8, 0), (0o60600, 253, 0), (0o20600, 1, 1), (0o20600, 10, 232)):
            attempt(f"{folder} {numbers}", lambda: os.mknod(f"{folder}/node", kind, os.makedev(*numbers)) or "made")
    attempt("sys", lambda: os.listdir("/sys"))
    """
    )
    refused(finished)


def test_attack_type_into_the_terminal(attack: Attack) -> None:
    """The caller has a terminal, at which somebody could be made to type a command."""
    (attack.folder / "agent.py").write_text(
        textwrap.dedent(
            INSIDE
            + TRIED
            + """
    import fcntl, glob, termios
    def type_in(fd):
        fcntl.ioctl(fd, termios.TIOCSTI, b"\\n")
        return "typed"
    for name in ("/dev/tty", "/dev/console", "/dev/tty0", "/dev/tty1", *glob.glob("/dev/pts/[0-9]*")):
        attempt(name, lambda: type_in(os.open(name, os.O_RDWR)))
    for fd in range(10):
        attempt(f"type into {fd}", lambda: type_in(fd))
        attempt(f"take {fd}", lambda: fcntl.ioctl(fd, termios.TIOCSCTTY, 1) or "taken")
        attempt(f"terminal {fd}", lambda: os.ttyname(fd))
    """
        )
    )
    places = [str(attack.folder / name) for name in ("agent.py", "corpus", "out", "seen.json")]
    code = f"""
        import os, select, sys
        from pathlib import Path
        sys.path.insert(0, {str(CHECKOUT)!r})
        from tasks.sandbox import run_script
        assert os.isatty(0) and os.ttyname(0) and open("/dev/tty")
        *places, seen = map(Path, {places!r})
        finished = run_script(*places)
        assert not select.select([0], [], [], 0.2)[0], "something was typed"
        seen.write_text(finished.model_dump_json())
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", textwrap.dedent(code)])
    said = b""
    while select.select([terminal], [], [], 20)[0]:
        try:
            said += os.read(terminal, 1 << 16)
        except OSError:  # the other side is closed
            break
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0, said.decode()
    refused(Finished.model_validate_json((attack.folder / "seen.json").read_text()))


def test_attack_steer_the_terminal_by_what_is_printed(attack: Attack) -> None:
    finished = attack("print('\\x1b]0;owned\\x07\\x1b[2J\\x9b2J\\x08 grüße', flush=True); raise SystemExit(1)")
    with pytest.raises(StageError) as caught:
        raise_for_failure(finished, "prepare_data")
    assert caught.value.failure.message == "?]0;owned??[2J?2J? grüße\nexit code 1"


# Files


def test_attack_read_the_benchmark(attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "benchmarks"
    data.mkdir()
    name = f"gold-{uuid.uuid4().hex}.jsonl"
    (data / name).write_text('{"question": "sealed", "answer": "B"}')
    (attack.corpus / "shortcut").symlink_to(data)
    real = [Path(os.environ[key]) for key in ("FT_DOJO_DATA",) if key in os.environ]
    monkeypatch.setenv("FT_DOJO_DATA", str(data))
    starter = [CHECKOUT / "tasks/starter", *(CHECKOUT / "tasks/starter").rglob("*.jsonl")]
    targets = [data, data / name, *starter, *real, Path.home() / ".cache/ft-dojo"]
    finished = attack(
        TRIED
        + f"""
    for target in {[str(target) for target in targets]!r}:
        attempt(target, lambda: os.listdir(target) if os.path.isdir(target) else open(target).read())
    attempt("shortcut", lambda: os.listdir("/corpus/shortcut"))
    attempt("told where", lambda: [text for text in os.environ.values() if "benchmarks" in text] or None)
    known = ("/usr", "/proc", "/dev", {sys.prefix!r}, {sys.base_prefix!r})
    found = []
    for place, folders, files in os.walk("/"):
        folders[:] = [folder for folder in folders if not os.path.join(place, folder).startswith(known)]
        found += [file for file in files if file == {name!r}]
    attempt("found", lambda: found or None)
    """
    )
    refused(finished)


@every_way
def test_attack_links_out_of_the_sandbox(way: str, attack: Attack, tmp_path: Path) -> None:
    secret = tmp_path / "sealed.jsonl"
    secret.write_text("gold")
    finished = attack(
        TRIED
        + f"""
    secret = {str(secret)!r}
    corpus = os.open("/corpus", os.O_RDONLY)
    rows = os.open("/corpus/rows.jsonl", os.O_RDONLY)
    os.symlink("/proc/1/root", "root")
    os.symlink("../../../../../../../../..", "up")
    os.symlink(secret, "symbolic")
    os.symlink(os.path.dirname(secret), "folder")
    for place in ("root" + secret, "up" + secret, "symbolic", "folder/sealed.jsonl", "/proc/self/cwd/.." + secret):
        attempt(f"read {{place}}", lambda: open(place).read())
        attempt(f"write {{place}}", lambda: open(place, "r+").write("harmed"))
        attempt(f"link {{place}}", lambda: os.link(place, "linked", src_dir_fd=corpus) or "made")
    attempt("link to the corpus", lambda: os.link("/corpus/rows.jsonl", "/out/hard") or "made")
    attempt("link by a handle", lambda: os.link(f"/proc/self/fd/{{rows}}", "/out/hard", src_dir_fd=corpus) or "made")
    attempt("link in a folder", lambda: os.link("rows.jsonl", "/out/hard", src_dir_fd=corpus) or "made")
    attempt("rename", lambda: os.rename("/corpus/rows.jsonl", "/out/rows.jsonl") or "done")
    attempt("rename the mount", lambda: os.rename("/corpus", "/out/corpus") or "done")
    attempt("write by a handle", lambda: open(f"/proc/self/fd/{{rows}}", "r+").write("harmed"))
    attempt("above the folder", lambda: os.open(".." + secret, os.O_RDONLY, dir_fd=corpus))
    attempt("attribute", lambda: os.setxattr("/corpus/rows.jsonl", "user.x", b"x") or "set")
    attempt("time", lambda: os.utime("/corpus/rows.jsonl", (0, 0)) or "set")
    attempt("owner", lambda: os.chown("/corpus/rows.jsonl", os.getuid(), os.getgid()) or "set")
    """
    )
    refused(finished)
    assert secret.read_text() == "gold"
    assert list((tmp_path / "out").iterdir()) == []


def test_attack_sockets_in_and_beside_the_folders(
    attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as beside, socket.socket(socket.AF_UNIX) as inside:
        monkeypatch.chdir(tmp_path)  # paths of sockets must be short
        beside.bind("beside")
        beside.listen()
        (tmp_path / "out").mkdir()
        inside.bind("out/planted")
        inside.listen()
        finished = attack(
            TRIED
            + f"""
    import socket
    connect = lambda place: socket.socket(socket.AF_UNIX).connect(place) or "connected"
    os.chdir("/")
    for place in ("/beside", "/corpus/../beside", "/out/planted", {str(tmp_path / "beside")[:100]!r}):
        attempt(place, lambda: connect(place))
    for place in ("/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/tmp/.X11-unix/X0"):
        attempt(place, lambda: connect(place))
    socket.socket(socket.AF_UNIX).bind("/out/left")
    """
        )
        refused(finished)
        assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", ["socket", "pipe"])
def test_corpus_with_a_way_out_is_refused(
    attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (attack.corpus / "deep").mkdir()
    monkeypatch.chdir(attack.corpus / "deep")
    if kind == "pipe":
        os.mkfifo("way")
    else:
        socket.socket(socket.AF_UNIX).bind("way")
    with pytest.raises(StageError, match="deep/way is a socket, pipe or device"):
        run_script(tmp_path / "bystander.txt", attack.corpus, tmp_path / "out")


def test_attack_time_bombs(attack: Attack, tmp_path: Path) -> None:
    """Things that would act later: on the next start of Python, on the next login, or when the call is over."""
    home = Path.home()
    later = [home / name for name in (".bashrc", ".profile", ".config", ".local", ".ssh", ".pythonrc.py", ".forward")]
    later += [Path(place) for place in ("/etc/cron.d", "/var/spool/cron", "/var/spool/at", "/etc/profile.d")]
    before = {path: path.lstat().st_mtime_ns for path in later if os.path.lexists(path)}
    marker = uuid.uuid4().hex
    finished = attack(
        TRIED
        + f"""
    import site, sysconfig, threading, time
    for place in (*site.getsitepackages(), sysconfig.get_paths()["stdlib"], "/usr/lib/python3"):
        for name in ("owned.pth", "sitecustomize.py", "__pycache__/os.cpython-311.pyc"):
            attempt(f"{{place}}/{{name}}", lambda: open(f"{{place}}/{{name}}", "w").write("import os"))
    for place in {[str(path) for path in later if not path.is_relative_to("/tmp")]!r}:
        attempt(place, lambda: open(place, "a").write("touch owned"))
        attempt(f"{{place}}/owned", lambda: open(f"{{place}}/owned", "a").write("touch owned"))
    def explode():
        while os.path.exists(f"/proc/{{me}}"):
            time.sleep(0.01)
        time.sleep(0.5)
        open("/out/late", "w")
        open("/tmp/{marker}", "w")
    me = os.getpid()
    threading.Thread(target=explode, daemon=True).start()
    for leave in (os.setsid, os.getpid):
        if os.fork() == 0:
            leave()
            explode()
            os._exit(0)
    """
    )
    refused(finished)
    time.sleep(1)
    assert not (tmp_path / "out/late").exists()
    assert not Path("/tmp", marker).exists()
    assert {path: path.lstat().st_mtime_ns for path in later if os.path.lexists(path)} == before


# Memory and disk


@every_way
def test_attack_memory_bomb_of_many(way: str, attack: Attack) -> None:
    finished = attack(
        "import os, time\nfor _ in range(3): os.fork()\nblock = bytearray(b'x') * (40 << 20)\ntime.sleep(600)",
        memory_bytes=160 * MIB,
    )
    assert finished.stopped == "memory"


@pytest.mark.skipif("memory" not in control_group.kernel_binds(), reason="no control group binds memory here")
def test_attack_memory_that_no_process_maps(attack: Attack) -> None:
    finished = attack(
        "import sys\nfor n in range(8):\n  open(f'/dev/shm/{n}', 'wb').write(bytes(20 << 20))\n  print(n, flush=True)",
        memory_bytes=100 * MIB,
    )
    assert (finished.stopped, finished.returncode) == ("memory", 128 + signal.SIGKILL)
    assert finished.stdout.splitlines()[-1] in "234"


@pytest.mark.parametrize("left", [(1 << 60, 0), (0, 1 << 60)], ids=["bytes", "files"])
def test_attack_fill_the_disk(
    attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: tuple[int, int]
) -> None:
    """A disk is taken for nearly full here, however much room it has."""
    monkeypatch.setattr(supervise, "DISK_LEFT", left)
    monkeypatch.setattr(supervise, "DISK_SHARE", 0)
    if left[1] and os.statvfs(tmp_path).f_favail == 0:
        pytest.skip("this file system does not count files")
    finished = attack("""
        import time
        for n in range(5000):
            open(f"{n}", "wb").write(bytes(10_000))
        time.sleep(600)
    """)
    assert finished.stopped == "disk"


def test_attack_output_that_is_a_hole(attack: Attack) -> None:
    finished = attack("import os, time; os.truncate('/proc/self/fd/1', 1 << 30); time.sleep(600)")
    assert finished.stopped == "output"
    assert len(finished.stdout) <= supervise.OUTPUT_TAIL


# Bounds by control groups


_V1 = "rw - cgroup cgroup rw,{c}"
TREES = {
    "version 1": ("4:memory:/jobs/7\n8:pids:/\n0::/\n", f"40 30 0:35 / {{m}}/{{c}} {_V1}\n"),
    "in a container": ("4:memory:/docker/ab/7\n8:pids:/docker/ab\n", f"40 30 0:35 /docker/ab {{m}}/{{c}} {_V1}\n"),
    "version 2": ("0::/\n", "29 22 0:26 / {m}/all rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"),
}
"""The files `cgroup` and `mountinfo` of a process, the latter a line for a controller."""


@pytest.mark.parametrize(
    ("tree", "memory", "pids"),
    [("version 1", "memory/jobs/7", "pids"), ("in a container", "memory/7", "pids"), ("version 2", "all", "all")],
)
def test_own_folder_in_the_control_groups(tmp_path: Path, tree: str, memory: str, pids: str) -> None:
    groups, mounts = TREES[tree]
    (tmp_path / "cgroup").write_text(groups)
    (tmp_path / "mountinfo").write_text(
        "".join(mounts.format(m=tmp_path, c=controller) for controller in ("cpu", "memory", "pids"))
    )
    (tmp_path / "all").mkdir()
    (tmp_path / "all/cgroup.controllers").write_text("cpu memory pids\n")
    version = "cgroup2" if tree == "version 2" else "cgroup"
    assert control_group.own_folder("memory", tmp_path) == (version, tmp_path / memory)
    assert control_group.own_folder("pids", tmp_path) == (version, tmp_path / pids)
    assert control_group.own_folder("hugetlb", tmp_path) is None


def test_group_of_version_2_is_made_below_the_root_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_group, "own_folder", lambda controller: ("cgroup2", tmp_path))
    group = control_group._make({"pids": 7, "memory": 1 << 20})
    (folder,) = group.folders
    assert group.binds == {"pids", "memory"}
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "pids.max": "7", "memory.max": str(1 << 20), "memory.swap.max": "0"
    }  # fmt: skip
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 0\noom_group_kill 0\n")
    assert not group.out_of_memory()
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 1\noom_group_kill 0\n")
    assert group.out_of_memory()
    (tmp_path / "cgroup.type").write_text("domain\n")
    (tmp_path / "cgroup.subtree_control").unlink()
    control_group._make({"pids": 7})
    assert not (tmp_path / "cgroup.subtree_control").exists()  # what others manage stays as it is


def test_group_of_a_killed_caller_is_removed_by_the_next(attack: Attack) -> None:
    if "pids" not in control_group.kernel_binds():
        pytest.skip("no control group binds processes here")
    home = control_group.own_folder("pids")
    assert home is not None
    left = home[1] / f"{control_group.PREFIX}{1 << 30}-0"  # no process has this id
    left.mkdir()
    assert attack("").returncode == 0
    assert not left.exists()


def test_command_does_not_start_beside_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = control_group.ControlGroup(folders=(tmp_path / "gone",), binds=frozenset({"pids"}))
    monkeypatch.setattr(control_group, "_make", lambda bounds: gone)
    finished = run(["touch", "started"], Mounts(writable={Path("/out"): tmp_path}))
    assert finished.returncode == 125
    assert not (tmp_path / "started").exists()
