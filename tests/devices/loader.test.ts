/** Boot: what goes where (places and hashes seen on QEMU 7.2), and what is said of files that cannot be loaded. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MachineMemory } from '../../cpu/machine-memory.js'
import { deviceTree } from '../../devices/device-tree.js'
import { type BootFiles, type BootOptions, loadBoot, planBoot } from '../../devices/loader/boot.js'
import { readElf } from '../../devices/loader/elf.js'
import { readImage } from '../../devices/loader/image.js'
import { LoadError } from '../../devices/loader/load-error.js'

const MIB = 2 ** 20
const options: BootOptions = { ramBytes: 512 * MIB, virtualization: false }

interface Segment {
  paddr: bigint
  vaddr?: bigint
  data?: Uint8Array
  memorySize?: bigint
  flags?: number
  type?: number
}

/** Builds an executable. `symbols` are [name, address, size, info]. */
function elf(
  segments: Segment[],
  { entry = 0x4020_0000n, symbols = [] as [string, bigint, bigint, number][], nested = new Uint8Array(0) } = {},
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(0x1000 + nested.length)
  const view = new DataView(bytes.buffer)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setUint16(16, 2, true)
  view.setUint16(18, 183, true)
  view.setBigUint64(24, entry, true)
  view.setBigUint64(32, 64n, true)
  view.setUint16(54, 56, true)
  view.setUint16(56, segments.length, true)
  let at = 0x400
  segments.forEach(
    ({ paddr, vaddr = paddr, data = new Uint8Array(16).fill(1), memorySize, flags = 5, type = 1 }, i) => {
      const header = 64 + i * 56
      view.setUint32(header, type, true)
      view.setUint32(header + 4, flags, true)
      view.setBigUint64(header + 8, BigInt(at), true)
      view.setBigUint64(header + 16, vaddr, true)
      view.setBigUint64(header + 24, paddr, true)
      view.setBigUint64(header + 32, BigInt(data.length), true)
      view.setBigUint64(header + 40, memorySize ?? BigInt(data.length), true)
      bytes.set(data, at)
      at += data.length
    },
  )
  const table = 0x800
  const strings = 0xa00
  let name = 1
  symbols.forEach(([text, address, size, info], i) => {
    const symbol = table + i * 24
    view.setUint32(symbol, name, true)
    bytes[symbol + 4] = info
    view.setUint16(symbol + 6, 1, true)
    view.setBigUint64(symbol + 8, address, true)
    view.setBigUint64(symbol + 16, size, true)
    bytes.set(new TextEncoder().encode(text), strings + name)
    name += text.length + 1
  })
  view.setBigUint64(40, 0xe00n, true)
  view.setUint16(58, 64, true)
  view.setUint16(60, 3, true)
  view.setUint16(62, 1, true)
  const section = (i: number, type: number, offset: number, size: number, link: number): void => {
    view.setUint32(0xe00 + i * 64 + 4, type, true)
    view.setBigUint64(0xe00 + i * 64 + 24, BigInt(offset), true)
    view.setBigUint64(0xe00 + i * 64 + 32, BigInt(size), true)
    view.setUint32(0xe00 + i * 64 + 40, link, true)
  }
  section(0, 2, table, symbols.length * 24, 1)
  bytes.set(new TextEncoder().encode('.symbols.inner'), strings + name)
  view.setUint32(0xe00 + 2 * 64, name, true)
  section(1, 3, strings, name + 15, 0)
  section(2, 1, 0x1000, nested.length, 0)
  bytes.set(nested, 0x1000)
  return bytes
}

/** An arm64 Image of 64 bytes. */
function image(textOffset: bigint, imageSize: bigint, flags = 0n): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(64)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(8, textOffset, true)
  view.setBigUint64(16, imageSize, true)
  view.setBigUint64(24, flags, true)
  bytes.set([0x41, 0x52, 0x4d, 0x64], 56)
  return bytes
}

const kernel = (bytes: Uint8Array, name = 'kernel'): BootFiles => ({ kernel: { name, bytes } })
const places = (files: BootFiles, how = options): string =>
  planBoot(files, how)
    .placements.map(({ address, bytes }) => `${address.toString(16)}+${bytes.length.toString(16)}`)
    .join(' ')
