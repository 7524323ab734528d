//! Telephone numbers as written or dialled -> E.164 with a plus, an extension, or a name.

use super::country::Country;
use std::fmt;

/// A number or name in the one form that is compared inside, and how it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normal {
    /// `+14155550101`, `600`, `alice`.
    pub number: String,
    /// What was seen.
    pub how: How,
}

/// What was seen in a dialled text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A plus and up to 15 digits.
    International,
    /// The country's international prefix, then calling code and number.
    InternationalPrefix(Country),
    /// The country's national prefix, then a national number.
    NationalPrefix(Country),
    /// A national number of a country where it is dialled without a prefix.
    National(Country),
    /// Calling code and number of the country, without a plus.
    CallingCode(Country),
    /// Calling code and number of any country, as the trunk writes them (`send: plain`).
    Plain,
    /// Digits that no rule makes a telephone number of: an extension, a service number.
    Extension,
    /// Not a number at all.
    Name,
}

/// The fewest digits after a plus that we take for a telephone number from a carrier that writes none: shorter ones are
/// service numbers.
const PLAIN_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;
/// The fewest digits that may follow an international prefix: the shortest numbers of the world have seven with their code.
const INTERNATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Brings a text to the form that is compared inside. `country` says how national numbers look; `plain`, that the
/// sender writes E.164 without plus. Visual separators (RFC 3966 5.1.1, spaces and slashes) go.
pub fn normalise(text: &str, country: Option<&Country>, plain: bool) -> Normal {
    let Some(bare) = without_separators(text) else {
        return Normal {
            number: text.to_owned(),
            how: How::Name,
        };
    };
    if let Some(digits) = bare.strip_prefix('+') {
        let how = if is_e164(digits) { How::International } else { How::Name };
        return Normal { number: bare, how };
    }
    if !bare.bytes().all(|b| b.is_ascii_digit()) {
        return Normal {
            number: bare,
            how: How::Extension,
        };
    }
    if let Some((number, how)) = country.and_then(|country| in_country(&bare, country)) {
        return Normal { number, how };
    }
    if plain && PLAIN_DIGITS.contains(&bare.len()) && is_e164(&bare) {
        return Normal {
            number: format!("+{bare}"),
            how: How::Plain,
        };
    }
    Normal {
        number: bare,
        how: How::Extension,
    }
}

/// What the digits are for somebody who dials in this country.
fn in_country(digits: &str, country: &Country) -> Option<(String, How)> {
    if let Some(rest) = digits.strip_prefix(country.international_prefix)
        && INTERNATIONAL_DIGITS.contains(&rest.len())
        && is_e164(rest)
    {
        return Some((format!("+{rest}"), How::InternationalPrefix(*country)));
    }
    let national = |rest: &str| country.is_national_length(rest.len());
    if !country.national_prefix.is_empty()
        && let Some(rest) = digits.strip_prefix(country.national_prefix)
        && national(rest)
    {
        return Some((format!("+{}{rest}", country.code), How::NationalPrefix(*country)));
    }
    if (country.national_prefix.is_empty() || country.is_nanp()) && national(digits) {
        return Some((format!("+{}{digits}", country.code), How::National(*country)));
    }
    if digits.strip_prefix(country.code).is_some_and(national) {
        return Some((format!("+{digits}"), How::CallingCode(*country)));
    }
    None
}

/// The text without visual separators, if what is left can be dialled: an optional plus, then digits, `*` and `#`.
fn without_separators(text: &str) -> Option<String> {
    let bare = || {
        let chars = text.chars();
        chars.filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}'))
    };
    let mut dialled = bare().peekable();
    let _plus = dialled.next_if_eq(&'+');
    let can_be_dialled = dialled.peek().is_some() && dialled.all(|c| c.is_ascii_digit() || c == '*' || c == '#');
    can_be_dialled.then(|| {
        let mut number = String::with_capacity(text.len());
        number.extend(bare());
        number
    })
}

