//! Run queues: for each domain and priority a list of threads, and bitmaps of which lists are not empty.

use crate::machine::Memory;
use crate::objects::tcb::Tcb;
use kaal_abi::{DOMAINS, PRIORITIES};

const WORDS: usize = PRIORITIES as usize / 64;

/// The threads of one domain that could run, by priority. The links are in the TCBs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQueues {
    heads: [u64; PRIORITIES as usize],
    tails: [u64; PRIORITIES as usize],
    /// Bit n: word n of `bits` is not zero.
    summary: u64,
    /// Bit n of word m: the list of priority 64 m + n is not empty.
    bits: [u64; WORDS],
}

/// One for each domain.
pub type AllQueues = [RunQueues; DOMAINS as usize];

impl RunQueues {
    /// Empty ones.
    pub const fn new() -> Self {
        Self {
            heads: [0; PRIORITIES as usize],
            tails: [0; PRIORITIES as usize],
            summary: 0,
            bits: [0; WORDS],
        }
    }

    /// Is there no thread at all?
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.summary == 0
    }

    /// The highest priority of which there is a thread.
    #[inline]
    pub fn highest(&self) -> Option<u64> {
        if self.summary == 0 {
            return None;
        }
        let word = 63 - u64::from(self.summary.leading_zeros());
        Some(64 * word + 63 - u64::from(self.bits[word as usize].leading_zeros()))
    }

    /// The first thread of a priority.
    #[inline]
    pub fn first(&self, priority: u64) -> Option<Tcb> {
        match self.heads[priority as usize] {
            0 => None,
            head => Some(Tcb(head)),
        }
    }

    fn mark(&mut self, priority: u64) {
        self.summary |= 1 << (priority / 64);
        self.bits[priority as usize / 64] |= 1 << (priority % 64);
    }

    /// Puts a thread in front of its list.
    pub fn push_front(&mut self, memory: &mut impl Memory, thread: Tcb) {
        let priority = thread.priority(memory) as usize;
        let head = self.heads[priority];
        thread.set_run_previous(memory, 0);
        thread.set_run_next(memory, head);
        match head {
            0 => self.tails[priority] = thread.0,
            _ => Tcb(head).set_run_previous(memory, thread.0),
        }
        self.heads[priority] = thread.0;
        thread.set_queued(memory, 1);
        self.mark(priority as u64);
    }

    /// Puts a thread at the end of its list.
    pub fn push_back(&mut self, memory: &mut impl Memory, thread: Tcb) {
        let priority = thread.priority(memory) as usize;
        let tail = self.tails[priority];
        thread.set_run_previous(memory, tail);
        thread.set_run_next(memory, 0);
        match tail {
            0 => self.heads[priority] = thread.0,
            _ => Tcb(tail).set_run_next(memory, thread.0),
        }
        self.tails[priority] = thread.0;
        thread.set_queued(memory, 1);
        self.mark(priority as u64);
    }

    /// Takes a thread out of its list.
    pub fn remove(&mut self, memory: &mut impl Memory, thread: Tcb) {
        let priority = thread.priority(memory) as usize;
        let (previous, next) = (thread.run_previous(memory), thread.run_next(memory));
        match previous {
            0 => self.heads[priority] = next,
            _ => Tcb(previous).set_run_next(memory, next),
        }
        match next {
            0 => self.tails[priority] = previous,
            _ => Tcb(next).set_run_previous(memory, previous),
        }
        thread.set_queued(memory, 0);
        if self.heads[priority] == 0 {
            self.bits[priority / 64] &= !(1 << (priority % 64));
            if self.bits[priority / 64] == 0 {
                self.summary &= !(1 << (priority / 64));
            }
        }
    }
}

impl Default for RunQueues {
    fn default() -> Self {
        Self::new()
    }
}
