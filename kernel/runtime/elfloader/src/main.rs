//! The elfloader: copies the kernel and the root task, which it brings along as ELF files, to their places in physical
//! memory, and starts the kernel. Runs with the MMU off, at the exception level it was entered at.
#![no_std]
#![no_main]

mod report;

use kaal_elf::{Elf, ElfError, Segment};

/// A file whose bytes begin at a multiple of a page, as its segments' bytes do in it.
#[repr(C, align(4096))]
struct Aligned<T: ?Sized>(T);

static KERNEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("KAAL_PROGRAMS"), "/kaal")));
static ROOT_TASK: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("KAAL_PROGRAMS"), "/kaal-root-task")));

const PAGE: u64 = 4096;
/// Where RAM begins, and an ELF file that is booted without x0 finds the device tree.
const RAM: u64 = 0x4000_0000;
/// The first word of a device tree, as read from memory.
const TREE_MAGIC: u32 = 0xd00d_feed_u32.swap_bytes();

core::arch::global_asm!(include_str!("start.S"));

unsafe extern "C" {
    static __loader_start: u8;
    static __loader_end: u8;
    fn copy(to: u64, from: *const u8, bytes: u64);
    fn clear(from: u64, bytes: u64);
    fn flush(from: u64, to: u64);
    fn forget(from: u64, to: u64);
    fn enter(tree: u64, start: u64, end: u64, entry: u64, offset: u64, kernel: u64) -> !;
}

/// Why nothing was started.
enum Failure {
    /// A file is no program.
    Elf(&'static str, ElfError),
    /// A place is taken already: by what.
    Taken(&'static str, &'static str),
    /// The pages of a file's segments are not apart from each other.
    Shared(&'static str),
}

/// Addresses from `.0` up to, but without, `.1`.
type Span = (u64, u64);

fn overlap(a: Span, b: Span) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// The pages that a span touches.
fn pages(span: Span) -> Span {
    (span.0 & !(PAGE - 1), span.1.next_multiple_of(PAGE))
}

/// Where the device tree is, should there be one at `tree`.
fn tree_span(tree: u64) -> Span {
    let at = if tree == 0 { RAM } else { tree };
    if !at.is_multiple_of(8) {
        return (at, at);
    }
    // SAFETY: x0 is a device tree's address or nothing that the boot protocol knows; both words are RAM's.
    let [magic, size] =
        unsafe { [(at as *const u32).read_volatile(), (at as *const u32).add(1).read_volatile()] };
    if magic == TREE_MAGIC { (at, at + u64::from(size.swap_bytes())) } else { (at, at) }
}

/// Checks that nothing that is still needed lies in `place`.
fn check_free(name: &'static str, place: Span, tree: Span) -> Result<(), Failure> {
    let own = (&raw const __loader_start as u64, &raw const __loader_end as u64);
    if overlap(place, own) {
        return Err(Failure::Taken(name, "the elfloader"));
    }
    if overlap(place, tree) {
        return Err(Failure::Taken(name, "the device tree"));
    }
    Ok(())
}

/// No two segments may have bytes in one page: pages have one kind of rights, and `put` fills whole ones.
fn check_apart(name: &'static str, elf: &Elf, place: impl Fn(&Segment) -> u64) -> Result<(), Failure> {
    let span = |s: &Segment| pages((place(s), place(s) + s.size));
    for (n, segment) in elf.segments().enumerate() {
        if elf.segments().take(n).any(|s| overlap(span(&s), span(&segment))) {
            return Err(Failure::Shared(name));
        }
    }
    Ok(())
}

/// Copies segments to where `place` says they belong, and fills the rest of their pages with zeros.
fn put(elf: &Elf, place: impl Fn(&Segment) -> u64) {
    for segment in elf.segments() {
        let at = place(&segment);
        let data = segment.data.len() as u64;
        let (first, last) = pages((at, at + segment.size));
        // SAFETY: `check_free` found nothing there that is needed, and nobody knows of that memory yet.
        unsafe {
            flush(first, last);
            clear(first, at - first);
            copy(at, segment.data.as_ptr(), data);
            clear(at + data, last - (at + data));
            forget(first, last);
        }
    }
}

fn start(tree: u64) -> Result<core::convert::Infallible, Failure> {
    let kernel = Elf::parse(&KERNEL.0).map_err(|error| Failure::Elf("the kernel", error))?;
    let root = Elf::parse(&ROOT_TASK.0).map_err(|error| Failure::Elf("the root task", error))?;
    check_apart("the kernel", &kernel, |s| s.physical)?;
    check_apart("the root task", &root, |s| s.address)?;

    let kernel_place = pages(kernel.physical_span());
    let root_span = pages(root.span());
    let root_place = (kernel_place.1, kernel_place.1 + (root_span.1 - root_span.0));
    let tree_place = tree_span(tree);
    check_free("the kernel", kernel_place, tree_place)?;
    check_free("the root task", root_place, tree_place)?;

    let entry = kernel.segments().find(|s| kernel.entry().wrapping_sub(s.address) < s.size);
    let entry = entry.map_or(0, |s| kernel.entry() - s.address + s.physical);
    let offset = root_place.0.wrapping_sub(root_span.0);
    put(&kernel, |s| s.physical);
    put(&root, |s| s.address.wrapping_add(offset));
    // SAFETY: the kernel is in place, and its entry point takes these six.
    unsafe { enter(tree, root_place.0, root_place.1, root.entry(), offset, entry) }
}

/// Called by start.S with what x0 held.
#[unsafe(no_mangle)]
extern "C" fn load(tree: u64) -> ! {
    match start(tree) {
        Err(Failure::Elf(file, error)) => report::stop(&[file, " cannot be started: ", error.text()]),
        Err(Failure::Taken(file, by)) => report::stop(&[file, " has no place: ", by, " is there"]),
        Err(Failure::Shared(file)) => {
            report::stop(&[file, " cannot be started: two of its segments share a page"])
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    report::stop(&[info.message().as_str().unwrap_or("panicked")])
}
