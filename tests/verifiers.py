"""Public verifiers of Standard Webhooks: the Python library, the one for Node where npm is at hand, and the openssl program."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

Verifier = Callable[[str, Mapping[str, str], bytes], bool]
_NODE = """
import { Webhook } from "standardwebhooks";
let text = ""; for await (const part of process.stdin) text += part;
const { secret, headers, body } = JSON.parse(text);
try { new Webhook(secret).verify(Buffer.from(body, "base64").toString(), headers); console.log("yes"); } catch (e) { console.log("no: " + e.message); }
"""


def python(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """PyPI's standardwebhooks."""
    try:
        Webhook(secret).verify(body, dict(headers))
    except WebhookVerificationError:
        return False
    return True


@cache
def _node_folder() -> Path | None:
    """npm's standardwebhooks beside the virtual environment; None where there is no npm, or no registry."""
    folder = Path(__file__).parents[1] / ".venv" / "npm"
    if not shutil.which("node") or not shutil.which("npm"):
        return None
    if not (folder / "node_modules" / "standardwebhooks").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = [
            "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
            "standardwebhooks@1",
        ]
        if subprocess.run(install, capture_output=True, timeout=120).returncode:
            return None
    (folder / "verify.mjs").write_text(_NODE)
    return folder


def node(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """npm's standardwebhooks."""
    folder = _node_folder()
    assert folder is not None
    case = {"secret": secret, "headers": dict(headers), "body": base64.b64encode(body).decode()}
    done = subprocess.run(
        ["node", str(folder / "verify.mjs")], input=json.dumps(case), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.startswith("yes")


def openssl(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """The openssl program knows HMAC and nothing of webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_")).hex()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"],
        input=signed, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    return "v1," + base64.b64encode(done.stdout).decode() in headers["webhook-signature"].split(" ")


def at_hand() -> dict[str, Verifier]:
    """Those that this machine has."""
    found: dict[str, Verifier] = {"python": python}
    if _node_folder():
        found["node"] = node
    if shutil.which("openssl"):
        found["openssl"] = openssl
    return found
