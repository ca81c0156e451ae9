"""Runs daemons: private directories, a clean environment, port 0, the log kept; and says afterwards what was wrong with them."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).parents[3]
#: Which build is tested: TANA_BUILD=build/san-address-undefined
BUILD = pathlib.Path(os.environ.get("TANA_BUILD") or "build")
BUILD = BUILD if BUILD.is_absolute() else ROOT / BUILD
SANITIZED = "san-" in str(BUILD)
#: How long a test waits for what must come is multiplied by this: machines are loaded, sanitized programs slow, and waiting costs only a test that fails.
PATIENCE = 12.0 if SANITIZED else 4.0
_REPORTS = re.compile(
    r"ERROR: (?:Address|Leak|Thread|UndefinedBehavior)Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer|invariant broken"
)
_SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:verify_asan_link_order=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1",
}


def binary(name):
    return BUILD / "bin" / name


def clean_environment(home, extra=None):
    """What a program gets to see: nothing of ours by accident."""
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": str(home), "TMPDIR": str(home)}
    env.update(_SANITIZER_OPTIONS)
    env.update(extra or {})
    return env


class DaemonFailed(AssertionError):
    pass


class Daemon:
    """One process at a time with one log file; start() after its end runs it again on the same data."""

    def __init__(self, directory, argv, env=None, name="daemon"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.argv = [str(a) for a in argv]
        self.env = clean_environment(self.directory, env)
        self.name = name
        self.log_path = self.directory / f"{name}.log"
        self.process = None
        self.address = None
        self.allowed = []  # regular expressions of log lines at level error that this test provokes
        self.problems = []
        self._from = 0  # offset in the log where the present process began

    # -- life

    def start(self, within=10.0, wait=True):
        assert self.process is None, "still running"
        with open(self.log_path, "ab") as log:
            self._from = log.tell()
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, cwd=self.directory, start_new_session=True
            )
        self.address = None
        if wait:
            self.wait_listening(within)
        return self

    def refuse_to_start(self, *says, within=15.0):
        """Starts what must not start: it ends with 1 or 2 (a wrong configuration), its log naming each of `says`. Returns the last log lines."""
        self.start(wait=False)
        code = self.process.wait(within * PATIENCE)
        self.process = None
        text = self.tail()
        assert code in (1, 2), f"ended with {code}:\n{text}"
        for word in says:
            assert word in text, f"does not say {word!r}:\n{text}"
        self.allowed.append("cannot start")
        return text

    def wait_listening(self, within=10.0):
        deadline = time.monotonic() + within * PATIENCE
        while time.monotonic() < deadline:
            for line in self.lines():
                if line.get("message") == "listening":
                    self.address = line["address"]
                    return self
            if self.process.poll() is not None:
                raise DaemonFailed(f"{self.name} ended with {self.process.returncode} instead of listening:\n{self.tail()}")
            time.sleep(0.005)
        raise DaemonFailed(f"{self.name} does not listen after {within} s:\n{self.tail()}")

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def terminate(self, within=10.0, status=0):
        """SIGTERM; the process must end with `status` in time."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.wait(within, status)

    def wait(self, within=10.0, status=0):
        try:
            got = self.process.wait(within * PATIENCE)
        except subprocess.TimeoutExpired:
            self.problems.append(f"{self.name} did not end within {within} s of being asked to")
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(10)
            got = None
        self.process = None
        if got is not None and got != status:
            self.problems.append(f"{self.name} ended with {got}, expected {status}")

    def kill(self):
        """kill -9: no good-bye."""
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def restart(self, **kw):
        self.terminate()
        return self.start(**kw)

    # -- log

    def text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, lines=40):
        return "\n".join(self.text().splitlines()[-lines:])

    def lines(self, everything=False):
        """The JSON log lines of the present process (or of all that ran here)."""
        out = []
        with open(self.log_path, "rb") as f:
            f.seek(0 if everything else self._from)
            for raw in f:
                if raw.startswith(b"{") and raw.endswith(b"}\n"):
                    try:
                        out.append(json.loads(raw))
                    except ValueError:
                        self.problems.append(f"{self.name} logged a line that is not JSON: {raw[:300]!r}")
        return out

    # -- verdict

    def finish(self):
        """Stops the process and raises DaemonFailed when it crashed, leaked, or logged an internal error."""
        if self.process is not None and self.process.poll() is not None:
            self.problems.append(f"{self.name} ended by itself with {self.process.returncode}")
            self.process = None
        self.terminate()
        text = self.text()
        match = _REPORTS.search(text)
        if match:
            self.problems.append(text[max(0, match.start() - 500) : match.start() + 6000])
        for line in self.lines(everything=True):
            if line.get("level") in ("error", "fatal"):
                shown = json.dumps(line)
                if not any(re.search(a, shown) for a in self.allowed):
                    self.problems.append(f"logged an error: {shown[:1000]}")
        problems, self.problems = self.problems, []
        if problems:
            raise DaemonFailed(f"{self.name}: " + "\n".join(problems) + f"\n--- log\n{self.tail(15)}")


def run(argv, directory, env=None, timeout=60, stdin=None):
    """Runs a command to its end with the clean environment; returns CompletedProcess with text."""
    done = subprocess.run(
        [str(a) for a in argv], capture_output=True, text=True, errors="replace", timeout=timeout * PATIENCE, input=stdin,
        env=clean_environment(directory, env), cwd=directory,
    )
    if _REPORTS.search(done.stderr):
        raise DaemonFailed(f"{argv}: {done.stderr}")
    return done
