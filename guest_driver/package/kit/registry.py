# SPDX-License-Identifier: MIT
"""Registry files that do what installing the INF does, for systems where nothing can be
installed, such as a live CD: the services, the device class, and the critical device
database, by which the PnP manager finds a driver without an INF. And, for systems that lack
them, the keys by which a driver finds its framework, and another way to start the agent."""

DWORD = 0x00010001      # FLG_ADDREG_TYPE_DWORD
HEADER = "Windows Registry Editor Version 5.00"


def _text(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _expandable(value):
    data = (value + "\0").encode("utf-16-le")
    return "hex(2):" + ",".join(f"{byte:02x}" for byte in data)


def _value(kind, text):
    return f"dword:{int(text, 0):08x}" if kind == "dword" else (
        _expandable(text) if kind == "path" else _text(text))


def _key(path, *values):
    yield f"[HKEY_LOCAL_MACHINE\\{path}]"
    for name, kind, text in values:
        yield f"{_text(name) if name else '@'}={_value(kind, text)}"
    yield ""


def _values(inf, section):
    """Subkey -> [(name, kind, text)] of an AddReg section."""
    found = {}
    for _, subkey, name, flags, text in inf.rows(section):
        kind = "dword" if int(flags, 0) & DWORD == DWORD else "text"
        found.setdefault(subkey, []).append((name, kind, inf.text(text)))
    return found


def _service(inf, control_set):
    name, _, section = inf.value("Vq7.Install.NT.Services", "AddService")
    of = {key.lower(): inf.text(fields[0]) for key, fields in inf.entries(section)}
    image = of["servicebinary"].replace("%12%", r"system32\drivers")
    path = rf"{control_set}\Services\{name}"
    yield from _key(path, ("DisplayName", "text", of["displayname"]),
                    ("Type", "dword", of["servicetype"]), ("Start", "dword", of["starttype"]),
                    ("ErrorControl", "dword", of["errorcontrol"]), ("ImagePath", "path", image))
    for subkey, values in _values(inf, of["addreg"]).items():
        yield from _key(rf"{path}\{subkey}", *values)


def _agent(control_set):
    """The agent as `vq7agent install` makes it a service; its file is copied by hand."""
    yield from _key(rf"{control_set}\Services\vq7agent", ("DisplayName", "text", "VQ7 agent"),
                    ("Type", "dword", "0x10"), ("Start", "dword", "2"),
                    ("ErrorControl", "dword", "1"), ("ObjectName", "text", "LocalSystem"),
                    ("ImagePath", "path", r"%SystemRoot%\system32\vq7agent.exe service"))


def framework_file(control_set):
    """The lines of the file that leads KMDF's loader, WDFLDR.SYS, to the framework of version 1:
    its service, which the loader starts, and where the loader looks for the service's name."""
    yield HEADER
    yield ""
    for parent in ("", r"\Services", r"\Control", r"\Control\Wdf", r"\Control\Wdf\Kmdf",
                   r"\Control\Wdf\Kmdf\KmdfLibrary", r"\Control\Wdf\Kmdf\KmdfLibrary\Versions"):
        yield from _key(control_set + parent)
    yield from _key(rf"{control_set}\Services\Wdf01000", ("Type", "dword", "1"),
                    ("Start", "dword", "3"), ("ErrorControl", "dword", "1"),
                    ("ImagePath", "path", r"system32\drivers\Wdf01000.sys"))
    yield from _key(rf"{control_set}\Control\Wdf\Kmdf\KmdfLibrary\Versions\1",
                    ("Service", "text", "Wdf01000"))


def run_file():
    """The lines of the file, for the hive SOFTWARE, by which whoever logs on starts the agent."""
    yield HEADER
    yield ""
    path = "SOFTWARE"
    for name in ("Microsoft", "Windows", "CurrentVersion"):
        path += "\\" + name
        yield from _key(path)
    yield from _key(rf"{path}\Run", ("vq7agent", "text", "vq7agent.exe"))


def registry_file(inf, architecture, control_set):
    """The lines of the file; control_set: SYSTEM\\CurrentControlSet of a running system,
    SYSTEM\\ControlSet001 of a hive."""
    (name,) = inf.value("version", "Class")
    (guid,) = inf.value("version", "ClassGuid")
    service = inf.value("Vq7.Install.NT.Services", "AddService")[0]
    yield HEADER
    yield ""
    # Any system has these, but an editor of hives makes no key whose parent isn't named first.
    for parent in ("", r"\Services", r"\Control", r"\Control\Class",
                   r"\Control\CriticalDeviceDatabase"):
        yield from _key(control_set + parent)
    yield from _service(inf, control_set)
    yield from _agent(control_set)
    yield from _key(rf"{control_set}\Control\Class\{guid}",
                    ("", "text", inf.text("%ClassName%")), ("Class", "text", name))
    for _, _, hardware_ids in inf.models()[architecture]:
        for hardware_id in hardware_ids:
            database = rf"{control_set}\Control\CriticalDeviceDatabase"
            yield from _key(rf"{database}\{hardware_id.replace(chr(92), '#')}",
                            ("ClassGUID", "text", guid), ("Service", "text", service))
