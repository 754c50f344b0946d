#!/usr/bin/env python3
"""A private RabbitMQ node for tests and the demo: any user, no service manager, free ports on loopback.

    rabbitmq_node.py FOLDER [--heartbeat SECONDS] [--tls CERTIFICATES] [--plugins NAME,NAME...] [--namespace]

Prints "ready amqp=PORT node=NAME pid=PID" when the node takes connections. Then each command on standard
input is answered by one line, "ok ..." or "error ...":

    kill9   kills the node at once          freeze, thaw   SIGSTOP and SIGCONT to the node
    stop    ends it in good order           ctl ARGS...    rabbitmqctl ARGS...; quoted as a shell does
    start   starts it again, same data      cut, mend      packets from and to the namespace vanish, or not
    quit

With --tls, a folder that certs/make-dev-certs made, there is a second port, told as "amqps=PORT" at the end of the first
line. There a client may show a certificate of that CA, and log in by EXTERNAL as its common name. With --namespace the line
ends with "namespace=NAME outside=HOST:PORT" where this machine can have one: a door for who is in that network namespace.

It ends, with the node and its port mapper, on SIGTERM or when standard input closes. Everything it writes
is in FOLDER.
"""
import argparse
import glob
import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time

from veth_namespace import VethNamespace

START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30


