"""The supervisor: every property that doc and man pages promise, with small real services."""
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from iatlas import node

HELPERS = os.path.join(node.TOP, "tests", "helpers")
PORT = 2143


class Master(node.Node):
    """A node whose services are the helpers."""

    def __init__(self, workdir, network, **kw):
        super().__init__(os.path.join(workdir, "m"), network.address(), start=kw.pop("start", {}), **kw)

    def listen(self, port=PORT):
        return "%s:%d" % (self.address, port)

    def echo(self, more="", port=PORT, cmd="echod"):
        return 'cmd="%s" listen="%s" %s' % (cmd, self.listen(port), more)

    def connect(self, port=PORT, timeout=30):
        return Client(socket.create_connection((self.address, port), timeout))

    def reload(self):
        self.write_configuration()
        self.master.send_signal(signal.SIGHUP)

    def service(self, name):
        """The fields of a service's line."""
        m = re.search(r"^service %s (.*)$" % re.escape(name), self.status(), re.M)
        return dict(f.split("=", 1) for f in m.group(1).split()) if m else None

    def states(self, name):
        """The states of a service's processes."""
        block = re.search(r"^service %s .*\n((?:  .*\n)*)" % re.escape(name), self.status(), re.M).group(1)
        return re.findall(r"state=(\w+)", block)

    def run_master(self, *arguments, **kw):
        """Runs master with these arguments to its end; the completed process."""
        self.write_configuration()
        args = [node.program("master"), "-C", self.path("imapd.conf"), "-M", self.path("cyrus.conf"), *arguments]
        return subprocess.run(args, env=self.environment(), capture_output=True, text=True,
                              timeout=60, check=False, **kw)


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")
        self.hello = self.line()
        self.pid = int(self.hello.split()[1]) if self.hello else None

    def line(self):
        return self.file.readline().decode().rstrip("\r\n")

    def ask(self, text):
        self.sock.sendall(text.encode() + b"\n")
        return self.line()

    def close(self):
        self.file.close()
        self.sock.close()


def wait_for(condition, what="", timeout=60):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "waited in vain: %s" % what
        time.sleep(0.02)


def refused(master, port=PORT):
    with socket.socket() as s:
        s.settimeout(30)
        return s.connect_ex((master.address, port)) != 0


@pytest.fixture
def make_master(workdir, network):
    made = []

    def make(**kw):
        made.append(Master(workdir, network, **kw))
        return made[-1]

    yield make
    for m in made:
        m.cleanup()


@pytest.fixture
def master(make_master):
    m = make_master()
    m.services = {"echo": m.echo("prefork=1")}
    return m.start()


# ---- serving ----


def test_many_sessions_in_one_process(master):
    clients = [master.connect() for _ in range(20)]
    assert len({c.pid for c in clients}) == 1
    assert clients[0].ask("name") == "echo"
    wait_for(lambda: master.service("echo")["sessions"] == "20", "load report")
    assert master.service("echo")["connections"] == "20"
    for c in clients:
        c.close()
    wait_for(lambda: master.service("echo")["sessions"] == "0", "load report")


def test_listen_forms(make_master, network):
    m = make_master()
    m.services = {
        "hostport": m.echo(),
        "unix": 'cmd="echod" listen="%s"' % m.path("config/socket/echo"),
        "v6": 'cmd="echod" listen="[::1]:%d" proto=tcp6' % free_port(),
        "port": 'cmd="echod" listen="%d" proto=tcp4' % free_port(),
    }
    if not has_ipv6():
        del m.services["v6"]
    m.start()
    assert m.connect().ask("name") == "hostport"
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(m.path("config/socket/echo"))
        assert Client(s).ask("name") == "unix"
    for name, host in (("v6", "::1"), ("port", "127.0.0.1")):
        if name in m.services:
            port = int(re.search(r"(\d+)\"", m.services[name]).group(1))
            assert Client(socket.create_connection((host, port), 30)).ask("name") == name
    m.stop()
    assert not os.path.exists(m.path("config/socket/echo"))


