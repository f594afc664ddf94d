//! Reader of flattened device trees (Devicetree Specification v0.4, chapter 5). Borrows the blob, copies nothing.
#![no_std]
#![forbid(unsafe_code)]

const MAGIC: u32 = 0xd00d_feed;
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;
const HEADER: usize = 40;
/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 16;

/// Why a blob is no device tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FdtError {
    /// It does not begin with 0xd00dfeed.
    BadMagic,
    /// It is shorter than its header says, or a block lies outside it.
    Truncated,
    /// Readers of version 17 cannot read it.
    Version,
    /// Tokens or nesting make no sense.
    Malformed,
}

/// A device tree.
#[derive(Clone, Copy)]
pub struct Fdt<'a> {
    blob: &'a [u8],
    structure: &'a [u8],
    strings: &'a [u8],
}

/// A node, with the cell counts its `reg` is read by.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    fdt: Fdt<'a>,
    /// Name with unit address, such as `memory@40000000`; the root's is empty.
    pub name: &'a str,
    /// 0 for the root.
    pub depth: usize,
    /// Where its properties start in the structure block.
    body: usize,
    address_cells: u32,
    size_cells: u32,
}

/// A property: name and raw value.
#[derive(Clone, Copy)]
pub struct Property<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value, big-endian cells or NUL-terminated strings.
    pub value: &'a [u8],
}

/// A span of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

fn cell(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn text(bytes: &[u8], at: usize) -> Option<&str> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|&b| b == 0)?;
    core::str::from_utf8(&rest[..end]).ok()
}

