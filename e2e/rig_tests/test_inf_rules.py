# SPDX-License-Identifier: MIT
"""The driver's INF by the rules of InfVerif and ChkInf (inf_rules.py), as it is and as the kit has
it; and each rule finds the fault that is planted for it."""

import pathlib
import re

import pytest

from kit_files import GUEST, PACKAGE, make
import inf_rules

SOURCE = (PACKAGE / "vq7test.inf").read_text("ascii")
INTERRUPTS = r'HKR,"Interrupt Management\MessageSignaledInterruptProperties",'
SECOND = "[Vq7.More.NT]\nCopyFiles=Vq7.Files\n"


def as_in_the_kit(text):
    return text.replace("\n", "\r\n").encode("ascii")


# (rule that finds it, text of the INF, what takes its place)
PLANTED = [
    ("1001", '"$WINDOWS NT$"', '"$WINDOWS 95$"'),
    ("1001", "[Version]\n", "[More]\n[Version]\n"),
    ("1002", "[SourceDisksNames]", "[SourceDisksNames"),
    ("1002", 'Provider="VQ7"', 'Provider="VQ7'),
    ("1002", "; SPDX", "SPDX"),
    ("1002", 'Provider="VQ7"', 'Provider="VQ7","8"'),
    ("1203", "CopyFiles=Vq7.Files", "CopyFiles=vq7test.sys"),
    ("1203", "Vq7,NTx86.6.1,NTamd64.6.1", "Vq7,NTx86.6.1,NTamd64.6.1,NTia64.6.1"),
    ("1235", "[Strings]\n", "[Other]\n"),
    ("1203", "DefaultDestDir=12", "DefaultDestDir=12\nVq7.Gone=12"),
    ("1204", 'Provider="VQ7"', 'Provider="Microsoft"'),
    ("1205", "AddReg=Vq7.Parameters", "AddReg=Vq7.Security"),
    ("1212", "[Vq7.Files]", "[DefaultInstall]\nCopyFiles=@vq7test.sys\n[Vq7.Files]"),
    ("1221", "HKR,Parameters,Transport",
     r"HKLM,System\CurrentControlSet\Services\vq7test\Parameters,Transport"),
    ("1230", "vq7test.sys=1", "vq7other.sys=1"),
    ("1233", "CatalogFile=vq7test.cat\n", ""),
    ("1233", "CatalogFile=vq7test.cat", r"CatalogFile=x86\vq7test.cat"),
    ("1235", 'ServiceName="VQ7 virtio test driver"\n', ""),
    ("1235", '"auto"', '"%SystemRoot%"'),
    ("1285", "Class=Vq7Test", "Class=System"),
    ("1285", "{5F2B1C60-7A41-4B0E-9D57", "{4D36E97D-E325-11CE-BFC1"),
    ("1296", "[Vq7.Install.NT.Services]", "[Vq7.Install.Services]"),
    ("1296", "AddService=vq7test,0x00000002", "AddService=vq7test,0x00000000"),
    ("1297", "%Provider%=Vq7,NTx86.6.1,NTamd64.6.1\n", ""),
    ("1297", r"=Vq7.Install,PCI\VEN_1AF4&DEV_1003", "=Vq7.Install"),
    ("1300", "[Vq7.Files]", "[Vq7.Install.NT.CoInstallers]\nAddReg=Vq7.Co\n[Vq7.Files]"),
    ("1303", "HKR,,Security,,", 'HKR,,CoInstallers32,0x00010000,"wdfcoinst.dll"\nHKR,,Security,,'),
    ("1304", 'HKR,"Interrupt Management",,', 'HKLM,"Interrupt Management",,'),
    ("2083", "[Vq7.Wdf]", "[Vq7.Old]\nKmdfLibraryVersion=1.7\n[Vq7.Wdf]"),
    ("AddReg", INTERRUPTS + "MSISupported,0x00010001,1", INTERRUPTS + "MSISupported,0x00010001,on"),
    ("AddReg", "HKR,Parameters,Transport,0x00000002", "HKR,Parameters,Transport,0x12345678"),
    ("AddReg", 'Transport,0x00000002,"auto"', "Transport,0x00000002"),
    ("AddReg", 'HKR,"Interrupt Management",,0x00000010', 'HKR,"Interrupt Management",x,0x00000010'),
    ("AddReg", 'HKR,,,0,%ClassName%', 'HKR'),
    ("AddService", "AddService=vq7test,", "AddService=vq7\\test,"),
    ("AddService", "vq7test,0x00000002,Vq7", "vq7test,0x01000002,Vq7"),
    ("Class", "Class=Vq7Test", "Class=" + "Vq7Test" * 5),
    ("ClassGuid", "-2C8E4F1A9B31}", "-2C8E4F1A9B3}"),
    ("ClassInstall32", "[ClassInstall32]\nAddReg=Vq7.Class", "[Vq7.Unused]\nAddReg=Vq7.Class"),
    ("ClassInstall32", "HKR,,,0,%ClassName%", "HKR,,Name,0,%ClassName%"),
    ("DestinationDirs", "DefaultDestDir=12", "DefaultDestDir=99"),
    ("DestinationDirs", "DefaultDestDir=12\n", ""),
    ("DriverVer", "DriverVer=11/22/2026,1.0.0.0", "DriverVer=22/11/2026,1.0.0.0"),
    ("DriverVer", "DriverVer=11/22/2026,1.0.0.0", "DriverVer=1/2/2026,1.0.0.0"),
    ("DriverVer", "DriverVer=11/22/2026,1.0.0.0", "DriverVer=11/22/2026,1.0.0.65535"),
    ("DriverVer", "DriverVer=11/22/2026,1.0.0.0", "DriverVer=11/22/2026,1.0"),
    ("DriverVer", "DriverVer=11/22/2026,1.0.0.0", "DriverVer=11/22/2026"),
    ("DriverVer", "DriverVer=11/22/2026,1.0.0.0\n", ""),
    ("Provider", "Provider=%Provider%\n", ""),
    ("Security", "D:P(A;;GA;;;SY)", "D:P(A;;GA;;SY)"),
    ("SourceDisksFiles", "vq7test.sys=1", "vq7test.sys=2"),
    ("SourceDisksFiles", "vq7test.sys=1", "vq7test=1"),
    ("SourceDisksNames", "1=%DiskName%", "one=%DiskName%"),
    ("Wdf", "[Vq7.Install.NT.Wdf]", "[Vq7.Install.Wdf]"),
    ("Wdf", "KmdfService=vq7test,", "KmdfService=vq7,"),
    ("Wdf", "KmdfLibraryVersion=1.9", "KmdfLibraryVersion=1.11"),
    ("Wdf", "KmdfLibraryVersion=1.9", "KmdfVersion=1.9"),
    ("decoration", "Vq7,NTx86.6.1,NTamd64.6.1", "Vq7,NTx86.6.1,NTx64.6.1"),
    ("decoration", "Vq7,NTx86.6.1,NTamd64.6.1", "Vq7,NTx86.6.1,NTamd64.10.0"),
    ("decoration", "Vq7,NTx86.6.1,NTamd64.6.1", "Vq7"),
    ("description", 'Virtio.Block="VQ7', f'Virtio.Block="{"x" * 256}'),
    ("description", 'Virtio.Block="VQ7 virtio block device"', 'Virtio.Block=""'),
    ("directive twice", "StartType=3", "StartType=3\nStartType=3"),
    ("file unused", "vq7test.sys=1", "vq7test.sys=1\nother.sys=1"),
    ("hardware ID", r"PCI\VEN_1AF4&DEV_1002", r"PCI/VEN_1AF4&DEV_1002"),
    ("hardware ID", r"PCI\VEN_1AF4&DEV_1002", "PCI\\" + "V" * 200),
    ("hardware ID twice", r"PCI\VEN_1AF4&DEV_1002", r"PCI\VEN_1AF4&DEV_1001"),
    ("last line", 'Virtio.Socket="VQ7 virtio socket device"\n',
     'Virtio.Socket="VQ7 virtio socket device"'),
    ("line length", "; SPDX", "; " + "x" * 4096),
    ("messages", "MSISupported,0x00010001,1", "MSISupported,0x00010001,2"),
    ("messages", "MessageNumberLimit,0x00010001,2", "MessageNumberLimit,0x00010001,0"),
    ("messages", 'HKR,"Interrupt Management",,0x00000010\n', ""),
    ("section name", "[Vq7.Files]", f"[{'x' * 256}]"),
    ("section twice", "[Vq7.Wdf]\n", "[Vq7.Files]\n[Vq7.Wdf]\n"),
    ("service", "ServiceType=1", "ServiceType=16"),
    ("service", "StartType=3", "StartType=5"),
    ("service", "ErrorControl=1\n", ""),
    ("service", r"%12%\vq7test.sys", r"%12%\vq7.sys"),
    ("service", r"%12%\vq7test.sys", r"%11%\vq7test.sys"),
    ("service", "DisplayName=", "DisplayTitle="),
    ("string twice", 'Provider="VQ7"', 'Provider="VQ7"\nprovider="VQ8"'),
    ("string unused", 'Provider="VQ7"', 'Provider="VQ7"\nMore="VQ8"'),
    ("unknown directive", "CopyFiles=Vq7.Files", "CopyFiles=Vq7.Files\nLogConfig=Vq7.Log"),
    ("unknown directive", "Signature=", "Include=machine.inf\nSignature="),
    ("unknown directive", "AddService=vq7test", "DelService=vq7\nAddService=vq7test"),
]