def test_all_addresses_in_one_process_set(make_master):
    if not has_ipv6():
        pytest.skip("no IPv6")
    m = make_master()
    port = free_port()
    m.services = {"echo": 'cmd="echod" listen="%d" prefork=1' % port}
    m.start()
    pids = {Client(socket.create_connection((host, port), 30)).pid for host in ("127.0.0.1", "::1")}
    assert len(pids) == 1


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_port():
    """Below the ports that outgoing connections take, which another test may be making at the moment."""
    while True:
        port = random.randint(10000, 30000)
        try:
            with socket.socket() as s:
                s.bind(("0.0.0.0", port))
            return port
        except OSError:
            continue


def test_options_and_environment(make_master):
    m = make_master()
    m.services = {"a.name-x": m.echo("prefork=1 maxsessions=7", cmd="echod -x 'two words'")}
    m.start()
    c = m.connect()
    assert c.ask("option x") == "two words"
    assert c.ask("option f") == "(none)"
    assert c.ask("name") == "a.name-x"
    assert c.ask("env IATLAS_MASTER") == "1"
    assert c.ask("env IATLAS_CONFIG") == os.path.realpath(m.path("imapd.conf"))
    assert c.ask("env IATLAS_SESSIONS_MAX") == "7"
    assert c.ask("env CYRUS_ISDAEMON") == "(none)"
    # Nothing of master's is open in a child but what it was given.
    for fd in os.listdir("/proc/%d/fd" % c.pid):
        target = os.readlink("/proc/%d/fd/%s" % (c.pid, fd))
        assert not target.endswith((".lock", "/master")), target


def test_no_prefork_starts_with_the_first_connection(make_master):
    m = make_master()
    m.services = {"echo": m.echo()}
    m.start()
    assert m.service("echo")["processes"] == "0"
    assert m.connect().ask("x") == "x"
    assert m.service("echo")["processes"] == "1"


def test_prefork(make_master):
    m = make_master()
    m.services = {"echo": m.echo("prefork=3")}
    m.start()
    wait_for(lambda: m.states("echo") == ["available"] * 3, "three processes")


def test_process_per_connection(make_master):
    m = make_master()
    m.services = {"echo": m.echo("prefork=1 maxsessions=1")}
    m.start()
    clients = [m.connect() for _ in range(5)]
    assert len({c.pid for c in clients}) == 5
    # and one more is kept ready
    wait_for(lambda: sorted(m.states("echo")) == ["available"] + ["full"] * 5, "a spare process")


def test_maxchild_bounds_connections_over_all_processes(make_master):
    m = make_master()
    m.services = {"echo": m.echo("prefork=2 maxchild=5")}
    m.start()
    wait_for(lambda: m.states("echo") == ["available"] * 2, "two processes")
    clients = [m.connect() for _ in range(5)]
    sixth = socket.create_connection((m.address, PORT), 30)
    sixth.settimeout(0.7)
    with pytest.raises(socket.timeout):
        sixth.recv(10)  # in the queue
    clients[0].close()
    sixth.settimeout(30)
    assert sixth.recv(100).startswith(b"hello")
    sixth.close()


def test_maxforkrate(make_master):
    m = make_master()
    m.services = {"echo": m.echo("prefork=6 maxforkrate=3")}
    m.start()
    began = time.monotonic()
    wait_for(lambda: int(m.service("echo")["processes"]) == 6, "six processes")
    assert time.monotonic() - began > 0.6


def test_a_service_that_is_not_ours(make_master):
    m = make_master()
    m.services = {"old": m.echo("prefork=1 maxchild=3", cmd=os.path.join(HELPERS, "one_at_a_time.py"))}
    m.start()
    clients = [m.connect() for _ in range(3)]
    assert len({c.pid for c in clients}) == 3
    assert m.service("old")["connections"] == "3"
    fourth = socket.create_connection((m.address, PORT), 30)
    fourth.settimeout(0.5)
    with pytest.raises(socket.timeout):
        fourth.recv(10)  # maxchild
    clients[1].close()
    fourth.settimeout(30)
    assert fourth.recv(100).split()[1] == str(clients[1].pid).encode()
    fourth.close()


