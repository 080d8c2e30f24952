# SPDX-License-Identifier: MIT
"""What ci/mutate.py changes: the operators of mutation testing, for C++ as lib/ is
written (clang-format'ed, so that binary operators have spaces around them).

    relational      == != < <= > >=: negated, and the boundary moved
    logical         && and || exchanged; ! dropped
    condition       of if, while, for and ?: is always true, always false
    arithmetic      + - * / %, ++ --, += -=
    bitwise         & | exchanged, << >> exchanged, ~ dropped
    constant        numbers and named constants one more and one less; TRUE, FALSE
    status          another status
    return          another value of the function's type
    cast            to an integer type, dropped
    delete          a statement
    order           acquire and release accesses become plain ones
    define          the value of a macro in a header, one more
"""
import re

INTEGER = r"(?:UINT8|UINT16|UINT32|UINT64|ULONG|BOOLEAN|size_t|int|char)"
NUMBER = r"(?:0x[0-9A-Fa-f]+|\d+)"
BINARY = {
    "relational": {"==": ["!="], "!=": ["=="], "<": ["<=", ">="], "<=": ["<", ">"],
                   ">": [">=", "<="], ">=": [">", "<"]},
    "logical": {"&&": ["||"], "||": ["&&"]},
    "arithmetic": {"+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"],
                   "+=": ["-=", "="], "-=": ["+=", "="]},
    "bitwise": {"&": ["|"], "|": ["&"], "<<": [">>"], ">>": ["<<"],
                "|=": ["&=", "="], "&=": ["|=", "="]},
}
RETURNS = {"BOOLEAN": ["TRUE", "FALSE"], "NTSTATUS": ["STATUS_SUCCESS", "STATUS_UNSUCCESSFUL"]}
KEYWORDS = r"(?:if|for|while|do|else|switch|case|default|return|goto|using|namespace|class|" \
           r"struct|enum|typedef|static|const|extern|public|private|protected|break|continue)\b"


class Mutant:
    """One change: source[start:end] becomes text."""

    def __init__(self, path, source, start, end, text, operator):
        self.path, self.source = path, source
        self.start, self.end, self.text, self.operator = start, end, text, operator
        self.line = source.count("\n", 0, start) + 1
        self.number = 0     # among those that look the same

    def name(self):
        old = " ".join(self.source[self.start:self.end].split())
        if len(old) > 44:
            old = old[:30] + " ... " + old[-9:]
        return f"{self.operator}: {old} -> {self.text or 'nothing'}"

    def key(self):
        """What names it in the list of equivalents: stable while its line is."""
        line = self.source.splitlines()[self.line - 1].strip()
        number = f" ({self.number + 1})" if self.number else ""
        return f"{self.path.name}: {self.name()}{number}: {line}"

    def mutated(self):
        return self.source[:self.start] + self.text + self.source[self.end:]


def blanked(source):
    """The source with everything that is no code made blank, offsets kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    code = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, source,
                  flags=re.S)
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, code, flags=re.M)
    code = re.sub(r"^VIRTIO_STATIC_ASSERT[^;]*;", blank, code, flags=re.M)
    code = re.sub(r"^(?:typedef )?(?:struct|enum) \w+ \{.*?^\}[^;]*;", blank, code,
                  flags=re.M | re.S)
    return code


def closing(code, at):
    """Where the parenthesis at `at` is closed."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] == "(") - (code[i] == ")")
        if depth == 0:
            return i
    return len(code)


def opening_of_operand(code, at):
    """Where the expression that ends before `at` (the ? of a conditional) starts."""
    depth, i = 0, at - 1
    while i > 0:
        depth += (code[i] == ")") - (code[i] == "(")
        if depth < 0 or (depth == 0 and code[i] in ",;{"):
            return i + 1
        if depth == 0 and re.match(r"(?<=\s)=\s", code[i:i + 2]) and code[i - 1] == " ":
            return i + 1
        if depth == 0 and re.match(r"return\b", code[i:i + 7]):
            return i + 6
        i -= 1
    return 0


def functions(code):
    """(start, end, return type) of each function's body."""
    head = re.compile(r"^[ ]{0,4}((?:[\w:]+[\s*&]+)*?)([\w:~]+)\(([^;{}]*)\)(?: const)?"
                      r"(?:\s*:[^{;]*)?\s*\{", re.M)
    at = 0
    while True:
        found = head.search(code, at)
        if not found:
            return
        if re.match(KEYWORDS, found.group(2)):
            at = found.end()
            continue
        depth, end = 1, found.end()
        while depth and end < len(code):
            depth += (code[end] == "{") - (code[end] == "}")
            end += 1
        kind = re.sub(r"\b(?:static|__inline|inline|VIRTIO_\w+INLINE|const|volatile)\b", "",
                      found.group(1))
        # from the parameters' end: with what a constructor sets
        yield found.end(3) + 1, end - 1, " ".join(kind.split())
        at = end


def of_operators(code):
    for operator, table in BINARY.items():
        for old, new in table.items():
            for m in re.finditer(rf"(?<=\s){re.escape(old)}(?=\s)", code):
                for text in new:
                    yield m.start(), m.end(), text, operator
    for m in re.finditer(r"!(?=[A-Za-z_(])", code):
        yield m.start(), m.end(), "", "logical"
    for m in re.finditer(r"~(?=[A-Za-z_(])", code):
        yield m.start(), m.end(), "", "bitwise"
    for m in re.finditer(r"\+\+|--", code):
        yield m.start(), m.end(), "--" if m.group() == "++" else "++", "arithmetic"
    for m in re.finditer(rf"\({INTEGER}\) ?(?=[\w(~*])", code):
        yield m.start(), m.end(), "", "cast"
    for old, new in (("VirtioLoadAcquireU16", "VirtioReadU16"),
                     ("VirtioStoreReleaseU16", "VirtioWriteU16")):
        for m in re.finditer(rf"\b{old}(?=\()", code):
            yield m.start(), m.end(), new, "order"


