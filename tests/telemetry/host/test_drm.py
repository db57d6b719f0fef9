"""GPUs by the files that Linux shows of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swapd.telemetry.host.cards import Accelerator, Described, merged
from swapd.telemetry.host.drm import Amd, Drm
from swapd.telemetry.host.figures import Gpu

#: As an RX 7900 XTX shows itself, in the words of its driver.
RX = {
    "vendor": "0x1002",
    "device": "0x744c",
    "revision": "0xc8",
    "unique_id": "2f8d6a5b1c0e9f47",
    "gpu_busy_percent": "83",
    "mem_info_vram_total": "25753026560",
    "mem_info_vram_used": "12876513280",
    "hwmon/hwmon4/name": "amdgpu",
    "hwmon/hwmon4/temp1_input": "54000",
    "hwmon/hwmon4/temp1_label": "edge",
    "hwmon/hwmon4/temp2_input": "61000",
    "hwmon/hwmon4/temp2_label": "junction",
    "hwmon/hwmon4/temp3_input": "72000",
    "hwmon/hwmon4/temp3_label": "mem",
    "hwmon/hwmon4/power1_average": "213000000",
    "hwmon/hwmon4/power1_cap": "327000000",
    "hwmon/hwmon4/pwm1": "102",
}

#: As an APU does: no fan, no temperature of memory, power under the newer name.
APU = {
    "vendor": "0x1002",
    "device": "0x1586",
    "revision": "0xc1",
    "gpu_busy_percent": "4",
    "mem_info_vram_total": "536870912",
    "mem_info_vram_used": "134217728",
    "hwmon/hwmon2/temp1_input": "41000",
    "hwmon/hwmon2/power1_input": "12500000",
}

INTEL = {"vendor": "0x8086", "device": "0x56a0", "revision": "0x08"}

#: The display of a server's remote control.
ASPEED = {"vendor": "0x1a03", "device": "0x2000", "revision": "0x41"}

NAMES = """# List of AMDGPU IDs
1.0.0
1586,\tC1,\tAMD Radeon 8060S Graphics
744C,\tC8,\tAMD Radeon RX 7900 XTX
744C,\tCC,\tAMD Radeon RX 7900 XT
"""


def sys_of(folder: Path, cards: Mapping[str, Mapping[str, str]]) -> Path:
    """Write what ``/sys`` shows of cards, by their PCI addresses."""
    sys = folder / "sys"
    for number, (address, files) in enumerate(cards.items()):
        device = sys / "devices" / address
        for name, text in files.items():
            (device / name).parent.mkdir(parents=True, exist_ok=True)
            (device / name).write_text(text + "\n")
        card = sys / f"class/drm/card{number}"
        card.mkdir(parents=True)
        (card / "device").symlink_to(device)
        (sys / f"class/drm/card{number}-DP-1").mkdir()  # a plug of it
    (folder / "amdgpu.ids").write_text(NAMES)
    return sys


def amd(folder: Path, cards: Mapping[str, Mapping[str, str]]) -> list[Gpu]:
    return Amd(sys_of(folder, cards), (folder / "amdgpu.ids",)).read()


def test_every_figure_of_a_card_is_read(tmp_path: Path) -> None:
    assert amd(tmp_path, {"0000:03:00.0": RX}) == [
        Gpu(
            *(0, "AMD Radeon RX 7900 XTX", "2f8d6a5b1c0e9f47", 54.0, 72.0),
            *(83, 12876513280, 25753026560, 40.0, 213.0),
        )
    ]


def test_what_a_card_does_not_show_is_unknown(tmp_path: Path) -> None:
    assert amd(tmp_path, {"0000:c4:00.0": APU}) == [
        Gpu(
            *(0, "AMD Radeon 8060S Graphics", "", 41.0, None),
            *(4, 134217728, 536870912, None, 12.5),
        )
    ]


def test_the_name_that_the_card_has_itself_goes_first(tmp_path: Path) -> None:
    (gpu,) = amd(tmp_path, {"0000:03:00.0": {**RX, "product_name": "Instinct MI300X"}})
    assert gpu.name == "Instinct MI300X"


def test_a_card_that_nobody_has_a_name_for_is_told_by_its_number(tmp_path: Path) -> None:
    (gpu,) = amd(tmp_path, {"0000:03:00.0": {**RX, "revision": "0xff"}})
    assert gpu.name == "AMD GPU 744c"


def test_files_that_cannot_be_understood_are_no_figures(tmp_path: Path) -> None:
    broken = {**RX, "gpu_busy_percent": "", "hwmon/hwmon4/temp1_input": "N/A"}
    (gpu,) = amd(tmp_path, {"0000:03:00.0": broken})
    assert (gpu.busy_percent, gpu.celsius) == (None, 61.0)


def test_a_card_of_which_nothing_is_shown_is_left_out(tmp_path: Path) -> None:
    old = {"vendor": "0x1002", "device": "0x6779", "revision": "0x00"}
    assert amd(tmp_path, {"0000:01:00.0": old}) == []


def test_a_card_that_sleeps_is_not_woken(tmp_path: Path) -> None:
    asleep = {**RX, "power/runtime_status": "suspended"}
    awake = {**APU, "power/runtime_status": "active"}
    (gpu,) = amd(tmp_path, {"0000:03:00.0": asleep, "0000:c4:00.0": awake})
    assert (gpu.id, gpu.name) == (1, "AMD Radeon 8060S Graphics")


def test_cards_of_others_are_not_measured(tmp_path: Path) -> None:
    assert amd(tmp_path, {"0000:03:00.0": INTEL, "0000:04:00.0": ASPEED}) == []


def test_a_machine_without_cards_has_none(tmp_path: Path) -> None:
    assert (Amd(tmp_path).read(), Drm(tmp_path).describe()) == ([], [])


def test_cards_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    addresses = [f"0000:{bus:02x}:00.0" for bus in range(12)]
    cards = {address: {**RX, "unique_id": address} for address in addresses}
    assert [gpu.uuid for gpu in amd(tmp_path, cards)] == addresses


def test_cards_of_all_makers_are_described_and_displays_are_not(tmp_path: Path) -> None:
    sys = sys_of(tmp_path, {"0000:03:00.0": RX, "0000:04:00.0": INTEL, "0000:05:00.0": ASPEED})
    module = sys / "module/amdgpu"
    driver = sys / "bus/pci/drivers/amdgpu"
    for folder in (module, driver):
        folder.mkdir(parents=True)
    (module / "version").write_text("6.12.12\n")
    (driver / "module").symlink_to(module)
    (sys / "devices/0000:03:00.0/driver").symlink_to(driver)
    node = sys / "class/kfd/kfd/topology/nodes/1/properties"
    node.parent.mkdir(parents=True)
    node.write_text("gfx_target_version 110000\nlocation_id 768\ndomain 0\n")
    assert Drm(sys, (tmp_path / "amdgpu.ids",)).describe() == [
        Described(
            "0000:03:00.0",
            Accelerator(
                *("AMD", "AMD Radeon RX 7900 XTX", "gfx1100", "dedicated", 25753026560),
                *("amdgpu", "6.12.12", 327.0),
            ),
        ),
        Described("0000:04:00.0", Accelerator("Intel")),
    ]


def test_architectures_are_named_as_compilers_name_them(tmp_path: Path) -> None:
    sys = sys_of(tmp_path, {"0000:03:00.0": RX, "0000:83:00.1": APU})
    for number, (version, place) in enumerate([(90010, 0x0300), (110501, 0x8301), (0, 0)]):
        node = sys / f"class/kfd/kfd/topology/nodes/{number}/properties"
        node.parent.mkdir(parents=True)
        node.write_text(f"gfx_target_version {version}\nlocation_id {place}\n")
    found = [one.card.architecture for one in Drm(sys, ()).describe()]
    assert found == ["gfx90a", "gfx1151"]


def test_a_card_that_two_know_is_one_and_the_first_is_right() -> None:
    known = [
        Described("0000:02:00.0", Accelerator("NVIDIA", "RTX", memory_bytes=24)),
        Described("0000:01:00.0", Accelerator("AMD")),
        Described("0000:02:00.0", Accelerator("nvidia corp", None, "Ada", power_limit_watts=9.0)),
    ]
    assert merged(known) == [
        Accelerator("AMD"),
        Accelerator("NVIDIA", "RTX", "Ada", memory_bytes=24, power_limit_watts=9.0),
    ]
