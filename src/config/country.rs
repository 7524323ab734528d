//! The countries whose dialling habits we know (ITU-T E.164 and the national numbering plans announced to the ITU).

/// A country's dialling habits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166 alpha-2.
    pub iso: &'static str,
    /// Country calling code without plus: `1`, `49`.
    pub code: &'static str,
    /// Trunk prefix of national numbers: `0`, `1`, or empty.
    pub national_prefix: &'static str,
    /// `00`, `011`.
    pub international_prefix: &'static str,
    /// Digits of the shortest national number, without its prefix, that can be called from abroad.
    pub min_digits: u8,
    /// Digits of the longest.
    pub max_digits: u8,
}

impl Country {
    /// The country of this ISO code, in any case of letters.
    pub fn find(iso: &str) -> Option<Country> {
        COUNTRIES
            .iter()
            .find(|country| country.iso.eq_ignore_ascii_case(iso))
            .copied()
    }

    /// True in the North American Numbering Plan, where the ten digits are also dialled without the prefix 1.
    pub fn is_nanp(&self) -> bool {
        self.code == "1"
    }

    /// True if that many digits make a national number without its prefix.
    pub fn is_national_length(&self, digits: usize) -> bool {
        (usize::from(self.min_digits)..=usize::from(self.max_digits)).contains(&digits)
    }
}

const fn country(
    iso: &'static str,
    code: &'static str,
    national_prefix: &'static str,
    international_prefix: &'static str,
    min_digits: u8,
    max_digits: u8,
) -> Country {
    Country {
        iso,
        code,
        national_prefix,
        international_prefix,
        min_digits,
        max_digits,
    }
}

