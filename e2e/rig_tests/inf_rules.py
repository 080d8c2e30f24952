# SPDX-License-Identifier: MIT
"""A device driver's INF by the rules of Microsoft's InfVerif and ChkInf, read with a parser of its
own: faults(raw bytes) gives (rule, what is wrong) of each fault.

A rule is named by InfVerif's number where it has one ("INF Validation Errors and Warnings",
learn.microsoft.com/windows-hardware/drivers/devtest), else by the page of the driver installation
reference (.../drivers/install): "General Syntax Rules for INF Files", "INF Version Section", "INF
AddService Directive" and so on. It is a Windows 7 driver with a service, for devices: what isn't
used here (filters, co-installers, Include) is refused rather than understood.
"""

import datetime
import re

# Limits of "General Syntax Rules for INF Files" and of SetupAPI's header.
MAX_LINE, MAX_SECTION, MAX_LINE_LEN, MAX_CLASS, MAX_ID = 4096, 255, 256, 32, 200
SIGNATURES = ("$windows nt$", "$chicago$")
ARCHITECTURES = {"x86", "amd64", "ia64", "arm", "arm64"}
# "System-Defined Device Setup Classes": names, and how their GUIDs begin.
SYSTEM_CLASSES = {"net", "system", "scsiadapter", "hdc", "diskdrive", "display", "ports", "usb",
                  "media", "keyboard", "mouse", "hidclass", "volume", "unknown", "computer"}
SYSTEM_GUID = re.compile(r"\{4d36e9[67]|\{36fc9e60|\{745a17a0|\{50127dc3", re.I)
DRIVERS_FOLDER, DIRIDS = "12", {"01", "1", "10", "11", "12", "13", "17", "18", "20", "24", "30"}
# "INF AddReg Directive": kinds of values, and what may be added to them.
REG_KINDS = {0x0, 0x1, 0x10000, 0x20000, 0x10001, 0x20001}
REG_MODIFIERS = 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x4000
KEY_ONLY, NO_CLOBBER, DWORD = 0x10, 0x2, 0x10001
VERSION_KEYS = {"signature", "class", "classguid", "provider", "catalogfile", "driverver",
                "pnplockdown"}
INSTALL_KEYS = {"": {"copyfiles", "addreg"}, ".hw": {"addreg"}, ".services": {"addservice"},
                ".wdf": {"kmdfservice"}}
SERVICE_KEYS = {"displayname": None, "description": None, "servicetype": {1},
                "starttype": {0, 1, 2, 3, 4}, "errorcontrol": {0, 1, 2, 3},
                "servicebinary": None, "loadordergroup": None, "addreg": None}
ASSOCIATED, SERVICE_FLAGS = 0x2, 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100 | 0x800
FIXED = ("version", "manufacturer", "strings", "sourcedisksnames", "sourcedisksfiles",
         "destinationdirs", "classinstall32")


def number(text):
    """INF numbers are decimal or 0x and hexadecimal; None: it is none."""
    return int(text, 0) if re.fullmatch(r"0[xX][0-9a-fA-F]+|0|[1-9]\d*", text or "") else None


def within(text, first, last):
    """Is it a number, and one of these?"""
    value = number(text)
    return value is not None and first <= value <= last


