//! Dialogs (RFC 3261 12): identity, route set, sequence numbers, and what lives in them.
