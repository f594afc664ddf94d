//! Bitmap allocator of physical 4 KiB frames: one bit a frame, set while the frame is in use.
#![no_std]
#![forbid(unsafe_code)]

/// Bytes in a frame.
pub const FRAME_SIZE: u64 = 4096;

/// Why a frame could not be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeError {
    /// The address is not a multiple of [`FRAME_SIZE`].
    Misaligned,
    /// The address lies outside the memory this allocator looks after.
    OutOfRange,
    /// The frame is free already: somebody frees it twice.
    NotAllocated,
}

/// Words of bitmap needed for `frames` frames.
pub const fn words_for(frames: usize) -> usize {
    frames.div_ceil(64)
}

/// Frames `base`, `base + 4096`, … of which each is free or in use.
pub struct FrameAllocator<'a> {
    base: u64,
    frames: usize,
    words: &'a mut [u64],
    free: usize,
    /// No word before this one has a free frame.
    hint: usize,
}

impl<'a> FrameAllocator<'a> {
    /// An allocator in which every frame is in use until [`Self::release_range`] says otherwise.
    ///
    /// `base` must be frame-aligned and `words` hold at least [`words_for`]`(frames)` words; panics otherwise.
    pub fn new(base: u64, frames: usize, words: &'a mut [u64]) -> Self {
        assert!(base.is_multiple_of(FRAME_SIZE), "frame allocator: base {base:#x} is not frame-aligned");
        assert!(words.len() >= words_for(frames), "frame allocator: bitmap too small for {frames} frames");
        words.fill(u64::MAX);
        Self { base, frames, words, free: 0, hint: words_for(frames) }
    }

    /// Frames that can be allocated now.
    pub fn free_frames(&self) -> usize {
        self.free
    }

    /// All frames, free or in use.
    pub fn total_frames(&self) -> usize {
        self.frames
    }

    fn index_of(&self, address: u64) -> Option<usize> {
        let index = (address.checked_sub(self.base)? / FRAME_SIZE) as usize;
        (index < self.frames).then_some(index)
    }

    fn address_of(&self, index: usize) -> u64 {
        self.base + index as u64 * FRAME_SIZE
    }

    /// Is the frame at `address` in use? `None` outside the range.
    pub fn is_used(&self, address: u64) -> Option<bool> {
        let index = self.index_of(address)?;
        Some(self.words[index / 64] >> (index % 64) & 1 != 0)
    }

    /// Calls `f(word, mask)` for each bitmap word that has bits of the frames `first..end`.
    fn for_words(first: usize, end: usize, mut f: impl FnMut(usize, u64)) {
        let mut index = first;
        while index < end {
            let bit = index % 64;
            let count = (64 - bit).min(end - index);
            let mask = if count == 64 { u64::MAX } else { ((1 << count) - 1) << bit };
            f(index / 64, mask);
            index += count;
        }
    }

    /// Frees every frame that lies wholly in `start..end` (clipped to the range looked after).
    pub fn release_range(&mut self, start: u64, end: u64) {
        let first = (start.saturating_sub(self.base)).div_ceil(FRAME_SIZE) as usize;
        let last = ((end.saturating_sub(self.base) / FRAME_SIZE) as usize).min(self.frames);
        let (words, free) = (&mut *self.words, &mut self.free);
        Self::for_words(first, last, |word, mask| {
            *free += (words[word] & mask).count_ones() as usize;
            words[word] &= !mask;
        });
        self.hint = self.hint.min(first / 64);
    }

    /// Marks every frame that `start..end` touches as in use.
    pub fn reserve_range(&mut self, start: u64, end: u64) {
        let first = (start.saturating_sub(self.base) / FRAME_SIZE) as usize;
        let last = ((end.saturating_sub(self.base)).div_ceil(FRAME_SIZE) as usize).min(self.frames);
        let (words, free) = (&mut *self.words, &mut self.free);
        Self::for_words(first, last, |word, mask| {
            *free -= (!words[word] & mask).count_ones() as usize;
            words[word] |= mask;
        });
    }

