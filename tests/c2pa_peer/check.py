#!/usr/bin/env python3
"""Signed files of effigy before readers that are not effigy's: by themselves, and changed.

usage: check.py FOLDER NODE_FOLDER    FOLDER holds signed/ and certificates.pem, as scripts/c2pa_peer.sh makes them

1. c2pa-ts: C2PA in TypeScript; no code in common with the library in effigy.
2. encypher-c2pa: C2PA in Rust, by others; its bill of materials has no crate in common that knows C2PA.
3. c2pa-python: the library in effigy itself, a later release.
4. OpenSSL and this script: the boxes are taken apart here, certificates and signature are checked by the program `openssl`,
   hashes by hashlib.

Each file is read as it is, and with a byte changed: in the pictures, in the statement, in the signature.
"""

import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import cbor2

STORE = bytes.fromhex("6332706100110010800000aa00389b71")
UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
MIME = {".mp4": "video/mp4", ".mov": "video/quicktime", ".avi": "video/avi", ".mkv": "video/x-matroska", ".png": "image/png"}


# Boxes -----------------------------------------------------------------------------------------------------------


def boxes(data, begin, end):
    """(type, where it begins, where its content begins, where it ends) of each box, ISO/IEC 14496-12 and 19566-5."""
    at = begin
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[at + 8 : at + 16])[0], 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end:
            raise ValueError(f"a box of {size} bytes at {at}")
        yield kind, at, at + head, at + size
        at += size


def jumbf(data, begin, end):
    """A superbox as (label, [content boxes], {label: superbox})."""
    label, contents, inside = None, [], {}
    for kind, _, head, stop in boxes(data, begin, end):
        if kind == b"jumd":
            toggles = data[head + 16]
            if toggles & 2:
                label = data[head + 17 : data.index(b"\0", head + 17)].decode()
        elif kind == b"jumb":
            below = jumbf(data, head, stop)
            inside[below[0]] = (*below[:3], data[head:stop])
        elif kind != b"free" and kind != b"c2sh":
            contents.append(data[head:stop])
    return label, contents, inside


def store_of(path, data):
    """The manifest store and where it lies in the file: (bytes, begin, end); the place is empty for one beside it."""
    if path.suffix in (".mp4", ".mov"):
        for kind, at, head, stop in boxes(data, 0, len(data)):
            if kind == b"uuid" and data[head : head + 16] == UUID:
                # Version and flags, what it is for, an offset.
                purpose = data.index(b"\0", head + 20)
                assert data[head + 20 : purpose] == b"manifest"
                return data[purpose + 9 : stop], at, stop
    elif path.suffix == ".png":
        at = 8
        while at < len(data):
            size, kind = struct.unpack(">I4s", data[at : at + 8])
            if kind == b"caBX":
                return data[at + 8 : at + 8 + size], at, at + 12 + size
            at += 12 + size
    elif path.suffix == ".avi":
        at = data.index(b"C2PA")
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        return data[at + 8 : at + 8 + size], at, at + 8 + size + size % 2
    elif path.with_suffix(".c2pa").exists():
        return path.with_suffix(".c2pa").read_bytes(), 0, 0
    raise ValueError("no manifest")


# By hand ---------------------------------------------------------------------------------------------------------


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def der_integer(value):
    value = value.lstrip(b"\0") or b"\0"
    value = b"\0" + value if value[0] & 0x80 else value
    return b"\x02" + bytes([len(value)]) + value


