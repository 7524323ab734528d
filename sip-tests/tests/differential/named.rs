//! The differences that stay, each with the sentence that makes us right.

use super::grid::Case;

/// One kind of difference.
pub struct Named {
    what: &'static str,
    when: fn(&Case, &str, &str) -> bool,
    /// The source, and what it says.
    pub why: &'static str,
}

impl Named {
    /// True if this difference is of the kind.
    pub fn covers(&self, case: &Case, what: &str, ours: &str, theirs: &str) -> bool {
        self.what == what && (self.when)(case, ours, theirs)
    }
}

pub const NAMED: &[Named] = &[
    Named {
        what: "Max-Breadth",
        when: |_, ours, theirs| ours == "60" && theirs.is_empty(),
        why: "RFC 5393 5.3.3: a request without Max-Breadth must be given one, with a value that is recommended to be 60",
    },
    Named {
        what: "Record-Route",
        when: |case, _, theirs| matches!(case.method, "FOO" | "X-b.a%r!") && theirs == "0",
        why: "RFC 3261 16.6 step 4: a proxy may insert Record-Route into any request (and one that nobody knows may make a dialog)",
    },
];