enum Token<'a> {
    Begin(&'a str),
    End,
    Property(Property<'a>),
    Finish,
}

impl<'a> Fdt<'a> {
    /// Bytes a header needs before [`Self::total_size`] can be told.
    pub const HEADER_SIZE: usize = HEADER;

    /// The size of the whole blob, from the first [`Self::HEADER_SIZE`] bytes of it.
    pub fn total_size(header: &[u8]) -> Result<usize, FdtError> {
        match (cell(header, 0), cell(header, 4)) {
            (Some(MAGIC), Some(size)) => Ok(size as usize),
            (Some(_), _) => Err(FdtError::BadMagic),
            _ => Err(FdtError::Truncated),
        }
    }

    /// Checks the header and the blocks it points at.
    pub fn new(bytes: &'a [u8]) -> Result<Self, FdtError> {
        let size = Self::total_size(bytes)?;
        let blob = bytes.get(..size).ok_or(FdtError::Truncated)?;
        if blob.len() < HEADER {
            return Err(FdtError::Truncated);
        }
        let field = |at| cell(blob, at).map(|v| v as usize).ok_or(FdtError::Truncated);
        if field(24)? > 17 || field(20)? < 17 {
            return Err(FdtError::Version);
        }
        let block = |offset: usize, size: usize| {
            offset.checked_add(size).and_then(|end| blob.get(offset..end)).ok_or(FdtError::Truncated)
        };
        let fdt =
            Fdt { blob, structure: block(field(8)?, field(36)?)?, strings: block(field(12)?, field(32)?)? };
        match fdt.token(0) {
            Some((Token::Begin(_), _)) => Ok(fdt),
            _ => Err(FdtError::Malformed),
        }
    }

    /// The whole blob.
    pub fn bytes(&self) -> &'a [u8] {
        self.blob
    }

    fn token(&self, mut at: usize) -> Option<(Token<'a>, usize)> {
        loop {
            let kind = cell(self.structure, at)?;
            at += 4;
            match kind {
                NOP => {}
                BEGIN_NODE => {
                    let name = text(self.structure, at)?;
                    return Some((Token::Begin(name), (at + name.len() + 1).next_multiple_of(4)));
                }
                END_NODE => return Some((Token::End, at)),
                PROP => {
                    let (size, name) =
                        (cell(self.structure, at)? as usize, cell(self.structure, at + 4)? as usize);
                    let value = self.structure.get(at + 8..(at + 8).checked_add(size)?)?;
                    let property = Property { name: text(self.strings, name)?, value };
                    return Some((Token::Property(property), (at + 8 + size).next_multiple_of(4)));
                }
                END => return Some((Token::Finish, at)),
                _ => return None,
            }
        }
    }

    /// Every node, parents before children. Ends early where the tree is malformed.
    pub fn nodes(&self) -> Nodes<'a> {
        Nodes { fdt: *self, at: 0, depth: 0, cells: [(2, 1); MAX_DEPTH] }
    }

    /// The node at an absolute path; a name without unit address matches the first node that has one.
    pub fn node(&self, path: &str) -> Option<Node<'a>> {
        let mut nodes = self.nodes();
        let mut current = nodes.next()?;
        for part in path.split('/').filter(|p| !p.is_empty()) {
            let depth = current.depth + 1;
            current = loop {
                let node = nodes.next()?;
                if node.depth < depth {
                    return None;
                }
                let bare = node.name.split('@').next().unwrap_or("");
                if node.depth == depth && (node.name == part || bare == part) {
                    break node;
                }
            };
        }
        Some(current)
    }

    /// The first node whose `compatible` lists this string.
    pub fn compatible(&self, wanted: &str) -> Option<Node<'a>> {
        self.nodes().find(|n| n.property("compatible").is_some_and(|p| p.strings().any(|s| s == wanted)))
    }

    /// The machine's name, the root's `model`.
    pub fn model(&self) -> Option<&'a str> {
        self.node("/")?.property("model")?.strings().next()
    }

    /// The kernel's command line, `/chosen/bootargs`.
    pub fn bootargs(&self) -> Option<&'a str> {
        self.node("/chosen")?.property("bootargs")?.strings().next()
    }

    /// All RAM: the `reg` of every node with `device_type = "memory"`.
    pub fn memory(&self) -> impl Iterator<Item = Region> + use<'a> {
        self.nodes()
            .filter(|n| n.property("device_type").is_some_and(|p| p.strings().next() == Some("memory")))
            .flat_map(|n| n.regions())
    }

    /// Memory that must be left alone: the reservation block and the children of `/reserved-memory`.
    pub fn reserved(&self) -> impl Iterator<Item = Region> + use<'a> {
        let blob = self.blob;
        let first = cell(blob, 16).map_or(usize::MAX, |v| v as usize);
        let block = (0..).map_while(move |i| {
            let at = first.checked_add(i * 16)?;
            let word = |at| Some(u64::from(cell(blob, at)?) << 32 | u64::from(cell(blob, at + 4)?));
            let region = Region { start: word(at)?, size: word(at + 8)? };
            (region.size != 0 || region.start != 0).then_some(region)
        });
        let mut inside = false;
        let nodes = self.nodes().filter(move |n| {
            if n.depth == 1 {
                inside = n.name == "reserved-memory";
            }
            inside && n.depth == 2
        });
        block.chain(nodes.flat_map(|n| n.regions()))
    }
}

/// Iterator over the nodes of a tree.
pub struct Nodes<'a> {
    fdt: Fdt<'a>,
    at: usize,
    depth: usize,
    /// `#address-cells` and `#size-cells` that each open node sets for its children.
    cells: [(u32, u32); MAX_DEPTH],
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        loop {
            let (token, next) = self.fdt.token(self.at)?;
            self.at = next;
            match token {
                Token::Begin(name) => {
                    let depth = self.depth;
                    if depth >= MAX_DEPTH {
                        return None;
                    }
                    let (address_cells, size_cells) = if depth == 0 { (2, 1) } else { self.cells[depth - 1] };
                    self.cells[depth] = (2, 1);
                    self.depth += 1;
                    return Some(Node { fdt: self.fdt, name, depth, body: next, address_cells, size_cells });
                }
                Token::Property(p) => {
                    let cells = &mut self.cells[self.depth.checked_sub(1)?];
                    match p.name {
                        "#address-cells" => cells.0 = p.u32()?,
                        "#size-cells" => cells.1 = p.u32()?,
                        _ => {}
                    }
                }
                Token::End => self.depth = self.depth.checked_sub(1)?,
                Token::Finish => return None,
            }
        }
    }
}

