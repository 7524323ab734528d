#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, bool, &str)| tandem_fuzz::number(input));
