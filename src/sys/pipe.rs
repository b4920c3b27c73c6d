//! What becomes of a program whose reader is gone.

/// Ends this process silently when it writes to a pipe that nobody reads any more, as programs for terminals
/// do: `tradewind events | head`. A server must not do this.
pub fn end_with_the_reader() {
    // SAFETY: sets the default action of one signal; nothing of this program handles it.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}
