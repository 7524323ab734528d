//! The octets of an Ogg file with a stereo Opus stream that grows (RFC 3533, RFC 7845): two pages that say what it is, then one page for what is
//! added at a time. Each page stands for itself, so the file can be played up to the last whole one, whenever it ends.

/// Ticks of a granule position per second, whatever the rate of the samples (RFC 7845 4).
const GRANULES: u64 = 48_000;
/// Of a packet of 20 ms.
const PACKET: u64 = GRANULES / 50;
/// Segments that one page holds (RFC 3533 6).
const SEGMENTS: usize = 255;
/// What a page is.
const CONTINUES_NOTHING: u8 = 0;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ogg {
    /// Tells streams apart that were put into one file (RFC 3533 6): any number.
    serial: u32,
    /// Pages so far.
    pages: u32,
    /// Of the samples.
    rate: u32,
    /// What a decoder throws away at the beginning, in granules.
    skip: u16,
    /// Packets of 20 ms.
    packets: u64,
    /// Samples that went in, of each side.
    samples: u64,
}

impl Ogg {
    /// A file of samples of this rate, of an encoder that is behind by so many of them, with what it begins with.
    pub fn begin(serial: u32, rate: u32, lookahead: u32) -> (Ogg, Vec<u8>) {
        let skip = u64::from(lookahead) * GRANULES / u64::from(rate.max(1));
        let mut ogg = Ogg {
            serial,
            pages: 0,
            rate,
            skip: u16::try_from(skip).unwrap_or(u16::MAX),
            packets: 0,
            samples: 0,
        };
        // RFC 7845 5.1: version 1, two channels, what to skip, the rate before it was encoded, no gain, left and right.
        let mut head = b"OpusHead\x01\x02".to_vec();
        head.extend(ogg.skip.to_le_bytes());
        head.extend(rate.to_le_bytes());
        head.extend([0, 0, 0]);
        // RFC 7845 5.2: who wrote it, and nothing of who speaks.
        let mut tags = b"OpusTags".to_vec();
        tags.extend((crate::USER_AGENT.len() as u32).to_le_bytes());
        tags.extend(crate::USER_AGENT.as_bytes());
        tags.extend([0; 4]);
        let mut octets = ogg.page(FIRST, 0, &[head]);
        octets.extend(ogg.page(CONTINUES_NOTHING, 0, &[tags]));
        (ogg, octets)
    }

    /// Pages with these packets of 20 ms, which hold so many samples more; `last` ends the stream, behind the last sample (RFC 7845 4.4). No packet
    /// is longer than a page can hold.
    pub fn add(&mut self, packets: &[Vec<u8>], samples: u64, last: bool) -> Vec<u8> {
        self.samples += samples;
        let (mut octets, mut rest) = (Vec::new(), packets);
        loop {
            let (mut segments, mut count) = (0, 0);
            while let Some(packet) = rest.get(count)
                && segments + packet.len() / SEGMENTS < SEGMENTS
            {
                segments += packet.len() / SEGMENTS + 1;
                count += 1;
            }
            let (page, after) = rest.split_at(count);
            rest = after;
            self.packets += count as u64;
            let decoded = self.packets * PACKET;
            let is_done = rest.is_empty() || count == 0;
            let (kind, granule) = match last && is_done {
                true => (LAST, decoded.min(self.end())),
                false => (CONTINUES_NOTHING, decoded),
            };
            octets.extend(self.page(kind, granule, page));
            if is_done {
                return octets;
            }
        }
    }

    /// How long it lasts, in milliseconds.
    pub const fn millis(&self) -> u64 {
        self.samples * 1_000 / self.rate as u64
    }

    /// The granule behind the last sample: what is skipped counts (RFC 7845 4.2).
    fn end(&self) -> u64 {
        u64::from(self.skip) + self.samples * GRANULES / u64::from(self.rate)
    }

    fn page(&mut self, kind: u8, granule: u64, packets: &[Vec<u8>]) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(kind);
        page.extend(granule.to_le_bytes());
        page.extend(self.serial.to_le_bytes());
        page.extend(self.pages.to_le_bytes());
        page.extend([0; 4]);
        let lacing: Vec<u8> = packets.iter().flat_map(|packet| lacing(packet.len())).collect();
        page.push(lacing.len() as u8);
        page.extend(lacing);
        page.extend(packets.iter().flatten());
        let sum = checksum(&page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        self.pages += 1;
        page
    }
}