/// Calling code and number: no code begins with 0, and there are at most 15 digits (E.164 6.1).
fn is_e164(digits: &str) -> bool {
    (1..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            How::International => f.write_str("it is written in E.164"),
            How::InternationalPrefix(country) => {
                write!(
                    f,
                    "{} is the international prefix of {}",
                    country.international_prefix, country.iso
                )
            }
            How::NationalPrefix(country) => {
                write!(
                    f,
                    "{} is the national prefix of {}",
                    country.national_prefix, country.iso
                )
            }
            How::National(country) => write!(f, "it has the length of a national number of {}", country.iso),
            How::CallingCode(country) => write!(f, "{} is the calling code of {}", country.code, country.iso),
            How::Plain => f.write_str("this trunk writes E.164 without plus (send: plain)"),
            How::Extension => f.write_str("an extension or service number, taken as it is"),
            How::Name => f.write_str("not a number, taken as a name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The number that `text` is in `country` (empty: unknown).
    fn number(text: &str, country: &str, plain: bool) -> String {
        normalise(text, Country::find(country).as_ref(), plain).number
    }

    #[test]
    fn numbers_become_e164() {
        let table = [
            ("+14155550101", "", "+14155550101"),
            ("+1 (415) 555-01.01", "", "+14155550101"),
            ("14155550199", "US", "+14155550199"),
            ("4155550199", "US", "+14155550199"),
            ("011 49 30 123456", "US", "+4930123456"),
            ("5550199", "US", "5550199"),
            ("911", "US", "911"),
            ("030/123456", "DE", "+4930123456"),
            ("0044 20 79460000", "DE", "+442079460000"),
            ("4930123456", "DE", "+4930123456"),
            ("30123456", "DE", "30123456"),
            ("110", "DE", "110"),
            ("0110", "DE", "0110"),
            ("06 698 1234 5", "IT", "+390669812345"),
            ("06301234567", "HU", "+36301234567"),
            ("84951234567", "RU", "+74951234567"),
            ("8104930123456", "RU", "+4930123456"),
            ("22345678", "NO", "+4722345678"),
            ("4722345678", "NO", "+4722345678"),
            ("0011 1 415 555 0101", "AU", "+14155550101"),
            ("600", "US", "600"),
            ("*72", "US", "*72"),
            ("alice", "US", "alice"),
            ("14155550199", "", "14155550199"),
            ("0014155550199", "", "0014155550199"),
            ("+0123", "", "+0123"),
            ("+1234567890123456", "US", "+1234567890123456"),
            ("-", "US", "-"),
            ("", "US", ""),
        ];
        for (text, country, expected) in table {
            assert_eq!(number(text, country, false), expected, "{text} in {country}");
        }
    }

    #[test]
    fn a_plain_trunk_writes_e164_without_plus() {
        assert_eq!(number("14155550101", "", true), "+14155550101");
        assert_eq!(number("14155550101", "DE", true), "+14155550101");
        assert_eq!(number("030123456", "DE", true), "+4930123456");
        assert_eq!(number("0800", "DE", true), "0800");
        assert_eq!(number("1234567", "", true), "1234567");
    }

    #[test]
    fn it_says_what_it_saw() {
        let how = |text: &str, country: &str| normalise(text, Country::find(country).as_ref(), false).how.to_string();
        assert_eq!(how("14155550199", "US"), "1 is the national prefix of US");
        assert_eq!(how("4155550199", "US"), "it has the length of a national number of US");
        assert_eq!(how("0014155550199", "DE"), "00 is the international prefix of DE");
        assert_eq!(how("4930123456", "DE"), "49 is the calling code of DE");
        assert_eq!(how("600", "DE"), "an extension or service number, taken as it is");
        assert_eq!(how("alice", "DE"), "not a number, taken as a name");
    }

    proptest! {
        #[test]
        fn what_is_normal_stays_so(text in "[+0-9 ()a-c*#-]{0,20}", ix in 0..super::super::country::COUNTRIES.len(), plain: bool) {
            let country = &super::super::country::COUNTRIES[ix];
            let once = normalise(&text, Some(country), plain);
            if once.number.starts_with('+') {
                let twice = normalise(&once.number, Some(country), plain);
                prop_assert_eq!(once.number, twice.number);
            }
        }
    }
}
