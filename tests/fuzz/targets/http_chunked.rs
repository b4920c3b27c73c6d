//! libFuzzer's entry to the target `http_chunked`.

#![no_main]

#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::http_chunked::check(data));
