"""SSH key pairs: made, and checked when somebody brings one. PURE."""

from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from backendai.common.faults import InvalidParams


@dataclass(frozen=True, slots=True)
class SshKeypair:
    """Texts in the forms of OpenSSH."""

    public: str
    private: str = field(repr=False)


def make_ssh_keypair() -> SshKeypair:
    """A fresh Ed25519 pair."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return SshKeypair(public.decode("ascii"), text.decode("ascii"))


def read_ssh_keypair(public: str, private: str) -> SshKeypair:
    """A pair that belongs together, the private half without a passphrase. Raises InvalidParams."""
    text = private.strip() + "\n"
    try:
        loaded = load_ssh_private_key(text.encode("ascii"), password=None)
        derived = loaded.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    except (ValueError, TypeError, UnicodeEncodeError, UnsupportedAlgorithm):
        raise InvalidParams(
            "", {"privkey": "write an OpenSSH private key without a passphrase"}
        ) from None
    # Behind the type and the key there may be a comment.
    if public.split()[:2] != derived.decode("ascii").split()[:2]:
        raise InvalidParams("", {"pubkey": "is not the public half of privkey"})
    return SshKeypair(public.strip(), text)
