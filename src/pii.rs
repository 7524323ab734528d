//! What must not be read in a log: secrets never print, numbers and user names print in part.

use std::fmt;
use zeroize::Zeroize;

/// A password or key: prints as `***`, is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself: for hashing and comparing, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A number or a user name as a log may show it: telephone numbers lose their middle (`+1415***101`), names stay.
pub struct Redacted<'a>(pub &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.bytes().filter(u8::is_ascii_digit).count();
        let is_number = digits >= 7 && self.0.bytes().all(|b| b.is_ascii_digit() || b"+-.() ".contains(&b));
        if !is_number {
            return f.write_str(self.0);
        }
        let head: String = self.0.chars().take(5).collect();
        let tail: String = self.0.chars().skip(self.0.chars().count() - 3).collect();
        write!(f, "{head}***{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print_and_numbers_lose_their_middle() {
        assert_eq!(
            format!("{:?} {}", Secret::new("swordfish"), Secret::new("x")),
            "*** ***"
        );
        assert_eq!(Redacted("+14155550101").to_string(), "+1415***101");
        assert_eq!(Redacted("alice").to_string(), "alice");
        assert_eq!(Redacted("600").to_string(), "600");
    }
}