# ---- deaths ----


def test_what_dies_is_started_again(master):
    c = master.connect()
    other = master.connect()
    other.sock.sendall(b"crash\n")
    assert c.line() == ""
    d = master.connect()
    assert d.pid != c.pid
    assert master.service("echo")["crashes"] == "1"
    assert re.search(r'master.died service="echo" pid=%d value="signal KILL"' % c.pid, master.log())


def test_a_storm_of_deaths(make_master):
    """Whenever they are killed, started or starting: they come again."""
    m = make_master()
    m.services = {"echo": m.echo("prefork=20")}
    m.start()
    killed = set()
    for _ in range(10):
        for pid in m.processes("echod"):
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.05)
    wait_for(lambda: m.states("echo") == ["available"] * 20, "twenty processes")
    wait_for(lambda: int(m.service("echo")["crashes"]) == len(killed), "every death noticed")
    assert len(killed) > 20
    assert m.connect().ask("x") == "x"


def test_connections_during_restarts_are_served(master):
    """Clients connect all the time while the service dies again and again: none is refused."""
    deadline = time.monotonic() + 2
    served = 0
    while time.monotonic() < deadline:
        for pid in master.processes("echod"):
            os.kill(pid, signal.SIGKILL)
        c = master.connect()  # raises when refused
        served += c.hello.startswith("hello")
        c.close()
        time.sleep(0.05)
    assert served >= 5
    wait_for(lambda: master.states("echo") == ["available"], "the last one dead, another there")
    assert master.connect().ask("x") == "x"


def test_a_service_that_cannot_start_is_disabled(make_master):
    m = make_master()
    m.services = {"bad": m.echo("prefork=1", cmd="echod -f"), "echo": m.echo("prefork=1", PORT + 1)}
    m.start()
    wait_for(lambda: m.service("bad")["state"] == "disabled", "disabled")
    assert m.service("bad")["forks"] == "5"
    assert 'master.disabled service="bad" count=5' in m.log()
    assert 'service.failed service="bad" error="told to fail"' in m.log()
    assert refused(m)
    assert m.connect(PORT + 1).ask("x") == "x"
    m.services["bad"] = m.echo("prefork=1")
    m.reload()
    wait_for(lambda: m.service("bad")["state"] == "active", "active again")
    assert m.connect().ask("x") == "x"


def test_babysit_never_gives_up(make_master):
    m = make_master()
    m.services = {"bad": m.echo("babysit=1", cmd="/bin/false")}
    m.start()
    wait_for(lambda: 'master.babysit service="bad"' in m.log(), "five failures")
    assert m.service("bad")["state"] == "active"
    assert not refused(m)


def test_orphans_retire(master):
    """master dies by SIGKILL: sessions live on, and the next master gets the address."""
    c = master.connect()
    master.master.kill()
    master.master.wait()
    wait_for(lambda: refused(master), "the socket closed")
    assert c.ask("x") == "x"
    master.start()
    assert c.ask("x") == "x"
    assert master.connect().pid != c.pid


# ---- SIGHUP ----