/// By calling code. Where callers choose a long-distance carrier by further digits (Brazil, Colombia, Korea), those
/// digits are not part of the habits here.
#[rustfmt::skip]
pub static COUNTRIES: &[Country] = &[
    country("US", "1", "1", "011", 10, 10),
    country("CA", "1", "1", "011", 10, 10),
    country("PR", "1", "1", "011", 10, 10),
    country("JM", "1", "1", "011", 10, 10),
    country("DO", "1", "1", "011", 10, 10),
    country("TT", "1", "1", "011", 10, 10),
    country("BS", "1", "1", "011", 10, 10),
    country("BB", "1", "1", "011", 10, 10),
    country("BM", "1", "1", "011", 10, 10),
    country("EG", "20", "0", "00", 8, 10),
    country("ZA", "27", "0", "00", 9, 9),
    country("GR", "30", "", "00", 10, 10),
    country("NL", "31", "0", "00", 9, 9),
    country("BE", "32", "0", "00", 8, 9),
    country("FR", "33", "0", "00", 9, 9),
    country("ES", "34", "", "00", 9, 9),
    country("HU", "36", "06", "00", 8, 9),
    country("IT", "39", "", "00", 6, 11),
    country("RO", "40", "0", "00", 9, 9),
    country("CH", "41", "0", "00", 9, 9),
    country("AT", "43", "0", "00", 6, 13),
    country("GB", "44", "0", "00", 9, 10),
    country("DK", "45", "", "00", 8, 8),
    country("SE", "46", "0", "00", 7, 9),
    country("NO", "47", "", "00", 8, 8),
    country("PL", "48", "", "00", 9, 9),
    country("DE", "49", "0", "00", 6, 12),
    country("PE", "51", "0", "00", 8, 9),
    country("MX", "52", "", "00", 10, 10),
    country("CU", "53", "0", "119", 6, 8),
    country("AR", "54", "0", "00", 10, 11),
    country("BR", "55", "0", "00", 10, 11),
    country("CL", "56", "", "00", 9, 9),
    country("CO", "57", "", "00", 10, 10),
    country("VE", "58", "0", "00", 10, 10),
    country("MY", "60", "0", "00", 8, 10),
    country("AU", "61", "0", "0011", 9, 9),
    country("ID", "62", "0", "001", 8, 12),
    country("PH", "63", "0", "00", 8, 10),
    country("NZ", "64", "0", "00", 8, 10),
    country("SG", "65", "", "001", 8, 8),
    country("TH", "66", "0", "001", 8, 9),
    country("RU", "7", "8", "810", 10, 10),
    country("KZ", "7", "8", "810", 10, 10),
    country("JP", "81", "0", "010", 9, 10),
    country("KR", "82", "0", "001", 8, 10),
    country("VN", "84", "0", "00", 9, 10),
    country("CN", "86", "0", "00", 9, 11),
    country("TR", "90", "0", "00", 10, 10),
    country("IN", "91", "0", "00", 10, 10),
    country("PK", "92", "0", "00", 9, 10),
    country("AF", "93", "0", "00", 9, 9),
    country("LK", "94", "0", "00", 9, 9),
    country("MM", "95", "0", "00", 7, 10),
    country("IR", "98", "0", "00", 10, 10),
    country("MA", "212", "0", "00", 9, 9),
    country("DZ", "213", "0", "00", 8, 9),
    country("TN", "216", "", "00", 8, 8),
    country("SN", "221", "", "00", 9, 9),
    country("CI", "225", "", "00", 10, 10),
    country("GH", "233", "0", "00", 9, 9),
    country("NG", "234", "0", "009", 8, 10),
    country("CM", "237", "", "00", 9, 9),
    country("CD", "243", "0", "00", 7, 10),
    country("AO", "244", "", "00", 9, 9),
    country("ET", "251", "0", "00", 9, 9),
    country("KE", "254", "0", "000", 8, 9),
    country("TZ", "255", "0", "000", 9, 9),
    country("UG", "256", "0", "000", 9, 9),
    country("MZ", "258", "", "00", 8, 9),
    country("ZM", "260", "0", "00", 9, 9),
    country("ZW", "263", "0", "00", 8, 9),
    country("GI", "350", "", "00", 8, 8),
    country("PT", "351", "", "00", 9, 9),
    country("LU", "352", "", "00", 6, 11),
    country("IE", "353", "0", "00", 7, 9),
    country("IS", "354", "", "00", 7, 9),
    country("AL", "355", "0", "00", 8, 9),
    country("MT", "356", "", "00", 8, 8),
    country("CY", "357", "", "00", 8, 8),
    country("FI", "358", "0", "00", 5, 12),
    country("BG", "359", "0", "00", 7, 9),
    country("LT", "370", "0", "00", 8, 8),
    country("LV", "371", "", "00", 8, 8),
    country("EE", "372", "", "00", 7, 8),
    country("MD", "373", "0", "00", 8, 8),
    country("AM", "374", "0", "00", 8, 8),
    country("BY", "375", "8", "810", 9, 9),
    country("AD", "376", "", "00", 6, 9),
    country("MC", "377", "0", "00", 8, 9),
    country("UA", "380", "0", "00", 9, 9),
    country("RS", "381", "0", "00", 7, 9),
    country("ME", "382", "0", "00", 8, 9),
    country("HR", "385", "0", "00", 8, 9),
    country("SI", "386", "0", "00", 8, 8),
    country("BA", "387", "0", "00", 8, 9),
    country("MK", "389", "0", "00", 8, 8),
    country("CZ", "420", "", "00", 9, 9),
    country("SK", "421", "0", "00", 9, 9),
    country("LI", "423", "", "00", 7, 9),
    country("GT", "502", "", "00", 8, 8),
    country("SV", "503", "", "00", 8, 8),
    country("HN", "504", "", "00", 8, 8),
    country("NI", "505", "", "00", 8, 8),
    country("CR", "506", "", "00", 8, 8),
    country("PA", "507", "", "00", 7, 8),
    country("BO", "591", "0", "00", 8, 8),
    country("EC", "593", "0", "00", 8, 9),
    country("PY", "595", "0", "00", 8, 9),
    country("UY", "598", "0", "00", 8, 8),
    country("BN", "673", "", "00", 7, 7),
    country("HK", "852", "", "001", 8, 8),
    country("MO", "853", "", "00", 8, 8),
    country("KH", "855", "0", "001", 8, 9),
    country("LA", "856", "0", "00", 8, 10),
    country("BD", "880", "0", "00", 8, 10),
    country("TW", "886", "0", "002", 8, 9),
    country("MV", "960", "", "00", 7, 7),
    country("LB", "961", "0", "00", 7, 8),
    country("JO", "962", "0", "00", 8, 9),
    country("SY", "963", "0", "00", 8, 9),
    country("IQ", "964", "0", "00", 8, 10),
    country("KW", "965", "", "00", 7, 8),
    country("SA", "966", "0", "00", 9, 9),
    country("YE", "967", "0", "00", 7, 9),
    country("OM", "968", "", "00", 8, 8),
    country("AE", "971", "0", "00", 8, 9),
    country("IL", "972", "0", "00", 8, 9),
    country("BH", "973", "", "00", 8, 8),
    country("QA", "974", "", "00", 8, 8),
    country("MN", "976", "0", "001", 8, 8),
    country("NP", "977", "0", "00", 8, 10),
    country("AZ", "994", "0", "00", 9, 9),
    country("GE", "995", "0", "00", 9, 9),
    country("KG", "996", "0", "00", 9, 9),
    country("UZ", "998", "", "00", 9, 9),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_country_is_there_once_and_its_numbers_fit_into_e164() {
        let names: BTreeSet<_> = COUNTRIES.iter().map(|country| country.iso).collect();
        assert_eq!(names.len(), COUNTRIES.len());
        for country in COUNTRIES {
            let Country {
                iso,
                code,
                national_prefix,
                international_prefix,
                min_digits,
                max_digits,
            } = *country;
            assert!(iso.len() == 2 && iso.bytes().all(|b| b.is_ascii_uppercase()), "{iso}");
            assert!((1..=3).contains(&code.len()), "{iso}");
            for digits in [code, national_prefix, international_prefix] {
                assert!(digits.bytes().all(|b| b.is_ascii_digit()), "{iso}");
            }
            assert!(!international_prefix.is_empty() && min_digits <= max_digits, "{iso}");
            assert!(code.len() + usize::from(max_digits) <= 15, "{iso}: E.164 has 15 digits");
        }
    }

    #[test]
    fn a_country_is_found_in_any_case() {
        assert_eq!(Country::find("us").map(|country| country.code), Some("1"));
        assert_eq!(Country::find("DE").map(|country| country.national_prefix), Some("0"));
        assert_eq!(Country::find("XX"), None);
        assert_eq!(Country::find(""), None);
    }
}
