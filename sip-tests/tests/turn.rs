//! STUN and TURN (RFC 8489, RFC 8656) by clients that were written from the RFCs, over a network with NATs and loss.

mod turn {
    mod allocations;
    mod connections;
    mod credentials;
    mod errors;
    mod hostile;
    mod paths;
    mod peers;
    mod streams;
}