    /// The lowest free frame, now in use; `None` when memory is exhausted. Its content is undefined.
    pub fn allocate(&mut self) -> Option<u64> {
        let end = words_for(self.frames);
        while self.hint < end {
            let word = self.words[self.hint];
            if word != u64::MAX {
                let index = self.hint * 64 + word.trailing_ones() as usize;
                self.words[index / 64] |= 1 << (index % 64);
                self.free -= 1;
                return Some(self.address_of(index));
            }
            self.hint += 1;
        }
        None
    }

    /// The lowest run of `count` free frames whose address is a multiple of `align` bytes (a power of two).
    pub fn allocate_contiguous(&mut self, count: usize, align: u64) -> Option<u64> {
        assert!(count > 0 && align.is_power_of_two(), "frame allocator: {count} frames aligned to {align}");
        let align = align.max(FRAME_SIZE);
        let step = (align / FRAME_SIZE) as usize;
        let mut index = (self.base.next_multiple_of(align) - self.base) as usize / FRAME_SIZE as usize;
        while index + count <= self.frames {
            match (index..index + count).rev().find(|&i| self.words[i / 64] >> (i % 64) & 1 != 0) {
                None => {
                    let start = self.address_of(index);
                    self.reserve_range(start, start + count as u64 * FRAME_SIZE);
                    return Some(start);
                }
                Some(used) => index += (used + 1 - index).next_multiple_of(step),
            }
        }
        None
    }

    /// Takes every free frame, as blocks of powers of two of bytes at multiples of their size, in order of address:
    /// `f(address, log2 of the bytes)` for each.
    pub fn take_blocks(&mut self, mut f: impl FnMut(u64, u64)) {
        let mut index = 0;
        while index < self.frames {
            if self.words[index / 64] == u64::MAX && index.is_multiple_of(64) {
                index += 64;
                continue;
            }
            let is_free = |i: usize| self.words[i / 64] >> (i % 64) & 1 == 0;
            if !is_free(index) {
                index += 1;
                continue;
            }
            let end = (index..self.frames).find(|&i| !is_free(i)).unwrap_or(self.frames);
            while index < end {
                let address = self.address_of(index);
                let room = u64::from(((end - index) as u64 * FRAME_SIZE).ilog2());
                let bits = u64::from(address.trailing_zeros()).min(room);
                f(address, bits);
                index += 1 << (bits - u64::from(FRAME_SIZE.ilog2()));
            }
        }
        self.words.fill(u64::MAX);
        self.free = 0;
        self.hint = words_for(self.frames);
    }