const initrd = { name: 'initrd', bytes: new Uint8Array(6) }
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('where QEMU puts things', () => {
  test.each<[string, Uint8Array, boolean, string]>([
    ['Image without an offset', image(0n, 0x60_0000n), false, '40000000+28 40200000+40 48000000+100000'],
    ['with an initial RAM disk', image(0n, 0x60_0000n), true, '40000000+28 40200000+40 48000000+6 48200000+100000'],
    ['Image of 144 MiB', image(0x8_0000n, 0x900_0001n), true, '40000000+28 40080000+40 49081000+6 49200000+100000'],
    ['Image with an odd offset', image(0xfffn, 0x100n), true, '40000000+28 40200fff+40 48000000+6 48200000+100000'],
    ['Image before Linux 3.17', image(0n, 0n), true, '40000000+28 40080000+40 48000000+6 48200000+100000'],
    ['plain binary', new Uint8Array(1200), true, '40000000+28 40080000+4b0 48000000+6 48200000+100000'],
    ['ELF', elf([{ paddr: 0x4020_0000n }]), false, '40000000+100000 40200000+10'],
    ['ELF right above the device tree', elf([{ paddr: 0x4010_0000n }]), false, '40000000+100000 40100000+10'],
    ['ELF that leaves it no room', elf([{ paddr: 0x4008_0000n }]), false, '40080000+10'],
    ['ELF at the start of RAM', elf([{ paddr: 0x4000_0000n }]), false, '40000000+10'],
  ])('%s', (_name, bytes, disk, expected) => {
    expect(places({ ...kernel(bytes), ...(disk && { initrd }) })).toBe(expected)
  })

  test('small RAM: the initial RAM disk half-way up', () => {
    const files = { ...kernel(image(0n, 0x60_0000n)), initrd }
    expect(places(files, { ...options, ramBytes: 64 * MIB })).toBe('40000000+28 40200000+40 42000000+6 42200000+100000')
  })

  test('the boot stub', () => {
    const { entry, placements } = planBoot(kernel(image(0n, 0x60_0000n)), options)
    const words = [...new Uint32Array(placements[0].bytes.slice().buffer)].map((word) => word.toString(16))
    expect(entry).toBe(0x4000_0000n)
    const code = ['580000c0', 'aa1f03e1', 'aa1f03e2', 'aa1f03e3', '58000084', 'd61f0080']
    expect(words).toEqual([...code, '48000000', '0', '40200000', '0'])
  })

  test('an ELF kernel without room below it finds the device tree nowhere, at the start of RAM in flash', () => {
    const low = planBoot(kernel(elf([{ paddr: 0x4008_0000n }])), options)
    expect([low.dtbAddress, low.flash, low.warnings.length]).toEqual([undefined, undefined, 1])
    expect(low.warnings[0]).toContain('no device tree')
    const lowest = planBoot(kernel(elf([{ paddr: 0x4000_0000n }])), options)
    expect([lowest.dtbAddress, lowest.flash?.length]).toEqual([0, MIB])
  })

  test('an ELF kernel gets no initial RAM disk, and that is said', () => {
    const { placements, warnings } = planBoot({ ...kernel(elf([{ paddr: 0x4020_0000n }])), initrd }, options)
    expect([placements.length, warnings.length]).toEqual([2, 1])
  })

  test('loadBoot() writes it into RAM', () => {
    const memory = new MachineMemory(16 * MIB)
    loadBoot(planBoot(kernel(elf([{ paddr: 0x4020_0000n }])), { ...options, ramBytes: 16 * MIB }), memory)
    expect([...memory.ram.subarray(0, 4), ...memory.ram.subarray(0x20_000f, 0x20_0011)]).toEqual([
      0xd0, 0x0d, 0xfe, 0xed, 1, 0,
    ])
  })
})

/**
 * SHA-256 of what `-machine virt,gic-version=2,dtb-randomness=off[,virtualization=on],dumpdtb=F -cpu cortex-a53 -net none` writes, or
 * of the blob in guest RAM (monitor: pmemsave) where a kernel, `-append` or `-initrd` (6 bytes) was given. `virt.dtb` is
 * `dtc -O dtb` of a decompiled first one.
 */
