#![no_main]

libfuzzer_sys::fuzz_target!(|input: Vec<tandem_fuzz::media::Datagram<'_>>| tandem_fuzz::media::media(input));