def test_reload(make_master):
    m = make_master()
    m.services = {"keep": m.echo("prefork=1"), "move": m.echo("", PORT + 1), "drop": m.echo("", PORT + 2)}
    m.start()
    old = {n: m.connect(PORT + i) for i, n in enumerate(("keep", "move", "drop"))}
    m.services = {"keep": m.echo("prefork=1", cmd="echod -x new"), "move": m.echo("", PORT + 3),
                  "new": m.echo("", PORT + 2)}
    m.reload()
    wait_for(lambda: refused(m, PORT + 1), "the old address given up")
    wait_for(lambda: m.connect().ask("option x") == "new", "a new process")  # the old one may take a last one
    assert m.connect(PORT + 3).ask("name") == "move"
    assert wait_for(lambda: not refused(m, PORT + 2), "the new service") and m.connect(PORT + 2).ask("name") == "new"
    for name, c in old.items():  # no session was lost
        assert c.ask("name") == name
    assert m.states("keep").count("retired") == 1
    for c in old.values():
        c.close()
    wait_for(lambda: m.service("drop") is None, "the removed service gone")
    wait_for(lambda: "retired" not in m.states("keep"), "the retired process gone")


def test_reload_replaces_processes_without_refusing(master):
    """New certificates and options come with new processes; clients notice nothing."""

    def served_by():
        c = master.connect()
        assert c.ask("x") == "x"
        c.close()
        return c.pid

    for _ in range(5):
        old = served_by()
        master.reload()
        wait_for(lambda: served_by() != old, "a new process")  # noqa: B023
    assert "error" not in [s for s in master.states("echo")]


def test_a_bad_file_at_reload_changes_nothing(master):
    c = master.connect()
    with open(master.path("cyrus.conf"), "w") as f:
        f.write("SERVICES {\n  echo cmd=\"echod\n}\n")
    master.master.send_signal(signal.SIGHUP)
    wait_for(lambda: "cyrus.conf:2:12: cmd: the quoted value does not end on its line" in master.log(), "the error")
    assert master.connect().pid == c.pid


def test_reload_with_unknown_program_and_busy_port(master):
    with socket.socket() as s:
        s.bind((master.address, PORT + 1))
        s.listen()
        master.services["other"] = master.echo("", PORT + 1)
        master.services["nosuch"] = master.echo("", PORT + 2, cmd="nosuchprogram")
        master.reload()
        wait_for(lambda: master.service("other"), "the service")
        assert master.service("other")["state"] == "unbound"
        assert master.service("nosuch")["state"] == "absent"
        assert "no such program: nosuchprogram" in master.log()
        assert "the address is in use" in master.log()
        assert master.connect().ask("x") == "x"
    wait_for(lambda: master.service("other")["state"] == "active", "the address taken")
    assert master.connect(PORT + 1).ask("name") == "other"


# ---- programs that are absent ----


def test_absent_programs_of_cyrus(make_master):
    m = make_master(start={"a": 'cmd="ctl_backups -r"'}, events={"s": 'cmd="arbitron" at=0400'},
                    daemons={"idled": 'cmd="idled"'})
    m.services = {"echo": m.echo(), "httpd": m.echo("prefork=3", PORT + 1, cmd="httpd")}
    m.start()
    assert m.service("httpd")["state"] == "absent"
    assert refused(m, PORT + 1)
    assert m.connect().ask("x") == "x"
    log = m.log()
    for name, program in (("a", "ctl_backups"), ("s", "arbitron"), ("idled", "idled"), ("httpd", "httpd")):
        assert log.count('master.absent name="%s" value="%s"' % (name, program)) == 1
    assert "daemon idled state=absent" in m.status()


def test_an_absent_program_appears(make_master, workdir):
    m = make_master()
    program = os.path.join(workdir, "idled")
    m.services = {"echo": m.echo(), "late": m.echo("", PORT + 1, cmd=program)}
    m.start()
    assert m.service("late")["state"] == "absent"
    os.symlink(node.program("echod"), program)
    m.reload()
    wait_for(lambda: m.service("late")["state"] == "active", "found")
    assert m.connect(PORT + 1).ask("name") == "late"


@pytest.mark.parametrize("section", ["start", "services", "events", "daemons"])
def test_an_unknown_program_fails_the_start(make_master, section):
    m = make_master()
    entry = {"x": 'cmd="nosuchprogram" %s' % ('listen="%s"' % m.listen() if section == "services" else "")}
    setattr(m, "start_entries" if section == "start" else section, entry)
    r = m.run_master()
    assert r.returncode in (75, 78)
    assert "no such program" in r.stderr
    assert not os.path.exists(m.path("config/master.pid"))