def free_ports(count):
    """Ports that were free a moment ago, all different."""
    sockets = []
    for _ in range(count):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        sockets.append(s)
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def installation():
    """The folder of the programs themselves: the ones in /usr/sbin change to the user rabbitmq."""
    found = sorted(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"))
    if not found:
        sys.exit("error rabbitmq-server is not installed")
    return found[-1]


def epmd_program():
    found = sorted(glob.glob("/usr/lib/erlang/erts-*/bin/epmd")) + ["epmd"]
    return found[0]


def is_running(pid):
    """A zombie counts as ended: it holds no port and no file."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Node:
    def __init__(self, folder, namespace, heartbeat_s, certificates=None, plugins=""):
        self.folder = os.path.abspath(folder)
        self.namespace = namespace
        self.sbin = installation()
        self.port, self.epmd_port, dist, ctl_dist, self.tls_port = free_ports(5)
        self.certificates = os.path.abspath(certificates) if certificates else None
        self.name = f"sluice{self.port}@localhost"
        self.pid_file = os.path.join(self.folder, "pid")
        self.pid = None
        self.launcher = None
        for part in ("home", "mnesia", "log", "config"):
            os.makedirs(os.path.join(self.folder, part), exist_ok=True)
        self.write_files(heartbeat_s, plugins)
        self.env = self.environment(dist, ctl_dist)
        self.epmd = subprocess.Popen(
            [epmd_program(), "-port", str(self.epmd_port), "-address", "127.0.0.1"],
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def outside(self):
        """The door for who is in the namespace; None: there is none."""
        return f"{self.namespace.near_address}:{self.port}" if self.namespace.problem is None else None

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write_files(self, heartbeat_s, plugins):
        with open(self.path("rabbitmq.conf"), "w") as f:
            f.write(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                    f"heartbeat = {heartbeat_s}\n"
                    "vm_memory_high_watermark.relative = 0.4\n"
                    "disk_free_limit.absolute = 50000000\n"
                    "log.file.level = warning\n")
            if self.outside:
                f.write(f"listeners.tcp.2 = {self.outside}\n"
                        "loopback_users = none\n")
            if self.certificates:
                f.write(f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
                        f"ssl_options.cacertfile = {self.certificates}/ca.crt\n"
                        f"ssl_options.certfile = {self.certificates}/server.crt\n"
                        f"ssl_options.keyfile = {self.certificates}/server.key\n"
                        "ssl_options.verify = verify_peer\n"
                        "ssl_options.fail_if_no_peer_cert = false\n"
                        "auth_mechanisms.1 = PLAIN\n"
                        "auth_mechanisms.2 = AMQPLAIN\n"
                        "auth_mechanisms.3 = EXTERNAL\n"
                        "ssl_cert_login_from = common_name\n")
        open(self.path("env.conf"), "w").close()
        with open(self.path("enabled_plugins"), "w") as f:
            names = [name for name in plugins.split(",") if name]
            if self.certificates:
                names.append("rabbitmq_auth_mechanism_ssl")
            f.write(f"[{','.join(names)}].\n")
        # Nodes and rabbitmqctl know each other by this; Erlang insists on the mode.
        cookie = self.path("home", ".erlang.cookie")
        if not os.path.exists(cookie):
            with open(cookie, "w") as f:
                f.write(os.urandom(16).hex())
            os.chmod(cookie, 0o400)

    def environment(self, dist, ctl_dist):
        env = {k: v for k, v in os.environ.items() if not k.startswith("RABBITMQ")}
        env.update({
            "HOME": self.path("home"),
            "USER": pwd.getpwuid(os.getuid()).pw_name,
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_CONF_ENV_FILE": self.path("env.conf"),
            "RABBITMQ_CONFIG_FILE": self.path("rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": self.path("mnesia"),
            "RABBITMQ_LOG_BASE": self.path("log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": self.path("config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.path("enabled_plugins"),
            "RABBITMQ_PID_FILE": self.pid_file,
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_CTL_DIST_PORT_MIN": str(ctl_dist),
            "RABBITMQ_CTL_DIST_PORT_MAX": str(ctl_dist + 20),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        })
        return env

    def answers(self):
        """The server's own greeting, not just an open port: it opens last, but a stopping node has it too."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
                s.sendall(b"AMQP\x00\x00\x09\x01")
                s.settimeout(5)
                return len(s.recv(1)) == 1
        except OSError:
            return False

    def start(self):
        if self.pid and is_running(self.pid):
            return "ok already running"
        if os.path.exists(self.pid_file):
            os.unlink(self.pid_file)
        with open(self.path("log", "console"), "ab") as console:
            self.launcher = subprocess.Popen([os.path.join(self.sbin, "rabbitmq-server")], env=self.env,
                                             stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.answers():
                self.pid = self.read_pid()
                return f"ok amqp={self.port}"
            if self.launcher.poll() is not None:
                return f"error the node ended with {self.launcher.returncode}; see {self.path('log')}"
            time.sleep(0.05)
        return f"error the node did not answer within {START_TIMEOUT_S} s"

    def read_pid(self):
        try:
            with open(self.pid_file) as f:
                return int(f.read().strip())
        except (OSError, ValueError):
            return self.launcher.pid

    def signal(self, number):
        if not self.pid or not is_running(self.pid):
            return "error the node is not running"
        os.kill(self.pid, number)
        return "ok"

    def end(self, number):
        if self.pid and is_running(self.pid):
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self.pid and is_running(self.pid):
            if self.launcher:
                self.launcher.poll()
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.02)
        if self.launcher:
            if self.pid is None:  # never became ready
                self.launcher.kill()
            self.launcher.wait()
        self.pid = None
        return "ok"

    def ctl(self, args):
        done = subprocess.run([os.path.join(self.sbin, "rabbitmqctl"), "-q", *args], env=self.env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = " ".join(done.stdout.split())
        return f"ok {text}" if done.returncode == 0 else f"error {text}"

    def close(self):
        self.end(signal.SIGTERM)
        self.epmd.kill()
        self.epmd.wait()


def run_command(node, line):
    words = shlex.split(line)
    commands = {
        "kill9": lambda: node.end(signal.SIGKILL),
        "stop": lambda: node.end(signal.SIGTERM),
        "start": node.start,
        "freeze": lambda: node.signal(signal.SIGSTOP),
        "thaw": lambda: node.signal(signal.SIGCONT),
        "ctl": lambda: node.ctl(words[1:]),
        "cut": node.namespace.cut,
        "mend": node.namespace.mend,
    }
    if words[0] not in commands:
        return "error unknown command; expected " + ", ".join(commands) + ", quit"
    return commands[words[0]]()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--heartbeat", type=int, default=60)
    parser.add_argument("--tls", metavar="CERTIFICATES")
    parser.add_argument("--plugins", default="")
    parser.add_argument("--namespace", action="store_true")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with VethNamespace(f"slr{os.getpid()}", args.namespace) as namespace:
        node = Node(args.folder, namespace, args.heartbeat, args.tls, args.plugins)
        try:
            return serve(node)
        finally:
            node.close()


def serve(node):
    started = node.start()
    if not started.startswith("ok"):
        print(started, flush=True)
        return 1
    tls = f" amqps={node.tls_port}" if node.certificates else ""
    outside = f" namespace={node.namespace.name} outside={node.outside}" if node.outside else ""
    print(f"ready amqp={node.port} node={node.name} pid={node.pid}{tls}{outside}", flush=True)
    for line in sys.stdin:
        line = line.strip()
        if line == "quit":
            break
        if line:
            print(run_command(node, line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
