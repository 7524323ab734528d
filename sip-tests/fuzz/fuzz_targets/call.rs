#![no_main]

libfuzzer_sys::fuzz_target!(|input: Vec<tandem_fuzz::call::Step<'_>>| tandem_fuzz::call::call(input));
