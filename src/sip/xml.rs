//! What stands in bodies that are XML.

use crate::time::Wall;
use std::fmt::{self, Write};

/// Text within XML: markup is escaped, and what XML 1.0 has no character for is left out.
pub struct Escaped<'t>(pub &'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&apos;")?,
                '\0'..='\x1f' | '\x7f' | '\u{fffe}' | '\u{ffff}' => {}
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A SIP URI as xs:anyURI takes it: RFC 3986 has no brackets behind `sip:`, where IPv6 addresses have theirs.
pub struct AnyUri<'t>(pub &'t str);

impl fmt::Display for AnyUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['[', ']']) {
            match part.as_bytes() {
                [.., b'['] => write!(f, "{}%5B", Escaped(&part[..part.len() - 1]))?,
                [.., b']'] => write!(f, "{}%5D", Escaped(&part[..part.len() - 1]))?,
                _ => write!(f, "{}", Escaped(part))?,
            }
        }
        Ok(())
    }
}

/// A moment in seconds and UTC (xs:dateTime, RFC 3339): `2026-11-22T13:05:59Z`.
pub struct DateTime(pub Wall);

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0.civil();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            at.year, at.month, at.day, at.hour, at.minute, at.second
        )
    }
}

/// What somebody else has chosen, as long as it may be: so many characters.
pub fn cut(text: &str, chars: usize) -> &str {
    let end = text.char_indices().nth(chars);
    end.map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for (chars, expected) in [(0, ""), (1, "ü"), (2, "üb"), (3, "üb"), (9, "üb")] {
            assert_eq!(cut("üb", chars), expected);
        }
        assert_eq!(DateTime(Wall(1_795_352_759_999)).to_string(), "2026-11-22T13:05:59Z");
    }

    #[test]
    fn markup_is_escaped_and_what_xml_lacks_is_left_out() {
        let text = Escaped("<a href=\"x\">&'\u{1}\u{ffff}ü").to_string();
        assert_eq!(text, "&lt;a href=&quot;x&quot;&gt;&amp;&apos;ü");
        assert_eq!(AnyUri("sip:a&b@[::1]:5060").to_string(), "sip:a&amp;b@%5B::1%5D:5060");
        assert_eq!(AnyUri("sip:a@b").to_string(), "sip:a@b");
    }
}