describe('the device tree is QEMU’s, byte for byte', () => {
  const start = (address: number): { start: number; end: number } => ({ start: address, end: address + 6 })
  test.each<[string, Parameters<typeof deviceTree>[0], string]>([
    [
      '512M',
      { ramBytes: 512 * MIB, virtualization: false },
      'c42d7014af30a8fdab6151301a7b244b645292e9a8d94d5a4f2adbc23047d2c6',
    ],
    [
      'virtualization=on',
      { ramBytes: 512 * MIB, virtualization: true },
      '835c3d68acee1184c4ad01f1d6df36417558f7253be4e2d8ab037ddb9611cf64',
    ],
    [
      '-append, -initrd',
      { ...options, append: 'foo', initrd: start(0x4800_0000) },
      'cf867043a8d83867100a260387791c127e637ab8301e6a26df17e22e50ecee11',
    ],
    [
      '64M, virtualization=on, -initrd',
      { ramBytes: 64 * MIB, virtualization: true, initrd: start(0x4200_0000) },
      '1e7faa0d2d470fc93c83d075390eb152702efe61d6f28cf214dc4da3022be89c',
    ],
    [
      '3G, -append',
      { ramBytes: 3072 * MIB, virtualization: false, append: 'console=ttyAMA0 root=/dev/vda rw' },
      '8c77c0c6b3d36e2ffb0330e0f3e552736408b7d3092aa5523b877552c217fd7a',
    ],
    [
      '16M',
      { ramBytes: 16 * MIB, virtualization: false, append: '' },
      'af5aa5605688a529ddb78268a5b190e104f215b1fcf41a71cc9fa6a8d20a9ccc',
    ],
  ])('%s', (_name, how, hash) => {
    expect(sha256(deviceTree(how))).toBe(hash)
  })

  const dtb = { name: 'virt.dtb', bytes: new Uint8Array(readFileSync(new URL('virt.dtb', import.meta.url))) }
  const long = 'a much longer command line than the one that this tree has got already'
  test.each<[string, Uint8Array, BootOptions, boolean, string]>([
    [
      '-dtb, ELF',
      elf([{ paddr: 0x4020_0000n }]),
      { ...options, ramBytes: 64 * MIB, append: 'x=1' },
      false,
      'cffea45e85ee3052c38e2da7ef92b3b5c05f4069874def6f6c959e9be12b4b44',
    ],
    [
      '-dtb, Image, virtualization=on',
      image(0n, 1n),
      { ramBytes: 64 * MIB, virtualization: true },
      true,
      '1a3a37aebdbd55f30248aa8c0fab9bb756e8e274f8ead69ee9e68c2e6da9091d',
    ],
    [
      '-dtb, Image, -append',
      image(0n, 1n),
      { ...options, ramBytes: 64 * MIB, append: long },
      true,
      'cd280e7e688d26d200da5e261f51c7a8183910109ceadf70d12901e95dd6189f',
    ],
  ])('%s', (_name, bytes, how, disk, hash) => {
    const plan = planBoot({ ...kernel(bytes), dtb, ...(disk && { initrd }) }, how)
    const tree = plan.placements.find(({ address }) => address === plan.dtbAddress)
    expect(sha256(tree?.bytes ?? new Uint8Array())).toBe(hash)
  })

  test('a device tree that is none is refused', () => {
    const boot = (bytes: Uint8Array) => () =>
      planBoot({ ...kernel(image(0n, 1n)), dtb: { name: 'x.dtb', bytes } }, options)
    expect(boot(new Uint8Array(0))).toThrow('x.dtb: is empty')
    expect(boot(new Uint8Array(10))).toThrow('x.dtb: is not a device tree to be used here: it has 10 bytes')
    expect(boot(new Uint8Array(100))).toThrow('its magic is 0x0')
    expect(boot(dtb.bytes.subarray(0, 1000))).toThrow('the file has 1000 bytes')
  })

  test('damaged device trees give a LoadError or a tree, never anything else', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(dtb.bytes.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
        const bytes = dtb.bytes.slice()
        for (const [at, value] of changes) bytes[at] = value
        expectLoadErrorOrNothing(() => planBoot({ ...kernel(image(0n, 1n)), dtb: { name: 'x', bytes } }, options))
      }),
      { numRuns: 300 },
    )
  })
})

function expectLoadErrorOrNothing(run: () => unknown): void {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(LoadError)
  }
}

