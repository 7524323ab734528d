#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u16, &[u8])| tandem_fuzz::frame(input));
