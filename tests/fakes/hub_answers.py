"""How a fake Hub answers one request: its API, its redirects to the CDN, the CDN itself, and every fault on the way."""

import gzip
import json
import re
import socket
import struct
import time
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, quote, unquote, urlsplit

from fakes.hub_shapes import model_json, tree, tree_file

_API = re.compile(r"^/api/models/([^/]+/[^/]+)(?:/(revision|tree|paths-info|refs|auth-check)(?:/(.*))?)?$")
_RESOLVE = re.compile(r"^/([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")
_SORTS = ("downloads", "likes", "trendingScore", "lastModified", "createdAt")
_EXPOSED = "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,ETag,Link,Accept-Ranges,Content-Range"
_PLAIN = "text/plain; charset=utf-8"
_AUTH = {"type": "access_token", "accessToken": {"role": "read", "displayName": "t"}}
_USER = {"type": "user", "name": "tester", "auth": _AUTH}


def _xml(code):
    return f"<Error><Code>{code}</Code></Error>".encode()


class Answering(BaseHTTPRequestHandler):
    """What both sides share: the log, the faults that end a request at once, and bodies."""

    protocol_version = "HTTP/1.1"  # keep-alive, as the real Hub
    server_version = "fakehub"
    timeout = 120
    hub = None  # set by `answering`
    side = ""

    def log_message(self, *_):
        """The log is `hub.log`."""

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        self.row = self.hub.note(self._row())
        self.active = self.hub.pick(self.command, self.path)
        with suppress(BrokenPipeError, ConnectionResetError):
            if not self._went_wrong_at_once():
                address = urlsplit(self.path)
                self.answer(address.path, parse_qs(address.query, keep_blank_values=True))
            return
        self.close_connection = True

    do_HEAD = do_POST = do_GET

    def _row(self):
        told = {name: self.headers.get(name.replace("_", "-")) for name in ("range", "if_range", "host")}
        return {
            "t": time.time(), "side": self.side, "method": self.command, "path": self.path, "status": None, "sent": 0,
            "auth": self.headers.get("Authorization"), "ua": self.headers.get("User-Agent"), **told,
        }  # fmt: skip

    def _went_wrong_at_once(self):
        for fault in self.active:
            match fault.kind:
                case "status":
                    body = fault.opts.get("body", b'{"error":"injected"}')
                    self.reply(fault.opts.get("code", 503), body, fault.opts.get("headers"))
                case "loop":
                    self.reply(302, b"", {"Location": self.path})
                case "html":
                    self.reply(200, b"<html>please log in to the hotel wifi</html>", {"ETag": '"portal"'}, "text/html")
                case "stall" if fault.opts.get("after") is None:
                    self.hub.wait(fault.opts.get("seconds", 3600))
                    self.reset()
                case _:
                    continue
            return True
        return False

    def fault(self, kind):
        """The options of the first active fault of this kind; None where there is none."""
        return next((fault.opts for fault in self.active if fault.kind == kind), None)

    def changed(self, headers):
        """These headers with what a fault puts in their place; None drops one."""
        told = headers | (self.fault("headers") or {}).get("values", {})
        return {name: value for name, value in told.items() if value is not None}

    def reply(self, code, body=b"", headers=None, content_type="application/json; charset=utf-8"):
        self.row["status"] = code
        self._head(code, {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD" and body:
            self.wfile.write(body)

    def json(self, found, headers=None):
        self.reply(200, json.dumps(found).encode(), headers)

    def error(self, status, code, message):
        self.reply(status, json.dumps({"error": message}).encode(), {"X-Error-Code": code, "X-Error-Message": message})

    def reset(self):
        """Ends the connection abruptly: the client sees a reset, not an end of file."""
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.wfile.flush()
            self.connection.close()
        self.close_connection = True

    def _head(self, code, headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    # ---- bodies

    def send_blob(self, blob, headers, content_type):
        """The bytes asked for, with whatever goes wrong with them."""
        span = self._span(blob, headers)
        if span is None:
            self.reply(416, b"", {"Content-Range": f"bytes */{blob.size}"})
            return
        start, length, code = span
        if code == 206:
            headers = headers | {"Content-Range": f"bytes {start}-{start + length - 1}/{blob.size}"}
        headers = self.changed({"Content-Type": content_type, "Content-Length": str(length), **headers})
        self.row |= {"status": code, "start": start, "length": length}
        if self.fault("gzip") is not None:
            self._send_gzip(blob, headers)
            return
        self._head(code, headers)
        if self.command != "HEAD":
            with self.hub.sending(self.side):
                self._send_body(blob, start, length, code)

    def _span(self, blob, headers):
        """Where the answer begins, how long it is, and its status; None where the range cannot be served."""
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        found = re.match(r"^bytes=(\d*)-(\d*)$", asked or "")
        is_whole = not found or not (found[1] or found[2]) or self.fault("norange") is not None
        if is_whole or (condition and condition != headers.get("ETag")):
            return 0, blob.size, 200
        last = blob.size - 1
        if found[1]:
            start, last = int(found[1]), min(int(found[2] or last), last)
        else:
            start = max(blob.size - int(found[2]), 0)
        return (start, last - start + 1, 206) if start <= last else None

    def _send_gzip(self, blob, headers):
        body = gzip.compress(bytes(blob.read(0, blob.size)))
        headers = {name: value for name, value in headers.items() if name != "Content-Length"}
        self._head(200, headers | {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"})
        if self.command != "HEAD":
            self.wfile.write(b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")

    def _send_body(self, blob, start, length, code):
        cut = self.fault("cut") or self.fault("fin") or self.fault("stall")
        sent = length if cut is None else min(length, cut.get("after", 0))
        if blob.file and not self.active and not self.hub.link_bytes_per_s:
            self._send_file(blob, start, sent)
        elif not self._send_bytes(blob, start, sent, code):
            self.reset()
        elif sent < length:
            self._break_off()

    def _send_file(self, blob, start, length):
        """By the kernel alone, so that the server is not what a benchmark measures."""
        self.wfile.flush()
        with blob.file.open("rb") as file:
            self.connection.sendfile(file, start, length)
        self.row["sent"] = length

    def _send_bytes(self, blob, start, length, code):
        """Whether it came to the end of `length`; not when the server ends meanwhile."""
        slow, shift = self.fault("slow"), (self.fault("wrongrange") or {}).get("shift", 0) if code == 206 else 0
        step = self.hub.stream_chunk if slow is None else min(self.hub.stream_chunk, max(1, int(slow["bps"] / 20)))
        began_s = time.monotonic()
        for at in range(start, start + length, step):
            n_bytes = min(step, start + length - at)
            data = blob.read(at + shift, n_bytes)
            self.wfile.write(self._corrupted(at, data if len(data) == n_bytes else bytes(data).ljust(n_bytes, b"\0")))
            self.row["sent"] += n_bytes
            self.hub.pace(n_bytes)
            if slow and self.hub.wait(self.row["sent"] / slow["bps"] - (time.monotonic() - began_s)):
                return False
        return True

    def _corrupted(self, at, data):
        corrupt = self.fault("corrupt")
        if corrupt is None or not at <= corrupt["at"] < at + len(data):
            return data
        wrong = bytearray(data)
        wrong[corrupt["at"] - at] ^= 1
        return wrong

    def _break_off(self):
        self.wfile.flush()
        self.row["faulted"] = True
        if (stall := self.fault("stall")) is not None:
            self.hub.wait(stall.get("seconds", 3600))
            self.reset()
        elif self.fault("fin") is not None:
            self.close_connection = True
        else:
            time.sleep(0.05)  # lets the kernel deliver what was sent: a reset throws the rest away
            self.reset()


class AnsweringCdn(Answering):
    """The side that serves large files by signed addresses, and must never see a token."""

    side = "cdn"

    def answer(self, _path, query):
        if self.headers.get("Authorization"):
            self.row["leak"] = True  # S3 answers 400 when both a signature and a token are sent
            self.reply(400, _xml("InvalidArgument"), content_type="application/xml")
            return
        if time.time() * 1000 > float(query.get("Expires", ["0"])[0]) or self._is_crowded():
            self.reply(403, _xml("AccessDenied"), content_type="application/xml")
            return
        repo = self.hub.repos.get(query.get("r", [""])[0])
        blob = repo and repo.commits.get(query["c"][0], {}).get(query["p"][0])
        if blob is None:
            self.reply(404, _xml("NoSuchKey"), content_type="application/xml")
            return
        etag = (self.fault("etag") or {}).get("value", blob.etag)
        self.send_blob(blob, {
            "Accept-Ranges": "bytes", "ETag": f'"{etag}"', "Last-Modified": formatdate(1.7e9, usegmt=True),
            "Cache-Control": "public, max-age=604800, immutable",
        }, "application/octet-stream")  # fmt: skip

    def _is_crowded(self):
        crowd = self.fault("crowd")
        return crowd is not None and self.hub.n_sending("cdn") >= crowd.get("most", 1)


class AnsweringHub(Answering):
    """The side with the API, which redirects to the CDN."""

    side = "hub"

    def answer(self, path, query):
        if path == "/api/models":
            self._search(query)
        elif path == "/api/whoami-v2":
            self._who_am_i()
        elif path == "/api/agent-harnesses":
            self.json({"standardEnvVars": [], "harnesses": {}})
        elif found := _API.match(path):
            self._api(unquote(found[1]), found[2], found[3], query)
        elif found := _RESOLVE.match(path):
            self._resolve(unquote(found[1]), unquote(found[2]), unquote(found[3]))
        else:
            self.error(404, "", "Sorry, we can't find the page you are looking for.")

    # ---- who asks

    def _token(self):
        told = self.headers.get("Authorization", "")
        return told[7:] if told.startswith("Bearer ") else None

    def _who_am_i(self):
        if self._token() in self.hub.tokens:
            self.json(_USER)
        else:
            self.error(401, "", "Invalid username or password.")

    def _is_known(self, repo):
        token = self._token()
        return token is not None and repo.repo_id in self.hub.tokens.get(token, ())

    def _may_see(self, repo):
        """Whether the repository may be seen at all; otherwise the error was sent, with the Hub's own codes."""
        token = self._token()
        if token is not None and token not in self.hub.tokens:
            message = "Invalid credentials in Authorization header"
            self.reply(401, json.dumps({"error": message}).encode(), {"X-Error-Message": message})
            return False
        if repo.private and not self._is_known(repo):
            self.error(401, "RepoNotFound", "Repository not found")
            return False
        return True

    def _may_read(self, repo):
        """Whether the files may be read; otherwise the error was sent."""
        if not repo.gated or self._is_known(repo):
            return True
        restricted = f"Access to model {repo.repo_id} is restricted"
        if self._token() is None:
            self.error(401, "GatedRepo", f"{restricted}. You must be authenticated to access it. Please log in.")
        else:
            where = f"Visit https://huggingface.co/{repo.repo_id} to ask for access."
            self.error(403, "GatedRepo", f"{restricted} and you are not in the authorized list. {where}")
        return False

    # ---- the API

    def _search(self, query):
        repos = [repo for repo in self.hub.repos.values() if not repo.private and _is_wanted(repo, query)]
        sort = query.get("sort", ["trendingScore"])[-1]
        if sort not in _SORTS:
            self.error(400, "", f'Invalid sort parameter "{sort}"')
            return
        is_falling = query.get("direction", ["-1"])[-1] != "1"
        repos.sort(key=lambda repo: (repo.meta.get(sort, 0) or 0, repo.repo_id), reverse=is_falling)
        is_full = query.get("full", [""])[-1] == "true"
        self._paged(query, repos, lambda repo: model_json(
            repo, repo.refs["main"], expand=query.get("expand"), full=is_full))  # fmt: skip

    def _paged(self, query, everything, shown):
        limit = int(query.get("limit", ["0"])[-1] or 0) or self.hub.page
        start, page = int(query.get("cursor", ["0"])[-1] or 0), min(limit, self.hub.page)
        kept = "&".join(f"{name}={quote(one)}" for name, told in query.items() if name != "cursor" for one in told)
        address = f"{self.hub.url}{urlsplit(self.path).path}?{kept}&cursor={start + page}"
        link = {"Link": f'<{address}>; rel="next"'} if start + page < len(everything) else None
        self.json([shown(one) for one in everything[start : start + page]], link)

    def _api(self, repo_id, verb, rest, query):
        repo = self.hub.repos.get(repo_id)
        if repo is None:
            self.error(404 if self._token() else 401, "RepoNotFound", "Repository not found")
        elif not self._may_see(repo):
            return
        elif verb == "auth-check":
            if self._may_read(repo):
                self.reply(200, b"{}")
        elif verb == "refs":
            refs = repo.refs.items()
            branches = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": to} for name, to in refs]
            self.json({"branches": branches, "tags": []})
        else:
            self._api_at(repo, verb, rest, query)

    def _api_at(self, repo, verb, rest, query):
        revision, _, below = (rest or "main").partition("/")
        commit = repo.resolve(unquote(revision))
        if commit is None:
            self.error(404, "RevisionNotFound", f"Invalid rev id: {unquote(revision)}")
        elif verb == "tree":
            self._tree(repo.commits[commit], unquote(below), query)
        elif verb == "paths-info":
            self._paths_info(repo.commits[commit])
        else:
            self.json(model_json(
                repo, commit, expand=query.get("expand"), full=True, single=True,
                blobs=_is_true(query, "blobs"), security=_is_true(query, "securityStatus"),
            ))  # fmt: skip

    def _tree(self, files, below, query):
        rows = tree(files, below, _is_true(query, "recursive"), _is_true(query, "expand"))
        if below and not rows:
            self.error(404, "EntryNotFound", f"{below} does not exist")
        else:
            self._paged(query, rows, lambda row: row)

    def _paths_info(self, files):
        is_json = "json" in (self.headers.get("Content-Type") or "")
        form = json.loads(self.body) if is_json else parse_qs(self.body.decode())
        expand = form.get("expand", ["false"])[0].lower() == "true"
        wanted = form.get("paths", [])
        self.json([tree_file(path, blob, expand) for path, blob in files.items() if path in wanted])

    # ---- files

    def _resolve(self, repo_id, revision, path):
        repo = self.hub.repos.get(repo_id)
        if repo is None:
            self.error(404 if self._token() else 401, "RepoNotFound", "Repository not found")
            return
        if not self._may_see(repo) or not self._may_read(repo):
            return
        commit = repo.resolve(revision)
        blob = commit and repo.commits[commit].get(path)
        if commit is None:
            self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif blob is None:
            found = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": commit}
            self.reply(404, b"Entry not found", found, "text/plain")
        else:
            self._serve(repo_id, commit, path, blob)

    def _serve(self, repo_id, commit, path, blob):
        etag = (self.fault("etag") or {}).get("value", blob.etag)
        headers = self._file_headers(commit, path.rsplit("/", 1)[-1])
        if not blob.lfs:
            self.send_blob(blob, headers | {"ETag": f'"{etag}"'}, _PLAIN)
            return
        size = (self.fault("size") or {}).get("value", blob.size)
        headers |= {
            "X-Linked-Size": str(size), "X-Linked-ETag": f'"{etag}"', "ETag": '"redirect-etag"',
            "Location": self.hub.sign(repo_id, commit, path), "Vary": "Origin, Accept",
        }  # fmt: skip
        self.reply(302, b"Found. Redirecting to the CDN", self.changed(headers), _PLAIN)

    def _file_headers(self, commit, name):
        ascii_name = re.sub(r"[^ -!#-~]", "_", name)
        told = self.fault("commit")
        return {
            "X-Repo-Commit": commit, "Accept-Ranges": "bytes", "X-Request-Id": "Root=1-fake",
            "Cross-Origin-Resource-Policy": "cross-origin", "Access-Control-Expose-Headers": _EXPOSED,
            "Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}; filename=\"{ascii_name}\";",
        } | ({} if told is None else {"X-Repo-Commit": told.get("value") or ""})  # fmt: skip


def _is_true(query, name):
    return query.get(name, [""])[0].lower() == "true"


def _is_wanted(repo, query):
    """Whether a search with these words and filters finds it."""
    name, meta = repo.repo_id.lower(), repo.meta
    tags = {*meta.get("tags", ["gguf"]), meta.get("library_name")}
    asked = [tag for told in query.get("filter", []) for tag in told.split(",")]
    gated, task = query.get("gated", [""])[-1], query.get("pipeline_tag", [""])[-1]
    return (
        all(word in name for word in query.get("search", [""])[-1].lower().split())
        and query.get("author", [""])[-1] in ("", repo.repo_id.split("/")[0])
        and all(tag in tags for tag in asked)
        and task in ("", meta.get("pipeline_tag", "text-generation"))
        and (gated not in ("true", "false") or bool(repo.gated) == (gated == "true"))
    )


def answering(hub, kind):
    """The class whose instances answer for this hub."""
    return type(kind.__name__, (kind,), {"hub": hub})