impl<'a> Node<'a> {
    /// Its own properties.
    pub fn properties(&self) -> impl Iterator<Item = Property<'a>> + use<'a> {
        let fdt = self.fdt;
        let mut at = self.body;
        core::iter::from_fn(move || match fdt.token(at)? {
            (Token::Property(p), next) => {
                at = next;
                Some(p)
            }
            _ => None,
        })
    }

    /// The property of this name.
    pub fn property(&self, name: &str) -> Option<Property<'a>> {
        self.properties().find(|p| p.name == name)
    }

    /// The spans in its `reg`, by its parent's cell counts.
    pub fn regions(&self) -> impl Iterator<Item = Region> + use<'a> {
        let value = self.property("reg").map_or(&[][..], |p| p.value);
        let (a, s) = (self.address_cells as usize, self.size_cells as usize);
        let number =
            |cells: &[u8]| cells.chunks(4).fold(0u64, |n, c| n << 32 | u64::from(cell(c, 0).unwrap_or(0)));
        // Cell counts above 2 would not fit 64 bits; a count of zero addresses yields nothing.
        let width = if a == 0 || a > 2 || s > 2 { usize::MAX } else { 4 * (a + s) };
        value
            .chunks_exact(width)
            .map(move |entry| Region { start: number(&entry[..4 * a]), size: number(&entry[4 * a..]) })
    }
}

impl<'a> Property<'a> {
    /// The value as one 32-bit cell.
    pub fn u32(&self) -> Option<u32> {
        if self.value.len() == 4 { cell(self.value, 0) } else { None }
    }

    /// Cell number `index` of the value.
    pub fn cell(&self, index: usize) -> Option<u32> {
        cell(self.value, index * 4)
    }

    /// The value as one number of one or two cells.
    pub fn number(&self) -> Option<u64> {
        match self.value.len() {
            4 => Some(u64::from(cell(self.value, 0)?)),
            8 => Some(u64::from(cell(self.value, 0)?) << 32 | u64::from(cell(self.value, 4)?)),
            _ => None,
        }
    }

