//! The packet path allocates nothing: neither in Rust nor, where the C library lets us count (glibc), inside libopus.

use codecs::activity::Activity;
use codecs::agc::Agc;
use codecs::double::{Down2, Up2};
use codecs::dtmf::Detector;
use codecs::gain::Gain;
use codecs::modem::Listener;
use codecs::noise::Noise;
use codecs::opus::{Decoder, Encoder, EncoderParams, packet_info};
use codecs::plc::{Concealer, WideConcealer};
use codecs::resample::Resampler;
use codecs::tone::{Cadence, Sine};
use codecs::triple::{Down3, Up3};
use codecs::{Rate, g711, g722, goertzel, mix, speech, stretch};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may allocate after its locals are gone: that is not what we measure.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

/// Allocations of this thread in `work`.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// On glibc a program may bring its own malloc, and every library then uses it; Rust's default allocator does too.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod counting {
    use std::ffi::c_void;

    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
        fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
        fn __libc_realloc(old: *mut c_void, size: usize) -> *mut c_void;
        fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    }

    #[unsafe(no_mangle)]
    extern "C" fn malloc(size: usize) -> *mut c_void {
        super::count();
        // SAFETY: glibc's own malloc takes any size.
        unsafe { __libc_malloc(size) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
        super::count();
        // SAFETY: glibc's own calloc takes any sizes.
        unsafe { __libc_calloc(count, size) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(old: *mut c_void, size: usize) -> *mut c_void {
        super::count();
        // SAFETY: the caller owes us what it owes realloc, and all of our memory is glibc's.
        unsafe { __libc_realloc(old, size) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
        super::count();
        // SAFETY: glibc's own memalign refuses an alignment that is no power of two.
        unsafe { __libc_memalign(alignment, size) }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};

    struct Counting;

    #[global_allocator]
    static COUNTING: Counting = Counting;

    // SAFETY: everything is passed on to the system's allocator unchanged.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            super::count();
            // SAFETY: as the caller owes.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: as the caller owes.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) >= 1);
    // libopus allocates its states, with the C library's malloc.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    assert!(allocations(|| drop(Decoder::new(8_000))) >= 1);
}

#[test]
fn opus_allocates_nothing_after_new() {
    for rate in [8_000, 48_000] {
        let frame = rate as usize / 50;
        let pcm = speech::synthesise(rate as usize, -18.0, rate);
        let params = EncoderParams {
            expected_loss_percent: 20,
            dtx: true,
            ..EncoderParams::default()
        };
        let mut encoder = Encoder::new(rate, params).expect("an encoder");
        let mut decoder = Decoder::new(rate).expect("a decoder");
        let (mut packet, mut out) = ([0; 1_275], vec![0; frame]);
        let count = allocations(|| {
            for (number, samples) in pcm.chunks_exact(frame).enumerate() {
                let length = encoder.encode(samples, &mut packet).expect("a packet");
                let packet = &packet[..length];
                let info = packet_info(packet).expect("a packet");
                let made = match number % 8 {
                    3 => decoder.conceal(&mut out),
                    4 if info.fec => decoder.decode_fec(packet, &mut out),
                    _ => decoder.decode(packet, &mut out),
                };
                assert_eq!(made, Ok(frame));
                encoder.set_bitrate(16_000 + 100 * number as u32).expect("a bitrate");
                let junk = decoder.decode(&[0xff, 0xff, 0xff], &mut out);
                assert!(junk.is_err());
            }
            decoder.reset().expect("a reset");
        });
        assert_eq!(count, 0, "{rate} Hz");
    }
}

#[test]
fn samples_are_worked_on_in_place() {
    let mut pcm = [0; 960];
    let (mut codes, mut out) = ([0; 960], [0; 960]);
    let mut resamplers = [(8_000, 48_000), (48_000, 8_000), (16_000, 48_000), (8_000, 8_000)]
        .map(|(from, to)| Resampler::new(from, to).expect("rates"));
    let mut concealer = Concealer::new();
    let mut wide = WideConcealer::new();
    let mut coders = [Rate::Narrow, Rate::Wide].map(|rate| (g722::Encoder::new(rate), g722::Decoder::new(rate)));
    let mut noise = Noise::new(-50.0);
    let (mut detector, mut keys) = (Detector::new(), 0);
    let (mut listener, mut machines) = (Listener::new(), 0);
    let count = allocations(|| {
        Sine::new(1_000.0, -10.0, 8_000).fill(&mut pcm);
        Cadence::new([440.0, 480.0], -19.0, 20, 40, 8_000).fill(&mut pcm);
        g711::encode_ulaw_slice(&pcm, &mut codes);
        g711::decode_alaw_slice(&codes, &mut out);
        for resampler in &mut resamplers {
            resampler.process(&pcm[..160], &mut out);
        }
        concealer.good(&mut pcm[..160]);
        concealer.lost(&mut pcm[160..320]);
        concealer.good(&mut pcm[320..480]);
        for (encoder, decoder) in &mut coders {
            let length = encoder.encode(&pcm, &mut codes);
            decoder.decode(&codes[..length], &mut out);
        }
        wide.good(&mut pcm[..320]);
        wide.lost(&mut pcm[320..640]);
        wide.good(&mut pcm[640..960]);
        noise.fill(&mut pcm[..160]);
        Gain::new(6).apply(&mut pcm);
        for hz in [[770.0, 1_336.0], [0.0, 2_100.0]] {
            Cadence::new(hz, -10.0, 60, 60, 8_000).fill(&mut pcm);
            detector.hear(&pcm, |_| keys += 1);
            Sine::new(hz[1], -10.0, 8_000).fill(&mut pcm);
            for block in 0..40u32 {
                machines += usize::from(listener.hear(block * 80, &pcm).is_some());
            }
        }
        goertzel::level_dbm0(&pcm, 440.0, 8_000);
    });
    assert_eq!((count, keys, machines), (0, 2, 1));
}

#[test]
fn a_room_is_mixed_in_place() {
    let (mut sum, mut pcm, mut out) = ([0; 320], [0; 320], [0; 960]);
    let (mut activity, mut agc) = (Activity::new(), Agc::new());
    let (mut up, mut down) = (Up2::new(), Down2::new());
    let (mut up_3, mut down_3) = (Up3::new(), Down3::new());
    let count = allocations(|| {
        Sine::new(400.0, -10.0, 16_000).fill(&mut pcm);
        for _ in 0..40 {
            let speech = activity.hear(&pcm).speech;
            agc.apply(&mut pcm, speech);
            sum.fill(0);
            mix::add(&mut sum, &pcm);
            mix::scale(&mut pcm, mix::ONE, mix::ONE / 2);
            mix::all(&sum, &mut out[..320]);
            mix::less(&sum, &pcm, &mut out[320..640]);
            down.process(&pcm, &mut out[..160]);
            up.process(&out[..160], &mut pcm);
            up_3.process(&pcm, &mut out);
            down_3.process(&out, &mut pcm);
        }
        stretch::shorten(&[1_000; 640], Rate::Wide, &mut out);
    });
    assert_eq!(count, 0);
}
