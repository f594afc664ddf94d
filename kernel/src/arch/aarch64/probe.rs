//! Questions only the hardware can answer.

unsafe extern "C" {
    #[link_name = "registers_survive"]
    safe fn registers_survive_asm() -> u64;
}

/// Does an exception and the return from it leave every register as it was?
pub fn registers_survive() -> bool {
    registers_survive_asm() == 1
}
