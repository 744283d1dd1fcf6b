#!/usr/bin/env python3
"""A verifier of C2SP tlog-proofs that has nothing of medchain in it: written from the
specifications, on the Ed25519 of python3-cryptography.

    foreign_verify.py POLICY ENTRY PROOF      exit status 0: accepted, 1: not, 77: cannot run here
"""
import base64
import hashlib
import struct
import sys

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    sys.exit(77)


def vkey(text, kind):
    name, key_id, data = text.split('+', 2)
    data = base64.b64decode(data, validate=True)
    assert data[0] == kind and len(data) == 33, 'type of key'
    assert hashlib.sha256(name.encode() + b'\n' + data).digest()[:4].hex() == key_id, 'key id'
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(data[1:])


def policy(text):
    logs, witnesses, groups, quorum = [], {}, {}, None
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith('#'):
            continue
        if words[0] == 'log':
            logs.append(vkey(words[1], 1))
        elif words[0] == 'witness':
            witnesses[words[1]] = vkey(words[2], 4)
        elif words[0] == 'group':
            members = words[3:]
            groups[words[1]] = ({'any': 1, 'all': len(members)}.get(words[2]) or int(words[2]), members)
        elif words[0] == 'quorum':
            quorum = words[1]
    return logs, witnesses, groups, quorum


def met(name, cosigned, groups):
    if name == 'none':
        return True
    if name in groups:
        threshold, members = groups[name]
        return sum(met(m, cosigned, groups) for m in members) >= threshold
    return name in cosigned


def root_of(index, size, leaf, path):
    """RFC 9162, 2.1.3.2"""
    assert index < size
    fn, sn, r = index, size - 1, leaf
    for p in path:
        assert sn > 0, 'proof too long'
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b'\1' + p + r).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b'\1' + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0, 'proof too short'
    return r


def verify(policy_text, entry, proof):
    logs, witnesses, groups, quorum = policy(policy_text)
    head, checkpoint = proof.split('\n\n', 1)
    lines = head.split('\n')
    assert lines[0] == 'c2sp.org/tlog-proof@v1'
    index = int(lines[1].removeprefix('index '))
    path = [base64.b64decode(line, validate=True) for line in lines[2:]]
    text, signatures = checkpoint.rsplit('\n\n', 1)
    text = (text + '\n').encode()
    origin, size, root = text.decode().split('\n')[:3]
    signed, cosigned = False, set()
    for line in signatures.strip('\n').split('\n'):
        dash, name, data = line.split(' ')
        data = base64.b64decode(data, validate=True)
        assert dash == '\u2014'
        for log, key_id, key in logs:
            if log == name == origin and key_id == data[:4]:
                key.verify(data[4:], text)
                signed = True
        for witness, (known, key_id, key) in witnesses.items():
            if known == name and key_id == data[:4]:
                time, = struct.unpack('>Q', data[4:12])
                key.verify(data[12:], b'cosignature/v1\ntime %d\n' % time + text)
                cosigned.add(witness)
    assert signed, 'not signed by the log'
    assert met(quorum, cosigned, groups), 'no quorum'
    leaf = hashlib.sha256(b'\0' + entry).digest()
    assert root_of(index, int(size), leaf, path) == base64.b64decode(root), 'not in the tree'


try:
    verify(open(sys.argv[1], encoding='utf-8').read(), open(sys.argv[2], 'rb').read(),
           open(sys.argv[3], encoding='utf-8').read())
except (AssertionError, ValueError, KeyError, IndexError, InvalidSignature) as problem:
    print(type(problem).__name__, problem)
    sys.exit(1)
print('accepted')
