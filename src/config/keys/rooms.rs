//! The sections on rooms.

use super::sounds::{MUSIC_EXAMPLE, SOUNDS};
use super::{DURATION_OR_NEVER, Section, key};

/// What keys of a telephone may be.
const PRESSED: &str = "one to four keys of a telephone (0 to 9, *, #, A to D), or no";
/// What a PIN may look like.
const PIN: &str = "4 to 16 digits in quotes, or { env: NAME }, or { file: PATH }";

/// `rooms[]`.
pub static ROOM: Section = Section {
    path: "rooms[]",
    about: "A room in which several people hear one another. Who dials its number joins it, without a route, and so does who is transferred \
            to it; a route may send other numbers there (`do: room/NUMBER`), or make a room of each number (`do: room`). What holds for such \
            rooms on demand stands in the entry with the number `*`. A member's call is a call: `calls.max_duration` and `media.silence` end it, so who \
            is to stay longer than four hours needs a larger `calls.max_duration`.",
    keys: &[
        key(
            "number",
            "a number or an extension, or at most 32 letters, digits and +*#-_., or * for rooms on demand",
            "\"3000\"",
            "required",
            "By what it is called. It is the user part of the room's URI (RFC 4579: the focus).",
        ),
        key(
            "name",
            "a name of letters, digits, -, _ and .",
            "standup",
            "its number",
            "What it is called in logs, records and commands. It may be no other room's number or name.",
        ),
        key(
            "pin",
            PIN,
            "\"4711\"",
            "none: everybody may come in",
            "Who wants to come in is asked for it, three times, unless he is one of `moderators`, the room has called him, or somebody in the room has \
             brought him.",
        ),
        key(
            "moderator_pin",
            PIN,
            "\"990011\"",
            "none",
            "Who gives this one instead is a moderator. Without `pin` all others press # alone; who presses nothing is asked three times and sent \
             away.",
        ),
        key(
            "moderators",
            "the name of a user",
            "[ alice ]",
            "none",
            "Users who are moderators without a PIN.",
        ),
        key(
            "listeners",
            "yes or no",
            "yes",
            "no",
            "Who is no moderator hears the others, and is not heard until he is let speak: all by `mute_all`, one by `tandem room NAME unmute MEMBER`.",
        ),
        key(
            "max_members",
            "a number from 2 to 2000",
            "50",
            "100",
            "How many may be in it, those included who are still asked for the PIN.",
        ),
        key(
            "max_duration",
            DURATION_OR_NEVER,
            "2h",
            "never",
            "The room ends so long (1m to 168h) after the first one came in; one of more than five minutes says so five minutes before.",
        ),
        key(
            "speakers",
            "a number from 1 to 16",
            "4",
            "4",
            "How many are heard at once: those who speak loudest.",
        ),
        key(
            "rate",
            "8000, 16000 or 48000",
            "16000",
            "16000",
            "Samples a second of the mix: 8000 is telephone band for all and costs less; at 48000 those with Opus hear each other's whole band, for which \
             `opus_bitrate` should be 28000 or more (RFC 7587 3.1.1).",
        ),
        key(
            "agc",
            "yes or no",
            "no",
            "yes",
            "All who speak are brought to a common loudness, by at most 12 dB.",
        ),
        key(
            "gate",
            "yes or no",
            "no",
            "yes",
            "Only who speaks is heard; with no, any sound that is not very faint may take one of the places of `speakers`.",
        ),
        key(
            "audio",
            "mixed or forwarded",
            "forwarded",
            "mixed",
            "mixed: everybody hears one mix. forwarded: those who speak (`speakers` at once), in Opus, go as they come to each browser whose page has as many places \
             for voices (`m=audio`, recvonly) beside its first line, on which it hears a mix of all others: phones with other codecs, and what is played. Nothing is \
             encoded for it while nobody of those speaks. `agc` has no part in what is forwarded. Who has fewer places, and every phone, hears the mix. Each packet of a \
             voice goes out once for each listener: so no more voices are forwarded at once than 1600 divided by those who hear them (16 for \
             100, 4 for 400, 1 for 1000, which is four fifths of a core while they speak); who speaks besides is in that mix. A room of 1000 in which \
             several speak at once is cheaper with mixed.",
        ),
        key(
            "video",
            "forward or no",
            "no",
            "forward",
            "What browsers show is forwarded to the other browsers in the room, as it comes (VP8 or H.264, with or without simulcast): a member sees as \
             many as its page has places for, at most 17, those who spoke last before others. no: only sound. Of who hears only (`listeners`) nothing is shown.",
        ),
        key(
            "wait_for_moderator",
            "yes or no",
            "yes",
            "no",
            "Who comes waits, with music, until a moderator is there. It needs `moderator_pin` or `moderators`.",
        ),
        key(
            "entry",
            "tones, names or none",
            "names",
            "tones",
            "What is heard when somebody comes or goes. names: who dials it, or is transferred there blind, is asked to say his name after a tone \
             (3 s, any key ends it), and all hear it with the words that he has joined, or left. Whom the room calls, or somebody brings, is not \
             asked; of him, and of who says nothing, the tones are heard.",
        ),
        key(
            "music",
            SOUNDS,
            MUSIC_EXAMPLE,
            "that of music_on_hold; without one, silence",
            "What those hear who are alone, wait for a moderator, or are held by one; an empty list is silence.",
        ),
        key(
            "record",
            "yes or no",
            "yes",
            "no",
            "What is said in it is recorded, from the first member on, in files of its own below recording.directory. All are told of it by \
             recording.announcement and recording.tone, who comes before he is in it.",
        ),
        key(
            "recording",
            "mix, members or both",
            "both",
            "mix",
            "What is recorded, by `record` or because a moderator or the operator wants it. mix: what all hear, in one file. members: what each says, \
             in a file for each, as any call is recorded; one whose own calls are recorded has that file only. both: all of these.",
        ),
        key(
            "prompts",
            "the path of a folder with the files pin.wav, wrong-pin.wav, alone.wav, locked.wav, full.wav, muted.wav, unmuted.wav, \
             waiting.wav, join.wav, ends-soon.wav, ended.wav, removed.wav, name.wav, has-joined.wav and has-left.wav",
            "/etc/tandem/prompts/de",
            "words in English that the program has in it",
            "What is said to who comes, in another language or voice. All fifteen have to be there; they count among the 64 MB of sounds.",
        ),
        key(
            "outgoing",
            "own, no, or user/NAME",
            "user/alice",
            "own",
            "By whose rights the room calls somebody; no: it calls nobody. own: by those of the user who asks for it. user/NAME: the same, and where \
             somebody asks who is no user (an operator, a moderator from outside), by those of the one who is named here. What they may call is a \
             matter of `routes`.",
        ),
        key(
            "keys",
            "a section",
            "{ mute: \"*6\" }",
            "see below",
            "What members can do by their keys.",
        ),
    ],
};

/// `rooms[].keys`.
pub static ROOM_KEYS: Section = Section {
    path: "rooms[].keys",
    about: "What is pressed in a room for what; `no` takes an action away. None may begin with another.",
    keys: &[
        key(
            "mute",
            PRESSED,
            "\"*6\"",
            "*6",
            "Nobody hears who presses it, or all do again.",
        ),
        key(
            "deafen",
            PRESSED,
            "\"*4\"",
            "*4",
            "Who presses it hears nobody, or all again.",
        ),
        key(
            "lock",
            PRESSED,
            "\"*5\"",
            "*5",
            "Nobody else may join, or all may again. For moderators, as all that follow.",
        ),
        key(
            "mute_all",
            PRESSED,
            "\"*7\"",
            "*7",
            "All but moderators are not heard, or are again.",
        ),
        key(
            "record",
            PRESSED,
            "\"*3\"",
            "*3",
            "It is recorded (`recording`), or no longer.",
        ),
        key("kick_last", PRESSED, "\"*8\"", "*8", "Who came last is sent away."),
        key("end", PRESSED, "\"*0\"", "*0", "Everybody is sent away."),
    ],
};
