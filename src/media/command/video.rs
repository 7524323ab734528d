//! What is forwarded to and from a leg as plain values: which lines its peer's description has beside its audio, what is spoken on them, and by
//! which SSRCs they are known.

/// What video is encoded in. It is forwarded as it comes, and never made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoCodec {
    /// RFC 7741.
    Vp8,
    /// RFC 6184, packetization mode 1, constrained baseline.
    H264,
}

/// How a line numbers a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Which.
    pub codec: VideoCodec,
    /// Its payload type.
    pub payload_type: u8,
    /// The payload type of its retransmissions (RFC 4588).
    pub rtx: Option<u8>,
}

/// A stream that a peer has announced (RFC 5576).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoSource {
    /// Its SSRC.
    pub ssrc: u32,
    /// That of its retransmissions.
    pub rtx: Option<u32>,
}

/// One `m=video` that is agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoLine {
    /// Its name in the description (RFC 5888): by it a page finds what it shows.
    pub mid: Box<str>,
    /// What both sides know, at least one; the first is what the peer sends.
    pub formats: Vec<VideoFormat>,
    /// The peer sends on it.
    pub receives: bool,
    /// We send on it: by these SSRCs, the second for retransmissions.
    pub sends: Option<(u32, u32)>,
    /// The layers of simulcast that it sends, the smallest first (RFC 8853); none where it sends one stream.
    pub layers: Vec<Box<str>>,
    /// What it has announced that it sends.
    pub sources: Vec<VideoSource>,
    /// It is a screen, and no camera.
    pub is_screen: bool,
}

/// One `m=audio` beside the first: a place on which one voice of a room is heard, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceLine {
    /// Its name in the description (RFC 5888).
    pub mid: Box<str>,
    /// How the peer numbers Opus there.
    pub payload_type: u8,
    /// We send on it by this SSRC.
    pub ssrc: u32,
}

/// All video of a leg, its places for voices, and how its audio says how loud it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Video {
    /// In the order of the description.
    pub lines: Vec<VideoLine>,
    /// Places for voices, in that order: none, or as many as may speak at once.
    pub voices: Vec<VoiceLine>,
    /// The number of the header extension that names the line of a packet (RFC 9143 15).
    pub mid: Option<u8>,
    /// Of the one that names its layer (RFC 8852 3.1).
    pub rid: Option<u8>,
    /// Of the one that names the layer of a retransmission (RFC 8852 3.2).
    pub repaired_rid: Option<u8>,
    /// Of the one that numbers all packets of its way (draft-holmer-rmcat-transport-wide-cc-extensions-01, 2): it wants to know when they came.
    pub transport: Option<u8>,
    /// Of the one that says when a packet of ours went out (abs-send-time): by that a viewer estimates what its way carries.
    pub send_time: Option<u8>,
    /// Of the one that says how loud a packet of audio is (RFC 6464).
    pub level: Option<u8>,
}
