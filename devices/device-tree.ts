/**
 * The device tree of the `virt` board, byte for byte the one that QEMU 7.2 generates for
 * `-M virt,gic-version=2,dtb-randomness=off -cpu cortex-a53 -smp 1 -net none`.
 *
 * The order of the calls below is part of the result (see `fdt.ts`).
 */
import { Fdt, FdtError, type FdtNode } from './fdt.js'
import { LoadError } from './loader/load-error.js'

/** Bytes of RAM that the blob takes; what the tree does not need is zero. */
export const DTB_SIZE = 2 ** 20

/** What the tree depends on. Addresses are guest physical, below 2^32. */
export interface DeviceTreeOptions {
  readonly ramBytes: number
  /** The processor has EL2: PSCI is called by SMC, the GIC has virtual interfaces. */
  readonly virtualization: boolean
  /** The kernel's command line; none or an empty one sets no property. */
  readonly append?: string
  readonly initrd?: { readonly start: number; readonly end: number }
}

const HALF = 2 ** 32
/** Interrupt specifiers: kind, and trigger flags; a PPI's flags also name the CPUs that have it. */
const SPI = 0
const PPI = 1
const EDGE_RISING = 1
const LEVEL_HIGH = 4
const PPI_OF_CPU0 = 1 << 8
/** Spaces of PCI addresses, in the first of their three cells. */
const PCI_IO = 0x0100_0000
const PCI_MEMORY = 0x0200_0000
const PCI_MEMORY_64 = 0x0300_0000
/** Phandles, in the order in which QEMU hands them out. */
const CLOCK = 0x8000
const CPU0 = 0x8001
const GIC = 0x8002
const V2M = 0x8003
const GPIO = 0x8004

/** Two cells each of address and size. */
const range = (address: number, size: number): number[] => [
  Math.floor(address / HALF),
  address >>> 0,
  Math.floor(size / HALF),
  size >>> 0,
]

/** The blob, {@link DTB_SIZE} bytes. */
export function deviceTree(options: DeviceTreeOptions): Uint8Array<ArrayBuffer> {
  const tree = new Fdt(DTB_SIZE)
  const { root } = tree
  root
    .set('compatible', 'linux,dummy-virt')
    .set('#address-cells', [2])
    .set('#size-cells', [2])
    .set('model', 'linux,dummy-virt')
  const chosen = root.add('chosen')
  addClockTimerAndCpus(root)
  addFlash(root)
  addInterruptController(root, options.virtualization)
  root
    .add('pmu')
    .set('compatible', 'arm,armv8-pmuv3')
    .set('interrupts', [PPI, 7, PPI_OF_CPU0 | LEVEL_HIGH])
  addUartAndClock(root, chosen)
  addPcie(root)
  addGpio(root)
  for (let n = 31; n >= 0; n--) {
    const base = 0x0a00_0000 + n * 0x200
    root
      .add(`virtio_mmio@${base.toString(16)}`)
      .set('compatible', 'virtio,mmio')
      .set('reg', range(base, 0x200))
      .set('interrupts', [SPI, 16 + n, EDGE_RISING])
      .set('dma-coherent', undefined)
  }
  root
    .add('fw-cfg@9020000')
    .set('compatible', 'qemu,fw-cfg-mmio')
    .set('reg', range(0x0902_0000, 0x18))
    .set('dma-coherent', undefined)
  root
    .add('platform-bus@c000000')
    .set('compatible', ['qemu,platform', 'simple-bus'])
    .set('#size-cells', [1])
    .set('#address-cells', [1])
    .set('ranges', [0, 0, 0x0c00_0000, 0x0200_0000])
    .set('interrupt-parent', [GIC])
  addMemory(root, options.ramBytes)
  addChosen(chosen, options)
  addPsci(root, options.virtualization)
  return tree.finish()
}

function addClockTimerAndCpus(root: FdtNode): void {
  root
    .add('apb-pclk')
    .set('compatible', 'fixed-clock')
    .set('#clock-cells', [0])
    .set('clock-frequency', [24_000_000])
    .set('clock-output-names', 'clk24mhz')
    .set('phandle', [CLOCK])
  const timer = root.add('timer').set('compatible', ['arm,armv8-timer', 'arm,armv7-timer']).set('always-on', undefined)
  const flags = PPI_OF_CPU0 | LEVEL_HIGH
  timer.set('interrupts', [PPI, 13, flags, PPI, 14, flags, PPI, 11, flags, PPI, 10, flags])
  const cpus = root.add('cpus').set('#address-cells', [1]).set('#size-cells', [0])
  cpus.add('cpu@0').set('device_type', 'cpu').set('compatible', 'arm,cortex-a53').set('reg', [0]).set('phandle', [CPU0])
  cpus.add('cpu-map').add('socket0').add('cluster0').add('core0').set('cpu', [CPU0])
}

function addFlash(root: FdtNode): void {
  root
    .add('flash@0')
    .set('compatible', 'cfi-flash')
    .set('reg', [...range(0, 0x0400_0000), ...range(0x0400_0000, 0x0400_0000)])
    .set('bank-width', [4])
}

function addInterruptController(root: FdtNode, virtualization: boolean): void {
  root.set('interrupt-parent', [GIC])
  const gic = root
    .add('intc@8000000')
    .set('#interrupt-cells', [3])
    .set('interrupt-controller', undefined)
    .set('#address-cells', [2])
    .set('#size-cells', [2])
    .set('ranges', undefined)
    .set('compatible', 'arm,cortex-a15-gic')
  const interfaces = [...range(0x0800_0000, 0x1_0000), ...range(0x0801_0000, 0x1_0000)]
  if (virtualization) {
    gic.set('reg', [...interfaces, ...range(0x0803_0000, 0x1_0000), ...range(0x0804_0000, 0x1_0000)])
    gic.set('interrupts', [PPI, 9, LEVEL_HIGH])
  } else gic.set('reg', interfaces)
  gic.set('phandle', [GIC])
  gic
    .add('v2m@8020000')
    .set('compatible', 'arm,gic-v2m-frame')
    .set('msi-controller', undefined)
    .set('reg', range(0x0802_0000, 0x1000))
    .set('phandle', [V2M])
}