/// How a packet's length is written (RFC 3533 5): as many 255 as go into it, and the rest.
fn lacing(len: usize) -> impl Iterator<Item = u8> {
    std::iter::repeat_n(255, len / SEGMENTS).chain(std::iter::once((len % SEGMENTS) as u8))
}

/// RFC 3533 6: CRC of polynomial 0x04c11db7, from 0, neither reflected nor inverted, while its own field is 0.
fn checksum(page: &[u8]) -> u32 {
    static TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut octet = 0;
        while octet < 256 {
            let mut sum = (octet as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                sum = if sum & 0x8000_0000 == 0 {
                    sum << 1
                } else {
                    sum << 1 ^ 0x04c1_1db7
                };
                bit += 1;
            }
            table[octet] = sum;
            octet += 1;
        }
        table
    };
    page.iter()
        .fold(0, |sum, octet| sum << 8 ^ TABLE[usize::from((sum >> 24) as u8 ^ octet)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each page: its kind, granule, number, and its packets.
    fn pages(mut octets: &[u8]) -> Vec<(u8, u64, u32, Vec<Vec<u8>>)> {
        let mut pages = Vec::new();
        while !octets.is_empty() {
            assert_eq!(&octets[..5], b"OggS\0");
            let count = usize::from(octets[26]);
            let lacing = &octets[27..27 + count];
            let body: usize = lacing.iter().map(|length| usize::from(*length)).sum();
            let (page, rest) = octets.split_at(27 + count + body);
            let mut packets = vec![Vec::new()];
            let mut at = 27 + count;
            for length in lacing {
                let part = &page[at..at + usize::from(*length)];
                at += part.len();
                packets.last_mut().unwrap().extend(part);
                if *length < 255 {
                    packets.push(Vec::new());
                }
            }
            assert_eq!(packets.pop(), Some(Vec::new()), "no packet goes on in the next page");
            let mut bare = page.to_vec();
            bare[22..26].fill(0);
            assert_eq!(bitwise(&bare).to_le_bytes(), page[22..26]);
            let granule = u64::from_le_bytes(page[6..14].try_into().unwrap());
            let number = u32::from_le_bytes(page[18..22].try_into().unwrap());
            assert_eq!(page[14..18], [4, 3, 2, 1]);
            pages.push((page[5], granule, number, packets));
            octets = rest;
        }
        pages
    }

    fn bitwise(octets: &[u8]) -> u32 {
        let mut sum = 0u32;
        for bit in octets
            .iter()
            .flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1))
        {
            let carry = (sum >> 31) as u8 ^ bit;
            sum = sum << 1 ^ if carry == 1 { 0x04c1_1db7 } else { 0 };
        }
        sum
    }

    #[test]
    fn it_says_what_it_is_and_counts_at_48_khz() {
        let (mut ogg, octets) = Ogg::begin(0x0102_0304, 8_000, 52);
        let head = pages(&octets);
        assert_eq!(head.len(), 2);
        assert_eq!((head[0].0, head[0].1, head[0].2, head[1].2), (FIRST, 0, 0, 1));
        assert_eq!(head[0].3, [b"OpusHead\x01\x02\x38\x01\x40\x1f\0\0\0\0\0".to_vec()]);
        assert!(head[1].3[0].starts_with(b"OpusTags") && head[1].3[0].ends_with(b"\0\0\0\0"));
        let packets = vec![vec![7; 300], vec![8; 255], vec![9; 3]];
        let more = pages(&ogg.add(&packets, 480, false));
        assert_eq!(more, [(0, 2_880, 2, packets)]);
        let end = pages(&ogg.add(&[vec![1]], 100, true));
        assert_eq!(end, [(LAST, 312 + 2_880 + 600, 3, vec![vec![1]])]);
        assert_eq!(ogg.millis(), 72);
        assert_eq!(pages(&ogg.add(&[], 0, true)).len(), 1, "an end without a packet");
    }

    #[test]
    fn what_is_too_much_for_a_page_goes_on_in_the_next() {
        let (mut ogg, _) = Ogg::begin(0x0102_0304, 16_000, 0);
        let packets = vec![vec![5; 1_275]; 100];
        let told = pages(&ogg.add(&packets, 32_000, false));
        assert_eq!(told.iter().map(|page| page.3.len()).collect::<Vec<_>>(), [42, 42, 16]);
        assert_eq!((told[0].1, told[2].1), (42 * 960, 96_000));
        assert_eq!(told.into_iter().flat_map(|page| page.3).collect::<Vec<_>>(), packets);
    }
}
