/**
 * Readable names for Rust's symbols, v0 mangling (RFC 2603): `_RNvNtCs…_4kaal4boot8describe` is `kaal::boot::describe`.
 *
 * Hashes of crates, lifetimes and the values of constants are left out. Whatever cannot be read stays as it is.
 */

const BASIC: Readonly<Record<string, string>> = {
  a: 'i8',
  b: 'bool',
  c: 'char',
  d: 'f64',
  e: 'str',
  f: 'f32',
  h: 'u8',
  i: 'isize',
  j: 'usize',
  l: 'i32',
  m: 'u32',
  n: 'i128',
  o: 'u128',
  s: 'i16',
  t: 'u16',
  u: '()',
  v: '...',
  x: 'i64',
  y: 'u64',
  z: '!',
  p: '_',
}

class Unreadable extends Error {}

const known = new Map<string, string>()

/** A symbol's name as its source has it. */
export function demangle(name: string): string {
  let text = known.get(name)
  if (text === undefined) {
    text = name
    if (name.startsWith('_R')) {
      try {
        text = new Reader(name.slice(2)).path()
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error
      }
    }
    known.set(name, text)
  }
  return text
}

/** Reads one mangled name from left to right. */
class Reader {
  private at = 0
  private readonly text: string
  /** Back references can multiply: a limit on what one name may cost. */
  private work = 0

  constructor(text: string) {
    this.text = text
  }

  path(): string {
    if (++this.work > 500) throw new Unreadable()
    switch (this.take()) {
      case 'C':
        return this.identifier()
      case 'N': {
        const space = this.take()
        const outer = this.path()
        const inner = this.identifier()
        // Upper-case namespaces are compilers' inventions: closures and shims.
        if (space === 'C') return `${outer}::{closure${inner && `:${inner}`}}`
        return inner === '' ? outer : `${outer}::${inner}`
      }
      case 'M': {
        this.implPath()
        return `<${this.type()}>`
      }
      case 'X': {
        this.implPath()
        return `<${this.type()} as ${this.path()}>`
      }
      case 'Y':
        return `<${this.type()} as ${this.path()}>`
      case 'I':
        return `${this.path()}::<${this.list(() => this.argument()).join(', ')}>`
      case 'B':
        return this.back(() => this.path())
      default:
        throw new Unreadable()
    }
  }

  private implPath(): void {
    this.disambiguator()
    this.path()
  }

  private argument(): string {
    if (this.skip('L')) {
      this.base62()
      return "'_"
    }
    return this.skip('K') ? this.constant() : this.type()
  }

  private type(): string {
    if (++this.work > 500) throw new Unreadable()
    const letter = this.take()
    const basic = BASIC[letter]
    if (basic !== undefined) return basic
    switch (letter) {
      case 'R':
      case 'Q':
        if (this.skip('L')) this.base62()
        return `&${letter === 'Q' ? 'mut ' : ''}${this.type()}`
      case 'P':
        return `*const ${this.type()}`
      case 'O':
        return `*mut ${this.type()}`
      case 'A':
        return `[${this.type()}; ${this.constant()}]`
      case 'S':
        return `[${this.type()}]`
      case 'T':
        return `(${this.list(() => this.type()).join(', ')})`
      case 'F':
        return this.functionType()
      case 'D':
        return this.traitObject()
      case 'B':
        return this.back(() => this.type())
      default:
        this.at--
        return this.path()
    }
  }

  private functionType(): string {
    if (this.skip('G')) this.base62()
    const unsafe = this.skip('U') ? 'unsafe ' : ''
    let abi = ''
    if (this.skip('K')) abi = this.skip('C') ? 'extern "C" ' : `extern "${this.plain()}" `
    const parameters = this.list(() => this.type()).join(', ')
    const result = this.type()
    return `${unsafe}${abi}fn(${parameters})${result === '()' ? '' : ` -> ${result}`}`
  }

  private traitObject(): string {
    if (this.skip('G')) this.base62()
    const traits = this.list(() => {
      let trait = this.path()
      while (this.skip('p')) trait += `<${this.plain()} = ${this.type()}>`
      return trait
    })
    if (this.skip('L')) this.base62()
    return `dyn ${traits.join(' + ')}`
  }

  private constant(): string {
    if (this.skip('B')) return this.back(() => this.constant())
    if (this.skip('p')) return '_'
    this.take()
    const end = this.text.indexOf('_', this.at)
    if (end < 0) throw new Unreadable()
    const digits = this.text.slice(this.at, end)
    this.at = end + 1
    return /^n?[0-9a-f]{1,8}$/.test(digits) ? String(Number.parseInt(digits.replace('n', '-'), 16)) : `0x${digits}`
  }

  private identifier(): string {
    this.disambiguator()
    return this.plain()
  }

  /** An identifier without disambiguator. */
  private plain(): string {
    const digits = /^u?(0|[1-9]\d*)_?/.exec(this.text.slice(this.at))
    if (!digits) throw new Unreadable()
    const start = this.at + digits[0].length
    const length = Number(digits[1])
    if (start + length > this.text.length) throw new Unreadable()
    this.at = start + length
    return this.text.slice(start, this.at)
  }

  private disambiguator(): void {
    if (this.skip('s')) this.base62()
  }

  private list(item: () => string): string[] {
    const items: string[] = []
    while (!this.skip('E')) items.push(item())
    return items
  }

  private back(read: () => string): string {
    const target = this.base62()
    const resume = this.at
    if (target >= resume) throw new Unreadable()
    this.at = target
    const text = read()
    this.at = resume
    return text
  }

  /** `_` is 0, `0_` is 1, and so on. */
  private base62(): number {
    const end = this.text.indexOf('_', this.at)
    if (end < 0) throw new Unreadable()
    let value = 0
    for (const digit of this.text.slice(this.at, end)) {
      const code = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'.indexOf(digit)
      if (code < 0) throw new Unreadable()
      value = value * 62 + code
    }
    const empty = end === this.at
    this.at = end + 1
    return empty ? 0 : value + 1
  }

  private take(): string {
    if (this.at >= this.text.length) throw new Unreadable()
    return this.text[this.at++]
  }

  private skip(letter: string): boolean {
    if (this.text[this.at] !== letter) return false
    this.at++
    return true
  }
}
