//! Invocations: what can be asked of an object by Call, Send or NbSend, as the label of the message.
//!
//! Arguments are message registers in the order given; capabilities sent along are in square brackets. Unless said
//! otherwise the answer is a label of [`super::Error`] with no message registers. A *slot* is (index, depth) below a
//! CNode capability: depth 1 to 64 bits of the index are used.

macro_rules! invocations {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $words:literal, $caps:literal;)*) => {
        /// An invocation, numbered as the label carries it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u64)]
        pub enum Invocation { $($(#[$doc])* $name = $number,)* }

        impl Invocation {
            /// Every invocation there is.
            pub const ALL: &'static [Invocation] = &[$(Invocation::$name,)*];

            /// The invocation with this label.
            pub const fn from_label(label: u64) -> Option<Invocation> {
                match label { $($number => Some(Invocation::$name),)* _ => None }
            }

            /// Message registers it needs, at least.
            pub const fn arguments(self) -> usize {
                match self { $(Invocation::$name => $words,)* }
            }

            /// Capabilities that must be sent along.
            pub const fn capabilities(self) -> usize {
                match self { $(Invocation::$name => $caps,)* }
            }
        }
    };
}

invocations! {
    /// Untyped: makes objects. type, size_bits, node_index, node_depth, node_offset, count; [root CNode]. The CNode at
    /// (node_index, node_depth) below the root gets them from slot node_offset on; depth 0 means the root itself.
    UntypedRetype = 1, 6, 1;

    /// TCB: reads registers. flags (bit 0: suspend it first), count. Answers with that many, as [`super::registers`].
    TcbReadRegisters = 2, 2, 0;
    /// TCB: writes registers. flags (bit 0: resume it afterwards), count, then that many, as [`super::registers`].
    TcbWriteRegisters = 3, 2, 0;
    /// TCB: copies registers from another. flags (bit 0: suspend the source first, 1: resume the target, 2: copy pc, sp,
    /// pstate, x0 to x8, x16 to x18 and x30, 3: copy the other integer registers); [source TCB].
    TcbCopyRegisters = 4, 1, 1;
    /// TCB: sets all spaces. fault_ep, cspace_data, vspace_data (0), buffer address; [CSpace root, VSpace, buffer page].
    TcbConfigure = 5, 4, 3;
    /// TCB: sets the priority, at most the authority's maximum. priority; [authority TCB].
    TcbSetPriority = 6, 1, 1;
    /// TCB: sets the maximum controlled priority, at most the authority's. mcp; [authority TCB].
    TcbSetMcPriority = 7, 1, 1;
    /// TCB: sets both. mcp, priority; [authority TCB].
    TcbSetSchedParams = 8, 2, 1;
    /// TCB: sets the IPC buffer. address (0: none); [buffer page, unless the address is 0].
    TcbSetIpcBuffer = 9, 1, 0;
    /// TCB: sets the spaces. fault_ep, cspace_data, vspace_data (0); [CSpace root, VSpace].
    TcbSetSpace = 10, 3, 2;
    /// TCB: stops it, leaving any IPC.
    TcbSuspend = 11, 0, 0;
    /// TCB: starts it, or restarts what it was blocked in.
    TcbResume = 12, 0, 0;
    /// TCB: binds a notification, whose signals its Recv on any endpoint will get. [notification]
    TcbBindNotification = 13, 0, 1;
    /// TCB: unbinds its notification.
    TcbUnbindNotification = 14, 0, 0;
    /// TCB: sets TPIDR_EL0. value.
    TcbSetTlsBase = 15, 1, 0;

    /// CNode: deletes all that was derived from the capability in a slot. index, depth.
    CNodeRevoke = 16, 2, 0;
    /// CNode: empties a slot. index, depth.
    CNodeDelete = 17, 2, 0;
    /// CNode: has sends in progress that carry the badge of the capability in a slot made again. index, depth.
    CNodeCancelBadgedSends = 18, 2, 0;
    /// CNode: copies a capability with fewer rights or the same. dest_index, dest_depth, src_index, src_depth, rights;
    /// [source CNode].
    CNodeCopy = 19, 5, 1;
    /// CNode: copies it with fewer rights and a badge or guard. dest_index, dest_depth, src_index, src_depth, rights,
    /// badge (endpoint, notification) or guard << 6 | guard size (CNode); [source CNode].
    CNodeMint = 20, 6, 1;
    /// CNode: moves a capability. dest_index, dest_depth, src_index, src_depth; [source CNode].
    CNodeMove = 21, 4, 1;
    /// CNode: moves it, sets a CNode's guard. dest_index, dest_depth, src_index, src_depth, guard (else 0); [source CNode].
    CNodeMutate = 22, 5, 1;
    /// CNode: moves pivot to dest, and source to pivot. dest_index, dest_depth, dest_guard, pivot_index, pivot_depth,
    /// pivot_guard, src_index, src_depth; [pivot CNode, source CNode]. Guards as for Mutate.
    CNodeRotate = 23, 8, 2;
    /// CNode: moves the caller's reply capability to a slot. index, depth.
    CNodeSaveCaller = 24, 2, 0;

    /// IrqControl: makes a handler capability. irq, index, depth; [CNode].
    IrqControlGet = 25, 3, 1;
    /// IrqHandler: lets the interrupt come again.
    IrqHandlerAck = 26, 0, 0;
    /// IrqHandler: sets the notification it signals. [notification]
    IrqHandlerSetNotification = 27, 0, 1;
    /// IrqHandler: unsets it.
    IrqHandlerClear = 28, 0, 0;

    /// PageTable: maps it where a table is missing. address, attributes (0); [VSpace]. FailedLookup never; DeleteFirst
    /// if none is missing there.
    PageTableMap = 29, 2, 1;
    /// PageTable: unmaps it, with all below. RevokeFirst if there are other capabilities to it.
    PageTableUnmap = 30, 0, 0;
    /// Page: maps it, or changes rights and attributes where it is mapped already. address, rights, attributes;
    /// [VSpace]. FailedLookup with MR2 = log2 of the bytes that the missing table covers.
    PageMap = 31, 3, 1;
    /// Page: unmaps it.
    PageUnmap = 32, 0, 0;
    /// Page: answers with its physical address in MR0.
    PageGetAddress = 33, 0, 0;
    /// Page: makes instructions written to it, through any mapping, visible to fetches.
    PageUnifyInstruction = 34, 0, 0;

    /// Domain: puts a thread in a domain. domain; [TCB].
    DomainSet = 35, 1, 1;
    /// Power: turns the machine off. Does not return.
    PowerOff = 36, 0, 0;
}
