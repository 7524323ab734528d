//! Numbers at the border: what came -> E.164 inside -> what a trunk wants to see.

use crate::config::number::{Normal, normalise};
use crate::config::{Config, Country, NumberFormat, Trunk};

use super::Source;

/// Brings a dialled or called number to the form that is compared inside: by the habits of the trunk that it came from, or
/// by those of `numbers.country` where a user dialled it.
pub fn inward(config: &Config, source: &Source, dialled: &str) -> Normal {
    match source {
        Source::User(_) => normalise(dialled, config.country.as_ref(), false),
        Source::Trunk(ix) => match config.trunk(*ix) {
            Some(trunk) => from_trunk(trunk, dialled),
            None => normalise(dialled, None, false),
        },
    }
}

/// A number as a trunk sent it (called or calling), in the form that is compared inside. What carriers append to it in the user
/// part, `;npdi;rn=...` or `;cpc=...`, is not the number, also where `user=phone` does not say that it is one (RFC 4694).
pub fn from_trunk(trunk: &Trunk, number: &str) -> Normal {
    let (bare, _) = number.split_once(';').unwrap_or((number, ""));
    let is_number = bare.starts_with(|first: char| first == '+' || first.is_ascii_digit());
    normalise(
        if is_number { bare } else { number },
        trunk.numbers.country.as_ref(),
        trunk.numbers.send == NumberFormat::Plain,
    )
}

/// A number from inside, as the trunk wants to see it. Extensions and names stay as they are.
pub fn outward(trunk: &Trunk, number: &str) -> String {
    let Some(digits) = number.strip_prefix('+') else {
        return number.to_owned();
    };
    match (trunk.numbers.send, &trunk.numbers.country) {
        (NumberFormat::E164, _) => number.to_owned(),
        (NumberFormat::Plain, _) => digits.to_owned(),
        (NumberFormat::National, Some(country)) => national(country, digits),
        (NumberFormat::National, None) => number.to_owned(),
    }
}

/// As dialled within the country. In North America that is the ten digits alone.
fn national(country: &Country, digits: &str) -> String {
    match digits.strip_prefix(country.code) {
        Some(rest) if country.is_nanp() && country.is_national_length(rest.len()) => rest.to_owned(),
        Some(rest) if country.is_national_length(rest.len()) => format!("{}{rest}", country.national_prefix),
        Some(_) | None => format!("{}{digits}", country.international_prefix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::country::COUNTRIES;
    use proptest::prelude::*;

    /// A trunk that sends numbers so.
    fn trunk(country: Option<&str>, send: &str) -> Trunk {
        let country = country.map_or(String::new(), |iso| format!("country: {iso}, "));
        let text = format!(
            "listen: udp://127.0.0.1:5060\ntrunks: [ {{ name: t, peers: [ \"sip:192.0.2.1\" ], numbers: {{ {country}send: {send} }} }} ]"
        );
        let config = crate::config::parse("t", &text, &crate::config::Sources::NONE).unwrap();
        config.trunks[0].clone()
    }

    #[test]
    fn each_trunk_sees_its_own_form() {
        let table = [
            (None, "e164", "+14155550101", "+14155550101"),
            (None, "plain", "+14155550101", "14155550101"),
            (Some("US"), "national", "+14155550101", "4155550101"),
            (Some("US"), "national", "+4930123456", "0114930123456"),
            (Some("DE"), "national", "+4930123456", "030123456"),
            (Some("DE"), "national", "+14155550101", "0014155550101"),
            (Some("IT"), "national", "+390669812345", "0669812345"),
            (Some("HU"), "national", "+36301234567", "06301234567"),
            (Some("NO"), "national", "+4722345678", "22345678"),
            (Some("DE"), "national", "+49", "0049"),
            (Some("DE"), "national", "110", "110"),
            (Some("US"), "plain", "alice", "alice"),
        ];
        for (country, send, number, expected) in table {
            assert_eq!(
                outward(&trunk(country, send), number),
                expected,
                "{number} as {send} in {country:?}"
            );
        }
    }

    #[test]
    fn what_a_plain_trunk_sends_is_read_back() {
        assert_eq!(from_trunk(&trunk(None, "plain"), "14155550101").number, "+14155550101");
        assert_eq!(from_trunk(&trunk(None, "e164"), "14155550101").number, "14155550101");
        let ported = from_trunk(&trunk(None, "e164"), "+14155550101;npdi;rn=+14155559999");
        assert_eq!(ported.number, "+14155550101");
        assert_eq!(from_trunk(&trunk(None, "e164"), "ann;1").number, "ann;1");
        assert_eq!(
            from_trunk(&trunk(Some("DE"), "e164"), "030 123456").number,
            "+4930123456"
        );
    }

    proptest! {
        #[test]
        fn national_and_back_is_the_same(ix in 0..COUNTRIES.len(), digits in "[2-9][0-9]{12}", longer in 0u8..10) {
            let country = COUNTRIES[ix];
            let length = country.min_digits + longer % (country.max_digits - country.min_digits + 1);
            let number = format!("+{}{}", country.code, &digits[..usize::from(length)]);
            let sent = national(&country, &number[1..]);
            prop_assert_eq!(normalise(&sent, Some(&country), false).number, number, "{} in {}", sent, country.iso);
        }
    }
}