# ---- START, DAEMON, EVENTS ----


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return f.read().split()


def write_script(m, name, text):
    path = m.path(name)
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def test_order_of_the_start(make_master):
    m = make_master()
    trace = m.path("trace")
    note = write_script(m, "note", "echo $1 >> %s\n" % trace)
    slow = write_script(m, "slow", "sleep 0.2; echo $1 >> %s\n" % trace)
    daemon = write_script(m, "daemon", "sleep 0.2; echo $CYRUS_SERVICE $CYRUS_ISDAEMON >> %s\n"
                          "printf 'ok\\r\\n' >&3; exec 3>&-; exec sleep 100\n" % trace)
    m.start_entries = {"one": 'cmd="%s one"' % slow, "two": 'cmd="%s two"' % note}
    m.daemons = {"first": 'cmd="%s" wait=y' % daemon, "second": 'cmd="%s" wait=y' % daemon,
                 "plain": 'cmd="/bin/sleep 100"'}
    m.services = {"echo": m.echo("prefork=1")}
    m.start()
    with open(trace) as f:
        assert f.read().splitlines() == ["one", "two", "first 1", "second 1"]
    wait_for(lambda: m.status().count("state=running pid=") == 3, "three daemons")


def test_start_fails(make_master):
    m = make_master(start={"good": 'cmd="/bin/true"', "bad": "cmd=\"/bin/sh -c 'echo why not >&2; exit 3'\"",
                           "never": 'cmd="/bin/touch never"'})
    m.services = {"echo": m.echo()}
    r = m.run_master("-L", m.path("out"))
    assert r.returncode == 75
    assert "START bad: exit 3" in m.log()
    assert "why not" in m.log()
    assert not os.path.exists("never") and refused(m)
    assert not os.path.exists(m.path("config/master.ready"))


@pytest.mark.parametrize("cmd", ["printf 'no\\r\\n' >&3; sleep 100", "exit 0", "exec 3>&-; sleep 100"])
def test_a_waited_for_daemon_that_is_not_ready(make_master, cmd):
    m = make_master()
    m.daemons = {"d": 'cmd="%s" wait=y' % write_script(m, "d", cmd + "\n")}
    began = time.monotonic()
    r = m.run_master()
    assert r.returncode == 75
    assert "daemon d" in r.stderr
    assert time.monotonic() - began < 30


def test_daemons_restart_and_stop_in_reverse(make_master):
    m = make_master()
    trace, ready = m.path("trace"), m.path("listening")
    daemon = write_script(m, "daemon", "trap 'echo $CYRUS_SERVICE >> %s; exit 0' TERM\n"
                          "printf 'ok\\r\\n' >&3; exec 3>&-\nwhile :; do sleep 0.05; done\n" % trace)
    m.daemons = {"first": 'cmd="%s" wait=y' % daemon, "second": 'cmd="%s" wait=y' % daemon,
                 "plain": 'cmd="%s"' % write_script(m, "plain", "trap 'echo plain >> %s; exit 0' TERM\necho $$ >> %s\n"
                                                    "while :; do sleep 0.05; done\n" % (trace, ready))}
    m.start()
    pid = int(wait_for(lambda: lines_of(ready), "the trap")[0])
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: re.search(r"daemon plain state=running pid=(?!%d )\d+ .*starts=2" % pid, m.status()), "restart")
    wait_for(lambda: len(lines_of(ready)) == 2, "the trap of the second")
    m.stop()
    with open(trace) as f:
        assert f.read().split() == ["plain", "second", "first"]


def test_a_daemon_that_fails_is_disabled(make_master):
    m = make_master(daemons={"d": 'cmd="/bin/false"'})
    m.start()
    wait_for(lambda: "daemon d state=disabled" in m.status(), "disabled")
    assert "starts=5" in m.status()


