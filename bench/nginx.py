"""nginx's mail proxy before a server: what a proxy costs that looks at nothing behind the login."""

import os
import signal
import subprocess
import time

from iatlas import cyrus, fetched

CONF = """
load_module %(root)s/usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
worker_processes 2;
worker_rlimit_nofile 60000;
error_log %(dir)s/log;
pid %(dir)s/pid;
events { worker_connections 25000; }
http {
  access_log off;
  client_body_temp_path %(dir)s/body; proxy_temp_path %(dir)s/proxy; fastcgi_temp_path %(dir)s/fastcgi;
  uwsgi_temp_path %(dir)s/uwsgi; scgi_temp_path %(dir)s/scgi;
  server {
    listen %(address)s:2080;
    location = /auth {
      add_header Auth-Status OK;
      add_header Auth-Server %(server)s;
      add_header Auth-Port %(port)d;
      return 200;
    }
  }
}
mail {
  auth_http %(address)s:2080/auth;
  proxy on;
  imap_capabilities IMAP4rev1 UIDPLUS IDLE LITERAL+;
  imap_client_buffer 64k;
  server { listen %(address)s:2143; protocol imap; }
}
"""


class Nginx:
    def __init__(self, directory, network, behind):
        self.dir, self.address, self.behind, self.process = directory, network.address(), behind, None
        self.target = (self.address, 2143)

    def start(self):
        os.makedirs(self.dir, exist_ok=True)
        root, path = fetched.prefix("nginx"), os.path.join(self.dir, "nginx.conf")
        values = {"root": root, "dir": self.dir, "address": self.address, "server": self.behind[0], "port": self.behind[1]}
        with open(path, "w") as f:
            f.write(CONF % values)
        argv = [root + "/usr/sbin/nginx", "-e", self.dir + "/log", "-p", self.dir, "-c", path]
        libraries = ":".join(d for d, _, files in os.walk(root) if any(".so" in f for f in files))
        self.process = subprocess.Popen(argv, env=dict(os.environ, LD_LIBRARY_PATH=libraries))
        deadline = time.monotonic() + 20
        while not cyrus.greets(*self.target):
            assert time.monotonic() < deadline and self.process.poll() is None, "nginx does not start"
            time.sleep(0.1)

    def pids(self):
        """The workers'."""
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as f:
            return [int(pid) for pid in f.read().split()]

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
