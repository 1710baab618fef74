# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""HTTP/2, which the simulated clouds do not speak by themselves."""

import socket
import subprocess

from harness import wait_until


class Proxy:
    """nghttpx before the simulated clouds: HTTP/2 as the real ones have it."""

    def __init__(self, clouds):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        place = clouds.directory
        self.process = subprocess.Popen(
            ["nghttpx", "--conf=/dev/null", "--single-process", "--workers=1",
             "--no-ocsp", "--accesslog-file=/dev/null",
             f"--errorlog-file={place / 'nghttpx.log'}",
             f"--frontend=127.0.0.1,{self.port}",
             f"--backend=127.0.0.1,{clouds.ready['http_port']}",
             str(place / "server-key.pem"), str(place / "server.pem")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_until(self.listens, what="nghttpx listens")

    def listens(self):
        assert self.process.poll() is None, "nghttpx ended at start"
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0
