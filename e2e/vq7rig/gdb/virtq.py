# SPDX-License-Identifier: MIT
"""A VIRTQ_SPLIT for a person: what the driver remembers, beside what the ring says.

`virtq` in gdb, and the printer of the type. The functions take anything that has the fields
by name, as gdb's values do.
"""

SHOWN = 8                       # numbers of a list, before "..."
CHAINS = 32                     # chains that are shown
MASK16 = 0xFFFF
# Of lib/virtio_ring.h and lib/virtqueue_split_private.h: macros, which DWARF doesn't have.
NO_DESC, OWN_TABLE = 0xFFFF, 0xFFFE
ADDED, IN_FLIGHT = 1, 2
STATES = {ADDED: "added, not published", IN_FLIGHT: "in flight"}
NEXT, WRITE, INDIRECT = 1, 2, 4


def summary(vq):
    """One line."""
    size = int(vq["qsz"])
    if size == 0:
        return "no queue: size 0"
    return (f"size {size}, {int(vq['num_free'])} free, {in_flight(vq)} in flight, avail_idx "
            f"{int(vq['avail_idx'])}, last_used_idx {int(vq['last_used_idx'])}"
            + (f", BROKEN {status(vq['broken_status'])}" if int(vq["broken_status"]) else ""))


def possible(vq):
    """Can this be one? Its size is a power of two up to 32768 (2.7), and its numbers fit it."""
    size = int(vq["qsz"])
    return size > 0 and size & size - 1 == 0 and size <= 32768 and \
        int(vq["num_free"]) <= size and int(vq["mask"]) == size - 1


def status(value):
    return f"{int(value) & 0xFFFFFFFF:#010x}"


def in_flight(vq):
    """Buffers that the device has, as VirtqSplitInFlight counts them."""
    if int(vq["broken_status"]):
        return int(vq["broken_in_flight"])
    return int(vq["avail_idx"]) - int(vq["last_used_idx"]) & MASK16


def describe(vq):
    """Lines: indices, free list, chains, and where the ring differs from the record."""
    size = int(vq["qsz"])
    if size == 0:
        return [summary(vq)]
    flags = [name for name in ("event_idx", "indirect") if int(vq[name])]
    return [", ".join([summary(vq), *flags]), *_indices(vq, size), *_free(vq, size),
            *_tables(vq), *_used(vq, size), *_chains(vq, size)]


def _indices(vq, size):
    avail, used = vq["avail"], vq["used"]
    last, theirs = int(vq["last_used_idx"]), int(used["idx"])
    mine, shared = int(vq["avail_idx"]), int(avail["idx"])
    lines = [f"  {'':12}{'driver':>10}{'ring':>10}",
             f"  {'avail idx':12}{mine:>10}{shared:>10}"
             + ("" if mine == shared else "   DIFFERS: only the driver writes it"),
             f"  {'used idx':12}{last:>10}{theirs:>10}   {theirs - last & MASK16} waiting"]
    if int(vq["event_idx"]):
        lines += [f"  {'used_event':12}{'':10}{int(avail['ring'][size]):>10}",
                  f"  {'avail_event':12}{'':10}{int(used['ring'][size]['id']) & MASK16:>10}"]
    lines.append(f"  {'flags':12}{'':10}{int(avail['flags']):>10} of avail, "
                 f"{int(used['flags'])} of used")
    return lines + [f"  {int(vq['num_added'])} published since the last kick; interrupts "
                    f"{'off' if int(vq['interrupts_off']) else 'on'}; misuse "
                    f"{int(vq['misuse_count'])}; used lengths cut {int(vq['used_length_cut'])}"]


def walk(first, count, following, size):
    """(indices, what is wrong with the list or ""), of at most `count` links."""
    found, at = [], first
    while len(found) < count:
        if at >= size:
            return found, f"ends after {len(found)} of {count}"
        found.append(at)
        at = following(at)
    repeated = len(found) - len(set(found))
    return found, f"has {repeated} twice" if repeated else ""


def _some(numbers):
    more = " ..." if len(numbers) > SHOWN else ""
    return " ".join(map(str, numbers[:SHOWN])) + more


def _free(vq, size):
    free, wrong = walk(int(vq["free_head"]), int(vq["num_free"]),
                       lambda at: int(vq["chains"][at]["next"]), size)
    return [f"  free list: {_some(free) or 'empty'}" + (f"   IT {wrong}" if wrong else "")]


def _tables(vq):
    count = int(vq["indirect_table_count"])
    if not int(vq["indirect"]) or not count:
        return []
    free = "one for each descriptor" if int(vq["own_tables"]) else \
        f"{int(vq['indirect_num_free'])} free"
    return [f"  indirect tables: {count} of {int(vq['indirect_max_desc'])} descriptors, {free}"]