def by_hand(path, certificates):
    """Takes the file apart; a list of what does not hold."""
    data = path.read_bytes()
    store, begin, stop = store_of(path, data)
    wrong = []
    label, _, manifests = jumbf(store, 8, struct.unpack(">I", store[:4])[0])
    assert label == "c2pa", label
    _, _, parts, _ = next(reversed(manifests.values()))
    claim_bytes = parts["c2pa.claim.v2"][1][0]
    claim = cbor2.loads(claim_bytes)
    assertions = parts["c2pa.assertions"][2]

    # Each assertion is the one that the claim means.
    for reference in claim["created_assertions"] + claim.get("gathered_assertions", []):
        name = reference["url"].split("/")[-1]
        if hashlib.sha256(assertions[name][3]).digest() != reference["hash"]:
            wrong.append(f"assertion {name}: its hash is not the claim's")

    # The file's bytes.
    name = next(name for name in assertions if name.startswith("c2pa.hash."))
    binding = cbor2.loads(assertions[name][1][0])
    if name.startswith("c2pa.hash.bmff"):
        digest = hashlib.sha256()
        skipped = {exclusion["xpath"].strip("/") for exclusion in binding["exclusions"]}
        for kind, at, head, end in boxes(data, 0, len(data)):
            is_own = kind == b"uuid" and data[head : head + 16] == UUID
            if is_own or (kind != b"uuid" and kind.decode() in skipped):
                continue
            # Version 2 of the hash: where a box lies counts, too.
            digest.update(struct.pack(">Q", at) + data[at:end])
        is_same = digest.digest() == binding["hash"]
    else:
        holes = sorted((hole["start"], hole["length"]) for hole in binding.get("exclusions") or [])
        if any(not begin <= start <= start + length <= stop for start, length in holes):
            wrong.append("more than the manifest is left out of the hash")
        at, digest = 0, hashlib.sha256()
        for start, length in holes:
            digest.update(data[at:start])
            at = start + length
        digest.update(data[at:])
        is_same = digest.digest() == binding["hash"]
    if not is_same:
        wrong.append("the file's hash is not the one that was signed")

    # The signature over the claim: COSE_Sign1 with a detached payload, ES256, RFC 9052 and 9053.
    sign1 = cbor2.loads(parts["c2pa.signature"][1][0])
    protected, _, payload, signature = sign1.value
    headers = cbor2.loads(protected)
    assert headers[1] == -7 and payload is None, headers.get(1)
    chain = headers[33]
    to_sign = cbor2.dumps(["Signature1", protected, b"", claim_bytes])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "leaf.der").write_bytes(chain[0])
        half = len(signature) // 2
        pair = der_integer(signature[:half]) + der_integer(signature[half:])
        (folder / "signature.der").write_bytes(b"\x30" + bytes([len(pair)]) + pair)
        (folder / "message").write_bytes(to_sign)
        openssl("x509", "-inform", "der", "-in", f"{folder}/leaf.der", "-pubkey", "-out", f"{folder}/leaf.pem")
        is_made, key = openssl("x509", "-in", f"{folder}/leaf.pem", "-pubkey", "-noout")
        (folder / "key.pem").write_text(key + "\n")
        holds, said = openssl(
            "dgst", "-sha256", "-verify", f"{folder}/key.pem", "-signature", f"{folder}/signature.der", f"{folder}/message"
        )
        if not (is_made and holds):
            wrong.append(f"openssl: the signature does not hold ({said.splitlines()[0]})")
        # The chain ends at the certificate that `effigy keys certificate` gave out, and may sign.
        roots = certificates.read_text().split("-----BEGIN CERTIFICATE-----")
        (folder / "root.pem").write_text("-----BEGIN CERTIFICATE-----" + roots[-1])
        holds, said = openssl("verify", "-x509_strict", "-CAfile", f"{folder}/root.pem", f"{folder}/leaf.pem")
        if not holds:
            wrong.append(f"openssl: the certificate does not hold ({said.splitlines()[-1]})")
        _, text = openssl("x509", "-in", f"{folder}/leaf.pem", "-noout", "-text")
        for needed in ["Digital Signature", "CA:FALSE", "E-mail Protection", "1.3.6.1.4.1.62558.2.1", "Authority Key Identifier", "Subject Key Identifier"]:
            if needed not in text:
                wrong.append(f"the certificate lacks {needed}")
    actions = next(cbor2.loads(part[1][0]) for name, part in assertions.items() if name.startswith("c2pa.actions"))
    stated = {
        "signature": signature,
        "actions": [action["action"] for action in actions["actions"]],
        "source": actions["actions"][0].get("digitalSourceType", "").rsplit("/", 1)[-1],
        "consent": cbor2.loads(assertions["effigy.consent"][1][0]) if "effigy.consent" in assertions else None,
        "mark": cbor2.loads(assertions["c2pa.soft-binding"][1][0]) if "c2pa.soft-binding" in assertions else None,
    }
    return wrong, stated


# Readers of others -----------------------------------------------------------------------------------------------


