#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the bounded proofs of the library with CBMC; what they say is in README.md.

    prove.py list [--nightly]
    prove.py run NAME ...      each proof; exit 0: all hold
    prove.py mutants [NAME]    the library with one check broken must not be proved
    prove.py check             only whether each mutant can be made

Exit status: 0 as it should be, 1 a proof failed (or a mutant passed, or can't be made),
2 wrong use, 3 CBMC is missing or can't read the sources.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LIB = HERE.parent.parent / 'lib'
BITS_32 = ['--i386-linux', '-D_WIN32', '-DVIRTIO_OSDEP_USER_MODE']
CHECKS = ['--bounds-check', '--pointer-check', '--pointer-primitive-check',
          '--div-by-zero-check', '--signed-overflow-check', '--undefined-shift-check',
          '--unwinding-assertions']


class Proof:
    """One function of a proof file, for one size, on 64 or 32 bits."""

    def __init__(self, source, function, size, unwind, bits=64, nightly=False):
        self.source, self.function, self.size = source, function, size
        self.unwind, self.bits, self.nightly = unwind, bits, nightly
        self.name = f'{source}.{function}.{size}' + ('' if bits == 64 else '.32bit')

    def command(self, cbmc, lib):
        return [cbmc, '-I', str(lib), '-I', str(HERE), f'-DPROOF_SIZE={self.size}',
                str(HERE / f'{self.source}_proof.cpp'), '--function', f'Proof{self.function}',
                '--drop-unused-functions', '--slice-formula', '--unwind', str(self.unwind),
                '--unwindset', 'ProofZeroMemory.0:80,ProofZeroMemory.1:9',
                '--json-ui'] + CHECKS + (
                    BITS_32 if self.bits == 32 else [])


def proofs():
    found = []
    for function in ('GetUsed', 'GetUsedBatch', 'AddBuffer', 'Publish', 'PublishBatch',
                     'Detach', 'Notify'):
        # Two of them take too long for four here.
        for size in (1, 2) if function in ('GetUsedBatch', 'AddBuffer') else (1, 2, 4):
            found.append(Proof('virtqueue_split', function, size, size + 3))
    for function, size in (('AddBatch', 1), ('SubmitBatch', 1), ('SubmitOne', 1),
                           ('SubmitOne', 2), ('SubmitBatch', 2), ('GetUsedBatch', 4)):
        found.append(Proof('virtqueue_split', function, size, size + 3, nightly=size > 1))
    for size in (1, 2, 4):
        for function in ('Init', 'InitAreas', 'Reset'):
            found.append(Proof('virtqueue_split_setup', function, size, size + 3))
    for bits in (64, 32):
        found.append(Proof('virtqueue_split_setup', 'Sizes', 1, 8, bits))
        found.append(Proof('virtqueue_split_setup', 'Addresses', 1, 8, bits))
        found.append(Proof('virtqueue_split_setup', 'Pools', 1, 8, bits))
        for size in (2, 4):
            found.append(Proof('virtio_sg_pfn', 'Pfns', size, size + 3, bits))
    found.append(Proof('virtio_pci', 'Capability', 1, 4))
    return found


def run_cbmc(proof, cbmc, lib):
    """The properties that CBMC judged, as (description, place, status)."""
    done = subprocess.run(proof.command(cbmc, lib), capture_output=True, text=True)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = []
    for part in answer:
        if 'result' in part:
            return [(p['description'], place(p), p['status']) for p in part['result']]
    text = [part['messageText'] for part in answer
            if part.get('messageType') == 'ERROR'] or [done.stderr[-1000:]]
    raise RuntimeError(f'{proof.name}: CBMC gave no result: ' + '; '.join(text[:5]))


def place(prop):
    where = prop.get('sourceLocation', {})
    return f"{pathlib.Path(where.get('file', '?')).name}:{where.get('line', '?')}"


def wrong(results):
    """What is not as it should be: a failed property, or a place never reached."""
    found = []
    for description, where, status in results:
        reach = description.startswith('reach: ')
        if status not in ('SUCCESS', 'FAILURE'):
            found.append(f'{where}: {description}: {status}')
        elif reach and status == 'SUCCESS':
            found.append(f'{where}: never reached: {description[7:]}')
        elif not reach and status == 'FAILURE':
            found.insert(0, f'{where}: {description}')
    return found


def prove(proof, cbmc, lib=LIB):
    start = time.monotonic()
    results = run_cbmc(proof, cbmc, lib)
    found = wrong(results)
    state = 'FAILED' if found else 'proved'
    print(f'{proof.name}: {state}, {len(results)} properties, '
          f'{time.monotonic() - start:.1f} s', flush=True)
    return found


def command_run(arguments, known):
    failed = False
    for name in arguments.name:
        found = prove(known[name], arguments.cbmc)
        for line in found[:20]:
            print(f'  {line}')
        if found:
            failed = True
            shown = [a for a in known[name].command('cbmc', LIB) if a != '--json-ui']
            print('  the way to it: ' + ' '.join(shown) + ' --trace')
    return 1 if failed else 0


def can_be_made(name, file, count):
    if count != 1:
        print(f'mutants.py: {name}: {file} holds the text {count} times, '
              'not once: bring the mutant up to date')
    return count == 1


def command_check(known):
    import mutants
    stale = 0
    for name, file, old, _, proof in mutants.MUTANTS:
        stale += not can_be_made(name, file, (LIB / file).read_text().count(old))
        if proof not in known:
            print(f'mutants.py: {name}: no proof named {proof}')
            stale += 1
    return 1 if stale else 0


def command_mutants(arguments, known):
    import mutants
    passed = []
    for name, file, old, new, proof in mutants.MUTANTS:
        if arguments.name and name not in arguments.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            lib = pathlib.Path(folder) / 'lib'
            shutil.copytree(LIB, lib)
            text = (lib / file).read_text()
            if not can_be_made(name, file, text.count(old)):
                passed.append(name)
                continue
            (lib / file).write_text(text.replace(old, new))
            print(f'{name}: ', end='')
            found = prove(known[proof], arguments.cbmc, lib)
            print('  ' + (f'found: {found[0]}' if found else 'NOT FOUND'), flush=True)
            if not found:
                passed.append(name)
    if passed:
        print('not found: ' + ' '.join(passed))
    return 1 if passed else 0


def main():
    known = {proof.name: proof for proof in proofs()}
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('command', choices=('list', 'run', 'mutants', 'check'))
    parser.add_argument('name', nargs='*')
    parser.add_argument('--cbmc', default='cbmc', help='the program to run')
    parser.add_argument('--nightly', action='store_true', help='the long ones, too')
    arguments = parser.parse_intermixed_args()
    if arguments.command == 'list':
        print('\n'.join(n for n, p in known.items() if arguments.nightly or not p.nightly))
        return 0
    if arguments.command == 'check':
        return command_check(known)
    if shutil.which(arguments.cbmc) is None:
        print(f'prove.py: no program {arguments.cbmc}: install the package cbmc (Debian 13), '
              'or name it by --cbmc', file=sys.stderr)
        return 3
    if arguments.command == 'mutants':
        return command_mutants(arguments, known)
    unknown = [n for n in arguments.name if n not in known]
    if unknown or not arguments.name:
        print(f'prove.py: no proof named {" ".join(unknown) or "at all"}; '
              'see prove.py list --nightly', file=sys.stderr)
        return 2
    return command_run(arguments, known)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except RuntimeError as error:
        print(f'prove.py: {error}', file=sys.stderr)
        sys.exit(3)