function addUartAndClock(root: FdtNode, chosen: FdtNode): void {
  root
    .add('pl011@9000000')
    .set('compatible', ['arm,pl011', 'arm,primecell'])
    .set('reg', range(0x0900_0000, 0x1000))
    .set('interrupts', [SPI, 1, LEVEL_HIGH])
    .set('clocks', [CLOCK, CLOCK])
    .set('clock-names', ['uartclk', 'apb_pclk'])
  chosen.set('stdout-path', '/pl011@9000000')
  root
    .add('pl031@9010000')
    .set('compatible', ['arm,pl031', 'arm,primecell'])
    .set('reg', range(0x0901_0000, 0x1000))
    .set('interrupts', [SPI, 2, LEVEL_HIGH])
    .set('clocks', [CLOCK])
    .set('clock-names', 'apb_pclk')
}

function addPcie(root: FdtNode): void {
  const interruptMap: number[] = []
  for (let slot = 0; slot < 4; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      interruptMap.push(slot << 11, 0, 0, pin + 1, GIC, 0, 0, SPI, 3 + ((slot + pin) % 4), LEVEL_HIGH)
    }
  }
  root
    .add('pcie@10000000')
    .set('compatible', 'pci-host-ecam-generic')
    .set('device_type', 'pci')
    .set('#address-cells', [3])
    .set('#size-cells', [2])
    .set('linux,pci-domain', [0])
    .set('bus-range', [0, 0xff])
    .set('dma-coherent', undefined)
    .set('msi-map', [0, V2M, 0, 0x1_0000])
    .set('reg', range(0x40_1000_0000, 0x1000_0000))
    .set('ranges', [
      PCI_IO,
      0,
      0,
      ...range(0x3eff_0000, 0x1_0000),
      PCI_MEMORY,
      0,
      0x1000_0000,
      ...range(0x1000_0000, 0x2eff_0000),
      PCI_MEMORY_64,
      0x80,
      0,
      ...range(0x80_0000_0000, 0x80_0000_0000),
    ])
    .set('#interrupt-cells', [1])
    .set('interrupt-map', interruptMap)
    .set('interrupt-map-mask', [0x1800, 0, 0, 7])
}

function addGpio(root: FdtNode): void {
  root
    .add('pl061@9030000')
    .set('reg', range(0x0903_0000, 0x1000))
    .set('compatible', ['arm,pl061', 'arm,primecell'])
    .set('#gpio-cells', [2])
    .set('gpio-controller', undefined)
    .set('interrupts', [SPI, 7, LEVEL_HIGH])
    .set('clocks', [CLOCK])
    .set('clock-names', 'apb_pclk')
    .set('phandle', [GPIO])
  const keys = root.add('gpio-keys').set('compatible', 'gpio-keys')
  keys.add('poweroff').set('label', 'GPIO Key Poweroff').set('linux,code', [116]).set('gpios', [GPIO, 3, 0])
}

function addMemory(root: FdtNode, ramBytes: number): void {
  root.add('memory@40000000').set('device_type', 'memory').set('reg', range(0x4000_0000, ramBytes))
}

function addChosen(chosen: FdtNode, { append, initrd }: DeviceTreeOptions): void {
  if (append) chosen.set('bootargs', append)
  if (initrd) chosen.set('linux,initrd-start', [initrd.start]).set('linux,initrd-end', [initrd.end])
}

function addPsci(root: FdtNode, virtualization: boolean): void {
  root
    .add('psci')
    .set('compatible', ['arm,psci-1.0', 'arm,psci-0.2', 'arm,psci'])
    .set('method', virtualization ? 'smc' : 'hvc')
    .set('cpu_suspend', [0xc400_0001])
    .set('cpu_off', [0x8400_0002])
    .set('cpu_on', [0xc400_0003])
    .set('migrate', [0xc400_0005])
}

/**
 * A device tree from a file, amended as QEMU does it for `-dtb`: memory, PSCI, command line and initial RAM disk become the machine's.
 *
 * @returns a blob of twice the file's size and 20,000 bytes.
 * @throws {LoadError} if the file is no device tree, or one whose root has other than two cells of address and size.
 */
export function amendDeviceTree(file: Uint8Array, name: string, options: DeviceTreeOptions): Uint8Array<ArrayBuffer> {
  if (file.length === 0) throw new LoadError(name, 'is empty')
  try {
    const tree = new Fdt((file.length + 10_000) * 2, file)
    const { root } = tree
    const cells = [tree.cell(root, '#address-cells'), tree.cell(root, '#size-cells')]
    if (cells[0] !== 2 || cells[1] !== 2) {
      throw new FdtError(`its root has #address-cells ${cells[0]} and #size-cells ${cells[1]}: give 2 and 2`)
    }
    for (const [node, at] of tree.topNodes()) if (/^memory(@|$)/.test(node)) tree.removeNode(at)
    addMemory(root, options.ramBytes)
    addChosen(tree.topNodes().get('chosen') ?? root.add('chosen'), options)
    const psci = tree.topNodes().get('psci')
    if (psci) tree.removeNode(psci)
    addPsci(root, options.virtualization)
    return tree.finish()
  } catch (error) {
    if (error instanceof FdtError) throw new LoadError(name, `is not a device tree to be used here: ${error.message}`)
    throw error
  }
}