def _used(vq, size):
    """What the device has written and the driver hasn't taken."""
    last = int(vq["last_used_idx"])
    waiting = int(vq["used"]["idx"]) - last & MASK16
    if waiting > size:
        return [f"  used entries: {waiting} WAITING IN A RING OF {size}"]
    lines = []
    for index in range(last, last + min(waiting, SHOWN)):
        entry = vq["used"]["ring"][index % size]
        head, length = int(entry["id"]), int(entry["len"])
        known = head < size and int(vq["chains"][head]["state"]) == IN_FLIGHT
        lines.append(f"  used[{index % size}]: head {head}, {length} bytes"
                     + ("" if known else "   NO HEAD IN FLIGHT"))
    return lines + ([f"  and {waiting - SHOWN} more"] if waiting > SHOWN else [])


def _chains(vq, size):
    heads = [head for head in range(size) if int(vq["chains"][head]["state"]) in STATES]
    lines = [line for head in heads[:CHAINS] for line in _chain(vq, head, size)]
    return lines + ([f"  and {len(heads) - CHAINS} more chains"] if len(heads) > CHAINS else [])


def _chain(vq, head, size):
    chain = vq["chains"][head]
    count, table = int(chain["count"]), int(chain["table"])
    where = "" if table == NO_DESC else ", its own table" if table == OWN_TABLE else \
        f", table {table}"
    lines = [f"  head {head} {STATES[int(chain['state'])]}: {count} descriptor(s){where}, "
             f"{int(chain['writable'])} bytes writable, cookie {int(chain['cookie']):#x}"]
    links, wrong = walk(head, count, lambda at: int(vq["chains"][at]["next"]), size)
    if wrong:
        lines.append(f"    THE RECORD {wrong}")
    for number, at in enumerate(links):
        follower = links[number + 1] if number + 1 < len(links) else None
        lines.append(f"    desc[{at}]: " + _descriptor(vq["desc"][at], follower))
    return lines + _table(vq, head, table)


def _descriptor(desc, follower, compare=True):
    """`follower` is who comes next by the driver's record, None: it is the last."""
    flags, following = int(desc["flags"]), int(desc["next"])
    names = [name for bit, name in ((WRITE, "write"), (INDIRECT, "indirect")) if flags & bit]
    text = f"{int(desc['addr']):#x} {int(desc['len'])} bytes " + ("+".join(names) or "read")
    said = following if flags & NEXT else None
    if compare and said != follower:
        def name(index):
            return "the end" if index is None else str(index)
        return text + f"   DIFFERS: next is {name(said)} here, {name(follower)} in the record"
    return text + (f", next {following}" if flags & NEXT else "")


def _table(vq, head, table):
    """The descriptors of an indirect table, which is the driver's own memory."""
    if table == NO_DESC:
        return []
    number = head if table == OWN_TABLE else table
    per_table = int(vq["indirect_table_stride"]) // 16
    entries = min(int(vq["desc"][head]["len"]) // 16, int(vq["indirect_max_desc"]))
    pool = vq["indirect_pool_va"]
    lines = [f"      [{index}] " + _descriptor(pool[number * per_table + index], None, False)
             for index in range(min(entries, SHOWN))]
    return lines + ([f"      and {entries - SHOWN} more"] if entries > SHOWN else [])


# --- in gdb ------------------------------------------------------------------------------------

STRUCT = "_VIRTQ_SPLIT"


class Printer:
    """Of the type: a line that says how it stands, then the fields as they are."""

    def __init__(self, value):
        self._value = value

    def to_string(self):
        return summary(self._value)

    def children(self):
        for field in self._value.type.strip_typedefs().fields():
            yield field.name, self._value[field.name]


def install():
    import gdb
    import gdb.printing

    class Virtq(gdb.Command):
        """virtq EXPRESSION: a queue, its chains, and where the ring differs from the record.
The expression is a VIRTQ_SPLIT or a pointer to one; without it, the variable vq."""

        def __init__(self):
            super().__init__("virtq", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

        def invoke(self, text, _from_tty):
            value = gdb.parse_and_eval(text or "vq")
            if value.type.strip_typedefs().code == gdb.TYPE_CODE_PTR:
                value = value.dereference()
            if value.type.unqualified().strip_typedefs().name != STRUCT:
                raise gdb.GdbError(f"virtq: {text or 'vq'} is a {value.type}, no VIRTQ_SPLIT")
            print("\n".join(describe(value)))

    Virtq()
    printers = gdb.printing.RegexpCollectionPrettyPrinter("vq7")
    printers.add_printer("VIRTQ_SPLIT", f"^{STRUCT}$", Printer)
    gdb.printing.register_pretty_printer(None, printers, replace=True)
