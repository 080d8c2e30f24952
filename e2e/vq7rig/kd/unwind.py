# SPDX-License-Identifier: MIT
"""One step up the stack by x64 unwind data ("x64 exception handling" of the Windows ABI).

Only the target's memory is read. A machine frame (interrupt, trap) is stepped over like any
other: behind it is the very instruction that was interrupted.
"""

import struct
from dataclasses import dataclass

from .context import GENERAL
from .errors import KdError

PUSH_NONVOL, ALLOC_LARGE, ALLOC_SMALL, SET_FPREG, SAVE_NONVOL, SAVE_NONVOL_FAR = range(6)
EPILOG, SAVE_XMM128, SAVE_XMM128_FAR, PUSH_MACHFRAME = 6, 8, 9, 10
CHAINED = 4                             # of the flags
MASK = (1 << 64) - 1
CHAIN_LIMIT = 32


class BadUnwindData(KdError):
    """Unwind information that the ABI doesn't allow."""


@dataclass
class Frame:
    """`exact`: rip was interrupted there. Otherwise it is a return address, which may lie
    behind its function's end, as after a call that doesn't return."""
    rip: int
    registers: dict
    exact: bool = True

    @property
    def rsp(self):
        return self.registers["rsp"]

    @property
    def lookup(self):
        """An address that is surely within the function."""
        return self.rip if self.exact else self.rip - 1


def first(context):
    return Frame(context["rip"], {name: context[name] for name in GENERAL})


def switched_out(rip, rsp, rbp):
    """Of a thread that doesn't run; other registers are found as the stack is walked."""
    return Frame(rip, {name: 0 for name in GENERAL} | {"rsp": rsp, "rbp": rbp}, exact=False)


class _Info:
    """UNWIND_INFO."""

    def __init__(self, image, rva):
        head = image.bytes_at(rva, 4)
        self.version, self.flags = head[0] & 7, head[0] >> 3
        self.prolog, count = head[1], head[2]
        self.frame_register, self.frame_offset = GENERAL[head[3] & 15], (head[3] >> 4) * 16
        self.has_frame = head[3] & 15 != 0
        if self.version not in (1, 2):
            raise BadUnwindData(f"unwind information of version {self.version}")
        raw = image.bytes_at(rva + 4, (count + 1 & ~1) * 2 + 12)
        self.codes = struct.unpack_from(f"<{count}H", raw)
        at = (count + 1 & ~1) * 2
        self.chained = struct.unpack_from("<III", raw, at) if self.flags & CHAINED else None


def step(frame, image, base, read):
    """The caller's Frame. `image` (None: no module) is mapped at `base`; `read(address,
    count)` reads the target. Raises what `read` raises, and BadUnwindData."""
    registers = dict(frame.registers)
    found = image.function(frame.lookup - base) if image else None
    if found is None:                   # a leaf: nothing but the return address was pushed
        return _returned(registers, read)
    offset = frame.rip - base - found[0]
    info = _Info(image, found[2])
    if frame.exact and offset >= info.prolog and _in_epilogue(
            registers, frame.rip, (base + found[0], base + found[1]), info, read):
        return _returned(registers, read)
    for _ in range(CHAIN_LIMIT):
        machine = _undo(registers, info, offset if frame.exact else MASK, read)
        if machine is not None:
            return machine
        if info.chained is None:
            return _returned(registers, read)
        offset = MASK                   # the whole prologue of what it is chained to was done
        frame = Frame(frame.rip, registers, False)
        info = _Info(image, info.chained[2])
    raise BadUnwindData("unwind information chained in a ring")


def _returned(registers, read):
    rip = _pop(registers, read)
    return Frame(rip, registers, exact=False)


def _pop(registers, read):
    value = _number(read, registers["rsp"])
    registers["rsp"] = registers["rsp"] + 8 & MASK
    return value


def _number(read, address):
    return int.from_bytes(read(address, 8), "little")


def _size(op, number, codes, at):
    """(what an operation's further slots say, how many they are)"""
    if op in (ALLOC_LARGE, SAVE_NONVOL_FAR, SAVE_XMM128_FAR) and (op != ALLOC_LARGE or number):
        return codes[at + 1] | codes[at + 2] << 16, 2
    if op in (ALLOC_LARGE, SAVE_NONVOL, SAVE_XMM128):
        return codes[at + 1] * 8, 1
    if op == EPILOG:
        return 0, 1
    return 0, 0