def test_events(make_master):
    m = make_master(events={"periodic": 'cmd="/bin/echo tick" period=30', "once": "cmd=\"/bin/sh -c 'exit 4'\"",
                            "later": 'cmd="/bin/echo no" cron="%d 3 1 1 *"' % ((time.localtime().tm_min + 30) % 60)})
    m.start()
    wait_for(lambda: "event periodic state=waiting runs=1 failures=0" in m.status(), "the first run")
    wait_for(lambda: "event once state=waiting runs=1 failures=1" in m.status(), "the only run")
    assert "event later state=waiting runs=0" in m.status()
    wait_for(lambda: re.search(r'master.output name="periodic" pid=\d+ value="tick"', m.log()), "its output")
    assert re.search(r'master.event name="once" pid=\d+ value="exit 4"', m.log())


@pytest.mark.slow
def test_event_at_the_next_minute(make_master):
    t = time.localtime(time.time() + 90)  # that minute begins in half a minute at least
    m = make_master(events={"now": 'cmd="/bin/echo now" at=%02d%02d' % (t.tm_hour, t.tm_min)})
    m.start()
    wait_for(lambda: "event now state=waiting runs=1" in m.status(), "the minute", 180)


# ---- files, background, stopping ----


def test_files(master):
    with open(master.path("pid")) as f:
        assert f.read() == "%d\n" % master.master.pid
    assert os.path.exists(master.path("pid.lock"))
    master.stop()
    assert not os.path.exists(master.path("ready"))


def test_default_files_and_background(make_master):
    m = make_master()
    m.services = {"echo": m.echo("prefork=1")}
    r = m.run_master("-d")
    assert r.returncode == 0, r.stderr
    with open(m.path("config/master.pid")) as f:
        pid = int(f.read())
    assert os.path.exists(m.path("config/master.ready"))
    assert m.connect().ask("x") == "x"
    again = m.run_master("-d")
    assert again.returncode == 71 and "another master" in again.stderr
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not m.pids(), "the end")
    assert not os.path.exists(m.path("config/master.pid"))
    assert not os.path.exists(m.path("config/master.ready"))


def test_background_tells_the_parent_what_failed(make_master):
    m = make_master(start={"bad": 'cmd="/bin/false"'})
    r = m.run_master("-d")
    assert r.returncode == 75
    assert "START bad: exit 1" in r.stderr


@pytest.mark.parametrize("victim", ["pid", "pid.lock"])
def test_no_link_is_followed(make_master, victim):
    m = make_master()
    m.services = {"echo": m.echo()}
    os.symlink(m.path("target"), m.path(victim))
    r = m.run_master("-d", "-p", m.path("pid"))
    assert r.returncode == 71, r.stderr
    assert not os.path.exists(m.path("target"))


def test_a_pid_file_that_cannot_be_made(make_master):
    m = make_master()
    m.services = {"echo": m.echo()}
    r = m.run_master("-d", "-p", "/proc/nosuch/pid")
    assert r.returncode == 71 and "/proc/nosuch/pid" in r.stderr


def test_errors_name_line_and_column(make_master):
    m = make_master()
    m.services = {"echo": m.echo("prefork=many")}
    r = m.run_master()
    assert r.returncode == 78
    assert re.search(r'cyrus\.conf:4:\d+: prefork: "many" is no number', r.stderr), r.stderr
    m.conf["timeout"] = "soon"
    r = m.run_master()
    assert r.returncode == 78
    assert re.search(r"imapd\.conf:\d+: timeout: syntax error", r.stderr), r.stderr


def test_busy_port_fails_the_start(make_master):
    m = make_master()
    m.services = {"echo": m.echo()}
    with socket.socket() as s:
        s.bind((m.address, PORT))
        s.listen()
        r = m.run_master()
    assert r.returncode == 78
    assert re.search(r"cyrus\.conf:4:5: echo: cannot listen on %s: the address is in use" % m.listen(), r.stderr), r.stderr