    /// Gives a frame back.
    pub fn free(&mut self, address: u64) -> Result<(), FreeError> {
        if !address.is_multiple_of(FRAME_SIZE) {
            return Err(FreeError::Misaligned);
        }
        let index = self.index_of(address).ok_or(FreeError::OutOfRange)?;
        let mask = 1 << (index % 64);
        if self.words[index / 64] & mask == 0 {
            return Err(FreeError::NotAllocated);
        }
        self.words[index / 64] &= !mask;
        self.free += 1;
        self.hint = self.hint.min(index / 64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::BTreeSet;

    const BASE: u64 = 0x4000_0000;

    #[test]
    fn starts_with_nothing_free() {
        let mut words = [0; 2];
        let mut a = FrameAllocator::new(BASE, 100, &mut words);
        assert_eq!((a.free_frames(), a.total_frames(), a.allocate()), (0, 100, None));
    }

    #[test]
    fn hands_out_each_frame_once_and_no_more() {
        let mut words = [0; 2];
        let mut a = FrameAllocator::new(BASE, 100, &mut words);
        a.release_range(BASE, BASE + 100 * FRAME_SIZE);
        let got: BTreeSet<u64> = (0..100).map(|_| a.allocate().unwrap()).collect();
        assert_eq!(got.len(), 100);
        assert_eq!(*got.last().unwrap(), BASE + 99 * FRAME_SIZE);
        assert_eq!(a.allocate(), None);
    }

    #[test]
    fn a_freed_frame_comes_back_first() {
        let mut words = [0; 2];
        let mut a = FrameAllocator::new(BASE, 128, &mut words);
        a.release_range(BASE, BASE + 128 * FRAME_SIZE);
        for _ in 0..128 {
            a.allocate();
        }
        a.free(BASE + 5 * FRAME_SIZE).unwrap();
        a.free(BASE + 77 * FRAME_SIZE).unwrap();
        assert_eq!(a.allocate(), Some(BASE + 5 * FRAME_SIZE));
        assert_eq!(a.allocate(), Some(BASE + 77 * FRAME_SIZE));
    }

    #[test]
    fn refuses_bad_frees() {
        let mut words = [0; 2];
        let mut a = FrameAllocator::new(BASE, 128, &mut words);
        a.release_range(BASE, BASE + 128 * FRAME_SIZE);
        let f = a.allocate().unwrap();
        assert_eq!(a.free(f), Ok(()));
        assert_eq!(a.free(f), Err(FreeError::NotAllocated));
        assert_eq!(a.free(f + 8), Err(FreeError::Misaligned));
        assert_eq!(a.free(BASE - FRAME_SIZE), Err(FreeError::OutOfRange));
        assert_eq!(a.free(BASE + 128 * FRAME_SIZE), Err(FreeError::OutOfRange));
    }

    #[test]
    fn ranges_round_to_what_is_safe() {
        let mut words = [0; 4];
        let mut a = FrameAllocator::new(BASE, 200, &mut words);
        a.release_range(BASE + 1, BASE + 10 * FRAME_SIZE + 1);
        assert_eq!(a.free_frames(), 9);
        a.reserve_range(BASE + 4 * FRAME_SIZE + 5, BASE + 5 * FRAME_SIZE + 1);
        assert_eq!(a.free_frames(), 7);
        assert_eq!(a.is_used(BASE + 4 * FRAME_SIZE), Some(true));
        assert_eq!(a.is_used(BASE + 6 * FRAME_SIZE), Some(false));
        a.reserve_range(0, u64::MAX);
        assert_eq!(a.free_frames(), 0);
    }

    #[test]
    fn blocks_are_aligned_and_cover_all_that_was_free() {
        let mut words = [0; 16];
        let mut a = FrameAllocator::new(BASE + FRAME_SIZE, 1000, &mut words);
        a.release_range(BASE, BASE + 1001 * FRAME_SIZE);
        let holes = [3, 64, 65, 200, 201, 202, 900];
        holes.iter().for_each(|&i| a.reserve_range(BASE + i * FRAME_SIZE, BASE + (i + 1) * FRAME_SIZE));
        let free = a.free_frames();
        let mut covered = BTreeSet::new();
        let mut last = 0;
        a.take_blocks(|address, bits| {
            assert!(address.is_multiple_of(1 << bits) && address >= last, "{address:#x} {bits}");
            last = address + (1 << bits);
            covered.extend((address..last).step_by(FRAME_SIZE as usize));
        });
        assert_eq!(covered.len(), free);
        assert!(holes.iter().all(|&i| !covered.contains(&(BASE + i * FRAME_SIZE))));
        assert_eq!((a.free_frames(), a.allocate()), (0, None));
    }

    #[test]
    fn contiguous_runs_are_aligned_and_free() {
        let mut words = [0; 16];
        let mut a = FrameAllocator::new(BASE + FRAME_SIZE, 1000, &mut words);
        a.release_range(BASE, BASE + 1001 * FRAME_SIZE);
        a.reserve_range(BASE + 17 * FRAME_SIZE, BASE + 18 * FRAME_SIZE);
        let run = a.allocate_contiguous(16, 16 * FRAME_SIZE).unwrap();
        assert_eq!(run, BASE + 32 * FRAME_SIZE);
        assert_eq!(a.free_frames(), 1000 - 1 - 16);
        assert_eq!(a.allocate_contiguous(2000, 1), None);
        assert_eq!(a.allocate_contiguous(3, 1), Some(BASE + FRAME_SIZE));
    }
}
