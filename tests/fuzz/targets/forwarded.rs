//! libFuzzer's entry to the target `forwarded`.

#![no_main]

#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::forwarded::check(data));
