"""Read `pip config list` from standard input; print shell assignments that give uv the same settings.

pip's settings come from files and from its environment variables; uv reads neither. The one argument is the torch
version wanted: `local_torch=yes` is printed too if one of pip's wheel folders holds it for this Python, and
`no_index=yes`, for which uv has no variable of its own, if pip is to use nothing but those folders.
"""

import ast
import os
import shlex
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

SECTIONS = ("global", "install", ":env:")  # a later one overrides an earlier one
SINGLE = {
    "index-url": "UV_DEFAULT_INDEX",
    "proxy": "ALL_PROXY",
    "client-cert": "SSL_CLIENT_CERT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
LISTS = {
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
}


def parse(lines: list[str]) -> dict[str, str]:
    """Return the setting that counts for `pip install`, by its name."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in lines:
        key, _, quoted = line.strip().partition("=")
        section, _, name = key.rpartition(".")
        if section in found and (value := str(ast.literal_eval(quoted)).strip()):
            found[section][name.lower().replace("_", "-")] = value
    return {name: value for section in SECTIONS for name, value in found[section].items()}


def folder(link: str) -> Path | None:
    """Return the local folder that a find-links value names, or None for the address of a page."""
    parts = urlsplit(link)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme in ("http", "https") else Path(link).expanduser()


def translate(settings: dict[str, str], torch: str) -> dict[str, str]:
    """Return uv's environment variables, and `local_torch` and `no_index` where they hold."""
    out = {new: settings[old] for old, new in SINGLE.items() if old in settings}
    if "UV_HTTP_TIMEOUT" in out:
        out["UV_HTTP_TIMEOUT"] = str(max(1, round(float(out["UV_HTTP_TIMEOUT"]))))
    values = {name: settings.get(name, "").split() for name in LISTS}
    folders = {link: folder(link) for link in values["find-links"]}
    # uv stops at a folder that does not exist; pip goes on without it
    values["find-links"] = [str(where or link) for link, where in folders.items() if where is None or where.exists()]
    out |= {new: separator.join(values[old]) for old, (new, separator) in LISTS.items() if values[old]}
    if "UV_INDEX" in out:
        out["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip's own rule: all indexes count alike
    out = {name: value for name, value in out.items() if name not in os.environ}  # what is set for uv itself wins
    if "cert" in settings:
        cert = Path(settings["cert"]).expanduser()
        out["SSL_CERT_DIR" if cert.is_dir() else "SSL_CERT_FILE"] = str(cert)
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    if any(where and any(where.glob(f"torch-{torch}[-+%]*{tag}-{tag}-*.whl")) for where in folders.values()):
        out["local_torch"] = "yes"
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        out["no_index"] = "yes"
    return out


if __name__ == "__main__":
    for variable, text in translate(parse(sys.stdin.readlines()), sys.argv[1]).items():
        sys.stdout.write(f"export {variable}={shlex.quote(text)}\n")
