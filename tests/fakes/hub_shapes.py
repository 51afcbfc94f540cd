"""The JSON that the Hub answers with: models of a search, one model, the files of a tree."""

import hashlib

_SEARCHED = ("likes", "private", "downloads", "tags", "pipeline_tag", "library_name", "createdAt")
_FULL = (
    "author", "sha", "lastModified", "private", "gated", "disabled", "downloads", "likes", "library_name",
    "pipeline_tag", "tags", "siblings", "createdAt",
)  # fmt: skip
_DATE = "2026-01-02T03:04:05.000Z"


def model_json(repo, commit, *, expand=None, full=False, blobs=False, single=False, security=False):
    """A model as `/api/models` gives it: with what `expand` asks for, else with what each endpoint shows by itself."""
    everything = _everything(repo, commit, blobs)
    alone = [key for key in everything if key != "downloadsAllTime"]
    shown = expand or (alone if single else _FULL if full else _SEARCHED)
    found = {"_id": hashlib.md5(repo.repo_id.encode()).hexdigest()[:24], "id": repo.repo_id}
    if not expand:
        found["modelId"] = repo.repo_id
    found.update({key: everything[key] for key in shown if everything.get(key) is not None})
    if security:
        found["securityRepoStatus"] = repo.meta.get("securityRepoStatus", {"scansDone": True, "filesWithIssues": []})
    return found


def _everything(repo, commit, blobs):
    meta, files = repo.meta, repo.commits[commit]
    return {
        "author": repo.repo_id.split("/")[0],
        "sha": commit,
        "lastModified": meta.get("lastModified", _DATE),
        "createdAt": meta.get("createdAt", "2025-01-02T03:04:05.000Z"),
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": meta.get("downloads", 0),
        "downloadsAllTime": meta.get("downloadsAllTime", meta.get("downloads", 0)),
        "likes": meta.get("likes", 0),
        "trendingScore": meta.get("trendingScore", 0),
        "library_name": meta.get("library_name"),
        "pipeline_tag": meta.get("pipeline_tag", "text-generation"),
        "tags": meta.get("tags", ["gguf", "text-generation", "region:us"]),
        "gguf": meta.get("gguf"),
        "safetensors": meta.get("safetensors"),
        "baseModels": meta.get("baseModels"),
        "cardData": meta.get("cardData"),
        "config": meta.get("config"),
        "usedStorage": sum(blob.size for blob in files.values()),
        "siblings": [_sibling(path, blob, blobs) for path, blob in sorted(files.items())],
    }


def _sibling(path, blob, blobs):
    if not blobs:
        return {"rfilename": path}
    found = {"rfilename": path, "size": blob.size, "blobId": blob.sha1}
    return found | _lfs(blob, "sha256")


def tree_file(path, blob, expand):
    """A file as a tree shows it."""
    found = {"type": "file", "oid": blob.sha1, "size": blob.size, "path": path} | _lfs(blob, "oid")
    if expand:
        found["lastCommit"] = {"id": "0" * 40, "title": "commit", "date": _DATE}
        found["securityFileStatus"] = {"status": "safe", "avScan": {"status": "safe"}, "pickleImportScan": None}
    return found


def _lfs(blob, name):
    return {"lfs": {name: blob.sha256, "size": blob.size, "pointerSize": 135}} if blob.lfs else {}


def tree(files, prefix, recursive, expand):
    """The files and folders below `prefix`."""
    above = prefix.rstrip("/") + "/" if prefix else ""
    rows, folders = [], set()
    for path, blob in files.items():
        if not path.startswith(above):
            continue
        words = path[len(above) :].split("/")
        folders |= {above + "/".join(words[:deep]) for deep in range(1, len(words)) if recursive or deep == 1}
        if recursive or len(words) == 1:
            rows.append(tree_file(path, blob, expand))
    rows += [_folder(path) for path in folders]
    return sorted(rows, key=lambda row: row["path"])


def _folder(path):
    return {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, "path": path}