def of_constants(code):
    for m in re.finditer(r"\b(?:TRUE|FALSE)\b", code):
        yield m.start(), m.end(), "FALSE" if m.group() == "TRUE" else "TRUE", "constant"
    for m in re.finditer(rf"(?<![\w.])({NUMBER})([uUlL]*)\b", code):
        value = int(m.group(1), 0)
        others = [value + 1, value - 1] if value else [1]
        if re.search(r"\w \w+\[$", code[:m.start()][-40:]):
            others = [value - 1]    # an array that is too long is never wrong
        for other in others:
            text = f"0x{other:X}" if m.group(1).startswith("0x") else str(other)
            yield m.start(1), m.end(1), text, "constant"
    for m in re.finditer(r"\b(?!VIRTIO_|STATUS_|VIRTQ_STATUS_)[A-Z]{2,}_?[A-Z0-9_]*_[A-Z0-9_]+\b"
                         r"(?!\s*[(*&]\w*|\s*=\s)|\bVIRTIO_(?:F|PCI|STATUS)_[A-Z0-9_]+\b(?! \*)|"
                         r"\b[A-Z][A-Z]+_(?:MAX|LINES|SIZE|SHIFT)\b(?!\s*=\s)", code):
        if re.search(r"(?:^|[;{}(,])\s*(?:const |struct )*$", code[:m.start()][-60:]) and \
                re.match(r"\s+\*?\w", code[m.end():]):
            continue    # a type that a declaration starts with
        for text in (f"({m.group()} + 1)", f"({m.group()} - 1)"):
            yield m.start(), m.end(), text, "constant"
    for m in re.finditer(r"\b(?:VIRTQ_)?STATUS_[A-Z_]+\b", code):
        if m.group() == "STATUS_SUCCESS":
            yield m.start(), m.end(), "STATUS_UNSUCCESSFUL", "status"
        else:
            yield m.start(), m.end(), "STATUS_SUCCESS", "status"
            yield m.start(), m.end(), "STATUS_UNSUCCESSFUL", "status"


def of_conditions(code):
    for m in re.finditer(r"\b(if|while) \(", code):
        end = closing(code, m.end() - 1)
        for text in ["TRUE", "FALSE"] if m.group(1) == "if" else ["FALSE"]:
            yield m.end(), end, text, "condition"
    for m in re.finditer(r"\bfor \(", code):
        parts = code[m.end():closing(code, m.end() - 1)].split(";")
        if len(parts) == 3 and parts[1].strip():
            start = m.end() + len(parts[0]) + 2
            yield start, start + len(parts[1].strip()), "FALSE", "condition"
    for m in re.finditer(r"\s\?\s", code):
        start = opening_of_operand(code, m.start())
        start += len(code[start:]) - len(code[start:].lstrip())
        for text in ("TRUE", "FALSE"):
            yield start, m.start(), text, "condition"


def of_statements(code, start, end, kind):
    for m in re.finditer(r"(?<=[;{}:)])\s*([^;{}]+?);", code[start:end]):
        text = m.group(1)
        if text.count("(") != text.count(")"):
            continue    # a part of a for statement
        at = start + m.start(1)
        result = re.match(r"return\s+(.*)", text, re.S)
        if result and not re.fullmatch(r"(?:VIRTQ_)?STATUS_\w+|TRUE|FALSE", result.group(1)):
            expression = at + result.start(1)
            others = RETURNS.get(kind, ["NULL"] if kind.endswith("*") else
                                 ["0", f"({result.group(1)}) + 1"])
            for other in others:
                if "&" not in kind and kind not in ("", "VOID"):
                    yield expression, start + m.end(1), other, "return"
        elif text in ("return", "continue", "break"):
            yield at, start + m.end(1), "", "delete"
        elif not re.match(KEYWORDS, text) and not re.match(r"\w[\w:]*(?: const)?[\s*&]+\w", text) \
                and not re.match(r"\(void\)\w+$", text) and re.search(r"=|\(|\+\+|--", text):
            yield at, start + m.end(1), "", "delete"


def of_defines(source):
    for m in re.finditer(rf"^#define \w+ ({NUMBER})(?=[uU]*\s*(?:/\*.*)?$)", source, re.M):
        value = int(m.group(1), 0) + 1
        text = f"0x{value:X}" if m.group(1).startswith("0x") else str(value)
        yield m.start(1), m.end(1), text, "define"


def mutants_of(path):
    source = path.read_text()
    code = blanked(source)
    changes = []
    spans = [(m.start(), m.end(), "") for m in re.finditer(r"^const \w+ \w+ =[^;]*;", code, re.M)]
    for start, end, kind in spans + list(functions(code)):
        body = " " * start + code[start:end]
        for find in (of_operators, of_constants, of_conditions):
            changes += find(body)
        if code[end:end + 1] == "}":
            changes += of_statements(code, start, end, kind)
    if path.suffix == ".h":
        changes += of_defines(source)
    mutants, seen = [], {}
    for start, end, text, operator in sorted(set(changes)):
        mutant = Mutant(path, source, start, end, text, operator)
        same = mutant.key()
        mutant.number = seen[same] = seen.get(same, -1) + 1
        mutants.append(mutant)
    return mutants
