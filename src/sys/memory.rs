//! Memory that the allocator keeps for later.

/// Gives pages that hold nothing back to the system: the text of a large configuration and its tree
/// take several times what is compiled of them, and glibc keeps the holes. Takes up to a tenth of a
/// second; not for a thread that answers queries. Does nothing where the allocator is another.
pub fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number, and locks what it touches.
    unsafe {
        libc::malloc_trim(0);
    }
}
