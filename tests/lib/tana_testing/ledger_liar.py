"""A leader made of a list of blocks: just enough of the reading API for a follower, true or not."""

import http.server
import threading
import urllib.parse

from . import oracle



class Liar:
    def __init__(self, blocks):
        self.blocks = blocks
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                found = liar.answer(parts.path, dict(urllib.parse.parse_qsl(parts.query)))
                body = oracle.canonical(found or {"error": "There is no such thing.", "code": "not_found"})
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def block(self, b, full=True):
        out = b.json()
        for t, shown in zip(b.transactions, out["transactions"]):
            shown["id"] = t.id
        return out if full else {k: v for k, v in out.items() if k not in ("transactions", "stateChanges")}

    def answer(self, path, query):
        head, zero = self.blocks[-1], self.blocks[0]
        if path == "/status":
            return {
                "chainId": head.header["chainId"], "genesisHash": zero.header["genesisHash"], "height": head.height, "hash": head.hash,
                "timestamp": head.header["timestamp"], "stateRoot": head.header["stateRoot"], "producing": True, "pending": 0,
            }
        if path == "/blocks":
            first = int(query.get("from", max(0, head.height - 19)))
            last = min(int(query.get("to", head.height)), head.height, first + int(query.get("limit", 20)) - 1)
            out = {"blocks": [self.block(b, query.get("full") in ("1", "true")) for b in self.blocks[first : last + 1]]}
            if last < head.height:
                out["nextCursor"] = str(last + 1)
            return out
        if path == "/blocks/latest":
            return self.block(head)
        for b in self.blocks:
            if path in (f"/blocks/{b.height}", f"/blocks/hash/{b.hash}"):
                return self.block(b)
        return None


