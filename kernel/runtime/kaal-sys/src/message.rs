//! Messages: building them, sending them, taking them apart.

use crate::thread::{buffer_word, set_buffer_word};
use crate::{CPtr, Registers, syscall};
use kaal_abi::{MessageInfo, REGISTER_WORDS, Syscall, buffer};

/// A message to send: at most 64 words and 3 capabilities.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    /// What it means; below 2^52.
    pub label: u64,
    /// Its words. Only with more than four of them is the IPC buffer needed.
    pub words: &'a [u64],
    /// Capabilities to send along. They need the IPC buffer.
    pub caps: &'a [CPtr],
}

impl<'a> Message<'a> {
    /// A message without capabilities.
    pub const fn new(label: u64, words: &'a [u64]) -> Self {
        Self { label, words, caps: &[] }
    }

    /// Puts what does not fit registers in the IPC buffer.
    ///
    /// # Panics
    /// If the message is too long, or the thread has no IPC buffer but needs one.
    fn prepare(&self, cap: CPtr) -> Registers {
        let info = MessageInfo::new(self.label, self.words.len() as u64, self.caps.len() as u64);
        let mut words = [0; REGISTER_WORDS];
        for (n, &word) in self.words.iter().enumerate() {
            match words.get_mut(n) {
                Some(register) => *register = word,
                None => set_buffer_word(buffer::MESSAGE + n, word),
            }
        }
        for (n, cap) in self.caps.iter().enumerate() {
            set_buffer_word(buffer::CAPS_OR_BADGES + n, cap.0);
        }
        Registers { x0: cap.0, info: info.0, words }
    }

    /// As [`Self::new`] with a word, a text and its length in bytes: at most 62 words in all, the text cut to fit.
    pub fn with_text<R>(label: u64, word: u64, text: &str, then: impl FnOnce(Message) -> R) -> R {
        let mut words = [0; MessageInfo::MAX_LENGTH as usize];
        let length = text.len().min((words.len() - 2) * 8);
        words[0] = word;
        words[1] = length as u64;
        for (n, chunk) in text.as_bytes()[..length].chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            words[2 + n] = u64::from_le_bytes(bytes);
        }
        then(Message::new(label, &words[..2 + length.div_ceil(8)]))
    }
}

/// A message or signal that came. Words beyond the fourth are in the IPC buffer until the next system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The badge of the capability it was sent by, or the notification's word.
    pub badge: u64,
    /// Its label, its length and what came along.
    pub info: MessageInfo,
    /// Message registers 0 to 3.
    pub words: [u64; REGISTER_WORDS],
}

impl Received {
    fn from(registers: Registers) -> Self {
        Self { badge: registers.x0, info: MessageInfo(registers.info), words: registers.words }
    }

    /// What it means.
    pub fn label(&self) -> u64 {
        self.info.label()
    }

    /// Message register `n`.
    pub fn word(&self, n: usize) -> u64 {
        self.words.get(n).copied().unwrap_or_else(|| buffer_word(buffer::MESSAGE + n))
    }

    /// The badge of capability `n`, if that was unwrapped.
    pub fn unwrapped(&self, n: usize) -> Option<u64> {
        let yes = self.info.caps_unwrapped() >> n & 1 != 0;
        yes.then(|| buffer_word(buffer::CAPS_OR_BADGES + n))
    }

    /// The bytes of the text that [`Message::with_text`] sent.
    pub fn text(&self) -> impl Iterator<Item = u8> {
        let message = *self;
        let room = message.info.length().saturating_sub(2) * 8;
        let length = message.word(1).min(room) as usize;
        (0..length).map(move |n| (message.word(2 + n / 8) >> (8 * (n % 8))) as u8)
    }
}

/// Says where capabilities that come along are to be put: slot `index` of `depth` bits below the CNode at `root`.
pub fn set_receive_slot(root: CPtr, index: u64, depth: u64) {
    set_buffer_word(buffer::RECEIVE_CNODE, root.0);
    set_buffer_word(buffer::RECEIVE_INDEX, index);
    set_buffer_word(buffer::RECEIVE_DEPTH, depth);
}

/// Sends to `cap` and waits for the answer, or invokes it.
pub fn call(cap: CPtr, message: Message) -> Received {
    Received::from(syscall(Syscall::Call as i64, message.prepare(cap)))
}

/// Sends to `cap`, or invokes it without answer.
pub fn send(cap: CPtr, message: Message) {
    syscall(Syscall::Send as i64, message.prepare(cap));
}

/// Sends to `cap` if somebody receives there now.
pub fn nb_send(cap: CPtr, message: Message) {
    syscall(Syscall::NbSend as i64, message.prepare(cap));
}

/// Waits for a message or signal.
pub fn recv(cap: CPtr) -> Received {
    Received::from(syscall(Syscall::Recv as i64, Registers { x0: cap.0, ..Registers::default() }))
}

/// Takes a message or signal if there is one; otherwise the badge is 0.
pub fn nb_recv(cap: CPtr) -> Received {
    Received::from(syscall(Syscall::NbRecv as i64, Registers { x0: cap.0, ..Registers::default() }))
}

/// Replies to the last caller.
pub fn reply(message: Message) {
    syscall(Syscall::Reply as i64, message.prepare(CPtr(0)));
}

/// Replies to the last caller, and waits for a message.
pub fn reply_recv(cap: CPtr, message: Message) -> Received {
    Received::from(syscall(Syscall::ReplyRecv as i64, message.prepare(cap)))
}
