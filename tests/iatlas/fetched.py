"""Servers of Debian that build-aux/fetch-peers unpacked."""

import os

from .node import TOP


def prefix(group):
    """The folder that stands for their root: IATLAS_CYRUS, IATLAS_DOVECOT and so on, else the build tree's."""
    return os.path.abspath(os.environ.get("IATLAS_" + group.upper()) or os.path.join(TOP, "build", "peers", group))
