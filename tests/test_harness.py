"""The harness finds what it is for: a process of a node that a sanitizer complains of fails the test."""

import subprocess

import pytest

from iatlas import node

DEFECTS = {
    "address": "#include <stdlib.h>\nint main(void) { volatile char *p = malloc(1); free((void *)p); return p[0]; }\n",
    "undefined": "int main(int argc, char **argv) { (void)argv; return 0x7fffffff + argc; }\n",
    "thread": """
        #include <pthread.h>
        static int shared;
        static void *run(void *x) { shared++; return x; }
        int main(void)
        {
            pthread_t other;
            pthread_create(&other, 0, run, 0);
            shared++;
            return pthread_join(other, 0);
        }""",
}


@pytest.mark.parametrize("kind", DEFECTS)
def test_sanitizer(workdir, kind):
    program = workdir + "/defect"
    subprocess.run(["gcc", "-fsanitize=" + kind, "-xc", "-o", program, "-"], input=DEFECTS[kind], text=True, check=True)
    n = node.Node(workdir + "/n", "127.0.0.1")
    subprocess.run([program], env=n.environment(), stderr=subprocess.DEVNULL, check=False)
    with pytest.raises(AssertionError, match="Sanitizer|runtime error"):
        n.cleanup()


def test_no_complaint(workdir):
    n = node.Node(workdir + "/n", "127.0.0.1")
    subprocess.run(["/bin/true"], env=n.environment(), check=True)
    n.cleanup()
