"""A network namespace beside this one, and a cable to it that can be cut: what is sent then vanishes without a word.

Needs root and `ip`, no firewall and no module of the kernel beyond veth.
"""
import os
import shutil
import subprocess

NOBODY = "02:00:00:00:00:01"  # a frame to this address is dropped by whoever gets it


class VethNamespace:
    """`problem` is None when it is there, else why not. `name` has at most 13 characters."""

    def __init__(self, name, wanted):
        self.name = name
        self.near, self.far = name + "n", name + "f"
        # A network of four addresses of the range that is set aside for tests of networks, one per process.
        first = (os.getpid() % (1 << 15)) * 4
        self.near_address, self.far_address = (f"198.{18 + (first >> 16)}.{first >> 8 & 255}.{(first & 255) + i}"
                                               for i in (1, 2))
        self.problem = self.make() if wanted else "it was not asked for"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.problem is None:
            self.ip("link", "delete", self.near)
            self.ip("netns", "delete", self.name)

    def ip(self, *arguments):
        """None, or what was wrong."""
        done = subprocess.run(["ip", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return None if done.returncode == 0 else f"ip {' '.join(arguments)}: {' '.join(done.stdout.split())}"

    def first_problem(self, commands):
        return next((problem for problem in (self.ip(*command) for command in commands) if problem), None)

    def make(self):
        if os.getuid() != 0:
            return "only root can make one"
        if not shutil.which("ip"):
            return "the command ip is not here"
        problem = self.ip("netns", "add", self.name)
        if problem:
            return problem
        inside = ("-n", self.name)
        problem = self.first_problem([
            ("link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.name),
            ("address", "add", self.near_address + "/30", "dev", self.near),
            ("link", "set", self.near, "up"),
            (*inside, "address", "add", self.far_address + "/30", "dev", self.far),
            (*inside, "link", "set", self.far, "up"),
            (*inside, "link", "set", "lo", "up"),
        ])
        if problem:
            self.ip("link", "delete", self.near)
            self.ip("netns", "delete", self.name)
        return problem

    def mac(self, device, *inside):
        done = subprocess.run(["ip", *inside, "-o", "link", "show", device], stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.split("link/ether ")[1].split()[0]

    def neighbours(self, near_mac, far_mac):
        if self.problem:
            return f"error there is no network namespace: {self.problem}"
        problem = self.first_problem([
            ("neigh", "replace", self.far_address, "lladdr", far_mac, "dev", self.near, "nud", "permanent"),
            ("-n", self.name, "neigh", "replace", self.near_address, "lladdr", near_mac, "dev", self.far, "nud", "permanent"),
        ])
        return f"error {problem}" if problem else "ok"

    def cut(self):
        return self.neighbours(NOBODY, NOBODY)

    def mend(self):
        if self.problem:
            return self.neighbours(NOBODY, NOBODY)
        return self.neighbours(self.mac(self.near), self.mac(self.far, "-n", self.name))
