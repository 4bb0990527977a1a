"""A server alone whose list has very many mailboxes, for LIST: of ours or of Cyrus. Ten a user; no mail, no files."""

import json
import os
import shutil
import subprocess

from iatlas import Imap, cyrus, net
from iatlas.node import Node

FOLDERS = ["", "Archive", "Drafts", "Junk", "Lists", "Lists.Announce", "Sent", "Templates", "Trash", "Work"]
RIGHTS = "lrswipkxtecdan"
VIEWER, ADMIN = "list", "listadmin"  # loadgen adds the 0


def mailboxes(count):
    """(owner, internal name, unique id) of each."""
    for i in range(count):
        user, folder = "list%d" % (i // len(FOLDERS)), FOLDERS[i % len(FOLDERS)]
        yield user, "user." + user + ("." + folder if folder else ""), "list-%019d" % i


class Names:
    def __init__(self, kind, directory, network, count):
        self.address = network.address()
        os.makedirs(directory)
        os.chmod(directory, 0o755)
        self.node = self._cyrus(directory) if kind == "cyrus" else Node(os.path.join(directory, "n"), self.address)
        self.node.conf["defaultpartition"] = "default"
        self.node.services["imap"] = 'cmd="imapd" listen="%s:%d" prefork=1' % (self.address, net.IMAP)
        self.node.conf["admins"] = ADMIN + "0"
        self.node.add_user(ADMIN + "0", VIEWER + "0")
        (self._fill_cyrus if kind == "cyrus" else self._fill)(count)
        self.node.start()
        self.target = (self.address, net.IMAP)
        with Imap(*self.target).login(VIEWER + "0") as c:
            assert len(c.ok('LIST "" *').untagged) == len(FOLDERS)

    def _cyrus(self, directory):
        """With the index of names by rights that it has, though not by default."""
        hosts = cyrus.Hosts(directory)
        hosts.add("list.lab", self.address)
        conf = {"servername": "list.lab", "reverseacls": "yes"}
        return cyrus.CyrusNode(os.path.join(directory, "n"), self.address, conf, hosts=hosts)

    def _fill(self, count):
        path = self.node.path("names")
        self.node.write_configuration()
        with open(path, "w") as f:
            f.write("{")
            for i, (user, name, unique) in enumerate(mailboxes(count)):
                record = {"mbtype": "e", "uniqueid": unique, "partition": "default", "acl": {user: RIGHTS}, "uidvalidity": 1}
                f.write("%s\n%s: %s" % ("," if i else "", json.dumps(name), json.dumps(record)))
            f.write("\n}\n")
        self.node.command("ctl_mboxlist", "-u", "-f", path, timeout=900)
        os.remove(path)

    def _fill_cyrus(self, count):
        """Its mailboxes.db, made from text: AS says that rights are indexed; rows by id are left out, LIST needs none."""
        path, rows = self.node.path("config", "names"), ["AS\t"]
        for user, name, unique in mailboxes(count):
            rest = "P default V 1795350391 C 1 F 1 M 1795350390 A %%(%s %s)" % (user, RIGHTS)
            rows.append("N%s\t%%(T e I %s %s)" % (name.replace(".", "\x1f"), unique, rest))
        with open(path, "w") as f:
            f.write("\n".join(sorted(rows)) + "\n")
        self.node.write_configuration()
        argv = ["-C", self.node.path("imapd.conf"), path, "flat", self.node.path("config", "mailboxes.db"), "twoskip"]
        subprocess.run(self.node.argv("cvt_cyrusdb", *argv), check=True, stdout=subprocess.DEVNULL, timeout=900)
        os.remove(path)

    def stop(self):
        self.node.stop()
        shutil.rmtree(os.path.dirname(self.node.dir), ignore_errors=True)