def test_no_such_user(make_master):
    if os.geteuid() != 0:
        pytest.skip("only root changes its user")
    m = make_master()
    m.conf["cyrus_user"] = "nosuchuser"
    r = m.run_master()
    assert r.returncode == 67
    assert re.search(r"^ *useradd .* nosuchuser$", r.stderr, re.M), r.stderr


def test_root_becomes_the_user(make_master, workdir):
    if os.geteuid() != 0:
        pytest.skip("only root changes its user")
    m = make_master()
    m.conf["cyrus_user"] = "nobody"
    subprocess.run(["chown", "-R", "nobody", workdir], check=True)
    unix = m.path("config", "socket", "echo")
    echod = os.path.join(workdir, "echod")  # the build tree may lie where only root may look
    shutil.copy(node.program("echod"), echod)
    os.chmod(workdir, 0o755)
    m.services = {
        "echo": m.echo("prefork=1").replace('"echod', '"' + echod, 1),
        "unix": 'cmd="%s" listen="%s"' % (echod, unix),
    }
    pid_file = os.path.join("/run", "iatlas-test-%s.pid" % m.id)
    r = m.run_master("-d", "-p", pid_file)
    try:
        assert r.returncode == 0, r.stderr + m.log()
        with open(pid_file) as f:
            pid = int(f.read())
        assert os.stat("/proc/%d" % pid).st_uid == 65534
        assert os.stat("/proc/%d" % m.connect().pid).st_uid == 65534
        assert m.service("unix")["listen"] == unix
        for folder, _, files in os.walk(m.path("config")):
            assert {os.lstat(os.path.join(folder, f)).st_uid for f in ["", *files]} <= {65534}, folder
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not m.pids(), "the end")
        assert not os.path.exists(unix)
    finally:
        for path in (pid_file, pid_file + ".lock"):
            if os.path.exists(path):
                os.unlink(path)


def test_usage(make_master):
    m = make_master()
    assert m.run_master("-x").returncode == 64
    assert m.run_master("-l", "many").returncode == 64
    r = m.run_master("-V")
    assert r.returncode == 0 and r.stdout.startswith("iatlas ")
    # A service does not run without a master.
    r = subprocess.run([node.program("echod")], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                       close_fds=True)
    assert r.returncode == 64 and "master" in r.stderr


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop(make_master, signo):
    m = make_master()
    m.services = {"echo": m.echo("prefork=2")}
    m.start()
    clients = [m.connect() for _ in range(5)]
    m.master.send_signal(signo)
    assert m.master.wait(30) == 0
    assert not m.pids() and refused(m)
    assert {c.line() for c in clients} == {"bye"}


def test_stop_of_what_does_not_want_to(make_master):
    """A service that ignores SIGTERM and daemons that do: gone within 5 s all the same."""
    m = make_master()
    deaf = write_script(m, "deaf", "trap '' TERM HUP QUIT INT\nprintf 'ok\\r\\n' >&3; while :; do sleep 0.1; done\n")
    m.services = {"deaf": m.echo("prefork=1", cmd=deaf)}
    m.daemons = {"a": 'cmd="%s" wait=y' % deaf, "b": 'cmd="%s" wait=y' % deaf, "c": 'cmd="%s"' % deaf}
    m.events = {"e": 'cmd="%s"' % deaf}
    m.start()
    wait_for(lambda: "event e state=running" in m.status(), "all of them")
    time.sleep(0.2)
    began = time.monotonic()
    m.master.send_signal(signal.SIGTERM)
    assert m.master.wait(30) == 0
    assert time.monotonic() - began < 15  # 5 s on an idle machine
    wait_for(lambda: not m.pids(), "the end of their last sleeps")
    assert refused(m)


