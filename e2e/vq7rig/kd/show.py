# SPDX-License-Identifier: MIT
"""The prompt's commands that look: modules, stack, registers, memory, symbols, code."""

import struct

from ..errors import UsageError
from .context import GENERAL, flag_names
from .errors import KdError, Refused, Unreadable

LIMIT = 512                     # symbols that `x` shows
WIDTH = 16                      # bytes in a line of memory


def q(value):
    """A 64-bit number as WinDbg writes one."""
    return f"{value >> 32:08x}`{value & 0xFFFFFFFF:08x}"


def count_of(text, otherwise):
    """The `L` of a range: `L10`, `l0n16`."""
    if text is None:
        return otherwise
    try:
        return int(text[2:]) if text.startswith("0n") else int(text, 16)
    except ValueError:
        raise UsageError(f"L{text}: no number") from None


def split_range(text):
    """`address L count` as (expression, text of the count or None)."""
    words = text.split()
    if len(words) > 1 and words[-1][0] in "lL" and words[-1][1:]:
        return " ".join(words[:-1]), words[-1][1:]
    return text, None


def source(lines):
    """Of these lines the source, where it is known."""
    return "".join(f" [{line}]" for line in lines if line.line)


class Show:
    def __init__(self, debugger, out):
        self.d, self.out = debugger, out
        self._next = {}                 # command -> where it goes on without an address

    # --- modules and names ---------------------------------------------------------

    def lm(self, text):
        """lm              modules, their symbols and PDBs
        m: `lm m vq7*`"""
        self.out("start             end                 module name\n")
        pattern = text.split()[-1].lower() if text.split() else ""
        for each in self.d.module_list.reload():
            if pattern not in ("", "m", "v") and not each.name.lower().startswith(
                    pattern.rstrip("*")):
                continue
            _ = each.symbols
            self.out(f"{q(each.base)} {q(each.base + each.size)}   {each.name:<9} "
                     f"({each.status})\n")
            if each.pdb:
                self.out(f"    {each.path}  {each.pdb.name} {{{each.pdb.guid}}} "
                         f"age {each.pdb.age}\n")

    def x(self, text):
        """x module!pattern  symbols whose names match, as `x vq7test!Virtq*`"""
        module, mark, pattern = text.strip().partition("!")
        if not mark:
            raise UsageError("x module!pattern, as x vq7test!Virtq*")
        found = self.d.module_list.named(module)
        if found is None:
            raise UsageError(f"no module {module!r}; `lm` shows them")
        if found.symbols is None:
            raise UsageError(f"{found.name} has no symbols: {found.status}")
        for symbol in found.symbols.like(pattern or "*")[:LIMIT]:
            self.out(f"{q(found.base + symbol.rva)} {found.name}!{symbol.name}\n")

    def ln(self, text):
        """ln address      the nearest symbol, and its source line"""
        address = self.d.evaluate(text)
        self.out(f"({q(address)})   {self.d.name_of(address)}\n")
        module = self.d.module_list.holding(address)
        for line in module.lines(address) if module else []:
            self.out(f"    {line.function} {source([line])}\n")

    # --- stack and registers -------------------------------------------------------

    def k(self, text):
        """k [frames]      stack, with source lines"""
        limit = count_of(text.strip() or None, 64)
        self.out(" # Child-SP          RetAddr           Call Site\n")
        frames = self.d.stack(limit + 1)
        number = 0
        for at, each in enumerate(frames[:limit]):
            back = q(frames[at + 1].frame.rip) if at + 1 < len(frames) else q(0)
            for inline in each.lines[:-1]:
                self.out(f"{number:02x} (Inline Function) --------`--------  "
                         f"{each.module.name}!{inline.function}{source([inline])}\n")
                number += 1
            self.out(f"{number:02x} {q(each.frame.rsp)} {back} {each.name}"
                     f"{source(each.lines[-1:])}\n")
            number += 1

    def r(self, text):
        """r [name[=value]] registers: shown or set; `r cr3`, `r @rax=1`"""
        name, mark, value = text.partition("=")
        name = name.strip().lstrip("@").lower()
        if mark:
            self.d.set_register(name, self.d.evaluate(value))
            return
        if name:
            self.out(f"{name}={self._register(name):x}\n")
            return
        context = self.d.context
        rows = (GENERAL[:1] + ("rbx", "rcx"), ("rdx", "rsi", "rdi"), ("rip", "rsp", "rbp"),
                ("r8", "r9", "r10"), ("r11", "r12", "r13"), ("r14", "r15"))
        for row in rows:
            self.out(" ".join(f"{name:>3}={context[name]:016x}" for name in row) + "\n")
        self.out(f"irql={self.d.client.special()['cr8']}  {flag_names(context['efl'])}\n")
        self.out("  ".join(f"{name}={context[name]:04x}" for name in
                           ("cs", "ss", "ds", "es", "fs", "gs")))
        self.out(f"             efl={context['efl']:08x}\n")
        self.here()

    def _register(self, name):
        if name in self.d.pseudo:
            return self.d.pseudo[name]
        if name in self.d.context:
            return self.d.context[name]
        special = self.d.client.special()
        if name not in special:
            raise UsageError(f"no register {name!r}; `r` shows them")
        return special[name]

    def here(self):
        """Where it stands: name, source line, instruction."""
        rip = self.d.context["rip"]
        module = self.d.module_list.holding(rip)
        lines = module.lines(rip) if module else []
        self.out(f"{self.d.name_of(rip)}:{source(lines[:1])}\n")
        try:
            self._code(rip, 1)
        except Unreadable:
            self.out(f"{q(rip)} ??\n")

    # --- memory ----------------------------------------------------------------------

    def memory(self, command, text):
        """db|dw|dd|dq|dp|da|du|dps address [Lcount]   memory; !db, !dd, !dq: physical"""
        where, count = split_range(text)
        physical, kind = command.startswith("!"), command.lstrip("!")[1:]
        address = self.d.evaluate(where) if where.strip() else self._next.get(command)
        if address is None:
            raise UsageError(f"{command}: which address?")
        if kind in ("a", "u"):
            self._string(address, kind, count_of(count, 0x200))
            return
        size = {"b": 1, "w": 2, "d": 4, "q": 8, "p": 8, "ps": 8}[kind]
        total = size * count_of(count, 0x80 // size)
        read = self.d.client.read_physical if physical else self.d.read
        self._next[command] = address + total
        data, hole = self._as_far_as(read, address, total)
        if kind == "ps":
            self._pointers(address, data)
        else:
            self._lines(address, data, size, kind)
        if hole:
            self.out(f"{q(address + len(data))} ??{'?' * (2 * size - 2)}   can't be read\n")

    @staticmethod
    def _as_far_as(read, address, total):
        """What can be read: (bytes, did it end early)."""
        try:
            return read(address, total), False
        except Unreadable as bad:
            return (read(address, bad.done) if bad.done else b""), True

    def _lines(self, address, data, size, kind):
        for at in range(0, len(data), WIDTH):
            row = data[at:at + WIDTH]
            row += bytes(-len(row) % size)
            values = [int.from_bytes(row[i:i + size], "little") for i in range(0, len(row), size)]
            words = [q(value) if size == 8 else f"{value:0{2 * size}x}" for value in values]
            if kind != "b":
                self.out(f"{q(address + at)}  {' '.join(words)}\n")
                continue
            text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            middle = "-" if len(words) > 8 else ""
            shown = " ".join(words[:8]) + middle + " ".join(words[8:])
            self.out(f"{q(address + at)}  {shown:<{3 * WIDTH - 1}}  {text}\n")

    def _pointers(self, address, data):
        for at in range(0, len(data) - 7, 8):
            value = struct.unpack_from("<Q", data, at)[0]
            known = self.d.name_of(value) if self.d.module_list.holding(value) else ""
            self.out(f"{q(address + at)}  {q(value)} {known}".rstrip() + "\n")

    def _string(self, address, kind, count):
        self.out(f'{q(address)}  "{self.string(address, kind == "u", count)}"\n')

    def string(self, address, wide, count=0x200):
        """The text at an address, up to its NUL."""
        size = 2 if wide else 1
        data, _ = self._as_far_as(self.d.read, address, count * size)
        return data[:len(data) // size * size].decode("utf-16-le" if wide else "latin-1",
                                                      "replace").split("\0")[0]

    def edit(self, command, text):
        """eb|ew|ed|eq address value…   writes memory"""
        words = text.split()
        if len(words) < 2:
            raise UsageError(f"{command} address value...")
        size = {"b": 1, "w": 2, "d": 4, "q": 8}[command[1:]]
        data = b""
        for word in words[1:]:
            value = self.d.evaluate(word)
            if value >= 1 << 8 * size and value < (1 << 64) - (1 << 8 * size - 1):
                raise UsageError(f"{command}: {word} has more than {size} bytes")
            data += (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        self.d.write(self.d.evaluate(words[0]), data)

    def u(self, text):
        """u [address] [Lcount]  instructions"""
        where, count = split_range(text)
        address = self.d.evaluate(where) if where.strip() else \
            self._next.get("u", self.d.context["rip"])
        self._next["u"] = self._code(address, count_of(count, 8), labels=True)

    def _code(self, address, count, labels=False):
        found = self.d.disassemble(address, count)
        if labels and found:
            self.out(f"{self.d.name_of(address)}:\n")
        if not found:
            self.out(f"{q(address)} ??\n")
        for each in found:
            goal = f" {self.d.name_of(each.target)} ({q(each.target)})" \
                if each.target is not None else ""
            self.out(f"{q(each.address)} {each.raw.hex():<16} {each.text}{goal}\n")
        return found[-1].end if found else address

    # --- the rest ----------------------------------------------------------------------

    def evaluate(self, text):
        """? expression    its value"""
        value = self.d.evaluate(text)
        signed = value - (1 << 64) if value >> 63 else value
        self.out(f"Evaluate expression: {signed} = {q(value)}\n")

    def io(self, command, text):
        """ib|iw|id port · ob|ow|od port value   I/O ports"""
        size = {"b": 1, "w": 2, "d": 4}[command[1]]
        words = text.split()
        if len(words) != (1 if command[0] == "i" else 2):
            raise UsageError("ib port, ob port value")
        port = self.d.evaluate(words[0])
        if command[0] == "i":
            self.out(f"{port:04x}: {self.d.client.read_io(port, size):0{2 * size}x}\n")
        else:
            self.d.client.write_io(port, size, self.d.evaluate(words[1]))

    def msr(self, command, text):
        """rdmsr number · wrmsr number value"""
        words = text.split()
        if len(words) != (1 if command == "rdmsr" else 2):
            raise UsageError("rdmsr number, wrmsr number value")
        number = self.d.evaluate(words[0])
        if command == "rdmsr":
            self.out(f"msr[{number:x}] = {q(self.d.client.read_msr(number))}\n")
        else:
            self.d.client.write_msr(number, self.d.evaluate(words[1]))

    def process(self, _text):
        """!process        processes and their threads"""
        for each in self.d.kernel.processes():
            self.out(f"PROCESS {each.address:016x}\n    Cid: {each.pid:04x}    "
                     f"DirBase: {each.directory_table:08x}    Image: {each.name}\n")
            running = {self.d.kernel.current_thread(n)
                       for n in range(self.d.event.processors)}
            for thread in each.threads():
                mark = "  <- runs" if thread.address in running else ""
                self.out(f"    THREAD {thread.address:016x}  Cid {thread.process:04x}."
                         f"{thread.id:04x}  {thread.state}  prio {thread.priority}  "
                         f"{self.d.name_of(thread.start)}{mark}\n")

    def version(self, _text):
        """vertarget       what the target says of itself"""
        version = self.d.kernel.version
        try:
            pack = f" Service Pack {self.d.kernel.service_pack}"
        except (KdError, Refused):
            pack = ""
        kind = "MP" if version.flags & 1 else "UP"
        self.out(f"Windows 7 Kernel Version {version.minor}{pack} {kind} "
                 f"({self.d.event.processors} procs) x64, protocol {version.protocol}."
                 f"{version.secondary}\nKernel base = 0x{q(version.kernel_base)} "
                 f"PsLoadedModuleList = 0x{q(version.module_list)}\n")
