# SPDX-License-Identifier: MIT
"""The answer file against the schema (win7/unattend.rng), made of Microsoft's reference: valid for
both architectures, with and without a key; and what is wrong in pass, name, order or value is
found."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

from vq7rig.win7 import answer
from vq7rig.win7.media import Edition

SCHEMA = answer.SOURCE / "unattend.rng"
U = "{urn:schemas-microsoft-com:unattend}"
KEY = "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"

pytestmark = pytest.mark.skipif(not shutil.which("xmllint"), reason="no xmllint: ci/setup.sh kit")


def edition(arch="x64", language="en-US"):
    return Edition(2, "Windows 7 PROFESSIONAL", "Professional", arch, language, ("6", "1"), "7601",
                   "1", False)


def faults(text):
    """What is wrong with an answer file, one a line."""
    done = subprocess.run(["xmllint", "--noout", "--relaxng", SCHEMA, "-"], input=text, text=True,
                          capture_output=True)
    found = [] if done.returncode == 0 else done.stderr.splitlines() or ["not valid"]
    root = ET.fromstring(text.encode())
    for settings in root:
        names = [component.get("name") for component in settings]
        found += [f"{name} is there twice" for name in set(names) if names.count(name) > 1]
    for node in root.iter():
        orders = [child.findtext(f"{U}Order") for child in node
                  if child.find(f"{U}Order") is not None]
        if orders != list(map(str, range(1, len(orders) + 1))):
            found.append(f"{node.tag}: the numbers Order are {orders}")
    return found


@pytest.fixture(scope="module")
def text():
    return answer.answer_file(edition(), KEY)


@pytest.mark.parametrize("arch", ["x86", "x64"])
@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize("language", ["en-US", "de-DE", "sr-Latn-CS"])
def test_the_answer_file_is_valid(arch, key, language):
    made = answer.answer_file(edition(arch, language), key)
    assert faults(made) == []
    assert (f"<Key>{key}</Key>" in made) == bool(key), "no setting is empty"


def test_without_a_key_there_is_none():
    made = answer.answer_file(edition())
    assert "<ProductKey>" in made and "Key>@" not in made and "<Key></Key>" not in made


def test_regression_what_fills_a_mark_is_in_no_comment():
    """`--` there would be no XML."""
    made = answer.answer_file(edition(), "A--B")
    assert made.count("A--B") == 1 and ET.fromstring(made.encode()) is not None


WRONG = {
    "a pass that there isn't": ('pass="specialize"', 'pass="special"'),
    "a component in the pass of another": ('pass="offlineServicing"', 'pass="oobeSystem"'),
    "no such component": ("Microsoft-Windows-Deployment", "Microsoft-Windows-Deploy"),
    "a component of another pass": ("Microsoft-Windows-International-Core-WinPE",
                                    "Microsoft-Windows-Security-SPP-UX"),
    "architecture": ('processorArchitecture="amd64"', 'processorArchitecture="x64"'),
    "token": ("31bf3856ad364e35", "31bf3856ad364e36"),
    "scope": ('versionScope="nonSxS"', 'versionScope="SxS"'),
    "no such setting": ("<DynamicUpdate>", "<DynamicUpdates>"),
    "a setting in another's place": ("<ProtectYourPC>3</ProtectYourPC>", "<Enabled>true</Enabled>"),
    "letter case of a name": ("<WillWipeDisk>true</WillWipeDisk>",
                              "<willWipeDisk>true</willWipeDisk>"),
    "boolean": ("<WillWipeDisk>true", "<WillWipeDisk>yes"),
    "empty": ("<FullName>VQ7<", "<FullName><"),
    "file system": ("<Format>NTFS", "<Format>EXT4"),
    "label without a format": ("<Format>NTFS</Format>", ""),
    "letter": ("<Letter>C", "<Letter>c"),
    "letter of a floppy disk": ("<Letter>C", "<Letter>A"),
    "partition type": ("<Type>Primary", "<Type>primary"),
    "neither size nor extend": ("<Extend>true</Extend>", ""),
    "partition 0": ("<PartitionID>1", "<PartitionID>0"),
    "image 0": ("<Value>2<", "<Value>0<"),
    "kind of image": ("/IMAGE/INDEX", "/IMAGE/EDITION"),
    "when to ask": ("<WillShowUI>Never", "<WillShowUI>Sometimes"),
    "key": (KEY, "AAAAA-BBBBB"),
    "location": ("<NetworkLocation>Work", "<NetworkLocation>Office"),
    "protection": ("<ProtectYourPC>3", "<ProtectYourPC>4"),
    "count": ("<LogonCount>2", "<LogonCount>0"),
    "no count": ("<LogonCount>2</LogonCount>", ""),
    "name of an account": ("<Name>vq7<", "<Name>vq@7<"),
    "account that logs on": ("<Username>vq7<", "<Username>pc\\vq7<"),
    "description too long": ("<Description>VQ7</Description>\n        </Sync",
                             f"<Description>{'x' * 257}</Description>\n        </Sync"),
    "name of a computer": ("<ComputerName>VQ7<", "<ComputerName>a name of more than 15<"),
    "error reports": ("<DisableWER>1", "<DisableWER>true"),
    "language": ("<UserLocale>en-US", "<UserLocale>english"),
    "order 0": ("<Order>1", "<Order>0"),
    "order above 500": ("<Order>1", "<Order>501"),
    "order that doesn't begin with 1": ("<Order>1", "<Order>2"),
    "no order": ("<Order>1</Order>", ""),
    "a list item that isn't added": ('<Disk wcm:action="add">', "<Disk>"),
    "a command too long": ("cmd /c \"echo", "cmd /c \"" + "x" * 260),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_found(text, what):
    """Wherever it stands in the file."""
    right, wrong = WRONG[what]
    places = [found.start() for found in re.finditer(re.escape(right), text)]
    assert places, right
    for at in places:
        changed = text[:at] + wrong + text[at + len(right):]
        name = re.fullmatch(r"<(\w+)>", right)
        if name:                        # its end, too
            changed = changed.replace(f"</{name[1]}>", f"</{wrong[1:-1]}>", 1)
        assert faults(changed), (what, text.count("\n", 0, at) + 1)


def test_wrong_order_of_passes_and_components_twice(text):
    root = ET.fromstring(text.encode())
    root[:] = reversed(root)
    assert faults(ET.tostring(root, encoding="unicode"))
    root[:] = reversed(root)
    assert faults(ET.tostring(root, encoding="unicode")) == []
    root[0].append(root[0][0])
    assert any("is there twice" in fault
               for fault in faults(ET.tostring(root, encoding="unicode")))
