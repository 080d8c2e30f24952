#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks a document against the code, so that it cannot go stale unnoticed.

    doc_claims.py REPOSITORY BUILD [--claims] DOCUMENT...

Every test that it names exists (`Suite.Name`, `.Name` for the suite named before it,
a name of ctest's; `*` stands for the rest); every name of the library in it does; so
does every file that it links to. With --claims each paragraph, list item and table row
behind the first heading of level 2 names at least one test. Those that end with a colon
only introduce what follows. Exit status: 0 fine, 1 not, with a line for each reason.
"""
import fnmatch
import re
import subprocess
import sys
from pathlib import Path

GTEST = re.compile(r'\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)')
CODE = re.compile(r'`([^`\n]+)`')
NAME = re.compile(r'\b(?:Virt(?:q|io)[A-Z]\w*|VIRT(?:Q|IO)_\w+|STATUS_\w+)')
# What can only be the name of a test.
TEST = re.compile(r'(?:[A-Z]\w*)?\.[A-Z*][\w*]*|(?:compile|docs|package|model_check|fuzz)\.[\w.*-]+'
                  r'|stress_[\w*]+')


def known_tests(repository, build):
    names = set()
    for source in (repository / 'unit').rglob('*_test.cpp'):
        names.update('.'.join(m) for m in GTEST.findall(source.read_text()))
    listing = subprocess.run(['ctest', '--test-dir', build, '-N'], check=True,
                             capture_output=True, text=True).stdout
    names.update(re.findall(r'^ *Test +#\d+: (\S+)', listing, re.M))
    return names


def blocks(text):
    """Claims: (line number, text) of each paragraph, list item and table row."""
    current, start, fenced, in_table = [], 0, False, False
    for number, line in enumerate(text.splitlines() + [''], 1):
        if line.startswith('```'):
            fenced = not fenced
        code = fenced or line.startswith('```') or (line.startswith('    ') and not current)
        begins = re.match(r'[-*] |\d+\. |\|', line)
        if current and (code or begins or not line.strip() or line.startswith('#')):
            yield start, ' '.join(current)
            current = []
        row = line.startswith('|')
        header = row and not in_table or re.match(r'\|[ :|-]+$', line)
        in_table = row
        if code or header or not line.strip() or line.startswith('#'):
            continue
        start = start if current else number
        current.append(line.strip())


def tests_named(block):
    suite = ''
    for code in CODE.findall(block):
        if TEST.fullmatch(code) and not code.endswith(('.h', '.cpp', '.md')):
            if code.startswith('.'):
                code = suite + code
            suite = code.split('.')[0]
            yield code


def check(document, repository, tests, sources, claims):
    text = document.read_text()
    heading = text.find('\n## ')
    body_line = text.count('\n', 0, heading) + 1 if heading >= 0 else 0
    for line, block in blocks(text):
        named = list(tests_named(block)) + [c for c in CODE.findall(block) if c in tests]
        for name in named:
            if not fnmatch.filter(tests, name):
                yield f'{document}:{line}: there is no test {name}'
        if claims and line > body_line and not named and not block.endswith(':'):
            yield f'{document}:{line}: names no test: {block[:60]}...'
    for name in sorted(set(NAME.findall(text))):
        pattern = r'\b' + name + (r'\w+' if name.endswith('_') else r'\b')
        # The suites of tests are named like functions.
        if not re.search(pattern, sources) and not fnmatch.filter(tests, name + '.*'):
            yield f'{document}: the library has no {name}'
    for target in re.findall(r'\]\(([^)#:]+)\)', text):
        if not (document.parent / target).exists():
            yield f'{document}: links to {target}, which is not there'


def main(arguments):
    claims = '--claims' in arguments
    repository, build, *documents = [a for a in arguments if a != '--claims']
    repository = Path(repository)
    tests = known_tests(repository, build)
    sources = '\n'.join(p.read_text() for p in sorted((repository / 'lib').glob('virt*')))
    reasons = [reason for document in documents
               for reason in check(repository / document, repository, tests, sources, claims)]
    print('\n'.join(reasons) or f'{len(documents)} documents agree with {len(tests)} tests')
    return 1 if reasons else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
