"""Real daemons on loopback for the end-to-end tests: nodes, murders, clients."""

from .clients import Imap, Lmtp, message
from .murder import Murder
from .node import Node, program

__all__ = ["Imap", "Lmtp", "Murder", "Node", "message", "program"]