def _undo(registers, info, offset, read):
    """Undo what the prologue had done at `offset`. A Frame where that was a machine frame."""
    frame_base = registers["rsp"]
    if info.has_frame:
        established = [c for c in info.codes if c >> 8 & 15 == SET_FPREG]
        if not established or offset >= established[0] & 0xFF:
            frame_base = registers[info.frame_register] - info.frame_offset & MASK
    at = 0
    while at < len(info.codes):
        code = info.codes[at]
        op, number = code >> 8 & 15, code >> 12
        try:
            operand, more = _size(op, number, info.codes, at)
        except IndexError:
            raise BadUnwindData("an unwind operation without its operand") from None
        if offset >= code & 0xFF and op != EPILOG:
            if op == PUSH_MACHFRAME:
                return _machine_frame(registers, number, read)
            _undo_one(registers, op, number, operand, frame_base, info, read)
        at += 1 + more
    return None


def _undo_one(registers, op, number, operand, frame_base, info, read):
    if op == PUSH_NONVOL:
        registers[GENERAL[number]] = _pop(registers, read)
    elif op == ALLOC_LARGE:
        registers["rsp"] = registers["rsp"] + operand & MASK
    elif op == ALLOC_SMALL:
        registers["rsp"] = registers["rsp"] + number * 8 + 8 & MASK
    elif op == SET_FPREG:
        registers["rsp"] = registers[info.frame_register] - info.frame_offset & MASK
    elif op in (SAVE_NONVOL, SAVE_NONVOL_FAR):
        registers[GENERAL[number]] = _number(read, frame_base + operand)
    elif op not in (SAVE_XMM128, SAVE_XMM128_FAR):
        raise BadUnwindData(f"an unknown unwind operation {op}")


def _machine_frame(registers, has_error_code, read):
    """What the CPU pushes: an error code perhaps, rip, cs, eflags, rsp, ss."""
    at = registers["rsp"] + (8 if has_error_code else 0)
    registers["rsp"] = _number(read, at + 24)
    return Frame(_number(read, at), registers, exact=True)


def _in_epilogue(registers, rip, function, info, read):
    """Is the rest of the function only what an epilogue may be? Then it has been executed
    on `registers` up to its return, which is left to do."""
    code = _code(rip, read)
    after, at = dict(registers), 0
    if code[:3] == b"\x48\x83\xc4":                                     # add rsp, imm8
        after["rsp"] += int.from_bytes(code[3:4], "little", signed=True)
        at = 4
    elif code[:3] == b"\x48\x81\xc4":                                   # add rsp, imm32
        after["rsp"] += int.from_bytes(code[3:7], "little", signed=True)
        at = 7
    elif info.has_frame and code[:1] in (b"\x48", b"\x49") and code[1:2] == b"\x8d" \
            and code[2] >> 3 & 7 == 4 and code[2] >> 6 in (1, 2) and code[2] & 7 != 4:
        wide = code[2] >> 6 == 2                                        # lea rsp, [fp + disp]
        register = GENERAL[code[2] & 7 | (code[0] & 1) << 3]
        end = 7 if wide else 4
        after["rsp"] = after[register] + int.from_bytes(code[3:end], "little", signed=True)
        at = end
    while code[at:at + 1] and (0x58 <= code[at] <= 0x5F
                               or code[at] == 0x41 and 0x58 <= code[at + 1] <= 0x5F):
        high = code[at] == 0x41
        register = GENERAL[code[at + high] & 7 | high << 3]
        after[register] = _pop(after, read)
        at += 1 + high
    if not _leaves(code[at:], rip + at, function):
        return False
    registers.update(after)
    return True


def _code(address, read):
    """Up to 48 bytes of code, fewer at the end of what is mapped."""
    whole = 0x1000 - (address & 0xFFF)
    return read(address, min(48, whole)) + bytes(max(0, 48 - whole))


def _leaves(code, address, function):
    if code[:1] in (b"\xc3", b"\xc2") or code[:2] == b"\xf3\xc3":       # ret
        return True
    if code[:2] == b"\xff\x25":                                        # jmp [rip + disp]
        return True
    if code[0] & 0xF8 == 0x48 and code[1] == 0xFF and code[2] >> 3 & 7 == 4:
        return True                                                     # jmp r/m64, with REX.W
    if code[:1] == b"\xeb":
        goal = address + 2 + int.from_bytes(code[1:2], "little", signed=True)
    elif code[:1] == b"\xe9":
        goal = address + 5 + int.from_bytes(code[1:5], "little", signed=True)
    else:
        return False
    return not function[0] <= goal < function[1]                        # a tail call