    /// The value as a list of strings.
    pub fn strings(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.value.split(|&b| b == 0).filter(|s| !s.is_empty()).filter_map(|s| core::str::from_utf8(s).ok())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// Writes a small tree by hand: an independent check of the reader's idea of the format.
    #[derive(Default)]
    struct Writer {
        structure: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Writer {
        fn cell(&mut self, v: u32) {
            self.structure.extend(v.to_be_bytes());
        }
        fn pad(&mut self) {
            while !self.structure.len().is_multiple_of(4) {
                self.structure.push(0);
            }
        }
        fn begin(&mut self, name: &str) {
            self.cell(BEGIN_NODE);
            self.structure.extend(name.as_bytes());
            self.structure.push(0);
            self.pad();
        }
        fn end(&mut self) {
            self.cell(END_NODE);
        }
        fn prop(&mut self, name: &str, value: &[u8]) {
            self.cell(PROP);
            self.cell(value.len() as u32);
            self.cell(self.strings.len() as u32);
            self.strings.extend(name.as_bytes());
            self.strings.push(0);
            self.structure.extend(value);
            self.pad();
        }
        fn cells(&mut self, name: &str, cells: &[u32]) {
            let bytes: Vec<u8> = cells.iter().flat_map(|c| c.to_be_bytes()).collect();
            self.prop(name, &bytes);
        }
        fn finish(mut self, reserve: &[(u64, u64)]) -> Vec<u8> {
            self.cell(END);
            let mut rsv = Vec::new();
            for &(a, s) in reserve.iter().chain(&[(0, 0)]) {
                rsv.extend(a.to_be_bytes());
                rsv.extend(s.to_be_bytes());
            }
            let structure = HEADER + rsv.len();
            let strings = structure + self.structure.len();
            let total = strings + self.strings.len() + 24;
            let header = [
                MAGIC,
                total as u32,
                structure as u32,
                strings as u32,
                HEADER as u32,
                17,
                16,
                0,
                self.strings.len() as u32,
                self.structure.len() as u32,
            ];
            let mut out: Vec<u8> = header.iter().flat_map(|v| v.to_be_bytes()).collect();
            out.extend(rsv);
            out.extend(self.structure);
            out.extend(self.strings);
            out.resize(total, 0);
            out
        }
    }

    fn sample() -> Vec<u8> {
        let mut w = Writer::default();
        w.begin("");
        w.prop("model", b"linux,dummy-virt\0");
        w.cells("#address-cells", &[2]);
        w.cells("#size-cells", &[2]);
        w.begin("memory@40000000");
        w.cells("reg", &[0, 0x4000_0000, 0, 0x2000_0000, 1, 0, 0, 0x1000]);
        w.prop("device_type", b"memory\0");
        w.end();
        w.begin("bus@0");
        w.cells("#address-cells", &[1]);
        w.cell(NOP);
        w.cells("#size-cells", &[1]);
        w.begin("uart@10");
        w.prop("compatible", b"arm,pl011\0arm,primecell\0");
        w.cells("reg", &[0x10, 0x1000]);
        w.end();
        w.end();
        w.begin("reserved-memory");
        w.cells("#address-cells", &[2]);
        w.cells("#size-cells", &[2]);
        w.begin("keep@50000000");
        w.cells("reg", &[0, 0x5000_0000, 0, 0x2000]);
        w.end();
        w.end();
        w.begin("chosen");
        w.prop("bootargs", b"fault=null spin=3\0");
        w.cells("linux,initrd-start", &[0, 0x4800_0000]);
        w.end();
        w.end();
        w.finish(&[(0x4100_0000, 0x1000)])
    }

    #[test]
    fn reads_model_memory_and_arguments() {
        let blob = sample();
        let fdt = Fdt::new(&blob).unwrap();
        assert_eq!(fdt.model(), Some("linux,dummy-virt"));
        assert_eq!(fdt.bootargs(), Some("fault=null spin=3"));
        let memory: Vec<_> = fdt.memory().collect();
        assert_eq!(
            memory,
            [Region { start: 0x4000_0000, size: 0x2000_0000 }, Region { start: 1 << 32, size: 0x1000 }]
        );
        let reserved: Vec<_> = fdt.reserved().collect();
        assert_eq!(
            reserved,
            [Region { start: 0x4100_0000, size: 0x1000 }, Region { start: 0x5000_0000, size: 0x2000 }]
        );
    }

    #[test]
    fn finds_nodes_and_uses_the_parents_cells() {
        let blob = sample();
        let fdt = Fdt::new(&blob).unwrap();
        let uart = fdt.compatible("arm,primecell").unwrap();
        assert_eq!((uart.name, uart.depth), ("uart@10", 2));
        assert_eq!(uart.regions().next(), Some(Region { start: 0x10, size: 0x1000 }));
        assert_eq!(fdt.node("/bus/uart").unwrap().name, "uart@10");
        assert_eq!(fdt.node("/bus@0/uart@10").unwrap().name, "uart@10");
        assert!(fdt.node("/uart").is_none() && fdt.node("/chosen/uart").is_none());
        let start = fdt.node("/chosen").unwrap().property("linux,initrd-start").unwrap();
        assert_eq!(start.number(), Some(0x4800_0000));
        assert_eq!(fdt.nodes().count(), 7);
    }

    #[test]
    fn refuses_what_is_no_tree() {
        let blob = sample();
        assert_eq!(Fdt::new(&[0; 64]).err(), Some(FdtError::BadMagic));
        assert_eq!(Fdt::new(&blob[..blob.len() - 1]).err(), Some(FdtError::Truncated));
        assert_eq!(Fdt::new(&[]).err(), Some(FdtError::Truncated));
        let mut new = blob.clone();
        new[27] = 18;
        assert_eq!(Fdt::new(&new).err(), Some(FdtError::Version));
    }

    #[test]
    fn never_panics_on_damage() {
        let good = sample();
        for at in 0..good.len() {
            for value in [0, 1, 3, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                if let Ok(fdt) = Fdt::new(&bad) {
                    let _ =
                        (fdt.model(), fdt.bootargs(), fdt.memory().count(), fdt.reserved().take(99).count());
                    let _ = fdt.compatible("nobody");
                }
            }
        }
    }
}
