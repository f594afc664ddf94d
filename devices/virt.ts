/** The `virt` board: which device stands where, and which wire goes where, as in QEMU 7.2 with gic-version=2 and no network card. */
import type { MachineMemory } from '../cpu/machine-memory.js'
import { Bus } from './bus.js'
import type { Clock, Line } from './device.js'
import { FLASH_SIZE, Flash } from './flash.js'
import { FwCfg } from './fw-cfg.js'
import { TIMER_INTIDS } from './generic-timer.js'
import { FIRST_SPI, GicV2, type GicOutputs } from './gicv2.js'
import { GicV2m, V2M_FIRST_INTID, V2M_INTIDS } from './gicv2m.js'
import { PciWindow, PcieConfiguration } from './pcie.js'
import { Pl011, type SerialHost } from './pl011.js'
import { Pl031 } from './pl031.js'
import { Pl061 } from './pl061.js'
import { EmptyVirtioMmio, VIRTIO_MMIO_SIZE, VIRTIO_MMIO_TRANSPORTS } from './virtio-mmio.js'

/** SPIs as INTIDs. */
export const UART_INTID = FIRST_SPI + 1
export const RTC_INTID = FIRST_SPI + 2
export const GPIO_INTID = FIRST_SPI + 7

/** What a board needs from the machine around it. */
export interface BoardOptions {
  readonly cpus: number
  /** What the real-time clock shows at virtual time 0, in seconds since 1970. */
  readonly rtcBase: number
  /** The first bytes of flash, if the boot code left something there. */
  readonly flash?: Uint8Array | undefined
}

/** The devices of a board. */
export class VirtBoard {
  readonly bus = new Bus()
  readonly gic: GicV2
  readonly uart: Pl011
  readonly rtc: Pl031
  readonly gpio: Pl061
  private readonly pcie: PcieConfiguration

  /**
   * Places all devices' state in `memory` and wires them up.
   *
   * @param outputs the processors' IRQ and FIQ inputs.
   * @param serial the host's end of the serial port.
   */
  constructor(memory: MachineMemory, options: BoardOptions, clock: Clock, outputs: GicOutputs, serial: SerialHost) {
    const { bus } = this
    const gic = new GicV2(memory, options.cpus, outputs)
    this.gic = gic
    this.uart = new Pl011(memory, gic.line(UART_INTID), serial)
    this.rtc = new Pl031(memory, clock, gic.line(RTC_INTID), options.rtcBase)
    this.gpio = new Pl061(memory, gic.line(GPIO_INTID))
    this.pcie = new PcieConfiguration(memory)
    const fwCfg = new FwCfg(memory, options.cpus)
    const messages = Array.from({ length: V2M_INTIDS }, (_, n) => gic.line(V2M_FIRST_INTID + n))
    bus.map(0x0000_0000, FLASH_SIZE, new Flash(options.flash))
    bus.map(0x0800_0000, 0x1000, gic.distributor)
    bus.map(0x0801_0000, 0x2000, gic.cpuInterface)
    bus.map(0x0802_0000, 0x1000, new GicV2m(messages))
    bus.map(0x0900_0000, 0x1000, this.uart)
    bus.map(0x0901_0000, 0x1000, this.rtc)
    bus.map(0x0902_0000, 1, fwCfg.data)
    bus.map(0x0902_0008, 1, fwCfg.selector)
    bus.map(0x0903_0000, 0x1000, this.gpio)
    for (let n = 0; n < VIRTIO_MMIO_TRANSPORTS; n++) {
      bus.map(0x0a00_0000 + n * VIRTIO_MMIO_SIZE, VIRTIO_MMIO_SIZE, new EmptyVirtioMmio())
    }
    bus.map(0x1000_0000, 0x2eff_0000, new PciWindow('pcie-mmio'))
    bus.map(0x3eff_0000, 0x1_0000, new PciWindow('pcie-io'))
    bus.map(0x40_1000_0000, 0x1000_0000, this.pcie)
    bus.map(0x80_0000_0000, 0x80_0000_0000, new PciWindow('pcie-mmio-high'))
  }

  /** The lines of a processor's generic timers, in the order that `GenericTimers` takes. */
  timerLines(cpu: number): Line[] {
    return TIMER_INTIDS.map((intid) => this.gic.line(intid, cpu))
  }

  /** Virtual nanoseconds at which a device (not a generic timer) has something to do, or Infinity. */
  nextDeadline(): number {
    return this.rtc.nextDeadline()
  }

  /** To be called when {@link nextDeadline} has come. */
  update(): void {
    this.rtc.update()
  }

  /** All devices as after power-on. */
  reset(): void {
    for (const { device } of this.bus.regions) device.reset()
  }

  /**
   * What PSCI SYSTEM_RESET does to the devices. As in QEMU 7.2, the serial port and the real-time clock know no reset and keep their
   * state; virtual time goes on.
   */
  systemReset(): void {
    for (const { device } of this.bus.regions) if (device !== this.uart && device !== this.rtc) device.reset()
    this.uart.restored()
    this.rtc.restored()
  }

  /** To be called after a snapshot was loaded: what is derived from state is worked out anew, every line driven. */
  restored(): void {
    this.uart.restored()
    this.rtc.restored()
    this.gpio.restored()
    this.gic.restored()
  }
}