describe('ELF', () => {
  test('an entry point in virtual addresses is put through its segment', () => {
    const high = 0xffff_0000_0020_0000n
    const file = elf([{ paddr: 0x4020_0000n, vaddr: high }], { entry: high + 8n })
    expect(readElf(file, 'k').entry).toBe(0x4020_0008n)
  })

  test('segments are sorted, empty ones left out, bss kept', () => {
    const file = elf([
      { paddr: 0x4030_0000n, data: new Uint8Array(0), memorySize: 0x100n },
      { paddr: 0x4020_0000n },
      { paddr: 0n, data: new Uint8Array(0) },
    ])
    const { segments } = readElf(file, 'k')
    expect(segments.map(({ paddr, memorySize }) => [paddr, memorySize])).toEqual([
      [0x4020_0000, 16],
      [0x4030_0000, 0x100],
    ])
  })

  const good = (): Uint8Array<ArrayBuffer> => elf([{ paddr: 0x4020_0000n }])
  const changed = (at: number, ...values: number[]): Uint8Array => {
    const bytes = good()
    bytes.set(values, at)
    return bytes
  }
  test.each<[string, Uint8Array, string]>([
    ['empty', new Uint8Array(0), 'kernel: is empty'],
    ['truncated header', good().subarray(0, 40), 'is cut short: 40 bytes, an ELF header has 64'],
    ['truncated program headers', good().subarray(0, 100), 'is cut short: program headers end at 0x78'],
    ['truncated segment', good().subarray(0, 0x408), 'is cut short: segment 0 ends at 0x410, the file at 0x408'],
    ['x86-64', changed(18, 62, 0), 'is built for x86-64 (e_machine 62): give an AArch64 kernel'],
    ['RISC-V', changed(18, 243, 0), 'is built for RISC-V (e_machine 243)'],
    ['unknown machine', changed(18, 0xff, 0xff), 'is built for an unknown architecture (e_machine 65535)'],
    [
      '32-bit Arm',
      changed(4, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 40),
      'is built for Arm (32-bit) (e_machine 40)',
    ],
    ['32-bit', changed(4, 1), 'is not a 64-bit ELF file (EI_CLASS 1)'],
    ['big-endian', changed(5, 2), 'is big-endian (EI_DATA 2)'],
    ['object file', changed(16, 1, 0), 'is not an executable but a relocatable object (e_type 1): link it first'],
    ['nothing to load', elf([{ paddr: 0n, type: 4 }]), 'has nothing to load'],
    ['dynamically linked', elf([{ paddr: 0x4020_0000n }, { paddr: 0n, type: 3 }]), 'is dynamically linked (PT_INTERP)'],
    ['file part above memory', elf([{ paddr: 0x4020_0000n, memorySize: 8n }]), 'has p_filesz 0x10 above p_memsz 0x8'],
    [
      'overlap',
      elf([{ paddr: 0x4020_0000n, memorySize: 0x20n }, { paddr: 0x4020_0010n }]),
      'segments at 0x40200000 (p_memsz 0x20) and 0x40200010 overlap',
    ],
    [
      'below RAM',
      elf([{ paddr: 0x8_0000n }]),
      'segment at 0x80000 to 0x8000f lies outside RAM, 0x40000000 to 0x5fffffff: link it there',
    ],
    ['above RAM', elf([{ paddr: 0x5fff_fff8n }]), 'segment at 0x5ffffff8 to 0x60000007 lies outside RAM'],
    ['far above', elf([{ paddr: 0xffff_ffff_ffff_fff0n }]), 'beyond 40-bit physical addresses'],
  ])('%s', (_name, bytes, message) => {
    const boot = () => planBoot(kernel(bytes), options)
    expect(boot).toThrow(LoadError)
    expect(boot).toThrow(message)
  })

  test('any bytes behind the magic give a LoadError or an image', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), fc.boolean(), (bytes, head) => {
        if (head) bytes.set(good().subarray(0, Math.min(64, bytes.length)))
        expectLoadErrorOrNothing(() => readElf(bytes, 'k'))
        expectLoadErrorOrNothing(() => readImage(bytes, 'k'))
        expectLoadErrorOrNothing(() => planBoot(kernel(bytes), options))
      }),
    )
  })

  test('any few bytes changed give a LoadError or an image', () => {
    const whole = elf([{ paddr: 0x4020_0000n }, { paddr: 0x4030_0000n }], {
      symbols: [['main', 0x4020_0000n, 8n, 0x12]],
    })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
        const bytes = whole.slice()
        for (const [at, value] of changes) bytes[at] = value
        expectLoadErrorOrNothing(() => planBoot(kernel(bytes), options))
      }),
      { numRuns: 500 },
    )
  })
})