def test_a_harder_stop(make_master):
    """SIGTERM during a graceful stop."""
    m = make_master()
    ready = m.path("listening")
    deaf = write_script(m, "deaf", "trap '' QUIT HUP\necho $$ >> %s\nwhile :; do sleep 0.1; done\n" % ready)
    m.services = {"deaf": m.echo("prefork=1", cmd=deaf)}
    m.start()
    wait_for(lambda: lines_of(ready), "the trap")
    m.master.send_signal(signal.SIGQUIT)
    time.sleep(0.5)
    assert m.master.poll() is None
    m.master.send_signal(signal.SIGTERM)
    assert m.master.wait(30) == 0


def test_stop_during_the_start(make_master):
    m = make_master(start={"slow": 'cmd="/bin/sleep 100"'})
    m.write_configuration()
    p = subprocess.Popen([node.program("master"), "-C", m.path("imapd.conf"), "-M", m.path("cyrus.conf")],
                         env=m.environment())
    wait_for(lambda: len(m.pids()) == 2, "START")
    p.send_signal(signal.SIGTERM)
    assert p.wait(30) == 0
    assert not m.pids()


def test_status_signal(master):
    c = master.connect()
    wait_for(lambda: master.service("echo")["sessions"] == "1", "load report")
    master.master.send_signal(signal.SIGUSR1)
    wait_for(lambda: re.search(r'master.status service="echo" state="active" processes=1 sessions=1 connections=1 '
                               r"forks=1 crashes=0", master.log()), "the status")
    c.close()


def test_output_of_children_goes_to_the_log(make_master):
    m = make_master(events={"loud": "cmd=\"/bin/sh -c 'printf %s one; echo; echo two >&2; printf three'\""})
    m.start()
    for word in ("one", "two", "three"):
        wait_for(lambda w=word: re.search(r'master.output name="loud" pid=\d+ value="%s"' % w, m.log()), word)


def test_unused_and_unknown_options_are_named_once(make_master):
    m = make_master()
    m.conf.update({"nosuchoption": "1", "httpmodules": "caldav"})
    m.services = {"echo": m.echo("prefork=3")}
    m.start()
    wait_for(lambda: m.states("echo") == ["available"] * 3, "three processes")
    assert m.log().count('config.unknown name="nosuchoption"') == 1
    assert m.log().count('config.unsupported name="httpmodules"') == 1


def test_skeleton_under_a_foreign_master():
    """Cyrus's protocol only: messages 1, 4 and 2, and SIGTERM ends it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        r, w = os.pipe()
        conf = "/tmp/iatlas-foreign-%d.conf" % os.getpid()
        with open(conf, "w") as f:
            f.write("configdirectory: /tmp\nlog_target: stderr\n")
        code = ("import os,sys\n"
                "os.dup2(%d, 104); os.dup2(%d, 103); os.dup2(103, 3, inheritable=True)\n"
                "os.dup2(104, 4, inheritable=True); os.closerange(5, 200)\n"
                "os.execv(sys.argv[1], sys.argv[1:])\n" % (listening.fileno(), w))
        env = {k: v for k, v in os.environ.items() if not k.startswith("IATLAS_")}
        p = subprocess.Popen([sys.executable, "-c", code, node.program("echod"), "-C", conf, "-U", "30"],
                             pass_fds=(listening.fileno(), w), env={**env, "CYRUS_SERVICE": "imap"})
        os.close(w)
        try:
            assert struct.unpack("=ii", os.read(r, 8)) == (1, p.pid)
            c = Client(socket.create_connection(listening.getsockname(), 30))
            assert c.ask("name") == "imap"
            assert struct.unpack("=ii", os.read(r, 8)) == (4, p.pid)
            p.terminate()
            assert c.line() == "bye"
            assert p.wait(30) == 0
            assert struct.unpack("=ii", os.read(r, 8)) == (2, p.pid)
        finally:
            p.kill()
            p.wait()
            os.close(r)
            os.unlink(conf)