def by_typescript(path, node):
    done = subprocess.run(["node", "read.mjs", str(path)], capture_output=True, text=True, cwd=node)
    said = json.loads(done.stdout.splitlines()[-1])
    if "error" in said:
        return [said["error"]]
    return [] if said["valid"] else said["failures"] or ["not valid"]


def by_encypher(path):
    import encypher_c2pa

    beside = path.with_suffix(".c2pa").read_bytes() if path.suffix == ".mkv" else None
    report = encypher_c2pa.verify(path.read_bytes(), MIME[path.suffix], manifest_store=beside, telemetry=False, online=False)
    is_good = (report["integrity"], report["signature"], report["hard_binding"]) == ("valid", "valid", "match")
    failures = report.get("validation_results", {}).get("failure", [])
    codes = [failure.get("code") for failure in failures if failure.get("code") != "signingCredential.untrusted"]
    return [] if is_good and not codes else codes or [f"{report['integrity']}, {report['signature']}, {report['hard_binding']}"]


def by_sdk(path):
    import c2pa

    beside = path.with_suffix(".c2pa")
    try:
        with open(path, "rb") as stream:
            if path.suffix == ".mkv":
                reader = c2pa.Reader(MIME[path.suffix], stream, beside.read_bytes())
            else:
                reader = c2pa.Reader(MIME[path.suffix], stream)
            said = json.loads(reader.json())
    except c2pa.C2paError as error:
        return [str(error)]
    failures = said.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    codes = [failure["code"] for failure in failures if failure["code"] != "signingCredential.untrusted"]
    return codes if said["validation_state"] == "Invalid" or codes else []


def main():
    folder, node = map(pathlib.Path, sys.argv[1:])
    readers = {
        "c2pa-ts": lambda path: by_typescript(path, node),
        "encypher-c2pa": by_encypher,
        "c2pa-python": by_sdk,
        "by hand, openssl": lambda path: by_hand(path, folder / "certificates.pem")[0],
    }
    unread = {("c2pa-ts", ".avi"), ("c2pa-ts", ".mkv"), ("c2pa-python", ".mkv"), ("encypher-c2pa", ".mkv")}
    n_wrong = 0
    for path in sorted((folder / "signed").iterdir()):
        if path.suffix not in MIME:
            continue
        data = path.read_bytes()
        store, begin, stop = store_of(path, data)
        print(f"{path.name}: a manifest of {len(store)} bytes")
        stated = by_hand(path, folder / "certificates.pem")[1]
        print("   states", json.dumps({name: value for name, value in stated.items() if name != "signature"}, default=lambda data: data.hex()))
        variants = {"as it is": (data, store)}
        flipped = lambda whole, at: whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        variants["a picture changed"] = (flipped(data, max((stop + len(data)) // 2 if stop < len(data) * 0.9 else 0, begin // 2)), store)
        for name, word in [("the statement changed", b"compositeWithTrained"), ("the consent changed", b"basis"), ("the signature changed", stated.pop("signature"))]:
            at = store.index(word) + (len(word) + 2 if len(word) < 64 else 9)
            changed = flipped(store, at)
            variants[name] = (data.replace(store, changed) if stop else data, changed)
        for what, (whole, manifest) in variants.items():
            print(f"   {what}")
            with tempfile.TemporaryDirectory() as place:
                copy = pathlib.Path(place) / path.name
                copy.write_bytes(whole)
                if not stop:
                    copy.with_suffix(".c2pa").write_bytes(manifest)
                for name, read in readers.items():
                    if (name, path.suffix) in unread:
                        if what == "as it is":
                            print(f"      {name:<18} does not read this kind of file")
                        continue
                    try:
                        failures = read(copy)
                    except Exception as error:  # whatever a reader of others throws is its answer
                        failures = [f"{type(error).__name__}: {error}"]
                    is_right = (not failures) == (what == "as it is")
                    n_wrong += not is_right
                    print(f"      {name:<18} {'holds' if not failures else 'does not hold: ' + ', '.join(map(str, failures))[:110]}"
                          + ("" if is_right else "   <-- NOT AS EXPECTED"))
    print("all as expected" if not n_wrong else f"{n_wrong} not as expected")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