test('a segment of zeros may have any offset', () => {
  const bytes = elf([{ paddr: 0x4020_0000n }, { paddr: 0x4030_0000n, data: new Uint8Array(0), memorySize: 0x1000n }])
  new DataView(bytes.buffer).setBigUint64(64 + 56 + 8, 0xffe8n, true)
  expect(readElf(bytes, 'k').segments.map(({ memorySize }) => memorySize)).toEqual([16, 0x1000])
})

describe('symbols', () => {
  const { symbols } = readElf(
    elf([{ paddr: 0x4020_0000n }], {
      symbols: [
        ['$x', 0x4020_0000n, 0n, 0],
        ['label', 0x4020_0000n, 0n, 0x10],
        ['main', 0x4020_0000n, 0x20n, 0x12],
        ['vectors', 0x4020_0800n, 0n, 0x10],
      ],
    }),
    'k',
  )
  test.each<[bigint, string | undefined]>([
    [0x401f_ffffn, undefined],
    [0x4020_0000n, 'main'],
    [0x4020_0010n, 'main+0x10'],
    [0x4020_0020n, undefined],
    [0x4020_0880n, 'vectors+0x80'],
  ])('0x%s', (address, text) => {
    expect(symbols.describe(address)).toBe(text)
  })

  test('by name', () => {
    expect([symbols.addressOf('vectors'), symbols.addressOf('$x')]).toEqual([0x4020_0800n, undefined])
  })

  test('of an executable within the executable', () => {
    const inner = elf([], { symbols: [['inner_main', 0xffff_0000_4030_0000n, 0x20n, 0x12]] })
    const own: [string, bigint, bigint, number] = ['loader', 0x4020_0000n, 0x20n, 0x12]
    const both = readElf(elf([{ paddr: 0x4020_0000n }], { symbols: [own], nested: inner }), 'k').symbols
    expect(both.describe(0x4020_0004n)).toBe('loader+0x4')
    expect(both.describe(0xffff_0000_4030_0008n)).toBe('inner_main+0x8')
    const garbage = elf([{ paddr: 0x4020_0000n }], { symbols: [own], nested: Uint8Array.of(1, 2, 3) })
    expect(readElf(garbage, 'k').symbols.all.length).toBe(1)
  })
})

describe('Image', () => {
  const gzip = Uint8Array.of(0x1f, 0x8b, 8, 0)
  test.each<[string, BootFiles, string]>([
    ['empty', kernel(new Uint8Array(0)), 'kernel: is empty'],
    ['cut short', kernel(image(0n, 1n).subarray(0, 60)), 'kernel: is cut short: 60 bytes, an Image header has 64'],
    ['big-endian', kernel(image(0n, 1n, 1n)), 'kernel: is a big-endian kernel'],
    ['gzip', kernel(gzip), 'kernel: is compressed with gzip: unpack it first'],
    [
      'damaged sizes',
      kernel(image(0n, 2n ** 63n)),
      'kernel: has a text_offset of 0x0 and an image_size of 0x8000000000000000',
    ],
    [
      'too large',
      kernel(image(0n, 0x3000_0000n)),
      'needs RAM up to 0x70200000, there is RAM up to 0x60000000: give more with -m',
    ],
    ['empty initrd', { ...kernel(image(0n, 1n)), initrd: { name: 'i', bytes: new Uint8Array(0) } }, 'i: is empty'],
    ['no room for the tree', kernel(image(0n, 0x1fd0_0000n)), 'kernel: leaves no room for the device tree'],
  ])('%s', (_name, files, message) => {
    expect(() => planBoot(files, options)).toThrow(message)
  })

  test('an initial RAM disk that does not fit', () => {
    const files = { ...kernel(image(0n, 1n)), initrd: { name: 'disk', bytes: new Uint8Array(9 * MIB) } }
    const boot = () => planBoot(files, { ...options, ramBytes: 16 * MIB })
    expect(boot).toThrow('disk: of 9437184 bytes is too large: RAM has 8388608 behind 0x40800000')
  })
})
