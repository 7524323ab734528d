#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| tandem_fuzz::crypto::crypto(input));
