//! libFuzzer's entry to the target `tls_hello`.

#![no_main]

#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::tls_hello::check(data));
