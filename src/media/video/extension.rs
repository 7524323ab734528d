//! Header extensions of what comes (RFC 8285 4.2, 4.3).

use crate::media::rtp::HEADER_BYTES;

/// The extension with this number, if the packet has it.
pub(super) fn find(datagram: &[u8], id: u8) -> Option<&[u8]> {
    let first = *datagram.first()?;
    if first & 0x10 == 0 {
        return None;
    }
    let start = HEADER_BYTES + 4 * usize::from(first & 0x0f);
    let head: &[u8; 4] = datagram.get(start..)?.first_chunk()?;
    let (profile, words) = (
        u16::from_be_bytes([head[0], head[1]]),
        usize::from(u16::from_be_bytes([head[2], head[3]])),
    );
    let all = datagram.get(start + 4..start + 4 + 4 * words)?;
    match profile {
        0xbede => one_byte(all, id),
        0x1000..=0x100f => two_bytes(all, id),
        _ => None,
    }
}

fn one_byte(mut rest: &[u8], id: u8) -> Option<&[u8]> {
    while let Some((head, after)) = rest.split_first() {
        let (own, len) = (head >> 4, usize::from(head & 0x0f) + 1);
        // 0 is padding; 15 ends the list.
        if own == 0 {
            rest = after;
            continue;
        }
        if own == 15 {
            return None;
        }
        let (value, behind) = after.split_at_checked(len)?;
        if own == id {
            return Some(value);
        }
        rest = behind;
    }
    None
}

fn two_bytes(mut rest: &[u8], id: u8) -> Option<&[u8]> {
    while let Some((own, after)) = rest.split_first() {
        if *own == 0 {
            rest = after;
            continue;
        }
        let (len, after) = after.split_first()?;
        let (value, behind) = after.split_at_checked(usize::from(*len))?;
        if *own == id {
            return Some(value);
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(profile: u16, octets: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
        packet.extend(profile.to_be_bytes());
        packet.extend((octets.len() as u16 / 4).to_be_bytes());
        packet.extend(octets);
        packet
    }

    #[test]
    fn extensions_are_found_in_both_forms_and_nothing_behind_the_end() {
        let one = packet(0xbede, &[0x10, b'a', 0, 0x31, b'h', b'i', 0, 0]);
        assert_eq!(
            (find(&one, 1), find(&one, 3), find(&one, 2)),
            (Some(&b"a"[..]), Some(&b"hi"[..]), None)
        );
        let two = packet(0x1000, &[1, 1, b'a', 0, 9, 2, b'h', b'i']);
        assert_eq!((find(&two, 9), find(&two, 2)), (Some(&b"hi"[..]), None));
        // Longer than there is, the list that ends, another profile, no extension at all.
        assert_eq!(find(&packet(0xbede, &[0x1f, 0, 0, 0]), 1), None);
        assert_eq!(find(&packet(0xbede, &[0xf0, 0x10, b'a', 0]), 1), None);
        assert_eq!(find(&packet(0x1234, &[0x10, b'a', 0, 0]), 1), None);
        for len in 0..one.len() {
            assert_eq!(find(&one[..len], 3), None, "{len}");
        }
    }
}