def split(text, mark):
    """Text between marks that stand outside of quotes, trimmed."""
    parts, inside = [""], False
    for character in text:
        inside ^= character == '"'
        if character == mark and not inside:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def plain(text):
    """Without its quotes; two of them within are one."""
    return text[1:-1].replace('""', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text


class Check:
    def __init__(self, raw):
        self.faults, self.used, self.tokens = [], set(), set()
        self.sections = {}          # lower-case name -> [(key or None, [fields])]
        text = self.decoded(raw)
        if text is not None:
            self.parse(text)
            self.strings = self.read_strings()
            self.run()

    def fault(self, rule, text):
        self.faults.append((rule, text))

    # --- the file ----------------------------------------------------------------

    def decoded(self, raw):
        try:
            text = raw.decode("utf-16") if raw[:2] == b"\xff\xfe" else raw.decode("ascii")
        except UnicodeDecodeError:
            self.fault("1003", "neither ASCII, the same in each code page, nor UTF-16 LE")
            return None
        if re.search(r"(?<!\r)\n", text) or re.search(r"\r(?!\n)", text):
            self.fault("line ends", "a line doesn't end with CR LF")
        if not text.endswith("\r\n"):
            self.fault("last line", "the last line has no end")
        return text.replace("\r\n", "\n")

    def parse(self, text):
        lines = None
        for at, line in enumerate(text.split("\n"), 1):
            if len(line) > MAX_LINE:
                self.fault("line length", f"line {at} has {len(line)} characters")
            line = split(line, ";")[0]
            if line.count('"') % 2:
                self.fault("1002", f"line {at}: a quote isn't closed")
            if line.startswith("["):
                lines = self.section(at, line)
            elif line and lines is None:
                self.fault("1002", f"line {at} is before the first section")
            elif line:
                parts = split(line, "=")
                key, values = (parts[0], line[line.index("=") + 1:]) if len(parts) > 1 \
                    else (None, line)
                lines.append((key, [plain(part) for part in split(values, ",")]))

    def section(self, at, line):
        found = re.fullmatch(r"\[([^\[\]\"%;]+)\]", line)
        if not found:
            self.fault("1002", f"line {at} is no section's name: {line}")
            return []
        name = found[1].strip().lower()
        if len(name) > MAX_SECTION:
            self.fault("section name", f"[{name[:20]}...] has more than {MAX_SECTION} characters")
        if name in self.sections:
            self.fault("section twice", f"[{name}] is there twice")
        return self.sections.setdefault(name, [])

    # --- words -------------------------------------------------------------------

    def read_strings(self):
        found = {}
        for key, fields in self.sections.get("strings", []):
            if key is None or len(fields) != 1:
                self.fault("1002", f"[Strings]: {key or fields[0]} is no string")
                continue
            if key.lower() in found:
                self.fault("string twice", f"%{key}% is defined twice")
            found[key.lower()] = fields[0]
        return found

    def text(self, value):
        """With its tokens replaced."""
        def one(match):
            name = match[1].lower()
            if name == "":
                return "%"
            if name.isdigit():              # a directory, not a string
                return match[0]
            self.tokens.add(name)
            if name not in self.strings:
                self.fault("1235", f"%{match[1]}% isn't defined in [Strings]")
            return self.strings.get(name, "")
        return re.sub(r"%([^%\\]*)%", one, value)

    def of(self, section, by=None):
        """Lines of a section that is referred to; none where it is missing."""
        name = section.lower()
        if name in self.used and by:
            self.fault("1205", f"[{section}] is referred to twice, by {by}, too")
        self.used.add(name)
        if name not in self.sections:
            self.fault("1203", f"no section [{section}]" + (f", which {by} names" if by else ""))
        return self.sections.get(name, [])

    def values(self, section, known, rule="unknown directive", by=None):
        """key -> fields of a section whose keys are known, each once."""
        found = {}
        for key, fields in self.of(section, by):
            name = (key or fields[0]).lower()
            if key is None or name not in known:
                self.fault(rule, f"[{section}]: {key or fields[0]}")
            elif name in found:
                self.fault("directive twice", f"[{section}]: {key} is there twice")
            found[name] = [self.text(each) for each in fields]
        return found

    # --- sections ----------------------------------------------------------------

    def run(self):
        self.version()
        self.sources()
        installs = self.models()
        if any(name.startswith("defaultinstall") for name in self.sections):
            self.fault("1212", "there are [DefaultInstall] and [Manufacturer]")
        for install in sorted(installs):
            self.install(install)
        self.new_class()
        self.copied_and_listed()
        for name in self.sections:
            if re.search(r"\.(coinstallers|logconfigoverride)$|logconfig$", name):
                self.fault("1300", f"[{name}] is of a kind that is no more")
            elif name not in self.used and name not in FIXED:
                self.fault("2083", f"nothing refers to [{name}]")
        for name in set(self.strings) - self.tokens:
            self.fault("string unused", f"%{name}% isn't used")

    def version(self):
        if next(iter(self.sections), None) != "version":
            self.fault("1001", "[Version] isn't the first section")
        self.head = head = self.values("Version", VERSION_KEYS)
        if head.get("signature", [""])[0].lower() not in SIGNATURES:
            self.fault("1001", "Signature is neither $Windows NT$ nor $CHICAGO$")
        provider = head.get("provider", [""])[0]
        if not provider:
            self.fault("Provider", "there is none")
        if "microsoft" in provider.lower():
            self.fault("1204", "Provider is Microsoft")
        if not re.fullmatch(r"[\w.-]{1,250}\.cat", head.get("catalogfile", [""])[0], re.I):
            self.fault("1233", "no CatalogFile, or one that isn't a file's name")
        name, guid = (head.get(key, [""])[0] for key in ("class", "classguid"))
        if not 0 < len(name) <= MAX_CLASS:
            self.fault("Class", f"{name!r} has {len(name)} characters")
        if not re.fullmatch(r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}", guid, re.I):
            self.fault("ClassGuid", f"{guid!r} is no GUID")
        self.driver_ver(head.get("driverver", []))

    def driver_ver(self, fields):
        """ "INF DriverVer Directive" """
        try:
            date, version = fields
            if not re.fullmatch(r"\d\d/\d\d/\d{4}", date):
                raise ValueError
            datetime.datetime.strptime(date, "%m/%d/%Y")
            parts = version.split(".")
            if len(parts) != 4 or not all(within(part, 0, 65534) for part in parts):
                raise ValueError
        except ValueError:
            self.fault("DriverVer", f"{fields} isn't mm/dd/yyyy,w.x.y.z of a day and four numbers")

    def sources(self):
        disks = {key: fields for key, fields in self.of("SourceDisksNames")}
        for key, fields in disks.items():
            if number(key) is None:
                self.fault("SourceDisksNames", f"{key} is no number")
            self.text(fields[0])
        self.listed = {}
        for key, fields in self.of("SourceDisksFiles"):
            if key is None or not re.fullmatch(r"[\w-]{1,60}\.[\w]{1,8}", key):
                self.fault("SourceDisksFiles", f"{key or fields[0]} is no file")
            elif fields[0] not in disks:
                self.fault("SourceDisksFiles", f"{key}: no disk {fields[0]} in [SourceDisksNames]")
            self.listed[(key or fields[0]).lower()] = fields
        self.folders = {(key or "").lower(): fields for key, fields in self.of("DestinationDirs")}
        for key, fields in self.folders.items():
            if fields[0] not in DIRIDS:
                self.fault("DestinationDirs", f"{key}: {fields[0]} is no directory's number")
            if key != "defaultdestdir" and key not in self.sections:
                self.fault("1203", f"[DestinationDirs]: no section [{key}]")
        self.copied = set()

    def models(self):
        """Names of the install sections."""
        installs = set()
        lines = self.of("Manufacturer")
        if not lines:
            self.fault("1297", "[Manufacturer] is empty")
        for key, (base, *targets) in lines:
            self.text(key or "")
            if not targets:
                self.fault("decoration", f"{base} is for no architecture: Windows x64 wants one")
            for target in targets:
                self.target(target)
                installs |= self.devices(f"{base}.{target}")
        return installs

    def target(self, target):
        """ "Combining Platform Extensions with Operating System Versions" """
        found = re.fullmatch(r"NT(\w*?)((?:\.\d*){0,4})", target, re.I)
        architecture = found and found[1].lower()
        if not found or architecture not in ARCHITECTURES:
            self.fault("decoration", f"{target} isn't NT, an architecture and a version")
        elif found[2].split(".")[1:3] != ["6", "1"]:
            self.fault("decoration", f"{target} isn't for Windows 7 (6.1) and newer")

    def devices(self, section):
        installs, seen = set(), set()
        lines = self.of(section, "[Manufacturer]")
        if not lines:
            self.fault("1297", f"[{section}] names no device")
        for key, (install, *ids) in lines:
            description = self.text(key or "")
            if not 0 < len(description) < MAX_LINE_LEN:
                self.fault("description", f"[{section}] {key}: {len(description)} characters")
            if not ids:
                self.fault("1297", f"[{section}] {key} has no hardware ID")
            for each in ids:
                if len(each) > MAX_ID or not re.fullmatch(r"[!-+\--~]+\\[!-+\--~]+", each):
                    self.fault("hardware ID", f"{each!r}")
                if each.lower() in seen:
                    self.fault("hardware ID twice", f"[{section}]: {each}")
                seen.add(each.lower())
            installs.add(install)
        return installs

    def install(self, install):
        """DDInstall and its companions, which Windows takes with .NT."""
        base = next((install + suffix for suffix in (".nt", "")
                     if (install + suffix).lower() in self.sections), install)
        files = self.values(base, INSTALL_KEYS[""])
        for each in files.get("copyfiles", []):
            self.copy(each)
        for each in files.get("addreg", []):
            self.registry(each)
        for suffix in (".hw", ".wdf"):
            if (base + suffix).lower() not in self.sections and suffix == ".wdf":
                self.fault("Wdf", f"no [{base}.Wdf]: a KMDF driver isn't bound to its framework")
        if (base + ".hw").lower() in self.sections:
            for each in self.values(base + ".hw", INSTALL_KEYS[".hw"]).get("addreg", []):
                self.registry(each)
        if (base + ".services").lower() not in self.sections:
            self.fault("1296", f"no [{base}.Services]")
            return
        service = self.services(base + ".services")
        if (base + ".wdf").lower() in self.sections:
            self.framework(base + ".wdf", service)

    def copy(self, name):
        if name.startswith("@"):
            names, where = [name[1:]], "defaultdestdir"
        else:
            names, where = [fields[0] for _, fields in self.of(name, "CopyFiles")], name.lower()
        folder = self.folders.get(where) or self.folders.get("defaultdestdir")
        if not folder:
            self.fault("DestinationDirs", f"[{name}] has no directory, and there is no default")
        for file in names:
            self.copied.add((file.lower(), folder and folder[0]))

    def copied_and_listed(self):
        names = {name for name, _ in self.copied}
        for name in names - set(self.listed):
            self.fault("1230", f"{name} isn't in [SourceDisksFiles]")
        for name in set(self.listed) - names:
            self.fault("file unused", f"{name} is in [SourceDisksFiles], and nothing copies it")

    def services(self, section):
        """The name of the devices' service."""
        lines = [fields for key, fields in self.of(section)
                 if (key or "").lower() == "addservice"]
        if len(lines) != len(self.sections[section.lower()]):
            self.fault("unknown directive", f"[{section}] has more than AddService")
        main = []
        for name, flags, part in (fields + ["", ""] if len(fields) == 1 else fields
                                  for fields in lines if len(fields) in (1, 3)):
            flags = number(flags)
            if flags is None or flags & ~SERVICE_FLAGS:
                self.fault("AddService", f"{name}: flags {flags}")
            elif flags & ASSOCIATED:
                main.append(name)
            if not re.fullmatch(r"[^\\/,\s]{1,256}", name):
                self.fault("AddService", f"{name!r} is no service's name")
            self.service(part)
        if len(main) != 1:
            self.fault("1296", f"[{section}]: {len(main)} services are the devices' (flag 2)")
        return main[0] if main else None

    def service(self, section):
        of = self.values(section, SERVICE_KEYS, "service", "AddService")
        for key, allowed in SERVICE_KEYS.items():
            if allowed and (key not in of or number(of[key][0]) not in allowed):
                self.fault("service", f"[{section}]: {key} is {of.get(key)}, not one of {allowed}")
        found = re.fullmatch(r"%(\d+)%\\([\w.-]+)", of.get("servicebinary", [""])[0])
        if not found or (found[2].lower(), found[1]) not in self.copied:
            self.fault("service", f"[{section}]: ServiceBinary {of.get('servicebinary')} isn't a "
                       "file that is copied, where it is copied")
        elif found[1] != DRIVERS_FOLDER:
            self.fault("service", f"[{section}]: a driver of Windows 7 is in %{DRIVERS_FOLDER}%")
        for each in of.get("addreg", []):
            self.registry(each)

    def framework(self, section, service):
        """ "Specifying WDF Directives in INF Files" """
        bound = self.values(section, INSTALL_KEYS[".wdf"], "Wdf").get("kmdfservice", [])
        if len(bound) != 2 or bound[0] != service:
            self.fault("Wdf", f"[{section}]: KmdfService {bound} isn't the service {service}")
            return
        version = self.values(bound[1], {"kmdflibraryversion"}, "Wdf", "KmdfService")
        if version.get("kmdflibraryversion") != ["1.9"]:
            self.fault("Wdf", f"KmdfLibraryVersion {version} isn't 1.9, Windows 7's own")

    def new_class(self):
        name, guid = (self.head.get(key, [""])[0] for key in ("class", "classguid"))
        system = name.lower() in SYSTEM_CLASSES or SYSTEM_GUID.match(guid)
        if system and "classinstall32" in self.sections:
            self.fault("1285", f"[ClassInstall32] for {name} {guid}, which is Microsoft's")
        if not system and "classinstall32" not in self.sections:
            self.fault("ClassInstall32", f"{name} is a class that nothing makes")
            return
        for each in self.values("ClassInstall32", {"addreg"}).get("addreg", []):
            rows = self.registry(each)
            if not any(value == "" and data for _, value, data in rows):
                self.fault("ClassInstall32", f"[{each}] gives the class no name")

    # --- registry ------------------------------------------------------------------

    def registry(self, section):
        """(key, value's name, data) of each row."""
        rows = []
        for key, fields in self.of(section, "AddReg"):
            if key is not None or not 2 <= len(fields) <= 20:
                self.fault("AddReg", f"[{section}]: {key or fields}")
                continue
            root, path, name, flags, *data = (fields + ["", "", "0"])[:max(len(fields), 4)]
            self.row(section, root, path, name, number(flags or "0"), data)
            rows.append((path, name, "".join(self.text(each) for each in data)))
        self.messages(section, rows)
        return rows

    def row(self, section, root, path, name, flags, data):
        where = f"[{section}]: {root}\\{path} {name}"
        if root.upper() != "HKR":
            rule = "1221" if "\\services" in path.lower() else "1304"
            self.fault(rule, f"{where} isn't relative (HKR)")
        kind = None if flags is None else flags & ~REG_MODIFIERS
        if kind not in REG_KINDS:
            self.fault("AddReg", f"{where}: {flags} is no kind of value")
        elif kind == DWORD and not within(data[0] if data else "", 0, 0xFFFFFFFF):
            self.fault("AddReg", f"{where}: {data} is no REG_DWORD")
        elif flags & KEY_ONLY and (name or data):
            self.fault("AddReg", f"{where}: a key alone has a value")
        elif kind != DWORD and not flags & KEY_ONLY and not data:
            self.fault("AddReg", f"{where} has no data")
        if name.lower() == "coinstallers32":
            self.fault("1303", where)
        if name.lower() == "security" and not re.fullmatch(
                r"D:P?(\(A;[A-Z]*;[0-9A-Zx]+;;;[A-Z]{2}\))+", data[0] if data else ""):
            self.fault("Security", f"{where}: {data} is no security descriptor")

    def messages(self, section, rows):
        """ "Enabling Message-Signaled Interrupts in the Registry" """
        of = {name.lower(): data for path, name, data in rows
              if path.lower().endswith("messagesignaledinterruptproperties") and name}
        for name, allowed in (("msisupported", (0, 1)), ("messagenumberlimit", (1, 2048))):
            if of and not within(of.get(name, "1"), *allowed):
                self.fault("messages", f"[{section}]: {name} is {of[name]}")
        keys = {path.lower() for path, name, _ in rows if not name}
        for path, name, _ in rows:
            parent = path.lower()
            while name and "interrupt management" in parent:
                if parent not in keys:
                    self.fault("messages", f"[{section}]: nothing makes the key {parent}")
                parent = parent.rpartition("\\")[0]


def faults(raw):
    return Check(raw).faults
