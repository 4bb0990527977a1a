"""The checkers of make check find what they are for: a sound tree passes, each defect is named."""

import os
import shutil
import subprocess
import sys

import pytest

from iatlas import node

FOLDERS = ("lib", "imap", "mupdate", "master", "cunit", "man", "build-aux", "bench", "fuzz", "perl", "tests/helpers")
DEFECTS = [
    ("check-layers", "lib/base/buf.c", '#include "imap/store/store.h"\n', "lib/base may not use imap/store"),
    ("check-layers", "imap/session/route.c", '#include "mupdate/names.h"\n', "imap/session may not use mupdate"),
    ("check-layers", "imap/store/append.c", "#include <lmdb.h>\n", "<lmdb.h> is for lib/db"),
    ("check-layers", "imap/proxy/local.mk", "PROXY_LIBS += $(STORE_LIBS)\n", "links imap/store/libstore.a"),
    ("check-options", "lib/base/options-used.def", "USED(ZZZ)\n", "ZZZ"),
    ("check-options", "imap/store/append.c", "static int x = OPT_AUDITLOG;\n", "AUDITLOG"),
    ("check-log", "lib/base/log-events.def", 'EVENT(ZZZ, "zzz", "never")\n', "nothing logs zzz"),
    ("check-log", "lib/base/log-keys.def", 'KEY(AAA, "aaa", "out of order")\n', "not sorted"),
    ("check-man", "man/new.8", ".TH NEW 8\n", "man/new.8 is not installed"),
    ("check-man", "man/mbexamine.8", '.TP\n.B \\-Z\n', "man/mbexamine.8: the program has no -Z"),
    ("check-man", "imap/tools/mbexamine.c", 'getopt(argc, argv, "Cqu:Z")', "man/mbexamine.8: says nothing of -Z"),
    ("check-man", "imap/tools/local.mk", "sbin_PROGRAMS += imap/tools/new\n", "new has no page"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    top = tmp_path_factory.mktemp("tree")
    for folder in FOLDERS:
        shutil.copytree(os.path.join(node.TOP, folder), top / folder,
                        ignore=shutil.ignore_patterns("*.o", "*.a", ".deps", "__pycache__", "corpus"))
    return top


def run(checker, top):
    return subprocess.run([sys.executable, top / "build-aux" / checker, top], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("checker", sorted({d[0] for d in DEFECTS}))
def test_sound_tree(tree, checker):
    r = run(checker, tree)
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.mark.parametrize("checker, path, line, complaint", DEFECTS)
def test_defect(tree, checker, path, line, complaint):
    path = tree / path
    before = path.read_text() if path.exists() else None
    path.write_text((before or "") + line)
    try:
        r = run(checker, tree)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
    assert r.returncode == 1 and complaint in r.stdout, r.stdout + r.stderr
