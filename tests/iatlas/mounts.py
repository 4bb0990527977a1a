"""Mount namespaces of one's own, also below a chroot: its root is no mount point, so that unshare(1) cannot make the mounts
private there, and need not where nothing is shared."""

import functools
import subprocess


@functools.cache
def _propagation():
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0:
        return []
    with open("/proc/1/mountinfo") as f:
        return [] if " shared:" in f.read() else ["--propagation", "unchanged"]


def unshare(*flags):
    """The beginning of a command line."""
    return ["unshare", "-m", *_propagation(), *flags]


@functools.cache
def missing(script, *flags):
    """None, or why that script cannot run so."""
    tried = subprocess.run([*unshare(*flags), "sh", "-c", script], capture_output=True, text=True)
    return None if tried.returncode == 0 else "no namespaces here: " + tried.stderr.strip()