def test_the_inf_breaks_no_rule():
    assert inf_rules.faults(as_in_the_kit(SOURCE)) == []
    assert inf_rules.faults(b"\xff\xfe" + SOURCE.replace("\n", "\r\n").encode("utf-16-le")) == []


def test_the_kits_inf_breaks_no_rule(tmp_path):
    """With its own DriverVer, in both folders."""
    found = [GUEST.parent / "nt-kit" / arch / "vq7test.inf" for arch in ("x86", "x64")]
    if not all(path.exists() for path in found):
        assert make(tmp_path).returncode == 0
        found = [tmp_path / "nt-kit" / arch / "vq7test.inf" for arch in ("x86", "x64")]
    for path in found:
        assert inf_rules.faults(path.read_bytes()) == []


@pytest.mark.parametrize("rule, old, new", PLANTED, ids=lambda text: re.sub(r"\W+", "-", text)[:30])
def test_a_fault_is_found(rule, old, new):
    assert old in SOURCE
    found = inf_rules.faults(as_in_the_kit(SOURCE.replace(old, new, 1)))
    assert rule in [name for name, _ in found], found


@pytest.mark.parametrize("rule, raw", [
    ("1003", as_in_the_kit(SOURCE).replace(b"VQ7 virtio", b"VQ\xff virtio")),
    ("1003", SOURCE.replace("\n", "\r\n").replace("VQ7 virtio", "VQ\u2077 virtio").encode()),
    ("line ends", SOURCE.encode("ascii")),
    ("line ends", as_in_the_kit(SOURCE).replace(b"\r\n", b"\r", 3)),
])
def test_a_fault_of_the_file_is_found(rule, raw):
    assert rule in [name for name, _ in inf_rules.faults(raw)]


def test_each_rule_has_its_fault():
    """Rules are named where they are found broken, or where a section is read."""
    text = pathlib.Path(inf_rules.__file__).read_text()
    rules = set(re.findall(r'fault\("([^"]+)"', text)) | \
        {"1221", "1304", "unknown directive", "service", "Wdf"}
    assert len(rules) > 40
    assert rules - {rule for rule, *_ in PLANTED} == {"1003", "line ends"}
