#!/usr/bin/env python3
"""MQTT.js in headless Chromium: browser.py NODE_MODULES WEBSOCKET_URL

Serves the page on loopback, lets Chromium open it, and waits for the result that the page posts."""

import http.server
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.parse

PATIENCE_S = 90
FOLDER = pathlib.Path(__file__).parent


def make_handler(files, results):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = urllib.parse.urlsplit(self.path).path
            if path not in files:
                self.send_error(404)
                return
            name, kind = files[path]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(pathlib.Path(name).read_bytes())

        def do_POST(self):
            results.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    return Handler


def main():
    modules, broker = sys.argv[1:]
    files = {
        "/": (FOLDER / "browser.html", "text/html"),
        "/exchange.mjs": (FOLDER / "exchange.mjs", "text/javascript"),
        "/mqtt.min.js": (f"{modules}/mqtt/dist/mqtt.min.js", "text/javascript"),
    }
    results = queue.Queue()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make_handler(files, results))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = f"http://127.0.0.1:{server.server_port}/?broker={urllib.parse.quote(broker)}"
    # Chromium's helpers may still write into the profile when it has ended: what is left is not our failure.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, tempfile.TemporaryFile() as words:
        chromium = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={profile}", "--remote-debugging-port=0", page],
            stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True)
        try:
            result = results.get(timeout=PATIENCE_S)
        except queue.Empty:
            words.seek(0)
            result = f"no result within {PATIENCE_S} s; Chromium said:\n" + words.read().decode(errors="replace")[-2000:]
        finally:
            os.killpg(chromium.pid, signal.SIGKILL)
            chromium.wait()
    print(result)
    return 0 if result == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
